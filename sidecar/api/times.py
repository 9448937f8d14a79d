"""Times at the edge: ISO-8601 or epoch milliseconds in, ISO-8601 with milliseconds and `Z` out."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from domain.signal import TIME_MAX
from domain.words import Millis

TIME_TEXT_MAX: Final = 40
SECONDS_KEPT_MAX: Final = 4096
TEXT_SCHEMA: Final = {"format": "date-time", "pattern": "^(19[7-9][0-9]|[2-9][0-9]{3})-"}
"""What `parse` takes as text, as JSON Schema; it takes other forms of ISO-8601 too."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def iso(at: Millis) -> str:
    """Print a time as `2026-01-31T12:00:00.000Z`, exactly."""
    seconds, milliseconds = divmod(at, 1000)
    return f"{_second(seconds)}.{milliseconds:03}Z"


@lru_cache(maxsize=SECONDS_KEPT_MAX)
def _second(seconds: int) -> str:
    """Print a time up to its second; neighbours on a timeline share it, which makes a page twice as fast."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def parse(text: str) -> Millis:
    """Read epoch milliseconds (digits only) or ISO-8601; no zone means UTC, below a millisecond is cut.

    Raises:
        ValueError: neither of the two, or outside 1970 to 9999.
    """
    if len(text) > TIME_TEXT_MAX:
        raise ValueError("too long for a time")
    if text.isascii() and text.isdigit():
        at = int(text)
    else:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        at = (moment - _EPOCH) // _MILLISECOND
    if not 0 <= at <= TIME_MAX:
        raise ValueError("outside 1970 to 9999")
    return at

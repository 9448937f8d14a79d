"""Times at the edge: ISO-8601 or epoch milliseconds in, ISO-8601 with milliseconds and `Z` out."""

from datetime import UTC, datetime, timedelta
from typing import Final

from domain.signal import TIME_MAX
from domain.words import Millis

TIME_TEXT_MAX: Final = 40

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def iso(at: Millis) -> str:
    """Print a time as `2026-01-31T12:00:00.000Z`; exact, about half a microsecond."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")[:-6] + "Z"


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

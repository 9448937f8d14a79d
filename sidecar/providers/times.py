"""Provider times in milliseconds since the epoch; the unit is the provider's word, never guessed."""

from datetime import UTC, datetime
from typing import Final

from domain.words import Millis

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339_MIN: Final = len("2026-01-15T12:00:00Z")
_RFC3339_MAX: Final = len("2026-01-15T12:00:00.123456789-03:00")
_DIGITS_MAX: Final = 16


def from_rfc3339(text: str | None) -> Millis | None:
    """Read an RFC 3339 date-time with offset and up to nine fractional digits, cut (not rounded) to ms.

    None for anything else, and for times before the epoch: Go writes year 1 where it has no time.
    """
    if text is None or not _RFC3339_MIN <= len(text) <= _RFC3339_MAX:
        return None
    if text[7] != "-" or text[10] not in "Tt ":  # ISO 8601 knows other forms, this profile does not
        return None
    if text[-1] == "z":
        text = text[:-1] + "Z"
    try:
        moment = datetime.fromisoformat(text)
        passed = moment - _EPOCH
    except (ValueError, TypeError, OverflowError):  # TypeError: no offset, so no instant
        return None
    millis = passed.days * 86_400_000 + passed.seconds * 1000 + passed.microseconds // 1000
    return millis if millis > 0 else None


def from_seconds(value: float | str | None) -> Millis | None:
    """Read seconds since the epoch, a number or its decimal text; cut to ms."""
    return _scaled(value, 1000)


def from_millis(value: float | str | None) -> Millis | None:
    """Read milliseconds since the epoch, a number or its decimal text."""
    return _scaled(value, 1)


def _scaled(value: float | str | None, unit: int) -> Millis | None:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX):
            return None
        value = int(value)
    if value is None or not 0 < value < 10**_DIGITS_MAX:
        return None
    return int(value * unit)

"""Times on the command line: ISO-8601, epoch milliseconds, or how long ago (`30m`, `2h`, `7d`)."""

import re
from typing import Final

from domain.words import Millis
from sidecar.api import times
from sidecar.cli.errors import CONFIGURATION, CommandFailed

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_UNIT_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def when(text: str | None, option: str, now: Millis, default: Millis) -> Millis:
    """Read a time.

    Raises:
        CommandFailed: the text is none.
    """
    if text is None:
        return default
    if ago := _AGO.fullmatch(text):
        return max(0, now - int(ago[1]) * _UNIT_MS[ago[2]])
    try:
        return times.parse(text)
    except ValueError as error:
        raise CommandFailed(
            f"{option} must be ISO-8601 (2026-01-31T12:00:00Z), epoch milliseconds, or an age: 30m, 2h, 7d",
            CONFIGURATION,
        ) from error

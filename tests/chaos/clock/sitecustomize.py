"""Python loads this first where PYTHONPATH names its folder: the wall clock then differs by what a file says.

Only the wall clock: monotonic clocks and timers stay as they are, as when an operator or NTP sets it.
"""

import os
import time
from pathlib import Path

_FILE = Path(os.environ["CHAOS_CLOCK"])
_real, _real_ns = time.time, time.time_ns  # noqa: TID251 - this is what moves
_read: list[float] = [-1.0, 0.0]
"""When the file was looked at last, monotonic, and the offset it told, in seconds."""


def _offset() -> float:
    if time.monotonic() - _read[0] > 0.02:
        text = _FILE.read_text() if _FILE.exists() else ""
        _read[:] = [time.monotonic(), float(text or _read[1])]
    return _read[1]


def _time() -> float:
    return _real() + _offset()


def _time_ns() -> int:
    return _real_ns() + int(_offset() * 1e9)


time.time, time.time_ns = _time, _time_ns  # noqa: TID251 - as above

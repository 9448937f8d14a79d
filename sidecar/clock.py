"""The one file that asks the time: wall clock for facts, monotonic clock for durations."""

import time

from domain.words import Millis

monotonic_ns = time.monotonic_ns
"""Nanoseconds for durations; never goes back, means nothing outside this process."""


def now_ms() -> Millis:
    """Give the wall clock in milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - this is the one place

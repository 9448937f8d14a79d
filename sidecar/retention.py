"""Runs retention daily and at start, in a thread of its own: recording goes on between its batches."""

import threading
from collections.abc import Callable
from typing import Final

from domain.errors import StoreUnavailable
from domain.words import Millis
from sidecar.telemetry import RetentionApplied

DAY_SECONDS: Final = 86_400.0
RETRY_SECONDS: Final = 60.0


class Retention:
    """Calls `drop` once a day.

    Args:
        drop: drops what is too old and tells how many went (`domain.retain.DropPastRetention`).
        clock: wall clock.
    """

    def __init__(self, drop: Callable[[Millis], int], clock: Callable[[], Millis]) -> None:
        self._drop = drop
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin; the store is open."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; a batch under way ends with the store's connection."""
        self._stopping.set()

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            try:
                if dropped := self._drop(self._clock()):
                    RetentionApplied(dropped=dropped).emit()
                wait = DAY_SECONDS
            except StoreUnavailable:
                wait = RETRY_SECONDS

"""Runs retention daily and at start, in a thread of its own, beside recording.

It steps back as long as it worked: the writer is the recorder's at least every other moment, and nobody else
waits for a database that is busy with what nobody needs any more.
"""

import threading
from collections.abc import Callable
from typing import Final

from domain.errors import StoreUnavailable
from domain.words import Millis
from sidecar.clock import monotonic_ns
from sidecar.telemetry import RetentionApplied

DAY_SECONDS: Final = 86_400.0
RETRY_SECONDS: Final = 60.0
STEP_BACK_MAX_SECONDS: Final = 1.0


class Retention:
    """Calls `drop` once a day.

    Args:
        drop: drops what is too old and tells how many went (`domain.retain.DropPastRetention`); asks its
            second argument between two steps whether to go on.
        clock: wall clock.
    """

    def __init__(
        self, drop: Callable[[Millis, Callable[[], bool]], int], clock: Callable[[], Millis]
    ) -> None:
        self._drop = drop
        self._clock = clock
        self._stopping = threading.Event()
        self._began_ns = 0
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin; the store is open."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further step; one under way ends first, or with the store's connection."""
        self._stopping.set()

    def _step_back(self) -> bool:
        """Wait as long as the last step took; tell whether to go on."""
        worked_seconds = (monotonic_ns() - self._began_ns) / 1e9
        stopping = self._stopping.wait(min(worked_seconds, STEP_BACK_MAX_SECONDS))
        self._began_ns = monotonic_ns()
        return not stopping

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            try:
                self._began_ns = monotonic_ns()
                if dropped := self._drop(self._clock(), self._step_back):
                    RetentionApplied(dropped=dropped).emit()
                wait = DAY_SECONDS
            except StoreUnavailable:
                wait = RETRY_SECONDS

"""The one writing connection of SQLite, taken in turns: first come, first served.

A pool gives a connection to whoever asks at the right moment, and that is whoever just gave it back: behind a
full journal the recorder would keep it for ever, and an operator's command or retention would wait in vain.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from domain.errors import StoreUnavailable


class Turns:
    """A lock that is handed to the one who waits longest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    @contextmanager
    def take(self, wait_seconds: float) -> Iterator[None]:
        """Hold it; not re-entrant.

        Raises:
            StoreUnavailable: those before did not end in time.
        """
        mine: threading.Event | None = None
        with self._lock:
            if self._taken:
                mine = threading.Event()
                self._waiting.append(mine)
            self._taken = True
        if mine is not None and not mine.wait(wait_seconds):
            with self._lock:
                if not mine.is_set():  # not handed over at the last moment
                    self._waiting.remove(mine)
                    raise StoreUnavailable(f"the database was busy with others for {wait_seconds:.0f} s")
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._taken = False

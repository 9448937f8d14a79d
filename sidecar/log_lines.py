"""Lines of log on their way to stdout: a bounded queue and a thread; a blocked reader stops nobody."""

import os
import select
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Final, TypeAlias

QUEUE_MAX_BYTES: Final = 4 * 1024 * 1024
"""Lines that wait for a slow reader of stdout; about 10 000 signals."""
WRITE_MAX_BYTES: Final = 4096
"""PIPE_BUF on Linux: a write up to this size is never mixed with another process's lines in one pipe."""

DropListener: TypeAlias = Callable[[str, int], None]
"""Takes a reason (`queue_full`, `stream_closed`) and how many lines were dropped for it."""


class LineWriter:
    """Writes whole lines to a descriptor from a thread of its own; `write` never waits for the reader.

    Args:
        fd: where lines go; stays open.
        max_bytes: bound of what waits; a chunk that does not fit is dropped whole and counted.
        held: keep lines back until `release`.
    """

    def __init__(self, fd: int, *, max_bytes: int = QUEUE_MAX_BYTES, held: bool = False) -> None:
        self._fd = fd
        self._max_bytes = max_bytes
        self._held = held
        self._queue: deque[tuple[bytes, int]] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._dropped: Counter[str] = Counter()
        self._listener: DropListener | None = None
        self._wake = threading.Condition(threading.Lock())
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> dict[str, int]:
        """Lines dropped so far, by reason."""
        with self._wake:
            return dict(self._dropped)

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait or are being written."""
        return self._queued_bytes

    def report_drops_to(self, listener: DropListener) -> None:
        """Tell `listener` of every drop, those before this call included. Called from any thread."""
        with self._wake:
            self._listener = listener
            earlier = dict(self._dropped)
        for reason, lines in earlier.items():
            listener(reason, lines)

    def write(self, data: bytes, lines: int = 1) -> None:
        """Queue whole lines, each with its line feed; drop and count them when the queue is full."""
        with self._wake:
            if self._queued_bytes + len(data) <= self._max_bytes and not self._closing:
                self._queue.append((data, lines))
                self._queued_bytes += len(data)
                if not self._held:
                    self._wake.notify()
                return
        self._drop("queue_full", lines)

    def release(self, first: bytes = b"") -> None:
        """Let held lines go, with `first` (whole lines) in front of them."""
        with self._wake:
            if first:
                self._queue.appendleft((first, 1))
                self._queued_bytes += len(first)
            self._held = False
            self._wake.notify()

    def close(self, budget_seconds: float = 2.0) -> bool:
        """Write out what waits; give up after the budget. Tells whether all was written."""
        with self._wake:
            self._closing = True
            self._held = False
            self._wake.notify()
        self._thread.join(budget_seconds)
        if not self._thread.is_alive():
            return True
        with self._wake:
            left = sum(lines for _, lines in self._queue)
            self._queue.clear()
        self._drop("queue_full", left)
        return False

    def _run(self) -> None:
        while True:
            with self._wake:
                while self._held or not (self._queue or self._closing):
                    self._wake.wait()
                if not self._queue:
                    return
                taken = list(self._queue)
                self._queue.clear()
            data = b"".join(chunk for chunk, _ in taken)
            try:
                _write_lines(self._fd, data)
            except OSError:  # the reader is gone for good; the process goes on without a log
                self._drop("stream_closed", sum(lines for _, lines in taken))
            with self._wake:
                self._queued_bytes -= len(data)

    def _drop(self, reason: str, lines: int) -> None:
        if not lines:
            return
        with self._wake:
            self._dropped[reason] += lines
            listener = self._listener
        if listener is not None:
            listener(reason, lines)


def _write_lines(fd: int, data: bytes) -> None:
    """Write all of it, split behind line feeds so that each write stays atomic on a pipe."""
    start, end = 0, len(data)
    while start < end:
        stop = min(start + WRITE_MAX_BYTES, end)
        if stop < end:
            line_end = data.rfind(b"\n", start, stop)
            if line_end < 0:
                line_end = data.find(b"\n", stop)
            stop = end if line_end < 0 else line_end + 1
        piece = memoryview(data)[start:stop]
        while piece:
            try:
                piece = piece[os.write(fd, piece) :]
            except BlockingIOError:  # whoever shares the terminal with us made it non-blocking
                select.select([], [fd], [])
        start = stop

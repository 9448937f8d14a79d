"""The writing side of a worker's page; the layout is in `page`."""

import mmap
import os
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Final

from domain.recorded import SOURCES
from domain.words import Millis, Source
from sidecar.journal.layout import WRITER_REASONS, LossReason, LossTotals
from sidecar.journal.page import (
    COUNTER,
    GAUGE,
    LOOP_LAG_BUCKETS,
    NAME_BYTES,
    NAMED_CELLS,
    NAMED_MAX,
    PAGE_BYTES,
    PAGE_MAGIC,
    Cell,
    losses_of,
)
from sidecar.journal.turn import Mark

_OVERFLOW: Final = ("overflow",)
_ROW_OF: Final = {reason: row for row, reason in enumerate(WRITER_REASONS)}
_COLUMN_OF: Final = {source: column for column, source in enumerate(SOURCES)}


class Slot:
    """One named cell. Adding to it costs about as much as adding to an attribute."""

    __slots__ = ("_at", "_page")

    def __init__(self, page: "WorkerPage", at: int) -> None:
        self._page = page
        self._at = at

    def add(self, n: int = 1) -> None:
        """Add to the cell; a gauge may go down, never below 0."""
        cells = self._page.cells
        cells[self._at] = max(0, cells[self._at] + n)

    def set(self, value: int) -> None:
        """Set the cell, at least 0."""
        self._page.cells[self._at] = max(0, value)

    @property
    def value(self) -> int:
        """What the cell holds now."""
        return self._page.cells[self._at]


class WorkerPage:
    """The writing side. Lives in private memory until `attach` maps it to a file, so counting never fails."""

    def __init__(self, index: int, started_at: Millis) -> None:
        self._map = mmap.mmap(-1, PAGE_BYTES)
        self.cells = memoryview(self._map).cast("Q")
        self._slots: dict[tuple[str, ...], Slot] = {}
        self.attached = False
        self.cells[Cell.PID] = os.getpid()
        self.cells[Cell.WORKER] = index
        self.cells[Cell.STARTED] = started_at
        self.cells[Cell.HEARTBEAT] = started_at
        self.cells[0] = PAGE_MAGIC

    def attach(self, path: Path) -> None:
        """Move the page into a file, readable by its owner only.

        The blocks are reserved first: touching a hole of a mapped file on a full disk kills the process.

        Raises:
            OSError: no room or no permission; the page stays in private memory.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _reserve(fd)
            mapped = mmap.mmap(fd, PAGE_BYTES)
        finally:
            os.close(fd)
        mapped[8:] = self._map[8:]
        mapped[:8] = self._map[:8]  # the magic last: a reader sees a whole page or none
        self._map = mapped  # the old one is freed with its last view: a thread may be flushing it
        self.cells = memoryview(mapped).cast("Q")
        self.attached = True

    def flush(self) -> None:
        """Write the page through to the disk (power loss); blocks."""
        if self.attached:
            self._map.flush()

    # -- facts: the writer's side of the ledger --------------------------------------------------

    def observed(self, webhook: int, dispatch: int, provider: int) -> None:
        """Count facts at the moment they are handed over for journaling."""
        cells = self.cells
        if webhook:
            cells[Cell.OBSERVED] += webhook
        if dispatch:
            cells[Cell.OBSERVED + 1] += dispatch
        if provider:
            cells[Cell.OBSERVED + 2] += provider

    def journaled(self, size: int, mark: Mark) -> None:
        """Set the running totals after a write of `size` bytes, and count the write."""
        cells = self.cells
        _, cells[Cell.RECORDS], webhook, dispatch, provider = mark
        cells[Cell.BYTES] += size
        cells[Cell.WRITES] += 1
        cells[Cell.JOURNALED] = webhook
        cells[Cell.JOURNALED + 1] = dispatch
        cells[Cell.JOURNALED + 2] = provider

    def lost(self, reason: LossReason, counts: tuple[int, int, int], at: Millis) -> None:
        """Count lost facts by source; `at` bounds the gap."""
        cells = self.cells
        row = _ROW_OF[reason]
        for column, count in enumerate(counts):
            cells[Cell.LOST + 3 * row + column] += count
        if not cells[Cell.SINCE + row]:
            cells[Cell.SINCE + row] = at
        cells[Cell.UNTIL + row] = max(at, cells[Cell.UNTIL + row])

    def losses(self) -> LossTotals:
        """Give all losses so far; the times bound those since `losses_journaled`."""
        return losses_of(self.cells)

    def losses_journaled(self) -> None:
        """Start new time bounds: what was lost so far is told by a STATE record."""
        for row in range(len(WRITER_REASONS)):
            self.cells[Cell.SINCE + row] = 0
            self.cells[Cell.UNTIL + row] = 0

    def lost_at(self, reason: LossReason, source: Source) -> int:
        """Give how many facts of a source were lost for a reason."""
        return self.cells[Cell.LOST + 3 * _ROW_OF[reason] + _COLUMN_OF[source]]

    # -- process ----------------------------------------------------------------------------------

    def beat(self, at: Millis) -> None:
        """Say that the worker is alive."""
        self.cells[Cell.HEARTBEAT] = at

    def sync_failed(self) -> None:
        """Count an fsync that the disk refused."""
        self.cells[Cell.SYNC_FAILURES] += 1

    def in_segment(self, number: int) -> None:
        """Say which segment is being written."""
        self.cells[Cell.SEGMENT] = number

    def loop_lag(self, seconds: float) -> None:
        """Observe how late the event loop ran something."""
        self.cells[Cell.LAG + bisect_left(LOOP_LAG_BUCKETS, seconds)] += 1
        self.cells[Cell.LAG_SUM] += max(0, int(seconds * 1e6))

    def counter(self, name: str, *labels: str) -> Slot:
        """Give the counter of this name and these label values: `counter("refused", "dispatch", "host")`.

        Ask once and keep it. Names are code, labels come from closed sets; both together at most 102 bytes.
        """
        return self._named(COUNTER, name, labels)

    def gauge(self, name: str, *labels: str) -> Slot:
        """Give the gauge of this name and these label values."""
        return self._named(GAUGE, name, labels)

    def _named(self, kind: int, name: str, labels: tuple[str, ...]) -> Slot:
        key = (name, *labels)
        slot = self._slots.get(key)
        if slot is None:
            encoded = "\x1f".join(key).encode()
            full = len(self._slots) >= NAMED_MAX - 1
            if (full or len(encoded) > NAME_BYTES) and key != _OVERFLOW:
                return self._named(COUNTER, "overflow", ())
            slot = self._slots[key] = Slot(self, self._claim(kind, encoded))
        return slot

    def _claim(self, kind: int, encoded: bytes) -> int:
        number = self.cells[Cell.NAMED_COUNT]
        at = Cell.NAMED + number * NAMED_CELLS
        start = (at + 1) * 8
        self._map[start : start + 2 + len(encoded)] = bytes((kind, len(encoded))) + encoded
        self.cells[Cell.NAMED_COUNT] = number + 1  # published last
        return at


_reserve_by_fallocate: Callable[[int, int, int], None] | None = getattr(os, "posix_fallocate", None)


def _reserve(fd: int) -> None:
    if _reserve_by_fallocate is not None:
        _reserve_by_fallocate(fd, 0, PAGE_BYTES)
    else:  # macOS: written blocks are allocated blocks
        os.write(fd, b"\0" * PAGE_BYTES)

"""A worker's page: counters and gauges in shared memory, written by the worker, read by the recorder.

A file of fixed layout that the worker maps and the recorder reads. It outlives a killed worker, so it also
says what a dead worker had observed. Every cell is one aligned 8 byte integer with one writer; a reader may
see neighbouring cells a moment apart and must not derive exact facts of a *living* worker from several.

Cells (8 bytes each, native order):

    0 magic   1 pid   2 index   3 started at   4 heartbeat at   5 records journaled   6 bytes journaled
    7 writes   8 failed syncs   9 current segment
    16..18 facts observed by source     19..21 facts journaled by source
    32..79 facts lost, 16 reasons by 3 sources   80..95 since   96..111 until (of those not yet journaled)
    112..122 loop lag, count per bucket   123 sum of the loop lag in microseconds
    128 number of named cells   136.. named cells: value, then 104 bytes: kind, length, name and labels
"""

import mmap
import os
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from domain.recorded import SOURCES, BySource
from domain.words import Millis, Source
from sidecar.journal.layout import WRITER_REASONS, LossReason, LossRow, LossTotals

PAGE_BYTES: Final = 16384
_MAGIC: Final = int.from_bytes(b"RSPAGE\x00\x01", "big")
"""The last byte is the version of the layout."""

_PID, _INDEX, _STARTED, _HEARTBEAT, _RECORDS, _BYTES, _WRITES, _SYNC_FAILURES, _SEGMENT = range(1, 10)
_OBSERVED, _JOURNALED = 16, 19
_LOST, _SINCE, _UNTIL = 32, 80, 96
_LAG, _LAG_SUM = 112, 123
_NAMED_COUNT, _NAMED = 128, 136
_NAMED_CELLS: Final = 14
_NAME_BYTES: Final = 102

NAMED_MAX: Final = 128
"""Named cells of a page. Further names share the last one, called `overflow`."""

LOOP_LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper bounds in seconds; one more bucket takes the rest."""

COUNTER: Final = 1
GAUGE: Final = 2
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
        self.cells[_PID] = os.getpid()
        self.cells[_INDEX] = index
        self.cells[_STARTED] = started_at
        self.cells[_HEARTBEAT] = started_at
        self.cells[0] = _MAGIC

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
        cells[_OBSERVED] += webhook
        cells[_OBSERVED + 1] += dispatch
        cells[_OBSERVED + 2] += provider

    def journaled(self, records: int, size: int, webhook: int, dispatch: int, provider: int) -> None:
        """Set the running totals after a write, and count the write."""
        cells = self.cells
        cells[_RECORDS] = records
        cells[_BYTES] += size
        cells[_WRITES] += 1
        cells[_JOURNALED] = webhook
        cells[_JOURNALED + 1] = dispatch
        cells[_JOURNALED + 2] = provider

    def lost(self, reason: LossReason, counts: tuple[int, int, int], at: Millis) -> None:
        """Count lost facts by source; `at` bounds the gap."""
        cells = self.cells
        row = _ROW_OF[reason]
        for column, count in enumerate(counts):
            cells[_LOST + 3 * row + column] += count
        if not cells[_SINCE + row]:
            cells[_SINCE + row] = at
        cells[_UNTIL + row] = max(at, cells[_UNTIL + row])

    def losses(self) -> LossTotals:
        """Give all losses so far; the times bound those since `losses_journaled`."""
        return _losses(self.cells)

    def losses_journaled(self) -> None:
        """Start new time bounds: what was lost so far is told by a STATE record."""
        for row in range(len(WRITER_REASONS)):
            self.cells[_SINCE + row] = 0
            self.cells[_UNTIL + row] = 0

    def lost_at(self, reason: LossReason, source: Source) -> int:
        """Give how many facts of a source were lost for a reason."""
        return self.cells[_LOST + 3 * _ROW_OF[reason] + _COLUMN_OF[source]]

    # -- process ----------------------------------------------------------------------------------

    def beat(self, at: Millis) -> None:
        """Say that the worker is alive."""
        self.cells[_HEARTBEAT] = at

    def sync_failed(self) -> None:
        """Count an fsync that the disk refused."""
        self.cells[_SYNC_FAILURES] += 1

    def in_segment(self, number: int) -> None:
        """Say which segment is being written."""
        self.cells[_SEGMENT] = number

    def loop_lag(self, seconds: float) -> None:
        """Observe how late the event loop ran something."""
        self.cells[_LAG + bisect_left(LOOP_LAG_BUCKETS, seconds)] += 1
        self.cells[_LAG_SUM] += max(0, int(seconds * 1e6))

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
            if (full or len(encoded) > _NAME_BYTES) and key != _OVERFLOW:
                return self._named(COUNTER, "overflow", ())
            slot = self._slots[key] = Slot(self, self._claim(kind, encoded))
        return slot

    def _claim(self, kind: int, encoded: bytes) -> int:
        number = self.cells[_NAMED_COUNT]
        at = _NAMED + number * _NAMED_CELLS
        start = (at + 1) * 8
        self._map[start : start + 2 + len(encoded)] = bytes((kind, len(encoded))) + encoded
        self.cells[_NAMED_COUNT] = number + 1  # published last
        return at


class Named(NamedTuple):
    """One named cell as read."""

    kind: int
    name: str
    labels: tuple[str, ...]
    value: int


class PageReading(NamedTuple):
    """A page at one moment. `loop_lag` counts per bucket, not cumulative; the last takes the rest."""

    pid: int
    worker: int
    started_at: Millis
    heartbeat_at: Millis
    records: int
    size_bytes: int
    writes: int
    sync_failures: int
    segment: int
    observed: BySource
    journaled: BySource
    losses: LossTotals
    loop_lag: tuple[int, ...]
    loop_lag_sum_us: int
    named: tuple[Named, ...]

    @property
    def lost(self) -> BySource:
        """Facts that never reached the journal, by source."""
        rows = [row.total for row in self.losses.rows]
        return BySource(*(sum(column) for column in zip(*rows, strict=True))) if rows else BySource()


def read_page(path: Path) -> PageReading | None:
    """Read a worker's page; None when it is missing, short, of another version, or rubbish."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return parse_page(data)


def parse_page(data: bytes) -> PageReading | None:
    """Read a page's bytes; see `read_page`."""
    if len(data) < PAGE_BYTES:
        return None
    cells = memoryview(data)[:PAGE_BYTES].cast("Q")
    if cells[0] != _MAGIC or cells[_NAMED_COUNT] > NAMED_MAX:
        return None
    named = (_named_at(data, cells, number) for number in range(cells[_NAMED_COUNT]))
    pid, worker, started_at, heartbeat_at, records, size, writes, failures, segment = cells[
        _PID : _SEGMENT + 1
    ]
    return PageReading(
        pid,
        worker,
        started_at,
        heartbeat_at,
        records,
        size,
        writes,
        failures,
        segment,
        BySource(*cells[_OBSERVED : _OBSERVED + 3]),
        BySource(*cells[_JOURNALED : _JOURNALED + 3]),
        _losses(cells),
        tuple(cells[_LAG : _LAG + len(LOOP_LAG_BUCKETS) + 1]),
        cells[_LAG_SUM],
        tuple(cell for cell in named if cell is not None),
    )


def _named_at(data: bytes, cells: memoryview, number: int) -> Named | None:
    at = _NAMED + number * _NAMED_CELLS
    start = (at + 1) * 8
    kind, length = data[start], data[start + 1]
    name, *labels = (
        data[start + 2 : start + 2 + min(length, _NAME_BYTES)].decode(errors="replace").split("\x1f")
    )
    return Named(kind, name, tuple(labels), cells[at]) if kind in (COUNTER, GAUGE) else None


def _losses(cells: memoryview) -> LossTotals:
    rows = []
    for row, reason in enumerate(WRITER_REASONS):
        total = BySource(*cells[_LOST + 3 * row : _LOST + 3 * row + 3])
        if total.total:
            rows.append(LossRow(reason.value, total, cells[_SINCE + row], cells[_UNTIL + row]))
    return LossTotals(tuple(rows))


_reserve_by_fallocate: Callable[[int, int, int], None] | None = getattr(os, "posix_fallocate", None)


def _reserve(fd: int) -> None:
    if _reserve_by_fallocate is not None:
        _reserve_by_fallocate(fd, 0, PAGE_BYTES)
    else:  # macOS: written blocks are allocated blocks
        os.write(fd, b"\0" * PAGE_BYTES)

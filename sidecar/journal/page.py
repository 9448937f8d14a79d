"""A worker's page: counters and gauges in shared memory, its layout and its reading side.

A file of fixed layout that the worker maps (`worker_page`) and the recorder reads. It outlives a killed
worker, so it also says what a dead worker had observed. Every cell is one aligned 8 byte integer with one
writer; a reader may see neighbouring cells a moment apart and must not derive exact facts of a *living*
worker from several.

Cells (8 bytes each, native order):

    0 magic   1 pid   2 index   3 started at   4 heartbeat at   5 records journaled   6 bytes journaled
    7 writes   8 failed syncs   9 current segment
    16..18 facts observed by source     19..21 facts journaled by source
    32..79 facts lost, 16 reasons by 3 sources   80..95 since   96..111 until (of those not yet journaled)
    112..122 loop lag, count per bucket   123 sum of the loop lag in microseconds
    128 number of named cells   136.. named cells: value, then 104 bytes: kind, length, name and labels
"""

from pathlib import Path
from typing import Final, NamedTuple

from domain.recorded import BySource
from domain.words import Millis
from sidecar.journal.layout import WRITER_REASONS, LossRow, LossTotals

PAGE_BYTES: Final = 16384
PAGE_MAGIC: Final = int.from_bytes(b"RSPAGE\x00\x01", "big")
"""The last byte is the version of the layout."""

NAMED_MAX: Final = 128
"""Named cells of a page. Further names share the last one, called `overflow`."""

NAMED_CELLS: Final = 14
NAME_BYTES: Final = 102

LOOP_LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper bounds in seconds; one more bucket takes the rest."""

COUNTER: Final = 1
GAUGE: Final = 2


class Cell:
    """Where each number stands."""

    PID: Final = 1
    WORKER: Final = 2
    STARTED: Final = 3
    HEARTBEAT: Final = 4
    RECORDS: Final = 5
    BYTES: Final = 6
    WRITES: Final = 7
    SYNC_FAILURES: Final = 8
    SEGMENT: Final = 9
    OBSERVED: Final = 16
    JOURNALED: Final = 19
    LOST: Final = 32
    SINCE: Final = 80
    UNTIL: Final = 96
    LAG: Final = 112
    LAG_SUM: Final = 123
    NAMED_COUNT: Final = 128
    NAMED: Final = 136


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


def departed(before: PageReading | None, page: PageReading) -> PageReading:
    """Add the counts of a worker that is gone to those of the ones before it; its gauges end with it."""
    counts = {(one.name, one.labels): one.value for one in before.named} if before is not None else {}
    for one in page.named:
        if one.kind == COUNTER and (len(counts) < NAMED_MAX or (one.name, one.labels) in counts):
            counts[one.name, one.labels] = counts.get((one.name, one.labels), 0) + one.value
    named = tuple(Named(COUNTER, name, labels, value) for (name, labels), value in counts.items())
    if before is None:
        return page._replace(named=named)
    lag = tuple(a + b for a, b in zip(before.loop_lag, page.loop_lag, strict=True))
    return page._replace(
        named=named, loop_lag=lag, loop_lag_sum_us=before.loop_lag_sum_us + page.loop_lag_sum_us
    )


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
    if cells[0] != PAGE_MAGIC or cells[Cell.NAMED_COUNT] > NAMED_MAX:
        return None
    named = (_named_at(data, cells, number) for number in range(cells[Cell.NAMED_COUNT]))
    pid, worker, started_at, heartbeat_at, records, size, writes, failures, segment = cells[
        Cell.PID : Cell.SEGMENT + 1
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
        BySource(*cells[Cell.OBSERVED : Cell.OBSERVED + 3]),
        BySource(*cells[Cell.JOURNALED : Cell.JOURNALED + 3]),
        losses_of(cells),
        tuple(cells[Cell.LAG : Cell.LAG + len(LOOP_LAG_BUCKETS) + 1]),
        cells[Cell.LAG_SUM],
        tuple(cell for cell in named if cell is not None),
    )


def _named_at(data: bytes, cells: memoryview, number: int) -> Named | None:
    at = Cell.NAMED + number * NAMED_CELLS
    start = (at + 1) * 8
    kind, length = data[start], data[start + 1]
    name, *labels = (
        data[start + 2 : start + 2 + min(length, NAME_BYTES)].decode(errors="replace").split("\x1f")
    )
    return Named(kind, name, tuple(labels), cells[at]) if kind in (COUNTER, GAUGE) else None


def losses_of(cells: memoryview) -> LossTotals:
    """Read the table of losses."""
    rows = []
    for row, reason in enumerate(WRITER_REASONS):
        total = BySource(*cells[Cell.LOST + 3 * row : Cell.LOST + 3 * row + 3])
        if total.total:
            rows.append(LossRow(reason.value, total, cells[Cell.SINCE + row], cells[Cell.UNTIL + row]))
    return LossTotals(tuple(rows))

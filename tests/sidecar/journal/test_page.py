"""A worker's page as written and as read, over its whole life and in every broken form."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.recorded import BySource
from domain.words import Source
from sidecar.journal.layout import LossReason, LossRow
from sidecar.journal.page import (
    COUNTER,
    GAUGE,
    LOOP_LAG_BUCKETS,
    NAMED_MAX,
    PAGE_BYTES,
    Named,
    PageReading,
    departed,
    parse_page,
    read_page,
)
from sidecar.journal.turn import Mark
from sidecar.journal.worker_page import WorkerPage


def reading(path: Path) -> PageReading:
    """Read a page that must be readable."""
    page = read_page(path)
    assert page is not None
    return page


def test_everything_a_worker_counts_is_read_by_the_recorder(tmp_path: Path) -> None:
    """Facts, losses with their times, journal totals, heartbeat, lag and named cells."""
    page = WorkerPage(3, 1000)
    page.attach(tmp_path / "page")
    page.observed(1, 2, 3)
    page.journaled(512, Mark(512, 4, 1, 2, 2))
    page.lost(LossReason.DISK_FULL, (0, 0, 1), 1500)
    page.lost(LossReason.DISK_FULL, (2, 0, 0), 1400)
    page.beat(2000)
    page.sync_failed()
    page.in_segment(7)
    page.loop_lag(0.0005)
    page.loop_lag(0.001)
    page.loop_lag(0.0011)
    page.loop_lag(9.0)
    page.counter("refused", "dispatch", "host").add(5)
    page.gauge("open_connections").set(12)

    read = reading(tmp_path / "page")

    assert (read.worker, read.started_at, read.heartbeat_at) == (3, 1000, 2000)
    assert (read.records, read.size_bytes, read.writes, read.segment) == (4, 512, 1, 7)
    assert read.sync_failures == 1
    assert read.observed == BySource(1, 2, 3)
    assert read.journaled == BySource(1, 2, 2)
    assert read.lost == BySource(2, 0, 1)
    assert read.losses.rows == (LossRow("disk_full", BySource(2, 0, 1), 1500, 1500),)
    assert read.loop_lag == (2, 1, *[0] * (len(LOOP_LAG_BUCKETS) - 2), 1)
    assert read.loop_lag_sum_us == 500 + 1000 + 1100 + 9_000_000
    assert read.named == (
        Named(COUNTER, "refused", ("dispatch", "host"), 5),
        Named(GAUGE, "open_connections", (), 12),
    )


def test_what_was_counted_before_there_was_a_file_is_in_the_file(tmp_path: Path) -> None:
    """A page begins in private memory, and slots taken there go on counting."""
    page = WorkerPage(0, 1)
    slot = page.counter("refused", "webhook", "bad_length")
    slot.add(2)
    page.lost(LossReason.WRITE_FAILED, (1, 0, 0), 5)

    page.attach(tmp_path / "page")
    slot.add(1)

    read = reading(tmp_path / "page")
    assert slot.value == 3
    assert read.named == (Named(COUNTER, "refused", ("webhook", "bad_length"), 3),)
    assert read.lost == BySource(1, 0, 0)
    assert (tmp_path / "page").stat().st_mode & 0o777 == 0o600


def test_told_losses_start_new_bounds_and_keep_their_totals(tmp_path: Path) -> None:
    """Each gap has its own times; the totals never go back."""
    page = WorkerPage(0, 1)
    page.lost(LossReason.JOURNAL_FULL, (1, 0, 0), 100)
    page.losses_journaled()
    between = page.losses().rows
    page.lost(LossReason.JOURNAL_FULL, (0, 1, 0), 900)

    assert between == (LossRow("journal_full", BySource(1, 0, 0), 0, 0),)
    assert page.losses().rows == (LossRow("journal_full", BySource(1, 1, 0), 900, 900),)
    assert page.lost_at(LossReason.JOURNAL_FULL, Source.DISPATCH) == 1


def test_cells_never_go_below_zero() -> None:
    """A gauge that is counted down once too often shows 0, not 2 to the 64."""
    page = WorkerPage(0, 1)
    gauge = page.gauge("open_connections")
    gauge.add(-1)
    gauge.set(-5)

    assert gauge.value == 0


def test_named_cells_are_bounded_and_the_rest_share_one(tmp_path: Path) -> None:
    """Label values come from closed sets; should they not, the page still has an end."""
    page = WorkerPage(0, 1)
    page.attach(tmp_path / "page")
    for n in range(500):
        page.counter("refused", str(n)).add()
    page.counter("refused", "x" * 200).add()
    page.counter("refused", "3").add()

    named = reading(tmp_path / "page").named

    assert len(named) == NAMED_MAX
    assert named[-1] == Named(COUNTER, "overflow", (), 501 - (NAMED_MAX - 1))
    assert named[3] == Named(COUNTER, "refused", ("3",), 2)


@given(st.binary(max_size=PAGE_BYTES + 100))
def test_rubbish_is_no_page(data: bytes) -> None:
    """Whatever stands in the file: a reading or nothing, never an exception."""
    assert parse_page(data) is None


@given(st.data())
def test_a_damaged_page_is_read_without_an_exception(data: st.DataObject) -> None:
    """Behind an intact magic anything may stand."""
    page = WorkerPage(0, 1)
    page.counter("refused", "dispatch").add()
    raw = bytearray(page.cells.tobytes())
    for _ in range(data.draw(st.integers(1, 20))):
        raw[data.draw(st.integers(8, PAGE_BYTES - 1))] = data.draw(st.integers(0, 255))

    read = parse_page(bytes(raw))

    assert read is None or len(read.named) <= NAMED_MAX


@pytest.mark.parametrize("size", [0, 1, 8, PAGE_BYTES - 1])
def test_a_short_page_is_no_page(tmp_path: Path, size: int) -> None:
    """As a crash leaves it between creation and mapping."""
    (tmp_path / "page").write_bytes(WorkerPage(0, 1).cells.tobytes()[:size])

    assert read_page(tmp_path / "page") is None
    assert read_page(tmp_path / "missing") is None


def test_counts_of_departed_workers_add_up_and_gauges_do_not() -> None:
    """Two workers that are gone: their refusals stay, their connections do not."""
    pages = []
    for n in (1, 2):
        page = WorkerPage(n, 1)
        page.counter("refused", "host").add(n)
        page.gauge("open_connections").set(n)
        page.loop_lag(0.3)
        read = parse_page(page.cells.tobytes())
        assert read is not None
        pages.append(read)

    total = departed(departed(None, pages[0]), pages[1])

    assert total.named == (Named(COUNTER, "refused", ("host",), 3),)
    assert sum(total.loop_lag) == 2
    assert total.loop_lag_sum_us == 600_000

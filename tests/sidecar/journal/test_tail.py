"""The recorder's end: order, bounds, exactly-once over crashes, and what the metrics show."""

import asyncio
import random
from pathlib import Path

import pytest

from domain.record_signal import Slice
from domain.recorded import BySource
from domain.words import Source
from sidecar.journal.layout import LossReason, journal_dir
from sidecar.journal.tail import DEPARTED, JournalTail
from sidecar.journal.writer import JournalWriter
from tests.sidecar.journal.journaling import (
    ROOM,
    STARTED,
    Book,
    Folder,
    Seconds,
    drain,
    facts,
    nothing,
    open_tail,
    recovered,
    write_journal,
)


def ids(batch: list[Slice]) -> list[str]:
    """Name the exchanges of a batch."""
    return [one.id for piece in batch for one in piece.exchanges]


@pytest.mark.parametrize(("max_facts", "max_records"), [(1, 1), (7, 100), (100, 3), (10_000, 10_000)])
def test_batches_keep_journal_order_and_their_bounds(
    tmp_path: Path, max_facts: int, max_records: int
) -> None:
    """However small the batches, every exchange comes once and in order."""
    write_journal(tmp_path, (facts(n, count=n % 4) for n in range(60)))
    book = Book()
    tail = open_tail(tmp_path, book)
    sizes = []
    while batch := tail.read(max_facts, max_records):
        sizes.append((sum(len(one.signals) for piece in batch for one in piece.exchanges), len(ids(batch))))
        tail.settle(book.record(batch))

    assert book.ids == [f"x-{n}" for n in range(60)]
    assert all(count <= max(max_facts, 3) and records <= max_records for count, records in sizes)


def test_a_batch_is_given_again_until_it_is_settled(tmp_path: Path) -> None:
    """A database that is down costs nothing: the same batch, in the same order, is tried again."""
    write_journal(tmp_path, (facts(n) for n in range(10)))
    tail = open_tail(tmp_path, Book())

    first = tail.read(4, 100)
    second = tail.read(1000, 1000)

    assert second == first
    assert ids(first) == ["x-0", "x-1", "x-2", "x-3"]


@pytest.mark.parametrize("seed", range(8))
def test_a_recorder_that_dies_anywhere_repeats_nothing_and_misses_nothing(tmp_path: Path, seed: int) -> None:
    """Killed before or after its commit, between commit and clean-up, with losses and damage."""
    dice = random.Random(seed)

    async def write() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=8 << 16)
        for n in range(300):
            writer.append(facts(n, padding=100), nothing)
            if n % 37 == 0:
                writer.lose(LossReason.OBSERVER_CRASH, Source.WEBHOOK, 2)
            await asyncio.sleep(0)
        writer.lose(LossReason.OBSERVER_CRASH, Source.WEBHOOK)
        await writer.close()

    asyncio.run(write())
    (path,) = journal_dir(tmp_path).iterdir()
    segment = path / "00000002.seg"
    data = bytearray(segment.read_bytes())
    data[5000:7000] = bytes(2000)
    segment.write_bytes(data)
    book = Book()

    tail = open_tail(tmp_path, book)
    while batch := tail.read(dice.randrange(1, 40), 100):
        fate = dice.randrange(3)
        if fate == 0:
            tail.close()
            tail = open_tail(tmp_path, book)  # died before the commit
        elif fate == 1:
            book.record(batch)
            tail.close()
            tail = open_tail(tmp_path, book)  # died behind the commit, before the clean-up
        else:
            tail.settle(book.record(batch))

    numbers = [int(one.removeprefix("x-")) for one in book.ids]
    assert numbers == sorted(set(numbers))
    assert book.reasons == {"observer_crash": 19, "corrupt": 300 - len(numbers)}
    assert book.settled == BySource(19, 300, 0)
    assert not list(journal_dir(tmp_path).iterdir())


def test_folders_are_merged_by_the_time_their_exchanges_ended(tmp_path: Path) -> None:
    """What two workers saw in turn is recorded in turn, batch by batch."""
    write_journal(tmp_path, (facts(n) for n in range(0, 40, 2)))
    write_journal(tmp_path, (facts(n) for n in range(1, 40, 2)))
    book = Book()
    tail = open_tail(tmp_path, book)

    drain(tail, book, max_records=4)

    assert [int(one.removeprefix("x-")) // 4 for one in book.ids] == [n // 4 for n in range(40)]


def test_facts_are_there_as_soon_as_their_answers_are_released(tmp_path: Path) -> None:
    """A living worker's records are read right after the turn that wrote them."""

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM)
        book = Book()
        tail = open_tail(tmp_path, book)
        for n in range(20):
            released = asyncio.Event()
            writer.append(facts(n), released.set)
            await released.wait()
            batch = tail.read(10, 10)
            assert ids(batch) == [f"x-{n}"]
            tail.settle(book.record(batch))
        assert tail.read(10, 10) == []
        assert len(list(journal_dir(tmp_path).iterdir())) == 1, "the folder of a living worker stays"
        await writer.close()
        assert tail.read(10, 10) == []
        assert not list(journal_dir(tmp_path).iterdir()), "and goes when the worker is gone"

    asyncio.run(scene())


def test_segments_are_deleted_only_behind_a_stored_position(tmp_path: Path) -> None:
    """Reading ahead deletes nothing; settling deletes what lies before the position."""
    path = write_journal(tmp_path, (facts(n, padding=500) for n in range(200)), max_bytes=8 << 14)
    book = Book()
    tail = open_tail(tmp_path, book)
    before = sorted(path.iterdir())

    batch = tail.read(100, 100)
    untouched = sorted(path.iterdir())
    settled = book.record(batch)
    tail.settle(settled)

    assert untouched == before
    left = sorted(int(one.stem) for one in path.glob("*.seg"))
    assert left[0] == settled[0].segment > 1


def test_a_skipped_segment_number_holds_nobody_up(tmp_path: Path) -> None:
    """A worker that could not make one file goes on with the next number, and so does the recorder."""

    async def scene() -> Book:
        writer = JournalWriter(tmp_path, 0, max_bytes=8 << 14)
        book = Book()
        tail = open_tail(tmp_path, book)
        for n in range(100):
            writer.append(facts(n, padding=400), nothing)
            await asyncio.sleep(0)
            if n % 30 == 20:
                assert writer._folder is not None
                writer._folder.number += 2  # what a failed `rotate` leaves
        drain(tail, book)
        await writer.close()
        return book

    assert asyncio.run(scene()).ids == [f"x-{n}" for n in range(100)]


def test_an_old_and_a_new_sidecar_write_beside_each_other(tmp_path: Path) -> None:
    """During a takeover two workers journal in one data directory; one recorder reads both."""

    async def scene() -> Book:
        old, new = (JournalWriter(tmp_path, 0, max_bytes=ROOM) for _ in range(2))
        book = Book()
        tail = open_tail(tmp_path, book)
        for n in range(20):
            (new if n % 2 else old).append(facts(n), nothing)
            await asyncio.sleep(0)
            drain(tail, book)
        await old.close()
        for n in range(20, 40):
            new.append(facts(n), nothing)
            await asyncio.sleep(0)
        await new.close()
        drain(tail, book)
        return book

    book = asyncio.run(scene())

    assert book.ids == [f"x-{n}" for n in range(40)]
    assert not book.gaps


def test_the_ledger_shows_what_waits_and_balances_at_every_step(tmp_path: Path) -> None:
    """Observed equals settled plus pending, before, during and after draining."""

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM)
        book = Book()
        tail = JournalTail(tmp_path, {}, monotonic=Seconds(), clock=lambda: STARTED + 1000)
        for n in range(10):
            writer.append(facts(n, count=2, source=Source.WEBHOOK), nothing)
        await asyncio.sleep(0)

        batch = tail.read(6, 100)
        assert tail.pending() == tail.observed() == BySource(20, 0, 0)
        assert (tail.records, tail.lag) == (10, 1000)
        assert tail.bytes > 1000

        tail.settle(book.record(batch))
        assert tail.observed() == BySource(20, 0, 0)
        assert tail.pending() == BySource(14, 0, 0)
        assert (tail.records, tail.lag) == (7, 997)

        drain(tail, book)
        assert (tail.pending(), tail.records, tail.bytes, tail.lag) == (BySource(), 0, 0, 0)
        await writer.close()
        drain(tail, book)
        assert tail.observed() == BySource(20, 0, 0)

    asyncio.run(scene())


def test_a_restarted_recorder_counts_as_observed_what_still_waits(tmp_path: Path) -> None:
    """Its counters begin at 0, and so does what it observed: only what it will settle itself."""
    write_journal(tmp_path, (facts(n) for n in range(10)))
    book = Book()
    first = open_tail(tmp_path, book)
    first.settle(book.record(first.read(4, 100)))
    first.close()

    second = open_tail(tmp_path, book)
    second.read(1, 1)

    assert second.observed() == BySource(0, 6, 0)
    assert second.pending() == BySource(0, 6, 0)
    assert second.records == 6


def test_counts_of_departed_workers_stay_and_their_gauges_go(tmp_path: Path) -> None:
    """A counter never falls when a folder is removed; a dead worker has no open connections."""

    async def write() -> None:
        for _ in range(2):
            writer = JournalWriter(tmp_path, 0, max_bytes=ROOM)
            writer.page.counter("refused", "dispatch", "host").add(3)
            writer.page.gauge("open_connections").set(7)
            writer.page.loop_lag(0.2)
            writer.append(facts(1), nothing)
            await writer.close()

    asyncio.run(write())
    book = Book()
    tail = open_tail(tmp_path, book)
    drain(tail, book)
    tail.read(1, 1)

    (page,) = [tail.pages()[DEPARTED]]
    assert [(one.name, one.labels, one.value) for one in page.named] == [("refused", ("dispatch", "host"), 6)]
    assert sum(page.loop_lag) == 2
    assert list(tail.pages()) == [DEPARTED]


def test_more_folders_than_are_read_at_once_are_all_drained(tmp_path: Path) -> None:
    """A worker that crashed hundreds of times left hundreds of folders."""
    one = Folder.load(write_journal(tmp_path / "made", [facts(1)]))
    for n in range(150):
        one._replace(name=f"w0-{STARTED + n}-{n}").put(tmp_path)

    book = recovered(tmp_path)

    assert len(book.ids) == 150
    assert not list(journal_dir(tmp_path).iterdir())


def test_an_idle_tail_pauses_longer_and_a_busy_one_does_not(tmp_path: Path) -> None:
    """Idle cost stays near zero, and a fact still waits less than 50 ms."""
    book = Book()
    tail = open_tail(tmp_path, book)
    busy = tail.pause_seconds
    for _ in range(10):
        tail.read(1, 1)

    assert busy < tail.pause_seconds < 0.05
    write_journal(tmp_path, [facts(1)])
    assert ids(tail.read(1, 1)) == ["x-1"]
    assert tail.pause_seconds == busy

"""The worker's end: one write a turn, releases in order, exact losses and recovery alone."""

import asyncio
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain.recorded import BySource
from domain.words import Source
from sidecar.journal.layout import SEGMENTS_MIN, LossReason, journal_bytes, journal_dir, quarantine_dir
from sidecar.journal.writer import JournalWriter
from tests.sidecar.journal.journaling import ROOM, Book, drain, facts, nothing, open_tail, recovered
from tests.sidecar.journal.test_kill import Worker


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root; the file size limit's test covers the same code")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, at most ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.001)


def journaled(writer: JournalWriter) -> int:
    """Count the facts in the journal by the writer's page."""
    losses = sum(row.total.total for row in writer.page.losses().rows)
    return sum(writer.page.cells[16:19]) - losses


def test_a_turn_is_one_write_and_its_answers_go_in_order_behind_it(tmp_path: Path) -> None:
    """Sixteen exchanges of one turn cost one write, and none is released before it."""

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM)
        assert writer.folder is not None
        released: list[tuple[int, int]] = []
        for n in range(16):
            writer.append(
                facts(n),
                lambda n=n: released.append((n, journal_bytes(tmp_path))),
            )
        assert released == []
        assert journal_bytes(tmp_path) == 0
        await asyncio.sleep(0)

        assert [n for n, _ in released] == list(range(16))
        assert {size for _, size in released} == {journal_bytes(tmp_path)}
        assert writer.page.cells[7] == 1
        await writer.close()

    asyncio.run(scene())
    assert len(recovered(tmp_path).ids) == 16


def test_a_release_that_fails_holds_nobody_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One broken connection: logged, and the next answers go."""

    def broken() -> None:
        raise ConnectionResetError

    async def scene() -> list[int]:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM)
        released: list[int] = []
        writer.append(facts(1), broken)
        writer.append(facts(2), lambda: released.append(2))
        await asyncio.sleep(0)
        await writer.close()
        return released

    assert asyncio.run(scene()) == [2]
    assert "journal.release_failed" in caplog.messages
    assert recovered(tmp_path).ids == ["x-1", "x-2"]


def test_segments_rotate_below_their_bound(tmp_path: Path) -> None:
    """No segment is larger than an eighth of the journal's bound, and order is kept over them."""
    bound = 8 << 14

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=bound)
        for n in range(250):
            writer.append(facts(n, padding=100), nothing)
            if n % 5 == 0:
                await asyncio.sleep(0)
        await writer.close()

    asyncio.run(scene())
    sizes = [segment.stat().st_size for segment in journal_dir(tmp_path).rglob("*.seg")]

    assert len(sizes) > 4
    assert max(sizes) <= bound // SEGMENTS_MIN
    assert recovered(tmp_path).ids == [f"x-{n}" for n in range(250)]


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Folders 0700, files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        asyncio.run(_write_one(tmp_path))
    finally:
        os.umask(before)

    modes = {path.stat().st_mode & 0o777 for path in journal_dir(tmp_path).rglob("*") if path.is_file()}
    folders = {path.stat().st_mode & 0o777 for path in journal_dir(tmp_path).rglob("*") if path.is_dir()}
    assert modes == {0o600}
    assert folders == {0o700}
    assert journal_dir(tmp_path).stat().st_mode & 0o777 == 0o700


async def _write_one(data_dir: Path) -> None:
    writer = JournalWriter(data_dir, 0, max_bytes=ROOM)
    writer.append(facts(1), nothing)
    await writer.close()


def test_facts_that_cannot_be_a_record_are_lost_by_source_and_their_answers_released(
    tmp_path: Path,
) -> None:
    """Too large, or not encodable: counted, told in the journal, never in anybody's way."""

    async def scene() -> int:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM)
        released: list[int] = []
        huge = facts(1, count=2, padding=1 << 19, source=Source.WEBHOOK)
        writer.append(huge, lambda: released.append(1))
        broken = facts(2)._replace(template="\ud800")
        writer.append(broken, lambda: released.append(2))
        writer.append(facts(3), lambda: released.append(3))
        await asyncio.sleep(0)
        assert released == [1, 2, 3]
        assert writer.page.lost_at(LossReason.RECORD_TOO_LARGE, Source.WEBHOOK) == 2
        await writer.close()
        return len(released)

    asyncio.run(scene())
    book = recovered(tmp_path)

    assert book.ids == ["x-3"]
    assert book.reasons == {"record_too_large": 2, "unencodable": 1}
    assert book.settled == BySource(2, 2, 0)


def test_a_full_journal_loses_exactly_and_recovers_when_it_is_drained(tmp_path: Path) -> None:
    """At its bound nothing more is written, every answer goes, and draining makes room again."""
    bound = 1 << 20

    async def scene() -> Book:
        writer = JournalWriter(tmp_path, 0, max_bytes=bound, sync_ms=5)
        writer.start()
        released: list[None] = []
        for n in range(4000):
            writer.append(facts(n, padding=300), lambda: released.append(None))
            await asyncio.sleep(0)
        assert len(released) == 4000
        full = writer.page.lost_at(LossReason.JOURNAL_FULL, Source.DISPATCH)
        assert full > 100
        assert journal_bytes(tmp_path) <= bound
        book = Book()
        tail = open_tail(tmp_path, book)
        drain(tail, book)
        before = journaled(writer)
        number = 4000
        while journaled(writer) == before:
            writer.append(facts(number), nothing)
            number += 1
            await asyncio.sleep(0.001)
        await writer.close()
        drain(tail, book)
        assert book.settled.dispatch == number
        return book

    book = asyncio.run(scene())

    assert set(book.reasons) == {"journal_full"}
    assert book.ids[-1] > "x-4000"
    assert all(gap.since <= gap.until for gap in book.gaps.values())


def test_a_full_disk_loses_exactly_and_recovers_alone(small_disk: Path) -> None:
    """The disk fills under load: traffic goes on; with space back the journal goes on, the gap is told."""
    ballast = small_disk / "ballast"

    async def scene() -> int:
        writer = JournalWriter(small_disk, 0, max_bytes=ROOM, sync_ms=5)
        writer.start()
        released: list[None] = []
        ballast.write_bytes(bytes(800 << 10))
        for n in range(1000):
            writer.append(facts(n, padding=300), lambda: released.append(None))
            await asyncio.sleep(0)
        assert len(released) == 1000
        assert writer.page.lost_at(LossReason.DISK_FULL, Source.DISPATCH) > 100
        ballast.unlink()
        before, number = journaled(writer), 1000
        while journaled(writer) == before:
            writer.append(facts(number), nothing)
            number += 1
            await asyncio.sleep(0.001)
        await writer.close()
        return number

    number = asyncio.run(scene())
    book = recovered(small_disk)

    assert len(book.ids) + book.lost == number
    assert book.reasons == {"disk_full": book.lost}
    assert book.ids[-1] == f"x-{number - 1}"
    assert not quarantine_dir(small_disk).exists()


def test_a_disk_that_is_full_from_the_start_stops_nothing(small_disk: Path) -> None:
    """No folder can be made: facts are counted in memory, and told once there is room."""
    ballast = small_disk / "ballast"

    async def scene() -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        writer = JournalWriter(small_disk, 0, max_bytes=ROOM, sync_ms=5)
        writer.start()
        counter = writer.page.counter("refused", "dispatch", "host")
        counter.add()
        released: list[None] = []
        for n in range(10):
            writer.append(facts(n), lambda: released.append(None))
        await until(lambda: len(released) == 10)
        assert writer.folder is None
        ballast.unlink()
        await until(lambda: writer.folder is not None)
        counter.add()
        assert writer.page.counter("refused", "dispatch", "host").value == 2
        writer.append(facts(10), nothing)
        await writer.close()

    asyncio.run(scene())
    book = recovered(small_disk)

    assert book.ids == ["x-10"]
    assert book.reasons == {"disk_full": 10}


def test_a_loss_that_was_never_told_is_accounted_from_the_page(small_disk: Path) -> None:
    """The disk stays full until the worker is gone: the recorder finds the numbers on its page."""
    ballast = small_disk / "ballast"

    async def scene() -> None:
        writer = JournalWriter(small_disk, 0, max_bytes=ROOM, sync_ms=5)
        writer.append(facts(0), nothing)
        await asyncio.sleep(0)
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        for n in range(1, 2000):
            writer.append(facts(n, padding=300), nothing)
            await asyncio.sleep(0)
        await writer.close()

    asyncio.run(scene())
    book = recovered(small_disk)

    assert len(book.ids) + book.lost == 2000
    assert book.reasons == {"disk_full": book.lost}


def test_a_file_size_limit_is_a_full_disk_that_another_file_cures(tmp_path: Path) -> None:
    """With RLIMIT_FSIZE at 64 KiB each segment ends there; what did not fit is lost exactly."""
    worker = Worker(tmp_path, ROOM, 64 << 10)
    worker.listen(60_000)
    released = worker.stop()
    segments = len(list(journal_dir(tmp_path).rglob("*.seg")))

    book = recovered(tmp_path)

    facts_released = sum(1 + int(one.removeprefix("x-")) % 3 for one in released)
    facts_recorded = sum(1 + int(one.removeprefix("x-")) % 3 for one in book.ids)
    assert facts_recorded + book.lost == facts_released
    assert set(book.reasons) == {"disk_full"}
    assert segments > 1


def test_a_data_directory_that_cannot_hold_a_journal_stops_nothing(tmp_path: Path) -> None:
    """A file stands where the journal belongs; when it goes, journaling begins."""
    obstacle = journal_dir(tmp_path)
    obstacle.write_text("in the way")

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM, sync_ms=5)
        writer.start()
        released = asyncio.Event()
        writer.append(facts(0), released.set)
        await released.wait()
        obstacle.unlink()
        await until(lambda: writer.folder is not None)
        writer.append(facts(1), nothing)
        await writer.close()

    asyncio.run(scene())
    book = recovered(tmp_path)

    assert book.ids == ["x-1"]
    assert book.reasons == {"write_failed": 1}


def test_a_journal_deleted_under_a_living_worker_stops_nothing(tmp_path: Path) -> None:
    """Somebody removed the folder: answers are released, the worker ends well."""

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=8 << 14, sync_ms=5)
        writer.start()
        writer.append(facts(0), nothing)
        await asyncio.sleep(0)
        shutil.rmtree(journal_dir(tmp_path))
        released: list[None] = []
        for n in range(300):
            writer.append(facts(n, padding=100), lambda: released.append(None))
            await asyncio.sleep(0)
        assert len(released) == 300
        await writer.close()

    asyncio.run(scene())


def test_losses_outside_the_journal_are_told_in_it(tmp_path: Path) -> None:
    """A crashed observer's facts become a gap although no write failed."""

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM, sync_ms=5, clock=lambda: 1234)
        writer.start()
        writer.lose(LossReason.OBSERVER_CRASH, Source.WEBHOOK, 3)
        book = Book()
        tail = open_tail(tmp_path, book)
        deadline = time.monotonic() + 10
        while not book.gaps:
            assert time.monotonic() < deadline
            tail.settle(book.record(tail.read(1, 1)))
            await asyncio.sleep(0.005)
        (gap,) = book.gaps.values()
        assert (gap.since, gap.until, gap.reason, gap.lost) == (1234, 1234, "observer_crash", 3)
        await writer.close()

    asyncio.run(scene())


def test_what_is_appended_behind_the_close_is_released_and_counted(tmp_path: Path) -> None:
    """A late exchange of a stopping worker is lost, on its page."""

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM)
        await writer.close()
        await writer.close()
        released = asyncio.Event()
        writer.append(facts(1), released.set)
        await released.wait()
        assert writer.page.lost_at(LossReason.WRITE_FAILED, Source.DISPATCH) == 1

    asyncio.run(scene())
    assert recovered(tmp_path).reasons == {"write_failed": 1}


def test_a_process_without_file_descriptors_goes_on_syncing(tmp_path: Path) -> None:
    """A flood of connections may take them all: the journal is not measured then, but written and synced."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM, sync_ms=5)
        writer.start()
        writer.append(facts(0), nothing)
        await asyncio.sleep(0)
        await until(lambda: not writer._dirty)
        # Behind the first sync, in its thread: without descriptors it fails and its segment is left.
        await asyncio.get_running_loop().run_in_executor(writer._sync_thread, int)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            await asyncio.sleep(1.2)  # it measures every second
            writer.append(facts(1), nothing)
            await asyncio.sleep(0.05)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert "journal-0" in {task.get_name() for task in asyncio.all_tasks()}
        await writer.close()

    asyncio.run(scene())
    assert recovered(tmp_path).ids == ["x-0", "x-1"]


def test_a_sync_that_the_disk_refuses_is_counted_and_another_segment_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a failed fsync left unwritten no later one writes, so nothing more goes into that file."""
    real = os.fsync

    def refuse(fd: int) -> None:
        raise OSError(5, "injected: no real disk fails on demand")

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM, sync_ms=5)
        writer.append(facts(1), nothing)
        await asyncio.sleep(0)
        monkeypatch.setattr(os, "fsync", refuse)
        writer.start()
        await until(lambda: writer.page.cells[8] > 0)
        monkeypatch.setattr(os, "fsync", real)
        writer.append(facts(2), nothing)
        await asyncio.sleep(0)
        await writer.close()

    asyncio.run(scene())

    assert len(list(journal_dir(tmp_path).rglob("*.seg"))) == 2
    assert recovered(tmp_path).ids == ["x-1", "x-2"]

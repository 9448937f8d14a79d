"""The offline audit agrees with what a start does, and changes nothing it should not."""

import asyncio
import os
from pathlib import Path

import pytest

from domain.recorded import BySource
from sidecar.journal import audit
from sidecar.journal.layout import journal_dir, quarantine_dir, segment_path
from sidecar.journal.writer import JournalWriter
from tests.sidecar.journal.journaling import (
    COUNT,
    ROOM,
    Book,
    Folder,
    damaged,
    facts,
    nothing,
    open_tail,
    recovered,
)


def tree(data_dir: Path) -> dict[str, bytes]:
    """Take everything there is by value."""
    return {str(path): path.read_bytes() for path in sorted(data_dir.rglob("*")) if path.is_file()}


def test_a_sound_journal_is_called_sound_and_left_alone(small: Folder, tmp_path: Path) -> None:
    """Nothing to report, nothing to repair, nothing changed."""
    small.put(tmp_path)
    audit.repair(tmp_path)  # the copy was laid down with an ordinary umask
    before = tree(tmp_path)

    report = audit.verify(tmp_path)
    done = audit.repair(tmp_path)

    assert report.sound
    assert done == []
    assert tree(tmp_path) == before
    (folder,) = report.folders
    assert (folder.records, folder.waiting, folder.living) == (COUNT, BySource(0, COUNT, 0), False)


@pytest.mark.parametrize("seed", range(10))
def test_verify_reports_what_a_start_recovers_and_accounts(long: Folder, tmp_path: Path, seed: int) -> None:
    """The same facts, the same gaps, the same keys."""
    damaged(long, seed).put(tmp_path)
    before = tree(tmp_path)

    (report,) = audit.verify(tmp_path).folders

    assert tree(tmp_path) == before
    book = recovered(tmp_path)
    assert report.waiting.total == 2 * len(book.ids)
    assert {gap.key: gap for gap in report.gaps} == book.gaps
    assert report.lost.total == book.lost
    assert not report.sound


@pytest.mark.parametrize("seed", range(10))
def test_repair_changes_nothing_of_what_a_start_recovers(long: Folder, tmp_path: Path, seed: int) -> None:
    """Evidence is kept before the start would, and the start gives the same."""
    damaged(long, seed).put(tmp_path / "a")
    damaged(long, seed).put(tmp_path / "b")

    done = audit.repair(tmp_path / "a")
    kept = sorted(path.name for path in quarantine_dir(tmp_path / "a").iterdir())

    one, other = recovered(tmp_path / "a"), recovered(tmp_path / "b")
    assert (one.ids, one.gaps) == (other.ids, other.gaps)
    assert any(step.what == "kept_evidence" for step in done)
    assert kept == sorted(path.name for path in quarantine_dir(tmp_path / "b").iterdir())
    assert audit.repair(tmp_path / "a") == []


def test_verify_from_a_stored_position_reports_only_what_waits(long: Folder, tmp_path: Path) -> None:
    """With the store's positions it says what the next start will do."""
    damaged(long, 3).put(tmp_path)
    book = Book()
    tail = open_tail(tmp_path, book)
    for _ in range(5):
        tail.settle(book.record(tail.read(100, 100)))
    tail.close()
    known = (len(book.ids), set(book.gaps))

    (report,) = audit.verify(tmp_path, book.progress).folders

    tail = open_tail(tmp_path, book)
    while batch := tail.read(500, 500):
        tail.settle(book.record(batch))
    assert report.waiting.total == 2 * (len(book.ids) - known[0])
    assert {gap.key for gap in report.gaps} == set(book.gaps) - known[1]


def test_verify_without_the_store_takes_what_is_gone_as_recorded(long: Folder, tmp_path: Path) -> None:
    """Deleted segments were recorded: they are no loss."""
    path = long.put(tmp_path)
    segment_path(path, 1).unlink()
    segment_path(path, 2).unlink()

    report = audit.verify(tmp_path)

    assert report.sound
    assert 0 < report.folders[0].waiting.total < 1200


def test_an_unfinished_end_that_cost_nothing_is_sound_and_cut(small: Folder, tmp_path: Path) -> None:
    """A worker killed in the middle of a write whose answers were never released."""
    whole = small.segments[0]
    path = small._replace(segments=[whole + whole[100:160]]).put(tmp_path)

    report = audit.verify(tmp_path)
    done = audit.repair(tmp_path)

    assert report.sound
    assert "cut_end" in {step.what for step in done}
    assert segment_path(path, 1).read_bytes() == whole
    assert not recovered(tmp_path).gaps


def test_a_living_worker_is_inspected_and_verified_but_not_touched(tmp_path: Path) -> None:
    """Beside a running sidecar: what it wrote so far is read, its folder stays as it is."""

    async def scene() -> None:
        writer = JournalWriter(tmp_path, 0, max_bytes=ROOM)
        writer.append(facts(1), nothing)
        await asyncio.sleep(0)
        before = tree(tmp_path)

        (inspected,) = audit.inspect(tmp_path).folders
        (verified,) = audit.verify(tmp_path).folders
        done = audit.repair(tmp_path)

        assert inspected.living
        assert inspected.waiting == verified.waiting == BySource(0, 1, 0)
        assert inspected.size_bytes == verified.size_bytes > 0
        assert done == []
        assert tree(tmp_path) == before
        await writer.close()

    asyncio.run(scene())


def test_repair_makes_files_private_and_removes_unfinished_folders(small: Folder, tmp_path: Path) -> None:
    """Rights that were widened, and what a worker left that died while making its folder."""
    path = small.put(tmp_path)
    segment_path(path, 1).chmod(0o644)
    hidden = journal_dir(tmp_path) / ".w0-1-1"
    hidden.mkdir()
    (hidden / "owner").touch()

    os.utime(hidden, (1, 1))

    done = audit.repair(tmp_path)

    assert {step.what for step in done} == {"made_private", "removed"}
    assert segment_path(path, 1).stat().st_mode & 0o777 == 0o600
    assert not hidden.exists()


def test_no_journal_is_sound(tmp_path: Path) -> None:
    """Before the first start there is nothing to complain about."""
    assert audit.verify(tmp_path) == audit.inspect(tmp_path)
    assert audit.verify(tmp_path).sound
    assert audit.repair(tmp_path) == []

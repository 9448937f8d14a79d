"""Nothing of the journal is deleted before the store can survive a power loss."""

from pathlib import Path

from sidecar.journal.layout import journal_dir
from sidecar.journal.tail import JournalTail
from tests.sidecar.journal.journaling import STARTED, Book, Seconds, facts, write_journal

SMALL = 1 << 20
"""A journal this small has segments of a few dozen KiB."""


def test_segments_and_folders_wait_for_the_store_to_be_synced(tmp_path: Path) -> None:
    """A database that loses its last commits with the power finds the facts in the journal again."""
    folder = write_journal(tmp_path, (facts(n, padding=400) for n in range(1200)), max_bytes=SMALL)
    before = set(folder.glob("*.seg"))
    assert len(before) > 2
    safe = False
    asked = []

    def sync() -> bool:
        asked.append(safe)
        return safe

    book = Book()
    tail = JournalTail(tmp_path, {}, monotonic=Seconds(), clock=lambda: STARTED, sync=sync)
    while batch := tail.read(100, 100):
        tail.settle(book.record(batch))
    assert set(folder.glob("*.seg")) == before
    assert asked
    assert not any(asked)

    safe = True
    for _ in range(4):
        assert tail.read(100, 100) == []

    assert list(journal_dir(tmp_path).iterdir()) == []
    assert len(book.ids) == 1200
    tail.close()


def test_what_could_not_be_deleted_goes_with_a_later_batch(tmp_path: Path) -> None:
    """One failed sync leaves nothing behind for ever."""
    folder = write_journal(tmp_path, (facts(n, padding=400) for n in range(1200)), max_bytes=SMALL)
    first = min(folder.glob("*.seg"))
    answers = [False]
    book = Book()
    tail = JournalTail(
        tmp_path,
        {},
        monotonic=Seconds(),
        clock=lambda: STARTED,
        sync=lambda: answers.pop() if answers else True,
    )
    while answers:
        tail.settle(book.record(tail.read(100, 100)))
    assert first.exists()

    tail.settle(book.record(tail.read(100, 100)))

    assert not first.exists()
    tail.close()

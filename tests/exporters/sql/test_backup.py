"""Backups as docs/operations-databases.md tells them: beside recording, restored behind a newer journal."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.record_signal import RecordReputationSignal
from exporters.sql.store import SqlStore
from sidecar.journal.layout import segment_path
from sidecar.journal.tail import JournalTail
from tests.builders import exchange, journal_slice, redacted_signal
from tests.exporters.sql.test_store_contract import everything
from tests.sidecar.journal.journaling import STARTED, Folder, Seconds, facts, write_journal

T0 = 1_700_000_000_000
EXCHANGES = 400


def back_up(source: Path, target: Path) -> None:
    """Copy a database as the page says: one statement, on a connection that cannot write."""
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    connection.close()


def record_on(data_dir: Path, store: SqlStore, batches: int | None = None) -> None:
    """Record from the stored position on, so many batches of fifty or to the end."""
    record = RecordReputationSignal(store)
    tail = JournalTail(data_dir, store.progress(), monotonic=Seconds(), clock=lambda: STARTED)
    while (batches is None or batches > 0) and (batch := tail.read(50, 50)):
        tail.settle(record(batch, STARTED).progress)
        batches = None if batches is None else batches - 1
    tail.close()


def ids(store: SqlStore) -> list[str]:
    """Give the ids of all rows."""
    return [row.id for row in store.timeline(everything(limit=5000)).signals]


def test_a_copy_taken_while_batches_are_recorded_is_one_commit(
    tmp_path: Path, open_store: Callable[..., SqlStore]
) -> None:
    """Rows and position of the copy agree, whatever was under way."""
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    record = RecordReputationSignal(store)
    stop = threading.Event()

    def recording() -> None:
        batch = 0
        while not stop.is_set():
            new = [redacted_signal(f"{batch}-{n}", T0 + batch) for n in range(20)]
            record([journal_slice(exchange(*new, exchange_id=str(batch)), offset=20 * (batch + 1))], T0)
            batch += 1

    thread = threading.Thread(target=recording)
    thread.start()
    try:
        for copy in range(3):
            back_up(tmp_path / "store.db", tmp_path / f"copy{copy}.db")
    finally:
        stop.set()
        thread.join()

    for copy in range(3):
        restored = open_store(f"sqlite:///{tmp_path / f'copy{copy}.db'}")
        (progress,) = restored.progress().values() or ((None,))
        with sqlite3.connect(tmp_path / f"copy{copy}.db") as connection:
            (rows,) = connection.execute("SELECT count(*) FROM reputation_signal").fetchone()
        connection.close()
        assert progress is None or progress.offset == rows


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Give a data directory with the journal of a dead worker: several segments, 800 facts."""
    made = write_journal(
        tmp_path / "made", (facts(n, count=2, padding=300) for n in range(EXCHANGES)), max_bytes=8 << 16
    )
    folder = Folder.load(made)
    assert len(folder.segments) > 3
    folder.put(tmp_path / "data")
    return tmp_path / "data"


def test_an_older_copy_takes_up_a_journal_that_still_holds_what_it_misses(
    data_dir: Path, tmp_path: Path, open_store: Callable[..., SqlStore]
) -> None:
    """The position in the copy is older: everything behind it is recorded again, exactly once."""
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    record_on(data_dir, store, batches=1)
    back_up(tmp_path / "store.db", tmp_path / "copy.db")
    record_on(data_dir, store, batches=1)  # not far enough for a segment to be deleted
    lost_with_the_disk = ids(store)
    store.close()

    restored = open_store(f"sqlite:///{tmp_path / 'copy.db'}")
    record_on(data_dir, restored)

    assert len(ids(restored)) == len(set(ids(restored))) == 2 * EXCHANGES
    assert set(lost_with_the_disk) <= set(ids(restored))
    assert restored.gaps(0, 2 * T0) == []


def test_what_the_journal_let_go_of_since_the_copy_is_an_exact_gap(
    data_dir: Path, tmp_path: Path, open_store: Callable[..., SqlStore]
) -> None:
    """Segments deleted behind a later position are missing: the gap says how many facts they held."""
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    record_on(data_dir, store, batches=1)
    back_up(tmp_path / "store.db", tmp_path / "copy.db")
    (name,) = store.progress()
    record_on(data_dir, store, batches=9)
    assert not segment_path(data_dir / "journal" / name, 1).exists()
    store.close()

    restored = open_store(f"sqlite:///{tmp_path / 'copy.db'}")
    record_on(data_dir, restored)

    (gap,) = restored.gaps(0, 2 * T0)
    assert gap.lost > 0
    assert len(ids(restored)) + gap.lost == 2 * EXCHANGES

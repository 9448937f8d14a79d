"""What only SQLite can show: its file, its lock, its size."""

import os
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.errors import StoreUnavailable
from domain.timeline import PageKey, TimelineQuery
from exporters.sql.engine import UnusableUrl, parse_url, reader
from exporters.sql.lock import StoreLocked
from exporters.sql.reading import _page
from exporters.sql.store import SqlStore
from tests.builders import recorded_signal
from tests.exporters.sql.processes import start

T0 = 1_700_000_000_000

HOLDER = """
import json, sys
from exporters.sql.store import SqlStore
store = SqlStore(sys.argv[1], sidecar_id="s1")
store.open()
print("open", flush=True)
sys.stdin.readline()
print(json.dumps(None))
"""

COMMITTER = """
import sys
from exporters.sql.store import SqlStore
from tests.builders import recorded_signal
store = SqlStore(sys.argv[1], sidecar_id="s1")
store.open()
with store.recording() as recording:
    recording.lock(["sales-1"])
    recording.append([recorded_signal(1, 1_700_000_000_000)])
print("committed", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a path with characters that mean something in a URL."""
    return tmp_path / "data dir#1?%41" / "store.db"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of a plain path."""
    return f"sqlite:///{tmp_path / 'store.db'}"


def fill(store: SqlStore, rows: int) -> None:
    """Record rows of one instance."""
    with store.recording() as recording:
        heads = recording.lock(["sales-1"])
        recording.append([recorded_signal(n, T0 + n, message_id=f"M{n}") for n in range(1, rows + 1)])
        recording.save_heads([heads["sales-1"]._replace(last_seq=rows)])


def test_the_database_and_everything_beside_it_is_the_owners_only(
    url: str, tmp_path: Path, open_store: Callable[..., SqlStore]
) -> None:
    """Database, log, shared memory and lock have mode 0600; a folder made for them 0700."""
    store = open_store(f"sqlite:///{tmp_path / 'made' / 'store.db'}")
    fill(store, 1)

    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "made").iterdir()}

    assert files == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm", "store.db.lock"), 0o600)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700


def test_a_path_with_any_character_is_one_file_for_writing_and_reading(
    path: Path, open_store: Callable[..., SqlStore]
) -> None:
    """`#`, `?`, `%` and blanks in a folder's name are no URL."""
    quoted = str(path).replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    store = open_store(f"sqlite:///{quoted}")

    fill(store, 1)

    assert path.exists()
    assert len(store.timeline(TimelineQuery("sales-1", 0, 2 * T0)).signals) == 1


def test_a_second_sidecar_on_the_same_file_waits_and_then_says_why(url: str) -> None:
    """While another process holds the file opening fails with the remedy; once it ended it succeeds."""
    holder = start_holder(url)
    second = SqlStore(url, sidecar_id="s2", lock_wait_ms=100)

    with pytest.raises(StoreLocked, match="one SQLite file serves one sidecar"):
        second.open()
    holder.kill()
    holder.communicate()
    applied = second.open()

    assert applied == []
    second.close()


def start_holder(url: str) -> "subprocess.Popen[str]":
    """Start a process that holds the store until it reads a line or is killed."""
    holder = start(HOLDER, url)
    assert holder.stdout
    assert holder.stdout.readline() == "open\n"
    return holder


def test_a_killed_holder_leaves_no_lock_and_its_committed_rows(
    url: str, open_store: Callable[..., SqlStore]
) -> None:
    """The kernel lets go of the lock with the process, the write-ahead log is taken over."""
    store = open_store(url)
    fill(store, 3)
    store.close()
    holder = start_holder(url)
    holder.kill()
    holder.communicate()

    again = open_store(url)

    assert len(again.timeline(TimelineQuery("sales-1", 0, 2 * T0)).signals) == 3


def test_retention_gives_space_back_to_the_file_system(
    url: str, tmp_path: Path, open_store: Callable[..., SqlStore]
) -> None:
    """After old rows went, the file is smaller, without a VACUUM that would stop the line."""
    store = open_store(url)
    fill(store, 5000)
    store.close()
    full = (tmp_path / "store.db").stat().st_size
    store = open_store(url)

    dropped = []
    while gone := store.drop_before(T0 + 4901, 1000):
        dropped.append(gone)
    while store.give_back():
        pass
    store.close()

    assert sum(dropped) == 4900
    assert max(dropped) <= 1000
    assert (tmp_path / "store.db").stat().st_size < full / 5


def test_a_file_of_another_program_that_cannot_shrink_ends_giving_back(
    url: str, tmp_path: Path, open_store: Callable[..., SqlStore]
) -> None:
    """Made without incremental vacuum, its free pages stay in it; nobody loops over them."""
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("CREATE TABLE theirs (text)")
    connection.close()
    store = open_store(url)
    fill(store, 500)

    while store.drop_before(T0 + 400, 1000):
        pass

    assert not store.give_back()


def test_readers_cannot_write(url: str, open_store: Callable[..., SqlStore]) -> None:
    """A reading connection refuses every change, so that there is one writer, whatever a query says."""
    open_store(url)
    engine = reader(parse_url(url))

    with engine.connect() as connection, pytest.raises(Exception, match="readonly database"):
        connection.exec_driver_sql("DELETE FROM signal_gap")

    engine.dispose()


def test_a_full_disk_is_unavailable_and_loses_nothing_that_was_stored(
    url: str, open_store: Callable[..., SqlStore]
) -> None:
    """A batch that does not fit fails as a whole; what was there stays readable; a smaller one goes on."""
    store = open_store(url)
    fill(store, 10)
    with store._writer.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")

    with pytest.raises(StoreUnavailable, match="full"):
        fill(store, 5000)

    assert len(store.timeline(TimelineQuery("sales-1", 0, 2 * T0)).signals) == 10


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("after", [None, PageKey(T0 + 500, 500)])
def test_a_page_is_one_search_of_the_index_by_instance_and_date(
    url: str, open_store: Callable[..., SqlStore], after: PageKey | None, *, descending: bool
) -> None:
    """The plan searches one index by instance and range, and sorts rows of an equal date at most."""
    store = open_store(url)
    fill(store, 1000)
    query = TimelineQuery("sales-1", T0, T0 + 900, descending=descending, after=after)
    text = str(_page(query).compile(store._reader, compile_kwargs={"literal_binds": True}))

    with store._reader.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]

    assert plan[0].startswith(
        "SEARCH reputation_signal USING INDEX reputation_signal_instanceId_occurredAt_idx "
        "(instanceId=? AND occurredAt>"
    )
    assert all("LAST TERM" in line or "RIGHT PART" in line for line in plan[1:])


def test_lookups_of_recording_and_retention_search_indexes(
    url: str, open_store: Callable[..., SqlStore]
) -> None:
    """Known ids, first sends, heads and old rows are found without reading the table."""
    from exporters.sql.hot import hot_statements  # noqa: PLC0415 - used here only
    from exporters.sql.retention import _OLD  # noqa: PLC0415 - as above

    store = open_store(url)
    statements = hot_statements(store._reader.dialect)
    plans = []
    with store._reader.connect() as connection:
        for text, arguments in (
            (statements.select_known, ("[]",)),
            (statements.select_sent, ("[]",)),
            (statements.select_heads, ("[]",)),
            (statements.select_aliases, ("[]",)),
            (_OLD["sqlite"], (T0, 5)),
        ):
            plans.append(
                [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", arguments)]
            )

    for plan in plans:
        assert any(line.startswith(("SEARCH t ", "SEARCH s ")) for line in plan), plan
        assert not any(line.startswith(("SCAN t", "SCAN s", "SCAN reputation_signal")) for line in plan), plan


@pytest.mark.parametrize("given", ["sqlite://", "sqlite:///:memory:", "mysql://h/d", "no url at all", ""])
def test_a_url_that_cannot_be_served_is_refused_at_construction(given: str) -> None:
    """Memory databases, other products and nonsense never get as far as a connection."""
    with pytest.raises(UnusableUrl):
        SqlStore(given, sidecar_id="s1")


def test_values_are_stored_as_the_table_contract_says(
    url: str, tmp_path: Path, open_store: Callable[..., SqlStore]
) -> None:
    """Whoever opens the file with any SQLite finds milliseconds, plain words and JSON text."""
    store = open_store(url)
    fill(store, 1)
    store.close()

    with sqlite3.connect(tmp_path / "store.db") as connection:
        row = connection.execute(
            'SELECT "instanceId", "occurredAt", type, severity, source, context, "isGroup", seq '
            "FROM reputation_signal"
        ).fetchone()
    connection.close()

    assert row == ("sales-1", T0 + 1, "MESSAGE_SENT", "LOW", "DISPATCH", "{}", 0, 1)


def test_syncing_reaches_the_file_the_commits_are_in(
    url: str, tmp_path: Path, open_store: Callable[..., SqlStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed and not yet checkpointed is in the log, and the log is what is flushed."""
    store = open_store(url)
    fill(store, 10)
    flushed: list[int] = []
    flush = os.fsync

    def spy(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", spy)  # the kernel's edge; nothing shows a flush but the call

    store.sync()

    log = (tmp_path / "store.db-wal").stat()
    assert flushed == [log.st_ino]
    assert log.st_size > 0


def test_a_process_killed_behind_a_commit_leaves_the_commit(url: str) -> None:
    """SIGKILL loses nothing that was committed."""
    holder = start(COMMITTER, url)
    assert holder.stdout
    assert holder.stdout.readline() == "committed\n"
    holder.kill()
    holder.communicate()

    store = SqlStore(url, sidecar_id="s2")
    store.open()
    kept = store.timeline(TimelineQuery("sales-1", 0, 2 * T0)).signals
    store.close()

    assert [row.seq for row in kept] == [1]

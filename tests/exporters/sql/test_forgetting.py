"""Forgetting on every store: ids go, facts, ids of facts and decisions stay; recording goes on beside it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from domain.decision_text import from_row
from domain.errors import StoreUnavailable
from domain.evaluate_health import EvaluateInstanceHealth
from domain.forget import ForgetPersonalIds, ForgettingStore, References, RowKey
from domain.health_ports import DecisionQuery
from domain.past import fold_all
from domain.record_signal import RecordReputationSignal
from domain.replay import ReplayDecisions
from domain.resume import saved_from_text
from domain.retain import RetainedStore
from domain.words import SignalType, Source
from exporters.sql.read_only import ReadOnlyStore
from exporters.sql.store import SqlStore
from tests.builders import exchange, journal_slice, recorded_signal, redacted_signal
from tests.exporters.sql.test_health_on_databases import INSTANCES, MINUTE, SETTING, play, story
from tests.exporters.sql.test_store_contract import everything, put

T0 = 1_700_000_000_000


class AnyStore(RetainedStore, ForgettingStore, Protocol):
    """A store of signals and evaluations that can forget."""


DELIVERED, WEBHOOK = SignalType.MESSAGE_DELIVERED, Source.WEBHOOK


def test_an_instance_loses_its_ids_and_nothing_else(any_store: AnyStore) -> None:
    """Every other field of its rows stays, and so does every row of another instance."""
    rows = [
        recorded_signal(1, T0, message_id="M1", remote_jid="aa", context={"code": "7"}),
        recorded_signal(2, T0 + 1, DELIVERED, source=WEBHOOK, message_id="M1", latency_ms=1),
        recorded_signal(3, T0 + 2, SignalType.MESSAGE_REPLIED, remote_jid="bb", is_group=True),
        recorded_signal(4, T0 + 3, SignalType.CONNECTION_ERROR),
    ]
    other = recorded_signal(1, T0, instance_id="sales-2", message_id="M1", remote_jid="aa")
    put(any_store, *rows, other)

    forgotten = ForgetPersonalIds(any_store)(instance_id="sales-1")

    kept = any_store.timeline(everything()).signals
    assert kept == [row._replace(message_id=None, remote_jid=None) for row in rows]
    assert any_store.timeline(everything("sales-2")).signals == [other]
    assert forgotten[:3] == (1, 4, 3)
    assert any_store.timeline(everything(message_id="M1")).signals == []


def test_a_chat_is_forgotten_with_its_messages_in_every_instance(
    any_store: AnyStore,
) -> None:
    """Reports of its messages that do not name it go along; other chats stay as they are."""
    named = recorded_signal(1, T0, message_id="M1", remote_jid="aa")
    unnamed = recorded_signal(2, T0 + 1, DELIVERED, source=WEBHOOK, message_id="M1")
    elsewhere = recorded_signal(3, T0 + 2, message_id="M2", remote_jid="bb")
    other = recorded_signal(1, T0, instance_id="sales-2", message_id="M9", remote_jid="aa")
    put(any_store, named, unnamed, elsewhere, other)

    forgotten = ForgetPersonalIds(any_store)(remote_jids={"aa"})

    assert [(r.message_id, r.remote_jid) for r in any_store.timeline(everything()).signals] == [
        (None, None),
        (None, None),
        ("M2", "bb"),
    ]
    assert any_store.timeline(everything("sales-2")).signals[0].message_id is None
    assert (forgotten.instances, forgotten.blanked) == (2, 3)
    assert ForgetPersonalIds(any_store)(remote_jids={"aa"}).blanked == 0


def test_a_chat_of_one_instance_stays_in_the_others(any_store: AnyStore) -> None:
    """Both selections together mean both."""
    put(
        any_store,
        recorded_signal(1, T0, remote_jid="aa"),
        recorded_signal(2, T0, remote_jid="bb"),
        recorded_signal(1, T0, instance_id="sales-2", remote_jid="aa"),
    )

    ForgetPersonalIds(any_store)(instance_id="sales-1", remote_jids={"aa"})

    assert [row.remote_jid for row in any_store.timeline(everything()).signals] == [None, "bb"]
    assert [row.remote_jid for row in any_store.timeline(everything("sales-2")).signals] == ["aa"]


def test_an_unknown_instance_is_not_made_by_forgetting_it(any_store: AnyStore) -> None:
    """There is nothing to blank and nothing appears."""
    assert ForgetPersonalIds(any_store)(instance_id="nobody")[:3] == (0, 0, 0)
    with any_store.recording() as recording:
        assert recording.lock(["nobody"])["nobody"].last_seq == 0
    assert any_store.instances(None, 10) == []


def test_scores_decisions_and_their_replay_are_the_same_afterwards(
    any_store: AnyStore,
) -> None:
    """A message reported several times goes on counting once, in the past and in what comes next."""
    before = play(any_store, story())
    now = T0 + 24 * 9 * MINUTE + 6 * MINUTE
    with any_store.reading() as reading:
        folded = [fold_all(reading, i, now, SETTING).state for i in INSTANCES]

    forgotten = ForgetPersonalIds(any_store)(instance_id="sales-1")
    ForgetPersonalIds(any_store)(instance_id="sales-2")

    assert forgotten.blanked > 50
    with any_store.reading() as reading:
        asked = [DecisionQuery(i, 0, now + 86_400_000, 1000) for i in INSTANCES]
        decisions = [row for query in asked for row in reading.decisions(query).decisions]
        assert [fold_all(reading, i, now, SETTING).state for i in INSTANCES] == folded
    assert decisions == before.decisions
    replay = ReplayDecisions(any_store, SETTING)
    later = [from_row(row) for row in decisions if row.evaluated_at > now - 30 * MINUTE]
    assert later
    assert [replay.decision(decision).differences for decision in later] == [()] * len(later)
    record, evaluate = RecordReputationSignal(any_store), EvaluateInstanceHealth(any_store, SETTING)
    later_at = now + 4 * 60 * MINUTE
    fact = redacted_signal("new", later_at, instance_id="sales-1", message_id="new")
    recorded = record([journal_slice(exchange(fact, exchange_id="new"), offset=99)], later_at)
    evaluate.touched(recorded.signals, later_at)
    with any_store.reading() as reading:
        held = reading.saved(["sales-1"])["sales-1"]
        scratch = fold_all(reading, "sales-1", later_at, SETTING).state
    assert saved_from_text(held.state).state == scratch


def test_a_window_counts_the_same_before_and_after(any_store: AnyStore) -> None:
    """The aggregate and the reports of a message agree: one message, however often it was reported."""
    put(
        any_store,
        recorded_signal(1, T0, message_id="M1"),
        recorded_signal(2, T0 + 1, source=WEBHOOK, message_id="M1"),
        recorded_signal(3, T0 + 2, SignalType.MESSAGE_REPLIED, message_id="M2", is_group=True),
        recorded_signal(4, T0 + 3, SignalType.MESSAGE_REPLIED, message_id="M2", is_group=True),
    )
    with any_store.reading() as reading:
        before = reading.snapshot("sales-1", T0, T0 + 9, latency=True)

    ForgetPersonalIds(any_store)(instance_id="sales-1")

    with any_store.reading() as reading:
        assert reading.snapshot("sales-1", T0, T0 + 9, latency=True) == before
        found = reading.arrivals({"sales-1": 0}, 10)
        assert len({fact.message_id for fact in found}) == 2
        reports = reading.reports([("sales-1", str(found[0].message_id))])
    assert sorted(fact.seq for fact in reports) == [1, 2]


def test_rows_without_an_arrival_number_of_their_own_are_walked_too(store: SqlStore) -> None:
    """A dispatcher's own ORM writes rows that all have number 0: no page loses one of them."""
    put(store, *(recorded_signal(n, T0 + n, message_id=f"M{n}") for n in range(1, 8)))
    with store._writer.begin() as connection:
        connection.exec_driver_sql("UPDATE reputation_signal SET seq = 0")
    references, key = References(), RowKey(-1, "")
    blanked = 0
    pages = 0

    while True:
        page = store.forget("sales-1", (), references, key, 2)
        pages += 1
        blanked += page.blanked
        if page.next_key is None:
            break
        key = page.next_key

    assert (blanked, pages) == (7, 4)


def test_the_files_of_sqlite_hold_no_trace_of_a_forgotten_id(
    tmp_path: Path, open_store: Callable[..., SqlStore]
) -> None:
    """Neither the database, nor its log, nor a freed page."""
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    put(
        store,
        *(
            recorded_signal(n, T0 + n, message_id=f"trace-{n}-M", remote_jid="trace-jid")
            for n in range(1, 400)
        ),
    )

    forgotten = ForgetPersonalIds(store)(instance_id="sales-1")

    assert forgotten.scrubbed
    assert not any(b"trace-" in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_recording_and_evaluating_go_on_beside_forgetting(
    store: SqlStore, open_store: Callable[..., SqlStore]
) -> None:
    """Two writers of one instance at once: nobody fails, no fact is lost, what was there is forgotten."""
    put(store, *(recorded_signal(n, T0 + n, message_id=f"old{n}") for n in range(1, 3001)))
    recorder = store if store._sqlite else open_store(store._writer.url.render_as_string(False), "s2")
    record, evaluate = RecordReputationSignal(recorder), EvaluateInstanceHealth(recorder, SETTING)
    faults: list[BaseException] = []
    done = threading.Event()
    batches = 0

    def recording() -> None:
        nonlocal batches
        try:
            while batches < 200 and not (done.is_set() and batches >= 10):
                at = T0 + 10_000 + batches
                new = redacted_signal(f"new{batches}", at, message_id=f"new{batches}")
                piece = journal_slice(exchange(new, exchange_id=str(batches)), offset=batches + 1)
                evaluate.touched(record([piece], at).signals, at)
                batches += 1
        except BaseException as fault:  # noqa: BLE001 - told to the test's own thread
            faults.append(fault)

    thread = threading.Thread(target=recording)
    thread.start()
    forgotten = ForgetPersonalIds(store)(instance_id="sales-1")
    done.set()
    thread.join(60)

    assert faults == []
    rows = store.timeline(everything(limit=5000)).signals
    assert len(rows) == 3000 + batches
    assert forgotten.blanked >= 3000
    assert not any((row.message_id or "").startswith("old") for row in rows)
    assert sorted(row.seq for row in rows) == list(range(1, 3001 + batches))


def test_a_store_opened_for_reading_only_forgets_nothing(
    tmp_path: Path, open_store: Callable[..., SqlStore]
) -> None:
    """It refuses before anything is asked of the database."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    put(open_store(url), recorded_signal(1, T0, message_id="M1"))
    reader = ReadOnlyStore(url)
    reader.open()

    with pytest.raises(StoreUnavailable):
        ForgetPersonalIds(reader)(instance_id="sales-1")

    reader.close()

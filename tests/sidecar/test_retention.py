"""Retention runs at start and steps back: the writer belongs to the recorder."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.errors import StoreUnavailable
from domain.fold_state import setting_of
from domain.record_signal import RecordReputationSignal
from domain.retain import DropPastRetention
from domain.words import Millis
from exporters.sql.store import SqlStore
from sidecar.clock import monotonic_ns
from sidecar.retention import Retention
from tests.builders import exchange, journal_slice, redacted_signal
from tests.e2e.sidecars import until

NOW: Millis = 1_800_000_000_000
DAY: Millis = 86_400_000


def test_between_two_steps_it_waits_as_long_as_the_last_one_took() -> None:
    """Half of the time, at least, nobody holds the writer."""
    worked, took = [], []
    done = threading.Event()

    def drop(now: Millis, go_on: Callable[[], bool]) -> int:
        del now
        for _ in range(4):
            began = monotonic_ns()
            threading.Event().wait(0.03)
            worked.append(monotonic_ns() - began)
            assert go_on()
            took.append(monotonic_ns() - began)
        done.set()
        return 0

    retention = Retention(drop, lambda: NOW)
    retention.start()
    assert done.wait(10)
    retention.stop()

    assert all(whole >= 1.9 * work for whole, work in zip(took, worked, strict=True))


def test_stopping_ends_it_between_two_steps() -> None:
    """A step under way ends, no other begins."""
    entered, answers = threading.Event(), list[bool]()

    def drop(now: Millis, go_on: Callable[[], bool]) -> int:
        del now
        entered.set()
        while go_on():
            threading.Event().wait(0.01)
        answers.append(False)
        return 0

    retention = Retention(drop, lambda: NOW)
    retention.start()
    assert entered.wait(10)

    retention.stop()

    until(lambda: answers == [False], 10)


def test_a_store_that_is_away_is_tried_again_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retention outlives an outage."""
    monkeypatch.setattr("sidecar.retention.RETRY_SECONDS", 0.01)
    tries = []
    done = threading.Event()

    def drop(now: Millis, go_on: Callable[[], bool]) -> int:
        del go_on
        tries.append(now)
        if len(tries) < 3:
            raise StoreUnavailable("away")
        done.set()
        return 0

    retention = Retention(drop, lambda: NOW)
    retention.start()

    assert done.wait(10)
    retention.stop()
    assert tries == [NOW] * 3


def test_recording_goes_on_while_thousands_of_old_signals_are_dropped(tmp_path: Path) -> None:
    """On SQLite, with its one writer: every batch is stored, and all that is old goes."""
    store = SqlStore(f"sqlite:///{tmp_path / 'store.db'}", sidecar_id="s1")
    store.open()
    record = RecordReputationSignal(store)
    for batch in range(8):
        old = [redacted_signal(f"old-{batch}-{n}", NOW - 40 * DAY + n) for n in range(1000)]
        record([journal_slice(exchange(*old, exchange_id=f"o{batch}"), offset=batch + 1)], NOW)
    drop = DropPastRetention(store, setting_of(1_800_000), 30)
    gone: list[int] = []
    over = threading.Event()

    def dropping(now: Millis, go_on: Callable[[], bool]) -> int:
        gone.append(drop(now, go_on))
        over.set()
        return gone[0]

    retention = Retention(dropping, lambda: NOW)

    retention.start()
    recorded = 0
    while not over.is_set():
        new = redacted_signal(f"new-{recorded}", NOW + recorded)
        made = record([journal_slice(exchange(new, exchange_id=f"n{recorded}"), offset=100 + recorded)], NOW)
        recorded += len(made.signals)
    retention.stop()
    store.close()

    assert gone == [8000]
    assert recorded > 10

"""What the metrics read at scrape time, adapted from the journal's pages and the store."""

import contextlib
from collections.abc import Sequence
from typing import Final

from domain.decision import Decision
from domain.errors import StoreUnavailable
from domain.ports import SignalStore
from domain.recorded import InstanceSummary
from domain.words import Connection, Direction, Millis
from exporters.prometheus.inputs import InstanceGauges, JournalGauges, LedgerGauges, WorkerGauges
from sidecar.clock import monotonic_ns
from sidecar.journal.page import PageReading
from sidecar.recorder import Recorder

BOARD_NS: Final = 2_000_000_000
"""How old the instance states of a scrape may be."""


class InstanceBoard:
    """The newest known state of instances, read from the store at most every two seconds."""

    def __init__(self, store: SignalStore, instances_max: int) -> None:
        self._store = store
        self._instances_max = instances_max
        self._read_ns = 0
        self._known: list[InstanceSummary] = []
        self._alerts: dict[str, int] = {}

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Remember how many alerts each instance has; decisions tell every change of it."""
        for decision in decisions:
            if decision.instance_id in self._alerts or len(self._alerts) < self._instances_max:
                self._alerts[decision.instance_id] = len(decision.after.alerts)

    def refresh(self) -> None:
        """Read the store if what is known is old; keep the last known states while it does not answer.

        Called before a scrape takes the lock that recording needs.
        """
        if not self._read_ns or monotonic_ns() - self._read_ns > BOARD_NS:
            with contextlib.suppress(StoreUnavailable):
                self._known = self._store.instances(None, self._instances_max)
                self._read_ns = monotonic_ns()

    def gauges(self) -> list[InstanceGauges]:
        """Give the states as of the last `refresh`."""
        return [
            InstanceGauges(
                one.instance_id,
                one.score,
                one.temperature_level,
                one.trend,
                one.cooldown_reason,
                self._alerts.get(one.instance_id, 0),
                None if one.connection is Connection.UNKNOWN else one.connection is Connection.CONNECTED,
                one.last_signal_at,
            )
            for one in self._known
        ]


class JournalBoard:
    """The ledger's left side, the journal and the workers, as the recorder's tail knows them."""

    def __init__(self, recorder: Recorder, workers: int, capacity_bytes: int) -> None:
        self._recorder = recorder
        self._workers = workers
        self._capacity_bytes = capacity_bytes

    def ledger(self) -> LedgerGauges | None:
        """Give the facts observed, by source; None before the journal is open."""
        with self._recorder.lock:
            tail = self._recorder.tail
            return LedgerGauges(tail.observed()) if tail else None

    def journal(self) -> JournalGauges | None:
        """Give what waits on disk."""
        with self._recorder.lock:
            tail = self._recorder.tail
            if tail is None:
                return None
            lag = {"store": tail.lag / 1000}
            return JournalGauges(tail.records, tail.bytes, lag, self._capacity_bytes)

    def workers(self) -> Sequence[WorkerGauges]:
        """Give what each worker's page tells."""
        with self._recorder.lock:
            tail = self._recorder.tail
            pages = tail.pages() if tail else {}
        # A number behind the last worker's is the recorder's own folder, which forwards nothing.
        return [_worker(name, page) for name, page in pages.items() if page.worker < self._workers]

    def lag_ms(self) -> Millis:
        """Give the age of the oldest fact that is not recorded."""
        with self._recorder.lock:
            return self._recorder.tail.lag if self._recorder.tail else 0


def _worker(name: str, page: PageReading) -> WorkerGauges:
    active: dict[Direction, int] = {}
    refusals: dict[tuple[Direction, str], int] = {}
    events: dict[str, int] = {}
    connections = 0
    for cell in page.named:
        match cell.name, cell.labels:
            case "active_requests", (direction,):
                active[Direction(direction)] = cell.value
            case "open_connections", (_,):
                connections += cell.value
            case "refused", (direction, reason):
                refusals[Direction(direction), reason] = cell.value
            case "event", (event,):
                events[event] = cell.value
    return WorkerGauges(
        name,
        open_connections=connections,
        active_requests=active,
        loop_lag_counts=page.loop_lag,
        loop_lag_sum_seconds=page.loop_lag_sum_us / 1e6,
        refusals=refusals,
        events=events,
    )

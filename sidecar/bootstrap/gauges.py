"""What the metrics read at scrape time, adapted from the journal's pages and the store."""

import contextlib
import heapq
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from domain.decision import Decision
from domain.decision_text import from_row
from domain.errors import StoreUnavailable
from domain.health_ports import DecisionQuery, HealthReading
from domain.recorded import InstanceSummary
from domain.signal import TIME_MAX
from domain.words import Connection, Direction, Millis
from exporters.prometheus.inputs import InstanceGauges, JournalGauges, LedgerGauges, WorkerGauges
from sidecar.clock import monotonic_ns
from sidecar.journal.page import PageReading
from sidecar.recorder import Recorder

BOARD_NS: Final = 2_000_000_000
"""How old the instance states of a scrape may be."""
START_PAGE: Final = 1000
START_PAGES_MAX: Final = 20
"""Instances looked at for places at the start: 20 000, some 0.1 s."""


class BoardStore(Protocol):
    """What the board asks of the store; every call may raise `StoreUnavailable`."""

    def instances(self, after: str | None, limit: int) -> list[InstanceSummary]:
        """Give instances in ascending order of their id."""
        ...

    def summaries(self, instance_ids: Sequence[str]) -> list[InstanceSummary]:
        """Give the named instances that exist."""
        ...

    def reading(self) -> AbstractContextManager[HealthReading]:
        """Open one reading."""
        ...


class InstanceBoard:
    """The newest known state of instances, read from the store at most every two seconds.

    Args:
        store: where states and decisions are.
        instances_max: instances that have series of their own.
        placed: gives those that have them now; free places are for the first instances of the list.
    """

    def __init__(self, store: BoardStore, instances_max: int, placed: Callable[[], Sequence[str]]) -> None:
        self._store = store
        self._instances_max = instances_max
        self._placed = placed
        self._read_ns = 0
        self._known: list[InstanceSummary] = []
        self._alerts: dict[str, int] = {}
        self._lock = threading.Lock()

    def recent(self) -> list[tuple[str, Millis]]:
        """Give the instances to make places for at the start, last heard of first, each with when."""
        rows: list[InstanceSummary] = []
        after = None
        for _ in range(START_PAGES_MAX):
            page = self._store.instances(after, START_PAGE)
            rows = heapq.nlargest(self._instances_max, rows + page, key=lambda one: one.last_signal_at or 0)
            if len(page) < START_PAGE:
                break
            after = page[-1].instance_id
        return [(one.instance_id, one.last_signal_at or 0) for one in rows]

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Remember how many alerts each instance has; decisions tell every change of it."""
        with self._lock:
            for decision in decisions:
                if decision.instance_id in self._alerts or len(self._alerts) < self._instances_max:
                    self._alerts[decision.instance_id] = len(decision.after.alerts)

    def refresh(self) -> None:
        """Read the store if what is known is old; keep the last known states while it does not answer.

        Called before a scrape takes the lock that recording needs.
        """
        if not self._read_ns or monotonic_ns() - self._read_ns > BOARD_NS:
            with contextlib.suppress(StoreUnavailable):
                self._known = self._read()
                self._read_ns = monotonic_ns()

    def gauges(self) -> list[InstanceGauges]:
        """Give the states as of the last `refresh`."""
        with self._lock:
            alerts = dict(self._alerts)
        return [
            InstanceGauges(
                one.instance_id,
                one.score,
                one.temperature_level,
                one.trend,
                one.cooldown_reason,
                alerts.get(one.instance_id, 0),
                None if one.connection is Connection.UNKNOWN else one.connection is Connection.CONNECTED,
                one.last_signal_at,
            )
            for one in self._known
        ]

    def _read(self) -> list[InstanceSummary]:
        placed = self._placed()
        first = self._store.instances(None, self._instances_max) if len(placed) < self._instances_max else []
        rows = {one.instance_id: one for one in first}
        more = self._store.summaries([name for name in placed if name not in rows])
        rows |= {one.instance_id: one for one in more}
        self._restore_alerts(rows)
        return list(rows.values())

    def _restore_alerts(self, rows: Mapping[str, InstanceSummary]) -> None:
        """Take the alerts of instances not heard of yet from their newest decision, and forget all others."""
        unknown = [name for name in rows if name not in self._alerts]
        stored: dict[str, int] = {}
        if unknown:
            with self._store.reading() as reading:
                for name in unknown:
                    newest = reading.decisions(DecisionQuery(name, 0, TIME_MAX, 1)).decisions
                    stored[name] = len(from_row(newest[0]).after.alerts) if newest else 0
        with self._lock:  # a decision announced meanwhile is newer
            self._alerts = {name: self._alerts.get(name, stored.get(name, 0)) for name in rows}


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

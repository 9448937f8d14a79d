"""Reading health: the reputation at any time, snapshots and decisions. Saves nothing."""

from typing import Final, NamedTuple

from domain import decide
from domain.decision import Decision
from domain.decision_text import from_row
from domain.errors import InvalidQuery, UnknownInstance
from domain.fold_state import Setting
from domain.health import Health, health_of
from domain.health_ports import DecisionKey, DecisionQuery, EvaluationStore, HealthReading
from domain.past import fold_to
from domain.snapshot import Snapshot
from domain.words import Millis

DECISIONS_MAX: Final = 1000
WINDOW_MAX_MS: Final = 31 * 86_400_000


class HealthAnswer(NamedTuple):
    """How an instance stands; `decision_id` names the newest decision dated up to then."""

    health: Health
    decision_id: str | None


class WindowAnswer(NamedTuple):
    """A snapshot and its bounds, both inclusive."""

    since: Millis
    until: Millis
    snapshot: Snapshot


class DecisionList(NamedTuple):
    """One page of decisions, newest first; `next_key` None on the last one."""

    decisions: list[Decision]
    next_key: DecisionKey | None


class ReadInstanceHealth:
    """Answers questions about reputations. Safe to call from several threads."""

    def __init__(self, store: EvaluationStore, setting: Setting) -> None:
        self._store = store
        self._setting = setting

    def reputation(self, instance_id: str, at: Millis) -> HealthAnswer:
        """Fold to `at` and tell how the instance stood, by all that is known now.

        Raises:
            UnknownInstance: nothing was ever recorded of it.
            PastRetention: `at` lies before the retention edge.
        """
        with self._store.reading() as reading:
            _check_known(reading, instance_id)
            state = fold_to(reading, instance_id, at, self._setting).state
            return HealthAnswer(
                health_of(instance_id, state, at, self._setting),
                decide.latest_id(reading, instance_id, at),
            )

    def snapshot(self, instance_id: str, window_ms: int | None, until: Millis) -> WindowAnswer:
        """Count the window that ends at `until`; `SIDECAR_WINDOW_MS` long unless asked otherwise.

        Raises:
            UnknownInstance: nothing was ever recorded of it.
            InvalidQuery: the window is shorter than a millisecond or longer than 31 days.
        """
        length = self._setting.window_ms if window_ms is None else window_ms
        if not 1 <= length <= WINDOW_MAX_MS:
            raise InvalidQuery("windowMs", f"windowMs must be between 1 and {WINDOW_MAX_MS}, got {length}")
        since = max(0, until - length)
        with self._store.reading() as reading:
            _check_known(reading, instance_id)
            counted = reading.snapshot(instance_id, since, until, latency=self._setting.latency_rules)
        return WindowAnswer(since, until, counted)

    def decisions(self, query: DecisionQuery) -> DecisionList:
        """Read one page of decisions, newest first.

        Raises:
            InvalidQuery: the limit is out of bounds.
        """
        if not 1 <= query.limit <= DECISIONS_MAX:
            raise InvalidQuery("limit", f"limit must be between 1 and {DECISIONS_MAX}, got {query.limit}")
        if query.since > query.until:
            return DecisionList([], None)
        with self._store.reading() as reading:
            page = reading.decisions(query)
        return DecisionList([from_row(row) for row in page.decisions], page.next_key)

    def decision(self, decision_id: str) -> Decision | None:
        """Give one decision, None when there is none of this id."""
        with self._store.reading() as reading:
            row = reading.decision(decision_id)
        return None if row is None else from_row(row)


def _check_known(reading: HealthReading, instance_id: str) -> None:
    if instance_id not in reading.last_seqs([instance_id]):
        raise UnknownInstance(instance_id)

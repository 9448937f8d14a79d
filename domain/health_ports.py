"""What evaluating an instance's health asks of the store.

A fold keeps almost nothing: its state is one short text. To go on from it, it reads the facts that enter and
the facts that leave the rolling window in the span it moves over, and the other reports of their messages;
never the window's whole content. All touched instances of a batch share each query.

Facts, actions and decisions are insert-only. Saved states and checkpoints are a cache of the fold: whatever
is missing is folded again from the base.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from domain.fact import Fact as Fact  # noqa: PLC0414 - the ports speak of facts: importable from here too
from domain.snapshot import Snapshot
from domain.words import (
    ActionKind,
    CooldownReason,
    EvaluationReason,
    Lifecycle,
    Millis,
    RiskLevel,
    SignalType,
    TemperatureLevel,
    Trend,
)


class Span(NamedTuple):
    """A span of one instance's time, both bounds inclusive, as far as it was known at an arrival.

    Attributes:
        seq_max: only facts (or actions) that arrived up to this number; None: all.
    """

    instance_id: str
    since: Millis
    until: Millis
    seq_max: int | None = None


class OperatorAction(NamedTuple):
    """What an operator did; `seq` counts the instance's actions from 1 in order of arrival."""

    instance_id: str
    id: str
    seq: int
    kind: ActionKind
    at: Millis


class Preview(NamedTuple):
    """What an instance list shows: columns of `instance_reputation`, overwritten by each evaluation."""

    score: int
    temperature_level: TemperatureLevel
    trend: Trend
    risk_level: RiskLevel
    lifecycle: Lifecycle
    cooldown_reason: CooldownReason | None
    cooldown_started_at: Millis | None
    cooldown_count: int
    last_human_interaction_at: Millis | None
    last_evaluated_at: Millis


class SavedState(NamedTuple):
    """Where an instance's fold stands: one row of `instance_reputation`.

    Attributes:
        at: time of the last step folded.
        seq: all facts that arrived up to this number are in it, or wait in the future.
        actions: likewise for operator actions.
        due_at: the next step by time alone, None when there is none; indexed, see `due`.
        version: counts saves of this instance from 1; tells a recorder that another one evaluated it.
        setting: window length, rule set and switches it was folded with; another one refolds.
        state: the fold's state, opaque.
        preview: what the instance list shows.
    """

    instance_id: str
    at: Millis
    seq: int
    actions: int
    due_at: Millis | None
    version: int
    setting: str
    state: str
    preview: Preview


class Checkpoint(NamedTuple):
    """A past state of the fold to resume from; primary key (`instance_id`, `at`, `base`).

    Attributes:
        base: the state at the retention edge; there is at most one an instance, folds start there.
        The rest is as in `SavedState`.
    """

    instance_id: str
    at: Millis
    base: bool
    seq: int
    actions: int
    setting: str
    state: str


class DecisionRow(NamedTuple):
    """A stored decision; primary key (`instance_id`, `id`), insert-only.

    Attributes:
        evaluated_at: the time it speaks of.
        recorded_at: wall clock when it was stored.
        arrival: number of the instance's decision in order of storing, from 1; the page key. Given by the
            store on insert, the value passed in is ignored.
        rule_set: hash of the tables that decided.
        seq, actions: arrival bounds of the facts and actions it knew.
        supersedes: id of the decision this one corrects, for late facts.
        body: state before and after, snapshot, explanation, signal ids: JSON text, opaque to the store.
    """

    id: str
    instance_id: str
    evaluated_at: Millis
    recorded_at: Millis
    arrival: int
    reason: EvaluationReason
    rule_set: str
    seq: int
    actions: int
    supersedes: str | None
    body: str


class DecisionKey(NamedTuple):
    """Sort key of the last row of a page."""

    evaluated_at: Millis
    arrival: int


class DecisionQuery(NamedTuple):
    """Decisions of one instance, newest first by (evaluated_at, arrival); bounds inclusive.

    `after`: continue behind this row. `limit`: 1 to 1000.
    """

    instance_id: str
    since: Millis
    until: Millis
    limit: int
    after: DecisionKey | None = None


class DecisionPage(NamedTuple):
    """One page; `next_key` is None on the last one."""

    decisions: list[DecisionRow]
    next_key: DecisionKey | None = None


class HealthReading(Protocol):
    """One consistent view of the store: all answers speak of the same commit."""

    def saved(self, instance_ids: Sequence[str]) -> dict[str, SavedState]:
        """Give the saved states of these instances, in one query; one never evaluated is missing."""
        ...

    def last_seqs(self, instance_ids: Sequence[str]) -> dict[str, int]:
        """Give the arrival number of each instance's newest fact; one never seen is missing."""
        ...

    def arrivals(self, after: Mapping[str, int], limit: int) -> list[Fact]:
        """Give facts that arrived behind the given numbers, by (instance, seq), at most `limit` each."""
        ...

    def facts(self, spans: Sequence[Span], limit: int) -> list[Fact]:
        """Give the facts dated inside each span, by (instance, occurred_at, seq), at most `limit` a span.

        An instance may have several spans; they do not overlap. What `limit` cuts off is the end of a span.
        """
        ...

    def reports(self, keys: Iterable[tuple[str, str]]) -> list[Fact]:
        """Give every fact of these (instance id, message id), in any order."""
        ...

    def evidence(self, span: Span, types: Sequence[SignalType], limit: int) -> list[str]:
        """Give ids of facts of these types inside the span, newest first by (occurred_at, seq)."""
        ...

    def snapshot(self, instance_id: str, since: Millis, until: Millis, *, latency: bool) -> Snapshot:
        """Count a window with one indexed aggregate; equals `domain.snapshot.count` of its facts.

        Each message counts once a type (facts without a message id count singly; groupInteractions: once
        among those of a group); MESSAGE_READ of source DISPATCH does not count. The delivery latency is the
        mean over each message's first delivery in the window, 0 unless `latency`; the send latency the mean
        over all its facts.
        """
        ...

    def earliest_behind(self, instance_id: str, seq: int) -> Millis | None:
        """Give the earliest date among the facts that arrived behind `seq`, None when there are none."""
        ...

    def actions(self, spans: Sequence[Span]) -> list[OperatorAction]:
        """Give the operator actions dated inside each span, by (instance, at, id)."""
        ...

    def checkpoint(self, instance_id: str, before: Millis, setting: str) -> Checkpoint | None:
        """Give the newest checkpoint dated before `before` and folded with `setting`; bases included."""
        ...

    def base(self, instance_id: str) -> Checkpoint | None:
        """Give the state at the retention edge, whatever its setting; None when nothing was dropped yet."""
        ...

    def decisions(self, query: DecisionQuery) -> DecisionPage:
        """Read one page of decisions."""
        ...

    def decision(self, decision_id: str) -> DecisionRow | None:
        """Give one decision by its id alone."""
        ...


class Evaluating(HealthReading, Protocol):
    """A transaction that has locked its instances. Leaving it without an error commits."""

    def save(self, states: Sequence[SavedState]) -> None:
        """Insert or overwrite the saved states."""
        ...

    def drop_checkpoints(self, instance_id: str, since: Millis) -> None:
        """Delete this instance's checkpoints dated at or after `since`, but for its base."""
        ...

    def add_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Store checkpoints; an equal key is overwritten. A new base replaces all before it."""
        ...

    def add_action(self, action: OperatorAction) -> OperatorAction:
        """Store an action and give it with its number; the passed `seq` is ignored."""
        ...

    def add_decisions(self, decisions: Sequence[DecisionRow]) -> None:
        """Insert decisions, numbering them; one whose id is stored already is left as it is."""
        ...


class HealthSource(Protocol):
    """Where evaluations are read: a store, or the facts of an evidence bundle."""

    def reading(self) -> AbstractContextManager[HealthReading]:
        """Open a read-only transaction."""
        ...


class EvaluationStore(HealthSource, Protocol):
    """Where evaluations read and write. Every method may raise `StoreUnavailable`."""

    def evaluating(self, instance_ids: Sequence[str]) -> AbstractContextManager[Evaluating]:
        """Open a write transaction and lock these instances in ascending order.

        On PostgreSQL a row lock an instance: several sidecars evaluate one instance one after the other.
        """
        ...

    def due(self, now: Millis, limit: int) -> list[str]:
        """Give instances whose `due_at` is at or before `now`, earliest first."""
        ...

    def unevaluated(self, limit: int) -> list[str]:
        """Give instances whose newest fact is behind their saved `seq`, or that have no saved state.

        This heals a crash between recording and evaluating.
        """
        ...

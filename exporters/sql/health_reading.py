"""What evaluation reads: `domain.health_ports.HealthReading` on both databases."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, func, or_, select

from domain.forget import REFERENCE_PREFIX
from domain.health_ports import (
    Checkpoint,
    DecisionKey,
    DecisionPage,
    DecisionQuery,
    DecisionRow,
    Fact,
    OperatorAction,
    Preview,
    SavedState,
    Span,
)
from domain.snapshot import Snapshot
from domain.words import (
    ActionKind,
    CooldownReason,
    EvaluationReason,
    Lifecycle,
    Millis,
    RiskLevel,
    SignalType,
    Source,
    TemperatureLevel,
    Trend,
)
from exporters.sql import health_statements as asked
from exporters.sql.health_statements import REPORTS_MAX, PerKey
from exporters.sql.json_text import dumps
from exporters.sql.routed import ask_each, by_instance
from exporters.sql.schema import reputation_checkpoint, reputation_decision, reputation_signal
from exporters.sql.types import from_timestamp, to_timestamp
from exporters.sql.window_count import snapshot_of, window_count

SEQ_MAX: Final = 2**63 - 1
"""Arrival bound of a span that has none."""

_TYPES: Final = {member.value: member for member in SignalType}
_SOURCES: Final = {member.value: member for member in Source}

_S: Final = reputation_signal.c
_C: Final = reputation_checkpoint.c
_D: Final = reputation_decision.c
_CHECKPOINTS: Final = select(_C.instanceId, _C.at, _C.base, _C.seq, _C.actions, _C.setting, _C.state)
_DECISIONS: Final = select(
    _D.id,
    _D.instanceId,
    _D.evaluatedAt,
    _D.recordedAt,
    _D.arrival,
    _D.reason,
    _D.ruleSet,
    _D.seq,
    _D.actions,
    _D.supersedes,
    _D.body,
)


class SqlHealthReading:
    """Reads inside one transaction of the store's making."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._postgresql = connection.dialect.name == "postgresql"
        self._stored: Callable[[Millis], Any] = to_timestamp if self._postgresql else int

    def saved(self, instance_ids: Sequence[str]) -> dict[str, SavedState]:
        """Give the saved states of these instances; one never evaluated is missing."""
        rows = self._each(asked.SAVED, [(instance_id,) for instance_id in instance_ids])
        return {row[0]: self._state(row) for row in rows}

    def last_seqs(self, instance_ids: Sequence[str]) -> dict[str, int]:
        """Give the arrival number of each instance's newest fact; one never seen is missing."""
        rows = self._each(asked.LAST_SEQS, [(instance_id,) for instance_id in instance_ids])
        return {row[0]: row[1] for row in rows}

    def arrivals(self, after: Mapping[str, int], limit: int) -> list[Fact]:
        """Give facts that arrived behind the given numbers, by (instance, seq), at most `limit` each."""
        facts = self._facts(self._each(asked.ARRIVALS, list(after.items()), limit))
        return sorted(facts, key=lambda fact: (fact.instance_id, fact.seq))

    def facts(self, spans: Sequence[Span], limit: int) -> list[Fact]:
        """Give the facts dated inside each span, by (instance, occurred_at, seq), at most `limit` a span."""
        facts = self._facts(self._each(asked.FACTS, self._spans(spans), limit))
        return sorted(facts, key=lambda fact: (fact.instance_id, fact.occurred_at, fact.seq))

    def reports(self, keys: Iterable[tuple[str, str]]) -> list[Fact]:
        """Give every fact of these (instance id, message id), in any order."""
        named: list[tuple[str, str]] = []
        forgotten: list[tuple[str, str]] = []
        for key in keys:
            (forgotten if key[1].startswith(REFERENCE_PREFIX) else named).append(key)
        rows = self._together(named)
        return self._facts(rows + self._each(asked.FORGOTTEN_REPORTS, forgotten, REPORTS_MAX))

    def evidence(self, span: Span, types: Sequence[SignalType], limit: int) -> list[str]:
        """Give ids of facts of these types inside the span, newest first by (occurred_at, seq)."""
        statement = (
            select(_S.id)
            .where(
                _S.instanceId == span.instance_id,
                _S.occurredAt >= span.since,
                _S.occurredAt <= span.until,
                _S.type.in_(sorted(member.value for member in types)),
            )
            .order_by(_S.occurredAt.desc(), _S.seq.desc())
            .limit(limit)
        )
        if span.seq_max is not None:
            statement = statement.where(_S.seq <= span.seq_max)
        return list(self._connection.execute(statement).scalars())

    def snapshot(self, instance_id: str, since: Millis, until: Millis, *, latency: bool) -> Snapshot:
        """Count a window with one indexed aggregate; equals `domain.snapshot.count` of its facts."""
        rows = self._connection.execute(window_count(instance_id, since, until))
        return snapshot_of(rows, latency=latency)

    def earliest_behind(self, instance_id: str, seq: int) -> Millis | None:
        """Give the earliest date among the facts that arrived behind `seq`, None when there are none."""
        statement = select(func.min(_S.occurredAt)).where(_S.instanceId == instance_id, _S.seq > seq)
        earliest: Millis | None = self._connection.execute(statement).scalar()
        return earliest

    def actions(self, spans: Sequence[Span]) -> list[OperatorAction]:
        """Give the operator actions dated inside each span, by (instance, at, id)."""
        rows = self._each(asked.ACTIONS, self._spans(spans))
        actions = [OperatorAction(r[0], r[1], r[2], ActionKind(r[3]), self._millis(r[4])) for r in rows]
        return sorted(actions, key=lambda action: (action.instance_id, action.at, action.id))

    def checkpoint(self, instance_id: str, before: Millis, setting: str) -> Checkpoint | None:
        """Give the newest checkpoint dated before `before` and folded with `setting`; bases included."""
        statement = (
            _CHECKPOINTS.where(_C.instanceId == instance_id, _C.at < before, _C.setting == setting)
            .order_by(_C.at.desc(), _C.base.desc())
            .limit(1)
        )
        row = self._connection.execute(statement).first()
        return None if row is None else Checkpoint(*row)

    def base(self, instance_id: str) -> Checkpoint | None:
        """Give the state at the retention edge, whatever its setting; None when nothing was dropped yet."""
        statement = _CHECKPOINTS.where(_C.instanceId == instance_id, _C.base).order_by(_C.at.desc()).limit(1)
        row = self._connection.execute(statement).first()
        return None if row is None else Checkpoint(*row)

    def decisions(self, query: DecisionQuery) -> DecisionPage:
        """Read one page of decisions, newest first by (evaluated_at, arrival)."""
        statement = _DECISIONS.where(
            _D.instanceId == query.instance_id, _D.evaluatedAt >= query.since, _D.evaluatedAt <= query.until
        )
        if query.after:
            at, arrival = query.after
            behind = or_(_D.evaluatedAt < at, and_(_D.evaluatedAt == at, _D.arrival < arrival))
            # The first condition alone bounds the index search.
            statement = statement.where(_D.evaluatedAt <= at, behind)
        statement = statement.order_by(_D.evaluatedAt.desc(), _D.arrival.desc()).limit(query.limit + 1)
        rows = self._connection.execute(statement).all()
        decisions = [_decision(row) for row in rows[: query.limit]]
        if len(rows) <= query.limit:
            return DecisionPage(decisions)
        return DecisionPage(decisions, DecisionKey(decisions[-1].evaluated_at, decisions[-1].arrival))

    def decided_elsewhere(self, instance_id: str, since: Millis, until: Millis) -> list[int]:
        """Give the arrival numbers of an instance's decisions dated outside these bounds, ascending."""
        outside = or_(_D.evaluatedAt < since, _D.evaluatedAt > until)
        statement = select(_D.arrival).where(_D.instanceId == instance_id, outside).order_by(_D.arrival)
        return list(self._connection.execute(statement).scalars())

    def decision(self, decision_id: str) -> DecisionRow | None:
        """Give one decision by its id alone."""
        row = self._connection.execute(_DECISIONS.where(_D.id == decision_id).limit(1)).first()
        return None if row is None else _decision(row)

    def _each(self, question: PerKey, keys: Sequence[tuple[Any, ...]], *limit: int) -> list[Any]:
        """Put a question for each key; rows in the order of the keys only within one key."""
        if not keys:
            return []
        if self._postgresql:
            return ask_each(self._connection, question.postgresql, [(*key, *limit) for key in keys])
        # The driver's own cursor: SQLAlchemy's costs 20 us a question, SQLite's answer 3.
        cursor = self._connection.connection.cursor()
        try:
            rows: list[Any] = []
            for key in keys:
                cursor.execute(question.sqlite, (*key, *limit))
                rows += cursor.fetchall()
            return rows
        finally:
            cursor.close()

    def _together(self, keys: list[tuple[str, str]]) -> list[Any]:
        """Ask for the reports of many messages at once: a third of the cost of asking SQLite for each."""
        rows: list[Any] = []
        if self._postgresql:
            spread = [(ids, instance_id, REPORTS_MAX) for instance_id, ids in by_instance(keys)]
            return ask_each(self._connection, asked.REPORTS.postgresql, spread)
        cursor = self._connection.connection.cursor()
        try:
            for first in range(0, len(keys), asked.REPORT_KEYS_MAX):
                chunk = keys[first : first + asked.REPORT_KEYS_MAX]
                cursor.execute(asked.REPORTS.sqlite, (dumps(chunk), REPORTS_MAX * len(chunk)))
                rows += cursor.fetchall()
        finally:
            cursor.close()
        return rows

    def _spans(self, spans: Sequence[Span]) -> list[tuple[Any, ...]]:
        stored = self._stored
        return [
            (s.instance_id, stored(s.since), stored(s.until), SEQ_MAX if s.seq_max is None else s.seq_max)
            for s in spans
        ]

    def _facts(self, rows: Sequence[Any]) -> list[Fact]:
        millis = self._millis
        return [
            Fact(r[0], r[1], r[2], _TYPES[r[3]], _SOURCES[r[4]], millis(r[5]), r[6], bool(r[7]), r[8])
            for r in rows
        ]

    def _state(self, row: Any) -> SavedState:
        instance_id, at, seq, actions, due_at, version, setting, state, *shown = row
        score, temperature, trend, risk, lifecycle, reason, started_at, count, human_at, evaluated_at = shown
        preview = Preview(
            score,
            TemperatureLevel(temperature),
            Trend(trend),
            RiskLevel(risk),
            Lifecycle(lifecycle),
            CooldownReason(reason) if reason else None,
            self._maybe(started_at),
            count,
            self._maybe(human_at),
            self._millis(evaluated_at),
        )
        return SavedState(
            instance_id, self._millis(at), seq, actions, self._maybe(due_at), version, setting, state, preview
        )

    def _millis(self, at: Millis | datetime) -> Millis:
        return from_timestamp(at) if isinstance(at, datetime) else at

    def _maybe(self, at: Millis | datetime | None) -> Millis | None:
        return None if at is None else self._millis(at)


def _decision(row: Any) -> DecisionRow:
    values = list(row)
    values[5] = EvaluationReason(values[5])
    return DecisionRow(*values)

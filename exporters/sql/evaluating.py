"""What evaluation writes, in a transaction that holds its instances: `domain.health_ports.Evaluating`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select

from domain.health_ports import Checkpoint, DecisionRow, OperatorAction, SavedState
from domain.words import ActionKind, Millis
from exporters.sql.health_reading import SqlHealthReading
from exporters.sql.health_statements import DECIDED, LAST_DECISIONS, HealthStatements
from exporters.sql.schema import operator_action, reputation_checkpoint

_A = operator_action.c
_C = reputation_checkpoint.c


class SqlEvaluating(SqlHealthReading):
    """An open write transaction whose instances are locked. Made, committed and rolled back by the store."""

    def __init__(self, connection: Connection, statements: HealthStatements) -> None:
        super().__init__(connection)
        self._statements = statements

    def save(self, states: Sequence[SavedState]) -> None:
        """Insert or overwrite the saved states."""
        if states:
            self._run(self._statements.save_state, [self._state_row(state) for state in states])

    def drop_checkpoints(self, instance_id: str, since: Millis) -> None:
        """Delete this instance's checkpoints dated at or after `since`, but for its base."""
        self._connection.execute(
            delete(reputation_checkpoint).where(
                _C.instanceId == instance_id, _C.at >= since, _C.base.is_(False)
            )
        )

    def add_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Store checkpoints; an equal key is overwritten. A new base replaces all before it."""
        for checkpoint in checkpoints:
            if checkpoint.base:
                older = (_C.at < checkpoint.at) | _C.base
                self._connection.execute(
                    delete(reputation_checkpoint).where(_C.instanceId == checkpoint.instance_id, older)
                )
        if checkpoints:
            self._run(
                self._statements.save_checkpoint,
                [
                    (c.instance_id, self._stored(c.at), c.base, c.seq, c.actions, c.setting, c.state)
                    for c in checkpoints
                ],
            )

    def add_action(self, action: OperatorAction) -> OperatorAction:
        """Store an action and give it with its number, and with an id made of it where it has none.

        One whose id is stored already is left, and given, as it is.
        """
        of_instance = _A.instanceId == action.instance_id
        if action.id:
            known = self._connection.execute(
                select(_A.seq, _A.kind, _A.at).where(of_instance, _A.id == action.id)
            ).first()
            if known:
                return OperatorAction(action.instance_id, action.id, known[0], ActionKind(known[1]), known[2])
        last = self._connection.execute(select(func.max(_A.seq)).where(of_instance)).scalar()
        seq = (last or 0) + 1
        # Actions of one instant take effect in the order of their ids.
        added = action._replace(seq=seq, id=action.id or f"action-{seq:08}")
        self._run(
            self._statements.insert_action,
            [(added.instance_id, added.id, seq, added.kind.value, self._stored(added.at))],
        )
        return added

    def add_decisions(self, decisions: Sequence[DecisionRow]) -> None:
        """Insert decisions, numbering them; one whose id is stored already is left as it is."""
        seen = {(row[0], row[1]) for row in self._each(DECIDED, [(d.instance_id, d.id) for d in decisions])}
        new = []
        for decision in decisions:
            key = (decision.instance_id, decision.id)
            if key not in seen:
                seen.add(key)
                new.append(decision)
        if not new:
            return
        instances = sorted({(decision.instance_id,) for decision in new})
        last: dict[str, int] = {row[0]: row[1] for row in self._each(LAST_DECISIONS, instances)}
        rows = []
        for decision in new:
            last[decision.instance_id] = last.get(decision.instance_id, 0) + 1
            rows.append(self._decision_row(decision, last[decision.instance_id]))
        self._run(self._statements.insert_decision, rows)

    def _run(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        self._connection.exec_driver_sql(statement, rows)

    def _decision_row(self, decision: DecisionRow, arrival: int) -> tuple[Any, ...]:
        return (
            decision.instance_id,
            decision.id,
            self._stored(decision.evaluated_at),
            self._stored(decision.recorded_at),
            arrival,
            decision.reason.value,
            decision.rule_set,
            decision.seq,
            decision.actions,
            decision.supersedes,
            decision.body,
        )

    def _state_row(self, state: SavedState) -> tuple[Any, ...]:
        """Give the values of `STATE_COLUMNS` behind the key."""
        shown, stored, maybe = state.preview, self._stored, self._stored_maybe
        evaluated_at = stored(shown.last_evaluated_at)
        return (
            state.instance_id,
            shown.score,
            shown.temperature_level.value,
            shown.trend.value,
            maybe(shown.last_human_interaction_at),
            evaluated_at,
            shown.cooldown_count,
            evaluated_at,
            shown.risk_level.value,
            shown.lifecycle.value,
            shown.cooldown_reason.value if shown.cooldown_reason else None,
            maybe(shown.cooldown_started_at),
            stored(state.at),
            state.seq,
            state.actions,
            state.version,
            state.setting,
            state.state,
            maybe(state.due_at),
        )

    def _stored_maybe(self, at: Millis | None) -> Any:
        return None if at is None else self._stored(at)

"""Replay: a stored decision recomputed from the stored signals, and what other rules would have decided."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from domain import decide
from domain.decide import Bounds
from domain.decision import Decision
from domain.decision_text import from_row, plain
from domain.errors import PastRetention, UnknownInstance
from domain.fold_state import Setting, setting_of
from domain.health_ports import DecisionQuery, HealthReading, HealthSource
from domain.past import Known, fold_all, step_at
from domain.snapshot import camel
from domain.words import EvaluationReason, Millis

_COMPARED: Final = (
    "rule_set", "window_ms", "latency_rules", "before", "after", "snapshot", "ended_windows", "explanation",
    "events", "action_ids",
)  # fmt: skip
"""What a recomputation must give again."""


class Difference(NamedTuple):
    """One value that is not reproduced: its path in the decision's JSON, as stored, as recomputed."""

    path: str
    stored: object
    recomputed: object


class Replayed(NamedTuple):
    """A decision beside its recomputation; `past` where its facts were dropped, so that there is none."""

    decision: Decision
    differences: tuple[Difference, ...]
    past: bool = False

    @property
    def reproduced(self) -> bool:
        """Tell whether the stored signals give the stored decision again."""
        return not self.differences and not self.past


class Turn(NamedTuple):
    """A step at which two rule sets part: what each decides, None where it decides nothing."""

    at: Millis
    decided: Decision | None
    instead: Decision | None


class ReplayDecisions:
    """Recomputes; changes nothing.

    A decision is recomputed with the window and the switch it states, whatever they are now. Rule tables are
    known by their hash alone: a decision of other tables than the setting's differs in `ruleSet`.
    """

    def __init__(self, store: HealthSource, setting: Setting) -> None:
        self._store = store
        self._setting = setting
        self._settings = {setting.id: setting}

    def decision(self, decision: Decision) -> Replayed:
        """Recompute one decision from the facts it knew.

        Raises:
            PastRetention: its facts were dropped, or only a state that other settings folded is left of them.
        """
        with self._store.reading() as reading:
            return self._replayed(reading, decision)

    def instance(self, instance_id: str, since: Millis, until: Millis) -> Iterator[Replayed]:
        """Recompute an instance's decisions dated inside the bounds, newest first.

        Raises:
            UnknownInstance: nothing was ever recorded of it.
        """
        with self._store.reading() as reading:
            if instance_id not in reading.last_seqs([instance_id]):
                raise UnknownInstance(instance_id)
            query = DecisionQuery(instance_id, since, until, decide.PAGE_MAX)
            while True:
                page = reading.decisions(query)
                for row in page.decisions:
                    yield self._or_past(reading, from_row(row))
                if page.next_key is None:
                    return
                query = query._replace(after=page.next_key)

    def what_if(self, instance_id: str, other: Setting, since: Millis, until: Millis) -> list[Turn]:
        """Fold the stored facts with other rules, and list the steps at which the two part.

        Raises:
            UnknownInstance: nothing was ever recorded of it.
        """
        with self._store.reading() as reading:
            if instance_id not in reading.last_seqs([instance_id]):
                raise UnknownInstance(instance_id)
            own = self._decided(reading, instance_id, self._setting, since, until)
            others = self._decided(reading, instance_id, other, since, until)
        turns = []
        for at in sorted({*own, *others}):
            decided, instead = own.get(at), others.get(at)
            if decided is None or instead is None or decided.outcome != instead.outcome:
                turns.append(Turn(at, decided, instead))
        return turns

    def _decided(
        self, reading: HealthReading, instance_id: str, setting: Setting, since: Millis, until: Millis
    ) -> dict[Millis, Decision]:
        bounds = Bounds(reading.last_seqs([instance_id])[instance_id], 0, until)
        return {
            change.after.at: decide.of_change(instance_id, change, bounds, setting)
            for change in fold_all(reading, instance_id, until, setting).changes
            if change.after.at >= since
        }

    def _replayed(self, reading: HealthReading, decision: Decision) -> Replayed:
        if decision.rule_set != self._setting.rule_set:
            other = Difference("ruleSet", decision.rule_set, self._setting.rule_set)
            return Replayed(decision, (other,))
        setting = self._setting_of(decision)
        known = Known(decision.seq, decision.actions)
        at, instance_id = decision.evaluated_at, decision.instance_id
        bounds = Bounds(decision.seq, decision.actions, decision.recorded_at)
        state, change = step_at(reading, instance_id, at, setting, known)
        if change is None or decision.asked:
            again = decide.at_rest(instance_id, state, at, decision.reason, bounds, setting)
            if decision.asked and decision.reason is EvaluationReason.CRON:
                # Stored when the setting changed: its `before` is what the one before had made of the facts.
                again = again._replace(before=decision.before)
        else:
            again = decide.of_change(instance_id, change, bounds, setting)
        differences = tuple(_differences(decision, decide.with_evidence(reading, again)))
        if differences:
            _check_provable(reading, decision, setting)
        return Replayed(decision, differences)

    def _or_past(self, reading: HealthReading, decision: Decision) -> Replayed:
        try:
            return self._replayed(reading, decision)
        except PastRetention:
            return Replayed(decision, (), past=True)

    def _setting_of(self, decision: Decision) -> Setting:
        stated = setting_of(
            decision.window_ms, latency_rules=decision.latency_rules, rules=self._setting.rules
        )
        return self._settings.setdefault(stated.id, stated)


def _check_provable(reading: HealthReading, decision: Decision, setting: Setting) -> None:
    """Refuse to call a decision different where its facts are behind an edge that other settings folded."""
    base = reading.base(decision.instance_id)
    if base is not None and base.setting != setting.id and decision.seq <= base.seq:
        raise PastRetention(decision.instance_id)


def _differences(stored: Decision, again: Decision) -> Iterator[Difference]:
    for name in _COMPARED:
        yield from _compare(camel(name), plain(getattr(stored, name)), plain(getattr(again, name)))


def _compare(path: str, stored: object, again: object) -> Iterator[Difference]:
    if isinstance(stored, dict) and isinstance(again, dict):
        for key in stored | again:
            yield from _compare(f"{path}.{key}", stored.get(key), again.get(key))
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        for index, (old, new) in enumerate(zip(stored, again, strict=True)):
            yield from _compare(f"{path}[{index}]", old, new)
    elif stored != again:
        yield Difference(path, stored, again)

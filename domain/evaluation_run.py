"""One evaluation inside its transaction: resume each instance, fold all, decide, and give the rows."""

from collections.abc import Mapping, Sequence
from typing import Final

from domain import decide
from domain.decide import Bounds
from domain.decision import Decision
from domain.decision_text import to_row
from domain.errors import UnknownInstance
from domain.evaluation_task import Task, aim, begin
from domain.fold import fold
from domain.fold_on import fold_on
from domain.fold_state import Change, Folded, FoldState, Setting, keep, to_text
from domain.fold_supply import supply
from domain.health import preview_of, view_of
from domain.health_ports import Checkpoint, Evaluating, Fact, OperatorAction, SavedState, Span
from domain.resume import LiveFolds, saved_to_text
from domain.signal import TIME_MAX
from domain.words import ActionKind, EvaluationReason, Millis

LOOK_MS: Final[Millis] = 60_000
"""While facts are inside the rolling window it is looked at this often for one that leaves."""


class Run:
    """One evaluation of several instances, in the transaction that has locked them."""

    def __init__(self, evaluating: Evaluating, lives: LiveFolds, setting: Setting, now: Millis) -> None:
        self._evaluating = evaluating
        self._lives = lives
        self._setting = setting
        self._now = now
        self.tasks: list[Task] = []

    def evaluate(
        self,
        ids: Sequence[str],
        arrived: Mapping[str, Sequence[Fact]],
        action: OperatorAction | None = None,
    ) -> None:
        """Fold all to now, and decide."""
        self.tasks = begin(self._evaluating, ids, arrived, action, self._lives, self._setting, self._now)
        for task in self.tasks:
            aim(self._evaluating, task, action, self._setting)
        self._fold_all()
        for task in self.tasks:
            self._decide(task)

    def check_known(self, instance_id: str) -> None:
        """Refuse an instance of which nothing was ever recorded.

        Raises:
            UnknownInstance: so it is.
        """
        if instance_id not in self._evaluating.last_seqs([instance_id]):
            raise UnknownInstance(instance_id)

    def settle(self, instance_id: str) -> None:
        """Explain a changed setting first, where none was since: an act is decided on what holds now."""
        saved = self._evaluating.saved([instance_id]).get(instance_id)
        if saved is not None and saved.setting != self._setting.id:
            self.evaluate([instance_id], {})
            self.store()

    def add_action(self, instance_id: str, kind: ActionKind) -> OperatorAction:
        """Record what an operator does now; actions of one millisecond are applied in this order.

        One is never dated before an earlier one, whoever's clock is behind.
        """
        saved = self._evaluating.saved([instance_id]).get(instance_id)
        number, at = (1, self._now) if saved is None else (saved.actions + 1, max(self._now, saved.at))
        action = OperatorAction(instance_id, f"{number:08}-{kind}", number, kind, at)
        return self._evaluating.add_action(action)

    def ask(self, task: Task, reason: EvaluationReason) -> Decision:
        """Decide on request how an instance stands now; not before the last step that is known."""
        asked = decide.at_rest(
            task.instance_id, task.state, task.until, reason, self.bounds(task), self._setting
        )
        asked = decide.with_evidence(self._evaluating, asked)
        task.decisions.append(asked)
        return asked

    def bounds(self, task: Task) -> Bounds:
        """Give what this evaluation knows of an instance."""
        return Bounds(task.seq, task.actions, self._now)

    def store(self) -> dict[str, SavedState]:
        """Write decisions, checkpoints and states; give the states by instance."""
        saved = [self._saved(task) for task in self.tasks]
        decisions = [to_row(made) for task in self.tasks for made in task.decisions]
        if decisions:
            self._evaluating.add_decisions(decisions)
        for task in self.tasks:
            if (stale_from := task.stale_from) is not None:
                self._evaluating.drop_checkpoints(task.instance_id, stale_from)
        checkpoints = [
            Checkpoint(
                task.instance_id, state.at, False, task.seq, task.actions, self._setting.id, to_text(state)
            )
            for task in self.tasks
            for state in task.folded.commits
        ]
        if checkpoints:
            self._evaluating.add_checkpoints(checkpoints)
        self._evaluating.save(saved)
        return {row.instance_id: row for row in saved}

    def _fold_all(self) -> None:
        """Fold every instance; the first part of each shares its queries with all others."""
        moves = [task.move() for task in self.tasks]
        supplied = supply(
            self._evaluating, moves, self._setting.window_ms, latency_rules=self._setting.latency_rules
        )
        for task, move in zip(self.tasks, moves, strict=True):
            material, until = supplied[task.instance_id]
            until = max(until, move.passed)
            task.folded = fold(task.start.state, material, until, self._setting)
            if until < task.until:
                rest = move._replace(state=task.folded.state, passed=until, entering=None)
                task.folded = _joined(task.folded, fold_on(self._evaluating, rest, self._setting))

    def _decide(self, task: Task) -> None:
        since = task.decides_from
        if task.switched:
            self._decide_switch(task)
            return
        changes = {change.after.at: change for change in task.folded.changes if change.after.at >= since}
        old: dict[Millis, list[Decision]] = {}
        if task.new_from is not None and task.new_from <= task.held.decided_at:
            for decision in decide.effective_since(self._evaluating, task.instance_id, task.new_from):
                old.setdefault(decision.evaluated_at, []).append(decision)
        for at in sorted({*changes, *old}):
            for decision in self._at(task, changes.get(at), at, old.get(at, [])):
                task.decisions.append(decide.with_evidence(self._evaluating, decision))

    def _at(self, task: Task, change: Change | None, at: Millis, old: Sequence[Decision]) -> list[Decision]:
        """Give the decisions about one instant that are new, or differ from the stored ones."""
        made: list[Decision] = []
        bounds = self.bounds(task)
        of_step = (
            None if change is None else decide.of_change(task.instance_id, change, bounds, self._setting)
        )
        if of_step is not None and all(decision.asked for decision in old):
            made.append(of_step)
        for decision in old:
            if of_step is not None and not decision.asked:
                if of_step.content != decision.content:
                    made.append(decide.correcting(of_step, decision, self._setting))
                continue
            state = self._state_at(task, at)
            now = decide.at_rest(task.instance_id, state, at, decision.reason, bounds, self._setting)
            # Receipts are almost always a little late: an answer that was asked for stays as long as nobody
            # would act differently on a new one, else each request would store two rows (docs/adr/0015).
            if now.outcome != decision.outcome if decision.asked else now.content != decision.content:
                made.append(decide.correcting(now, decision, self._setting))
        return made

    def _decide_switch(self, task: Task) -> None:
        """Explain what another setting makes of the same facts: one decision, dated now."""
        before = view_of(task.held.state, task.until, self._setting)
        decision = decide.at_rest(
            task.instance_id, task.state, task.until, EvaluationReason.CRON, self.bounds(task), self._setting
        )
        if decision.after != before:
            decision = decision._replace(before=before)
            task.decisions.append(decide.with_evidence(self._evaluating, decision))

    def _state_at(self, task: Task, at: Millis) -> FoldState:
        """Fold to a time; asked in ascending order, each goes on from where the last one came to."""
        move = task.move() if task.walked is None else task.walked
        move = move._replace(until=at, entering=None)
        state = fold_on(self._evaluating, move, self._setting).state
        task.walked = move._replace(state=state, passed=max(at, move.passed))
        return state

    def _saved(self, task: Task) -> SavedState:
        state = task.state
        future_at = self._future_at(task)
        decided_at = max([task.held.decided_at, *(made.evaluated_at for made in task.decisions)])
        version = 1 if task.saved is None else task.saved.version + 1
        held = task.held._replace(state=state, future_at=future_at, decided_at=decided_at)
        kept = self._lives.joined(task.kept, task.start.state.at + 1, task.folded.kept, self._now)
        self._lives.put(task.instance_id, version, held, kept)
        return SavedState(
            task.instance_id,
            state.at,
            task.seq,
            task.actions,
            self._due_at(state, future_at),
            version,
            self._setting.id,
            saved_to_text(held),
            preview_of(state, self._now, self._setting),
        )

    def _future_at(self, task: Task) -> Millis | None:
        """Give the date of the earliest fact that still waits in the future."""
        dates = [fact.occurred_at for fact in task.new if fact.occurred_at > task.until]
        held = task.held.future_at
        if held is not None and held > task.until:
            dates.append(held)
        elif held is not None or task.switched or task.saved is None:
            span = Span(task.instance_id, task.until + 1, TIME_MAX, task.seq)
            dates += [fact.occurred_at for fact in self._evaluating.facts([span], 1)]
        return min(dates, default=None)

    def _due_at(self, state: FoldState, future_at: Millis | None) -> Millis | None:
        """Give the next step by time; while facts are in the window, at most `LOOK_MS` from now."""
        times = [] if future_at is None else [future_at]
        if state.point_opened_at is not None:
            times.append(state.point_opened_at + self._setting.window_ms)
        ends_at = state.cooldown.ends_at(self._setting.rules)
        if ends_at is not None and ends_at > self._now:
            times.append(ends_at)
        if any(state.rolling):
            times.append(self._now + LOOK_MS)
        return min(times, default=None)


def _joined(first: Folded, second: Folded) -> Folded:
    for state in second.kept:
        keep(first.kept, state)
    return Folded(
        second.state, first.kept, [*first.changes, *second.changes], [*first.commits, *second.commits]
    )

"""One instance on the workbench of an evaluation: what is known, what is new, where to resume.

nothing new is dated up to the saved state   go on from there, with the new facts at hand
something new is                             go back to a kept state before it, read the facts since
another setting saved it                     go back to a checkpoint of this setting, or to the base
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.decision import Decision
from domain.fold_state import NEVER, Folded, FoldState, Setting
from domain.fold_supply import Move
from domain.health_ports import Evaluating, Fact, OperatorAction, SavedState
from domain.resume import LiveFolds, SavedFold, Start, before_in, saved_from_text, start_before
from domain.signal import TIME_MAX
from domain.words import Millis

ARRIVALS_MAX: Final = 5_000
"""Facts taken by one evaluation of an instance; what is left is taken by the next one."""


@dataclass(slots=True)
class Task:
    """One instance.

    Attributes:
        saved: its row, None when it was never evaluated.
        held: what the row holds.
        kept: states in memory to go back to.
        new: facts that arrived behind the row.
        seq, actions: arrival bounds of this evaluation.
        until: how far it folds: to now, but never less far than it was folded. Clocks of several sidecars
            differ, and one may be set back: a fact that was due by one clock does not wait again by another.
        start: where it resumes from.
        new_from: date of the earliest new fact or action, None: there is none. Decisions dated from it on may
            be wrong now: also one that was asked for behind the last step, where nothing is folded again.
        late_from: the same, where it lies in the folded past, else None.
        switched: another setting saved the row.
        entering: all facts behind `start`, when they are at hand.
        walked: how far it was folded again, to look at older answers.
        folded: outcome of the fold.
        decisions: to be stored.
    """

    instance_id: str
    saved: SavedState | None
    held: SavedFold
    kept: Sequence[FoldState]
    new: list[Fact]
    seq: int
    actions: int
    until: Millis
    start: Start
    new_from: Millis | None = None
    late_from: Millis | None = None
    switched: bool = False
    entering: list[Fact] | None = None
    walked: Move | None = None
    folded: Folded = field(default_factory=lambda: Folded(FoldState(), [], [], []))
    decisions: list[Decision] = field(default_factory=list)

    @property
    def state(self) -> FoldState:
        """The state behind all steps."""
        return self.folded.state

    @property
    def decides_from(self) -> Millis:
        """The first instant whose decisions this evaluation may add or change."""
        return self.held.state.at + 1 if self.late_from is None else self.late_from

    @property
    def stale_from(self) -> Millis | None:
        """From when on a checkpoint may lack a fact: of this evaluation, or of one to come. None: nowhere.

        Checkpoints of a setting never lie behind its own last step, so a fact that is late for them is late
        for its state too. Those of another setting may: they end where this one's steps end.
        """
        if not self.switched:
            return self.late_from
        behind = self.state.at + 1
        return behind if self.new_from is None else min(behind, self.new_from)

    def move(self) -> Move:
        """Give the fold's way to go."""
        move = self.start.move(self.instance_id, self.until, seq_max=self.seq, actions_max=self.actions)
        return move._replace(entering=self.entering)


def begin(
    evaluating: Evaluating,
    ids: Sequence[str],
    arrived: Mapping[str, Sequence[Fact]],
    action: OperatorAction | None,
    lives: LiveFolds,
    setting: Setting,
    now: Millis,
) -> list[Task]:
    """Put instances on the workbench; facts that are not at hand without a hole are read."""
    saved = evaluating.saved(ids)
    behind = {}
    for instance_id in ids:
        seq = saved[instance_id].seq if instance_id in saved else 0
        facts = arrived.get(instance_id, ())
        if not facts or facts[0].seq != seq + 1:
            behind[instance_id] = seq
    missed: dict[str, list[Fact]] = {}
    for fact in evaluating.arrivals(behind, ARRIVALS_MAX) if behind else ():
        missed.setdefault(fact.instance_id, []).append(fact)
    tasks = []
    for instance_id in ids:
        new = missed.get(instance_id, []) if instance_id in behind else list(arrived[instance_id])
        row = saved.get(instance_id)
        tasks.append(_task(evaluating, instance_id, row, new, action, lives, setting, now))
    return tasks


def aim(evaluating: Evaluating, task: Task, action: OperatorAction | None, setting: Setting) -> None:
    """Find out where to resume, and whether the new facts are all that enters."""
    dates = [fact.occurred_at for fact in task.new] + ([] if action is None else [action.at])
    task.new_from = min(dates, default=None)
    if task.saved is not None and task.saved.setting != setting.id:
        task.switched = True
        before = TIME_MAX if task.new_from is None else task.new_from
        task.start = start_before(evaluating, task.instance_id, before, setting)
        task.kept = ()
        return
    if task.new_from is not None and task.new_from <= task.held.state.at:
        _go_back(evaluating, task, task.new_from, setting)
    waiting = task.held.future_at is not None and task.held.future_at <= task.until
    if task.late_from is None and not waiting:
        task.entering = [fact for fact in task.new if fact.occurred_at <= task.until]


def _task(
    evaluating: Evaluating,
    instance_id: str,
    saved: SavedState | None,
    new: list[Fact],
    action: OperatorAction | None,
    lives: LiveFolds,
    setting: Setting,
    now: Millis,
) -> Task:
    seq = max((fact.seq for fact in new), default=0)
    acted = 0 if action is None else action.seq
    if saved is None:
        start = start_before(evaluating, instance_id, 0, setting)
        held = SavedFold(start.state, None, NEVER, start.horizon, start.horizon_seq)
        return Task(instance_id, None, held, (), new, seq, acted, now, start)
    live = lives.get(instance_id, saved.version)
    held = saved_from_text(saved.state) if live is None else live.saved
    return Task(
        instance_id,
        saved,
        held,
        () if live is None else live.kept,
        [fact for fact in new if fact.occurred_at > held.horizon],
        max(seq, saved.seq),
        max(acted, saved.actions),
        max(now, held.state.at),
        held.start(),
    )


def _go_back(evaluating: Evaluating, task: Task, late_from: Millis, setting: Setting) -> None:
    task.late_from = late_from
    state = before_in(task.kept, late_from)
    if state is None:
        task.start = start_before(evaluating, task.instance_id, late_from, setting)
    else:
        task.start = task.held.start(state)

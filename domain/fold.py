"""The fold: the reputation at a time as a pure function of dated facts and operator actions.

Theory of operation (design section 3, "The fold"). A step is a millisecond at which something happens: facts
or actions are dated, a fact leaves the rolling window, the point window ends, a cooldown's hour ends. Order
inside a step: facts leave; point window ends; facts enter; actions, by id; cooldown; lifecycle. Between two
steps nothing changes, so how often one looks cannot matter.

A `Folding` is the workbench of one move from a state over a material to a later time. It gives the new state,
the states on the way (to resume from when a late fact comes), and the steps that changed something.
"""

from collections.abc import Callable, Sequence
from typing import Final

from domain.connection import CONNECTION_OF
from domain.cooldown import at_step
from domain.evaluation import evaluate
from domain.fold_material import Entry, Material
from domain.fold_state import Change, Ended, Folded, FoldState, Setting, initial, keep, standing
from domain.reputation import is_at_risk
from domain.rest import SEEN
from domain.snapshot import (
    COUNTED,
    EMPTY,
    ESTABLISHED,
    KIND_OF,
    REACTION,
    REPLIED,
    SENT,
    from_counts,
    measure,
)
from domain.words import ActionKind, Connection, CooldownReason, Millis, TemperatureLevel

_LATE: Final[Millis] = 1 << 62

_CONNECTION_OF: Final = {KIND_OF[kind]: state for kind, state in CONNECTION_OF.items()}
_PROOF_OF_LIFE: Final = frozenset({SENT, REACTION, ESTABLISHED})
"""Facts that end CREATED: the first connection or successful send."""


def fold(state: FoldState, material: Material, until: Millis, setting: Setting) -> Folded:
    """Move a state over all steps up to and including `until`."""
    return Folding(state, material, setting).run(until)


class Folding:
    """One move of one instance's fold."""

    def __init__(self, state: FoldState, material: Material, setting: Setting) -> None:
        self._window_ms, self._rules = setting.window_ms, setting.rules
        self._material = material
        self._rest_table = setting.rest
        self._condition: CooldownReason | None = None
        self._stale = True
        self._stay_ms = self._rules.cooldown_stay_ms
        self._at = state.at
        self._score = state.score
        self._level = state.level
        self._cooldown = state.cooldown
        self._floor = state.floor
        self._rolling = list(state.rolling)
        self._opened_at = state.point_opened_at
        self._point = list(state.point)
        self._human_at = state.last_human_at
        self._settled_human_at = state.settled_human_at
        self._stage = state.stage
        self._connection = state.connection
        self._state = state
        self._ended: list[Ended] = []

    def run(self, until: Millis) -> Folded:
        """Do the steps."""
        leaving, entering, _, actions = self._material
        gone, came, done = self._first_leaving(leaving), 0, 0
        kept: list[FoldState] = []
        changes: list[Change] = []
        commits: list[FoldState] = []
        width = self._window_ms + 1
        while True:
            at = min(
                leaving[gone].at + width if gone < len(leaving) else _LATE,
                entering[came].at if came < len(entering) else _LATE,
                actions[done].at if done < len(actions) else _LATE,
                self._next_by_time(),
            )
            if at > until or at == _LATE:
                return Folded(self._state, kept, changes, commits)
            self._at = at
            self._ended.clear()
            while gone < len(leaving) and leaving[gone].at + width == at:
                self._leave(leaving[gone])
                gone += 1
            if self._opened_at is not None and at >= self._opened_at + self._window_ms:
                self._end_point_window()
            first = came
            while came < len(entering) and entering[came].at == at:
                self._enter(entering[came])
                came += 1
            acted = done
            while done < len(actions) and actions[done].at == at:
                self._act(actions[done].kind)
                done += 1
            while gone < len(leaving) and leaving[gone].at <= self._floor:
                gone += 1
            self._rest()
            self._live()
            after = self._freeze()
            if self._changed(after) or done > acted:
                ids = tuple(action.id for action in actions[acted:done])
                changes.append(Change(self._state, after, tuple(self._ended), ids, came > first))
            if self._ended:
                commits.append(after)
            self._state = after
            keep(kept, after)

    def _first_leaving(self, leaving: Sequence[Entry]) -> int:
        """Skip what left before, or lies on or before the floor."""
        bound = max(self._at - self._window_ms, self._floor + 1)
        return next((index for index, entry in enumerate(leaving) if entry.at >= bound), len(leaving))

    def _next_by_time(self) -> Millis:
        """Give the next step that time alone brings."""
        ends = _LATE if self._opened_at is None else self._opened_at + self._window_ms
        started_at = self._cooldown.started_at
        if started_at is not None and self._at < started_at + self._stay_ms:
            return min(ends, started_at + self._stay_ms)
        return ends

    def _leave(self, entry: Entry) -> None:
        at, kind, message_id, latency_ms = entry
        reports = self._material.reports.get((kind, message_id))
        following = reports.after(at) if reports else None
        if following is None or following[0] >= self._at:
            self._rolling[kind] -= 1
            self._stale |= kind in SEEN
        elif following[1] >= 0:  # the message stays by its next report, which now gives the latency
            measure(self._rolling, kind, following[1], 1)
            self._stale = True
        if latency_ms >= 0:
            measure(self._rolling, kind, latency_ms, -1)
            self._stale = True

    def _enter(self, entry: Entry) -> None:
        at, kind, message_id, latency_ms = entry
        reports = self._material.reports.get((kind, message_id))
        previous = reports.before(at) if reports else None
        if previous is None or previous < at - self._window_ms or previous <= self._floor:
            self._rolling[kind] += 1
            self._stale |= kind in SEEN
            if latency_ms >= 0:
                measure(self._rolling, kind, latency_ms, 1)
        if self._opened_at is None and kind <= COUNTED:
            self._opened_at = at
        if self._opened_at is not None and (previous is None or previous < self._opened_at):
            self._point[kind] += 1
            if latency_ms >= 0:
                measure(self._point, kind, latency_ms, 1)
        if kind == REPLIED:
            self._human_at = at
        self._connect(kind)

    def _connect(self, kind: int) -> None:
        if self._stage.banned:
            return
        if kind in _PROOF_OF_LIFE:
            if not self._stage.active:
                self._stage = self._stage._replace(active=True)
            if self._connection is Connection.UNKNOWN:
                self._connection = Connection.CONNECTED
        state = _CONNECTION_OF.get(kind)
        if state is not None:
            self._connection = state

    def _end_point_window(self) -> None:
        """Let the open point window score, once."""
        if self._opened_at is None:
            return
        counts = tuple(self._point)
        evaluated = evaluate(self._score, self._settled_human_at, from_counts(counts), self._at, self._rules)
        self._ended.append(Ended(self._opened_at, self._at, counts, evaluated))
        self._score, self._level = evaluated.score, evaluated.level
        self._drop_point_window()

    def _drop_point_window(self) -> None:
        self._opened_at = None
        self._stale = True
        self._point = list(EMPTY)
        self._settled_human_at = self._human_at

    def _begin_windows_behind_now(self) -> None:
        self._floor = self._at
        self._stale = True
        self._rolling = list(EMPTY)

    def _act(self, kind: ActionKind) -> None:
        _ACTIONS[kind](self)

    def enter_cooldown(self) -> None:
        """Operator: rest, by MANUAL_INTERVENTION (the fold, 10)."""
        self._cooldown = self._cooldown.entered(CooldownReason.MANUAL_INTERVENTION, self._at)

    def leave_cooldown(self) -> None:
        """Operator: the open point window ends, a score too low to leave is lifted, windows begin anew."""
        if self._cooldown.reason is None:
            return
        self._end_point_window()
        self._begin_windows_behind_now()
        if self._rest_table.rule(EMPTY, self._score) is not None:
            self._score, self._level = self._rules.score_initial, TemperatureLevel.COLD
        self._cooldown = self._cooldown.left()

    def reinitialise(self) -> None:
        """Operator: back to a new reputation; what was counted so far is forgotten, what happened is not."""
        self._drop_point_window()
        self._begin_windows_behind_now()
        new = initial(self._rules)
        self._score, self._level, self._cooldown = new.score, new.level, new.cooldown

    def ban(self) -> None:
        """Operator: final."""
        self._stage = self._stage._replace(banned=True)
        self._connection = Connection.DISCONNECTED

    def _rest(self) -> None:
        if self._stale:
            rule = self._rest_table.rule(self._rolling, self._score)
            self._condition = None if rule is None else rule.reason
            self._stale = False
        if self._condition is not None or self._cooldown.reason is not None:
            self._cooldown = at_step(self._cooldown, self._condition, self._at, self._rules)

    def _live(self) -> None:
        """Step the lifecycle (rules.md section 13; the fold, 12)."""
        stage = self._stage
        if stage.banned:
            return
        if self._cooldown.reason is not None:
            if not stage.resting:
                self._stage = stage._replace(resting=True)
        elif stage.resting:
            now = standing(self._freeze(), self._at, self._rules)
            if not is_at_risk(now.reputation, self._rules):
                self._stage = stage._replace(resting=False)

    def _freeze(self) -> FoldState:
        return FoldState(
            self._at,
            self._score,
            self._level,
            self._cooldown,
            self._floor,
            tuple(self._rolling),
            self._opened_at,
            tuple(self._point),
            self._human_at,
            self._settled_human_at,
            self._stage,
            self._connection,
        )

    def _changed(self, after: FoldState) -> bool:
        before = self._state
        return (
            any(ended.evaluation.findings for ended in self._ended)
            or before.score != after.score
            or before.level is not after.level
            or before.cooldown != after.cooldown
            or before.stage != after.stage
        )


_ACTIONS: Final[dict[ActionKind, Callable[[Folding], None]]] = {
    ActionKind.ENTER_COOLDOWN: Folding.enter_cooldown,
    ActionKind.LEAVE_COOLDOWN: Folding.leave_cooldown,
    ActionKind.REINITIALISE: Folding.reinitialise,
    ActionKind.BAN: Folding.ban,
}

"""The fold written down again, literally and slowly: every step recounts its windows from all facts.

It shares the rule tables and the evaluation with the domain, and nothing of how the fold moves.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.cooldown import Cooldown
from domain.evaluation import evaluate, evaluate_window, measures
from domain.fact import Fact
from domain.fold_material import Entry, entries_of
from domain.fold_state import FoldState, standing
from domain.health_ports import OperatorAction
from domain.lifecycle import Stage
from domain.reputation import is_at_risk
from domain.rules import RULES
from domain.snapshot import (
    CONN_ERROR,
    COUNTED,
    DISCONNECT,
    EMPTY,
    ESTABLISHED,
    QRCODE,
    REACTION,
    REPLIED,
    SENT,
    Counts,
    from_counts,
    measure,
)
from domain.words import ActionKind, Connection, CooldownReason, Millis, TemperatureLevel

HOUR_MS = 3_600_000


class World(NamedTuple):
    """All there is to know of an instance."""

    facts: Sequence[Fact]
    actions: Sequence[OperatorAction] = ()
    window_ms: int = 1_800_000
    sent: dict[str, Millis] | None = None


def recount(entries: Sequence[Entry], since: Millis, until: Millis) -> Counts:
    """Count what is inside a window, each message once a kind, by its first report."""
    counts = list(EMPTY)
    seen = set()
    for entry in sorted(entries):
        if not since <= entry.at <= until or (entry.kind, entry.message_id) in seen:
            continue
        if entry.message_id:
            seen.add((entry.kind, entry.message_id))
        counts[entry.kind] += 1
        if entry.latency_ms >= 0:
            measure(counts, entry.kind, entry.latency_ms, 1)
    return tuple(counts)


class Oracle:
    """Replays a world from its first step."""

    def __init__(self, world: World) -> None:
        self.entries = entries_of(world.facts, world.sent)
        self.actions = sorted(world.actions, key=lambda action: (action.at, action.id))
        self.window_ms = world.window_ms
        self.state = FoldState()
        self.history: list[FoldState] = []

    def run(self, until: Millis) -> FoldState:
        """Do every step up to `until`."""
        while (at := self._next()) is not None and at <= until:
            self._step(at)
            self.history.append(self.state)
        return self.state

    def _next(self) -> Millis | None:
        state, now = self.state, self.state.at
        times = [entry.at for entry in self.entries]
        times += [e.at + self.window_ms + 1 for e in self.entries if e.at > state.floor]
        times += [action.at for action in self.actions]
        if state.point_opened_at is not None:
            times.append(state.point_opened_at + self.window_ms)
        if state.cooldown.started_at is not None:
            times.append(state.cooldown.started_at + HOUR_MS)
        return min((at for at in times if at > now), default=None)

    def _step(self, at: Millis) -> None:
        state = self.state._replace(at=at)
        if state.point_opened_at is not None and at >= state.point_opened_at + self.window_ms:
            state = self._ended(state, at)
        here = [entry for entry in self.entries if entry.at == at]
        if state.point_opened_at is None and any(entry.kind <= COUNTED for entry in here):
            state = state._replace(point_opened_at=at)
        state = self._counted(state, at)
        for entry in here:
            state = self._lived(state, entry)
        for action in self.actions:
            if action.at == at:
                state = self._counted(self._acted(state, action.kind, at), at)
        state = self._rested(state, at)
        self.state = self._staged(state, at)

    def _counted(self, state: FoldState, at: Millis) -> FoldState:
        rolling = recount(self.entries, max(at - self.window_ms, state.floor + 1), at)
        opened = state.point_opened_at
        return state._replace(
            rolling=rolling, point=EMPTY if opened is None else recount(self.entries, opened, at)
        )

    def _ended(self, state: FoldState, at: Millis) -> FoldState:
        given = evaluate(state.score, state.settled_human_at, from_counts(state.point), at)
        return state._replace(
            score=given.score,
            level=given.level,
            point_opened_at=None,
            point=EMPTY,
            settled_human_at=state.last_human_at,
        )

    def _lived(self, state: FoldState, entry: Entry) -> FoldState:
        if entry.kind == REPLIED:
            state = state._replace(last_human_at=entry.at)
        if state.stage.banned:
            return state
        if entry.kind in (SENT, REACTION, ESTABLISHED):
            state = state._replace(stage=state.stage._replace(active=True))
            if state.connection is Connection.UNKNOWN:
                state = state._replace(connection=Connection.CONNECTED)
        moved = {
            ESTABLISHED: Connection.CONNECTED,
            DISCONNECT: Connection.DISCONNECTED,
            CONN_ERROR: Connection.ERROR,
            QRCODE: Connection.QRCODE,
        }.get(entry.kind)
        return state if moved is None else state._replace(connection=moved)

    def _acted(self, state: FoldState, kind: ActionKind, at: Millis) -> FoldState:
        cooldown = state.cooldown
        match kind:
            case ActionKind.ENTER_COOLDOWN if cooldown.reason is None:
                entered = Cooldown(cooldown.entries + 1, CooldownReason.MANUAL_INTERVENTION, at)
                return state._replace(cooldown=entered)
            case ActionKind.ENTER_COOLDOWN:
                return state._replace(cooldown=cooldown._replace(reason=CooldownReason.MANUAL_INTERVENTION))
            case ActionKind.LEAVE_COOLDOWN if cooldown.reason is not None:
                if state.point_opened_at is not None:
                    state = self._ended(state, at)
                if state.score < 30:
                    state = state._replace(score=50, level=TemperatureLevel.COLD)
                return state._replace(floor=at, cooldown=Cooldown(cooldown.entries))
            case ActionKind.REINITIALISE:
                return state._replace(
                    score=50,
                    level=TemperatureLevel.COLD,
                    cooldown=Cooldown(),
                    floor=at,
                    point_opened_at=None,
                    settled_human_at=state.last_human_at,
                )
            case ActionKind.BAN:
                banned = state.stage._replace(banned=True)
                return state._replace(stage=banned, connection=Connection.DISCONNECTED)
        return state

    def _rested(self, state: FoldState, at: Millis) -> FoldState:
        window = evaluate_window(measures(from_counts(state.rolling))).cooldown_rule
        condition = window.reason if window else None
        if condition is None and state.score < 30:
            condition = CooldownReason.SCORE_THRESHOLD
        cooldown = state.cooldown
        if condition is not None and cooldown.reason is None:
            cooldown = Cooldown(cooldown.entries + 1, condition, at)
        elif condition is not None and cooldown.reason is not CooldownReason.MANUAL_INTERVENTION:
            cooldown = cooldown._replace(reason=condition)
        elif condition is None and cooldown.started_at is not None and at >= cooldown.started_at + HOUR_MS:
            cooldown = Cooldown(cooldown.entries)
        return state._replace(cooldown=cooldown)

    def _staged(self, state: FoldState, at: Millis) -> FoldState:
        stage: Stage = state.stage
        if not stage.banned:
            if state.cooldown.reason is not None:
                stage = stage._replace(resting=True)
            elif stage.resting and not is_at_risk(standing(state, at, RULES).reputation):
                stage = stage._replace(resting=False)
        return state._replace(stage=stage)

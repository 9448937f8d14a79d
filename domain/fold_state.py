"""What a fold keeps between two steps: one small value, the same however it was reached.

Nothing in it grows with the window, and no clock time is in it (the fold, 16). As text it is what a
checkpoint stores.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from domain.cooldown import Cooldown
from domain.evaluation import Alert, Evaluation, evaluate, verdict_alerts
from domain.lifecycle import Stage
from domain.reputation import Reputation
from domain.rest import RestTable
from domain.rules import RULES, RuleSet, rule_set_id
from domain.snapshot import EMPTY, Counts, from_counts
from domain.words import AlertCode, Connection, CooldownReason, Millis, TemperatureLevel

NEVER: Final[Millis] = -1
"""Before every time."""


class FoldState(NamedTuple):
    """Where the fold of one instance stands after a step.

    Attributes:
        at: time of the step; `NEVER` before the first.
        score, level: of `C`, the reputation after the last ended point window; a new one is COLD.
        cooldown: whether it rests, why, since when, and how often so far.
        floor: both windows begin behind this instant (operator leave, re-initialise, a base).
        rolling: counts of the rolling window, `[at - W, at]`.
        point_opened_at: start of the open point window, None where none is open.
        point: its counts.
        last_human_at: time of the latest reply.
        settled_human_at: the same among the replies of ended point windows (the fold, 6).
        stage, connection: of the instance.
    """

    at: Millis = NEVER
    score: int = RULES.score_initial
    level: TemperatureLevel = TemperatureLevel.COLD
    cooldown: Cooldown = Cooldown()
    floor: Millis = NEVER
    rolling: Counts = EMPTY
    point_opened_at: Millis | None = None
    point: Counts = EMPTY
    last_human_at: Millis | None = None
    settled_human_at: Millis | None = None
    stage: Stage = Stage()
    connection: Connection = Connection.UNKNOWN


INITIAL: Final = FoldState()

KEPT_MAX: Final = 32
"""States kept an instance: enough for one at every doubling of the age, from milliseconds to hours."""

_OF_VERDICT: Final = frozenset({AlertCode.OVERHEATED, AlertCode.COOLDOWN_REQUIRED, AlertCode.SCORE_DEGRADING})
"""Alerts that speak of `C`; all others speak of the rolling window (the fold, 5)."""


class Setting(NamedTuple):
    """What the fold is parameterised with.

    Attributes:
        window_ms: length `W` of both windows.
        latency_rules: delivery latency enters the mean the rules see (the fold, 11).
        rule_set, rest: made of the rules; make settings of other rules with `setting_of`.
    """

    window_ms: int
    rules: RuleSet = RULES
    latency_rules: bool = False
    rule_set: str = rule_set_id(RULES)
    rest: RestTable = RestTable(RULES)

    @property
    def id(self) -> str:
        """Name it: states folded with another setting are not resumed from."""
        return f"{self.rule_set}/{self.window_ms}/{'latency' if self.latency_rules else 'plain'}"


def setting_of(window_ms: int, *, latency_rules: bool = False, rules: RuleSet = RULES) -> Setting:
    """Make a setting."""
    return Setting(window_ms, rules, latency_rules, rule_set_id(rules), RestTable(rules))


def setting_named(name: str, rules: RuleSet = RULES) -> Setting | None:
    """Read a setting's id; None where it was made of other rules than these, or is none."""
    rule_set, _, rest = name.partition("/")
    window_ms, _, switch = rest.partition("/")
    if rule_set != rule_set_id(rules) or not window_ms.isdecimal() or switch not in ("latency", "plain"):
        return None
    return setting_of(int(window_ms), latency_rules=switch == "latency", rules=rules)


class Ended(NamedTuple):
    """A point window that ended: first instant, the instant behind it, its counts, and what they gave."""

    opened_at: Millis
    ended_at: Millis
    counts: Counts
    evaluation: Evaluation


class Change(NamedTuple):
    """A step that changed score, level, cooldown or stage, or ended a point window that gave points.

    Attributes:
        before: state before the step.
        after: state behind it.
        ended: point windows that ended in it: by time, or by an operator.
        actions: ids of the operator actions of the step.
        by_fact: facts entered in this step.
    """

    before: FoldState
    after: FoldState
    ended: tuple[Ended, ...]
    actions: tuple[str, ...]
    by_fact: bool


class Folded(NamedTuple):
    """Outcome of a move.

    Attributes:
        kept: states on the way to resume from, by time, the last one included.
        changes: the steps that changed something.
        commits: states behind each end of a point window.
    """

    state: FoldState
    kept: list[FoldState]
    changes: list[Change]
    commits: list[FoldState]


class Standing(NamedTuple):
    """How an instance stands at a time.

    Attributes:
        reputation: score and level of `C`, trend and alerts as the fold, 5 says.
        rolling: what `C` would become if the rolling window ended now; decides nothing but trend and alerts.
        pending: points of the open point window, which decide nothing yet (the fold, 4).
    """

    reputation: Reputation
    rolling: Evaluation
    pending: int


def initial(rules: RuleSet) -> FoldState:
    """Give the state before the first fact."""
    return INITIAL._replace(score=rules.score_initial)


def standing(state: FoldState, now: Millis, rules: RuleSet) -> Standing:
    """Tell how an instance stands at `now`, which no step separates from the state."""
    snapshot = from_counts(state.rolling)
    rolling = evaluate(state.score, state.settled_human_at, snapshot, now, rules)
    cooldown = state.cooldown
    reputation = Reputation(
        state.score,
        state.level if cooldown.reason is None else TemperatureLevel.COOLDOWN,
        rolling.trend,
        _alerts(state, rolling, rules),
        snapshot,
        now,
        state.last_human_at,
        cooldown.entries,
        cooldown.reason,
        cooldown.started_at,
    )
    return Standing(reputation, rolling, pending_points(state, now, rules))


def pending_points(state: FoldState, now: Millis, rules: RuleSet) -> int:
    """Give what the open point window would change the score by, if it ended now."""
    if state.point_opened_at is None:
        return 0
    ended = evaluate(state.score, state.settled_human_at, from_counts(state.point), now, rules)
    return ended.score - state.score


def _alerts(state: FoldState, rolling: Evaluation, rules: RuleSet) -> tuple[Alert, ...]:
    spoken = {alert.code: alert for alert in rolling.alerts if alert.code not in _OF_VERDICT}
    for alert in verdict_alerts(state.score, state.level, _OF_VERDICT, rules):
        spoken[alert.code] = alert
    return tuple(spoken[row.code] for row in rules.alerts if row.code in spoken)


def to_text(state: FoldState) -> str:
    """Write a state; equal states give equal text."""
    return json.dumps(state, separators=(",", ":"))


def from_text(text: str) -> FoldState:
    """Read a state that `to_text` wrote."""
    return from_values(json.loads(text))


def from_values(values: Sequence[Any]) -> FoldState:
    """Read a state out of parsed text."""
    (at, score, level, cooldown, floor, rolling, opened, point, human, settled, stage, connection) = values
    entries, reason, started_at = cooldown
    return FoldState(
        at,
        score,
        TemperatureLevel(level),
        Cooldown(entries, None if reason is None else CooldownReason(reason), started_at),
        floor,
        tuple(rolling),
        opened,
        tuple(point),
        human,
        settled,
        Stage(*stage),
        Connection(connection),
    )


def rebased(state: FoldState, at: Millis) -> FoldState:
    """Give the base that another window length or rule set folds from: its windows begin behind it."""
    return state._replace(
        floor=at,
        rolling=EMPTY,
        point_opened_at=None,
        point=EMPTY,
        settled_human_at=state.last_human_at,
    )


def keep(kept: list[FoldState], state: FoldState) -> None:
    """Keep a state to resume from; at most `KEPT_MAX` stay for long."""
    kept.append(state)
    if len(kept) > 2 * KEPT_MAX:
        kept[:] = thinned(kept, KEPT_MAX)


def thinned(kept: Sequence[FoldState], most: int) -> list[FoldState]:
    """Give at most `most` of these states, the newest and the oldest included; `most` is at least 3.

    Dense near the newest, ever sparser behind: the gap behind a state is at most a share of its far end's
    age, so that a fact that is late by some time makes the fold go back about twice that time, whether
    seconds or hours.
    """
    share = 0.5
    while len(kept) > most:
        newest = kept[-1].at
        chosen = [kept[-1]]
        for state, older in zip(kept[-2:0:-1], kept[-3::-1], strict=True):
            if chosen[-1].at - older.at > share * (newest - older.at):
                chosen.append(state)
        chosen.append(kept[0])
        if len(chosen) <= most:
            return chosen[::-1]
        share = (1 + share) / 2
    return list(kept)

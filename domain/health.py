"""Health: what an evaluated instance answers (rules.md section 13), and the words a decision states it in."""

from typing import NamedTuple

from domain.decision import SUPPORT, Explained, View
from domain.evaluation import Alert, Finding, finding, measures
from domain.fold_state import FoldState, Setting, Standing, standing
from domain.health_ports import Preview
from domain.lifecycle import allowed_actions
from domain.reputation import can_dispatch, is_at_risk, risk_level, warm_up_phase
from domain.snapshot import KIND_OF, Counts, Snapshot, from_counts
from domain.words import (
    Connection,
    CooldownReason,
    HealthAction,
    HealthEvent,
    Lifecycle,
    Millis,
    RiskLevel,
    TemperatureLevel,
    Trend,
    WarmUpPhase,
)


class Health(NamedTuple):
    """The health response: rules.md section 13, and what our API adds.

    Attributes:
        pending_points: what the open point window would change the score by; decides nothing yet.
        explanation: rules that fire on the rolling window now, then the reason to rest that holds.
        folded_at: time of the last step the answer knows.
    """

    instance_id: str
    at: Millis
    lifecycle: Lifecycle
    connection: Connection
    reputation_score: int
    temperature_level: TemperatureLevel
    trend: Trend
    risk_level: RiskLevel
    alerts: tuple[Alert, ...]
    actions: tuple[HealthAction, ...]
    warm_up_phase: WarmUpPhase
    cooldown_reason: CooldownReason | None
    cooldown_count: int
    cooldown_started_at: Millis | None
    last_human_interaction_at: Millis | None
    pending_points: int
    signals_snapshot: Snapshot
    explanation: tuple[Explained, ...]
    folded_at: Millis | None


def health_of(instance_id: str, state: FoldState, now: Millis, setting: Setting) -> Health:
    """Answer for a state that holds at `now`."""
    now_standing = standing(state, now, setting.rules)
    reputation = now_standing.reputation
    lifecycle = state.stage.lifecycle
    return Health(
        instance_id,
        now,
        lifecycle,
        state.connection,
        reputation.score,
        reputation.level,
        reputation.trend,
        risk_level(reputation, setting.rules),
        reputation.alerts,
        allowed_actions(
            lifecycle,
            state.connection,
            can_dispatch=can_dispatch(reputation),
            at_risk=is_at_risk(reputation, setting.rules),
        ),
        warm_up_phase(reputation, setting.rules),
        reputation.cooldown_reason,
        reputation.cooldown_count,
        reputation.cooldown_started_at,
        reputation.last_human_at,
        now_standing.pending,
        reputation.snapshot,
        explain_now(state, now_standing, now, setting),
        state.at if state.at >= 0 else None,
    )


def view_of(state: FoldState, now: Millis, setting: Setting) -> View:
    """State how an instance stands, for a decision."""
    now_standing = standing(state, now, setting.rules)
    reputation = now_standing.reputation
    return View(
        reputation.score,
        reputation.level,
        reputation.trend,
        risk_level(reputation, setting.rules),
        state.stage.lifecycle,
        state.connection,
        warm_up_phase(reputation, setting.rules),
        reputation.cooldown_reason,
        reputation.cooldown_count,
        reputation.cooldown_started_at,
        reputation.last_human_at,
        now_standing.pending,
        reputation.alerts,
    )


def preview_of(state: FoldState, now: Millis, setting: Setting) -> Preview:
    """Give what an instance list shows."""
    reputation = standing(state, now, setting.rules).reputation
    return Preview(
        reputation.score,
        reputation.level,
        reputation.trend,
        risk_level(reputation, setting.rules),
        state.stage.lifecycle,
        reputation.cooldown_reason,
        reputation.cooldown_started_at,
        reputation.cooldown_count,
        reputation.last_human_at,
        now,
    )


def events_of(before: FoldState, after: FoldState, now: Millis, setting: Setting) -> tuple[HealthEvent, ...]:
    """Tell what a step announces (rules.md section 13)."""
    events = []
    if after.stage.banned:
        return ()
    if after.stage.resting and not before.stage.resting:
        events.append(HealthEvent.ENTERED_COOLDOWN)
    if before.stage.resting and not after.stage.resting:
        events.append(HealthEvent.RECOVERED)
    if is_at_risk(standing(after, now, setting.rules).reputation, setting.rules):
        events.append(HealthEvent.AT_RISK)
    return tuple(events)


def explain_now(state: FoldState, seen: Standing, now: Millis, setting: Setting) -> tuple[Explained, ...]:
    """Give the rules that fire on the rolling window, then the reason to rest that holds."""
    since = max(now - setting.window_ms, state.floor + 1)
    rows = [supported(found, since, now, state.rolling) for found in seen.rolling.findings]
    return (*rows, *explain_rest(state, now, setting))


def explain_rest(state: FoldState, now: Millis, setting: Setting) -> tuple[Explained, ...]:
    """Give the rule behind the reason to rest that holds, if one does."""
    rule = setting.rest.rule(state.rolling, state.score)
    if rule is None:
        return ()
    since = max(now - setting.window_ms, state.floor + 1)
    seen = measures(from_counts(state.rolling)) | {"score": state.score}
    return (supported(finding(rule, seen), since, now, state.rolling),)


def supported(found: Finding, since: Millis, until: Millis, counts: Counts) -> Explained:
    """Put a finding beside the number of signals that support it; ids are read where a row is stored."""
    types = SUPPORT.get(found.measure, ())
    return Explained(found, since, until, (), sum(counts[KIND_OF[kind]] for kind in types))

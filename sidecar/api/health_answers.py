"""Health as the API shows it: snapshot, reputation, decision; numbers and names as the decision used them."""

from msgspec import Struct

from domain.decision import Decision, Explained, View
from domain.evaluation import Alert
from domain.health import Health
from domain.snapshot import Snapshot
from domain.words import (
    AlertCode,
    AlertSeverity,
    Connection,
    CooldownReason,
    EvaluationReason,
    HealthAction,
    HealthEvent,
    Lifecycle,
    Millis,
    RiskLevel,
    TemperatureLevel,
    Trend,
    WarmUpPhase,
)
from sidecar.api.signals import IsoTime
from sidecar.api.times import iso


class SnapshotFields(Struct, frozen=True, rename="camel"):
    """What was counted inside a window (rules.md section 6), and three measures that no rule reads."""

    messages_sent: int
    messages_delivered: int
    messages_read: int
    messages_replied: int
    reactions_sent: int
    messages_blocked: int
    human_interactions: int
    group_interactions: int
    media_messages: int
    text_messages: int
    average_reply_time_in_seconds: float
    average_delivery_latency_ms: float
    delivery_failures: int
    reactions_received: int
    connection_disconnects: int
    qrcode_regenerations: int
    presence_sets: int
    rate_limit_hits: int
    average_send_latency_ms: float
    connection_errors: int
    connections_established: int


class SnapshotAnswer(SnapshotFields, frozen=True, rename="camel"):
    """A snapshot with its window, both ends inclusive."""

    instance_id: str
    since: IsoTime
    until: IsoTime


class AlertAnswer(Struct, frozen=True, kw_only=True):
    """Something an operator should know; `fact` is the number that proves it."""

    code: AlertCode
    severity: AlertSeverity
    message: str
    fact: str | None


class ConditionAnswer(Struct, frozen=True, kw_only=True):
    """One comparison a rule made."""

    measure: str
    op: str
    threshold: float
    observed: float


class RuleAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A rule that fired: its threshold, what was observed, the points it gave, the signals behind it."""

    id: str
    measure: str
    threshold: float
    observed: float
    points: int
    conditions: list[ConditionAnswer]
    since: IsoTime
    until: IsoTime
    signal_ids: list[str]
    signals: int


class StatusAnswer(Struct, frozen=True, kw_only=True):
    """Stage of life and connection."""

    lifecycle: Lifecycle
    connection: Connection


class ReputationAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """The health of an instance at a time (rules.md section 13), with the rules that fire and why."""

    instance_id: str
    at: IsoTime
    status: StatusAnswer
    reputation_score: int
    temperature_level: TemperatureLevel
    trend: Trend
    risk_level: RiskLevel
    alerts: list[AlertAnswer]
    actions: list[HealthAction]
    warm_up_phase: WarmUpPhase
    cooldown_reason: CooldownReason | None
    cooldown_count: int
    cooldown_started_at: IsoTime | None
    last_human_interaction_at: IsoTime | None
    pending_points: int
    signals_snapshot: SnapshotFields
    explanation: list[RuleAnswer]
    folded_at: IsoTime | None
    decision_id: str | None


class ViewAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """How an instance stood before or after a decision."""

    score: int
    temperature_level: TemperatureLevel
    trend: Trend
    risk_level: RiskLevel
    lifecycle: Lifecycle
    connection: Connection
    warm_up_phase: WarmUpPhase
    cooldown_reason: CooldownReason | None
    cooldown_count: int
    cooldown_started_at: IsoTime | None
    last_human_interaction_at: IsoTime | None
    pending_points: int
    alerts: list[AlertAnswer]


class EndedWindowAnswer(Struct, frozen=True, kw_only=True):
    """A point window whose points a decision scored."""

    since: IsoTime
    until: IsoTime
    snapshot: SnapshotFields


class DecisionAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One decision with its evidence; stored once, never changed."""

    id: str
    instance_id: str
    evaluated_at: IsoTime
    recorded_at: IsoTime
    reason: EvaluationReason
    asked: bool
    rule_set: str
    window_ms: int
    latency_rules: bool
    supersedes: str | None
    before: ViewAnswer
    after: ViewAnswer
    snapshot: SnapshotFields
    ended_windows: list[EndedWindowAnswer]
    explanation: list[RuleAnswer]
    signal_ids: list[str]
    events: list[HealthEvent]
    action_ids: list[str]


def _iso_or_none(at: Millis | None) -> str | None:
    return None if at is None else iso(at)


def snapshot_fields(snapshot: Snapshot) -> SnapshotFields:
    """Give a snapshot in the form of the API."""
    return SnapshotFields(*snapshot)


def snapshot_answer(instance_id: str, since: Millis, until: Millis, snapshot: Snapshot) -> SnapshotAnswer:
    """Give a snapshot with its window."""
    return SnapshotAnswer(*snapshot, instance_id=instance_id, since=iso(since), until=iso(until))


def _alerts(alerts: tuple[Alert, ...]) -> list[AlertAnswer]:
    return [AlertAnswer(code=a.code, severity=a.severity, message=a.message, fact=a.fact) for a in alerts]


def _rules(explanation: tuple[Explained, ...]) -> list[RuleAnswer]:
    return [
        RuleAnswer(
            id=row.finding.rule,
            measure=row.finding.measure,
            threshold=row.finding.threshold,
            observed=row.finding.observed,
            points=row.finding.points,
            conditions=[
                ConditionAnswer(
                    measure=condition.measure,
                    op=condition.op.value,
                    threshold=condition.threshold,
                    observed=observed,
                )
                for condition, observed in row.finding.conditions
            ],
            since=iso(row.since),
            until=iso(row.until),
            signal_ids=list(row.signal_ids),
            signals=row.signals,
        )
        for row in explanation
    ]


def reputation_answer(health: Health, decision_id: str | None) -> ReputationAnswer:
    """Give a health in the form of the API."""
    return ReputationAnswer(
        instance_id=health.instance_id,
        at=iso(health.at),
        status=StatusAnswer(lifecycle=health.lifecycle, connection=health.connection),
        reputation_score=health.reputation_score,
        temperature_level=health.temperature_level,
        trend=health.trend,
        risk_level=health.risk_level,
        alerts=_alerts(health.alerts),
        actions=list(health.actions),
        warm_up_phase=health.warm_up_phase,
        cooldown_reason=health.cooldown_reason,
        cooldown_count=health.cooldown_count,
        cooldown_started_at=_iso_or_none(health.cooldown_started_at),
        last_human_interaction_at=_iso_or_none(health.last_human_interaction_at),
        pending_points=health.pending_points,
        signals_snapshot=snapshot_fields(health.signals_snapshot),
        explanation=_rules(health.explanation),
        folded_at=_iso_or_none(health.folded_at),
        decision_id=decision_id,
    )


def _view(view: View) -> ViewAnswer:
    return ViewAnswer(
        score=view.score,
        temperature_level=view.temperature_level,
        trend=view.trend,
        risk_level=view.risk_level,
        lifecycle=view.lifecycle,
        connection=view.connection,
        warm_up_phase=view.warm_up_phase,
        cooldown_reason=view.cooldown_reason,
        cooldown_count=view.cooldown_count,
        cooldown_started_at=_iso_or_none(view.cooldown_started_at),
        last_human_interaction_at=_iso_or_none(view.last_human_interaction_at),
        pending_points=view.pending_points,
        alerts=_alerts(view.alerts),
    )


def decision_answer(decision: Decision) -> DecisionAnswer:
    """Give a decision in the form of the API."""
    return DecisionAnswer(
        id=decision.id,
        instance_id=decision.instance_id,
        evaluated_at=iso(decision.evaluated_at),
        recorded_at=iso(decision.recorded_at),
        reason=decision.reason,
        asked=decision.asked,
        rule_set=decision.rule_set,
        window_ms=decision.window_ms,
        latency_rules=decision.latency_rules,
        supersedes=decision.supersedes,
        before=_view(decision.before),
        after=_view(decision.after),
        snapshot=snapshot_fields(decision.snapshot),
        ended_windows=[
            EndedWindowAnswer(
                since=iso(ended.since), until=iso(ended.until), snapshot=snapshot_fields(ended.snapshot)
            )
            for ended in decision.ended_windows
        ],
        explanation=_rules(decision.explanation),
        signal_ids=list(decision.signal_ids),
        events=list(decision.events),
        action_ids=list(decision.action_ids),
    )

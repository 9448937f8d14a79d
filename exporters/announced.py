"""What is announced besides signals, and readings of a signal that several exporters share."""

from typing import Final, NamedTuple

from domain.decision import Decision
from domain.recorded import RecordedSignal
from domain.words import (
    CooldownReason,
    EvaluationReason,
    Lifecycle,
    Millis,
    RiskLevel,
    SignalType,
    TemperatureLevel,
    Trend,
)

FAILURES: Final = frozenset(
    {SignalType.MESSAGE_FAILED, SignalType.RATE_LIMIT_HIT, SignalType.CONNECTION_ERROR}
)
"""Signals that carry `error.type`."""


class Evaluation(NamedTuple):
    """A stored decision, as it is announced.

    Attributes:
        score_before: None for the first decision of an instance.
        alerts: names of the active alerts.
        rules: ids of the rules that fired.
        supersedes: id of the decision that late facts changed.
    """

    id: str
    instance_id: str
    evaluated_at: Millis
    reason: EvaluationReason
    score: int
    temperature_level: TemperatureLevel
    trend: Trend
    risk_level: RiskLevel
    lifecycle: Lifecycle
    cooldown_reason: CooldownReason | None = None
    score_before: int | None = None
    alerts: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    supersedes: str | None = None


def error_type(signal: RecordedSignal) -> str | None:
    """Name a failure by its code, else its HTTP status, else `other`; None where nothing failed."""
    if signal.type not in FAILURES:
        return None
    context = signal.context
    return str(context.get("code") or context.get("httpStatus") or "other")


def http_status(signal: RecordedSignal) -> int | None:
    """Give the HTTP status the signal's context tells, if it is one."""
    status = signal.context.get("httpStatus")
    if isinstance(status, str) and status.isdecimal() and len(status) == 3:
        status = int(status)
    return status if isinstance(status, int) and 100 <= status <= 599 else None


def evaluation_of(decision: Decision) -> Evaluation:
    """Give what is announced of a decision."""
    after = decision.after
    return Evaluation(
        decision.id,
        decision.instance_id,
        decision.evaluated_at,
        decision.reason,
        after.score,
        after.temperature_level,
        after.trend,
        after.risk_level,
        after.lifecycle,
        after.cooldown_reason,
        decision.before.score,
        tuple(alert.code.value for alert in after.alerts),
        tuple(dict.fromkeys(explained.finding.rule for explained in decision.explanation)),
        decision.supersedes,
    )

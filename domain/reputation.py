"""A reputation: the state an evaluation leaves, and what can be asked of it (rules.md sections 8 and 11)."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from domain.evaluation import Alert, days_since
from domain.rules import RULES, RuleSet
from domain.snapshot import Snapshot
from domain.words import (
    AlertSeverity,
    CooldownReason,
    Millis,
    RiskLevel,
    TemperatureLevel,
    Trend,
    WarmUpPhase,
)

HOT: Final = frozenset({TemperatureLevel.OVERHEATED, TemperatureLevel.COOLDOWN})
"""Levels at which an instance must not send."""

_SERIOUS: Final = frozenset({AlertSeverity.HIGH, AlertSeverity.CRITICAL})


class Reputation(NamedTuple):
    """How an instance stands; new ones are 50, COLD, STABLE.

    Attributes:
        alerts, snapshot: of the latest evaluation; replaced by the next.
        cooldown_count: entries so far; never decreases but by re-initialising.
    """

    score: int = RULES.score_initial
    level: TemperatureLevel = TemperatureLevel.COLD
    trend: Trend = Trend.STABLE
    alerts: tuple[Alert, ...] = ()
    snapshot: Snapshot = Snapshot()
    last_evaluated_at: Millis | None = None
    last_human_at: Millis | None = None
    cooldown_count: int = 0
    cooldown_reason: CooldownReason | None = None
    cooldown_started_at: Millis | None = None


def requires_cooldown(reputation: Reputation, rules: RuleSet = RULES) -> bool:
    """Tell whether the instance must rest."""
    return reputation.score < rules.score_cooldowns[-1].when[0].threshold or reputation.level in HOT


def is_at_risk(reputation: Reputation, rules: RuleSet = RULES) -> bool:
    """Tell whether going on is risky: a low score, a serious alert, or too hot."""
    return reputation.score < rules.at_risk_below or is_serious(reputation.alerts) or reputation.level in HOT


def is_healthy(reputation: Reputation, rules: RuleSet = RULES) -> bool:
    """Tell whether the instance stands well."""
    return reputation.score >= rules.healthy_from and reputation.level not in HOT


def can_dispatch(reputation: Reputation) -> bool:
    """Tell whether the reputation alone allows sending."""
    return reputation.level not in HOT


def risk_level(reputation: Reputation, rules: RuleSet = RULES) -> RiskLevel:
    """Give the risk of going on sending."""
    if reputation.level in HOT:
        return RiskLevel.HIGH
    if reputation.score < rules.at_risk_below or reputation.alerts:
        return RiskLevel.MEDIUM
    return RiskLevel.LOW


def days_since_human_interaction(reputation: Reputation, now: Millis) -> int | None:
    """Give the full days since the last reply; negative for one in the future, None for never."""
    return days_since(reputation.last_human_at, now)


def warm_up_phase(reputation: Reputation, rules: RuleSet = RULES) -> WarmUpPhase:
    """Tell how far the instance is warmed up; the first row that applies (rules.md section 11)."""
    if reputation.level in HOT:
        return WarmUpPhase.OBSERVER
    if _is_untouched(reputation, rules):
        return WarmUpPhase.NEWBORN
    if is_serious(reputation.alerts):
        return WarmUpPhase.OBSERVER
    if reputation.cooldown_count >= rules.newborn_cooldowns:
        return WarmUpPhase.NEWBORN
    return next(row.phase for row in rules.phases if reputation.score < row.score_below)


def is_serious(alerts: Sequence[Alert]) -> bool:
    """Tell whether any alert is HIGH or CRITICAL."""
    return any(alert.severity in _SERIOUS for alert in alerts)


def _is_untouched(reputation: Reputation, rules: RuleSet) -> bool:
    return (
        reputation.last_human_at is None
        and reputation.cooldown_count == 0
        and reputation.snapshot.messages_sent == 0
        and reputation.snapshot.messages_replied == 0
        and reputation.score <= rules.newborn_score_max
    )

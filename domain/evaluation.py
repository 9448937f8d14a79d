"""Evaluation: what the rule tables say about one snapshot (rules.md sections 7 to 9).

Pure functions of numbers; they read no entity and keep nothing. Every conclusion comes with the rows that
led to it and what was observed, so an explanation is the data the decision used.
"""

from decimal import ROUND_HALF_UP, Decimal
from math import floor
from typing import Final, NamedTuple

from domain.rules import (
    DAY_MS,
    RULES,
    WINDOW_ALERTS,
    AlertRule,
    Condition,
    CooldownRule,
    Rule,
    RuleSet,
    holds,
)
from domain.snapshot import Snapshot, to_json
from domain.words import AlertCode, AlertSeverity, Millis, TemperatureLevel, Trend

Measures = dict[str, float]
"""Numbers by the names the tables use."""

_RATES: Final = frozenset({"deliveredRate", "replyRate", "readRate"})


class Alert(NamedTuple):
    """Something an operator should know; `fact` is the number that proves it, as text."""

    code: AlertCode
    severity: AlertSeverity
    fact: str | None = None

    @property
    def message(self) -> str:
        """Say it in one line."""
        return _MESSAGES[self.code].format(self.fact)


class Finding(NamedTuple):
    """One row of the tables that fired: its threshold, what was observed, and the points it gave.

    `observed` and `threshold` are those of the row's first condition, the one the row is about; `conditions`
    lists all of them with what was observed.
    """

    rule: str
    measure: str
    threshold: float
    observed: float
    points: int
    conditions: tuple[tuple[Condition, float], ...]


class WindowEvaluation(NamedTuple):
    """What a window alone says (rules.md section 7)."""

    score_delta: int
    findings: tuple[Finding, ...]
    alerts: tuple[Alert, ...]
    cooldown: Finding | None
    cooldown_rule: CooldownRule | None


class Evaluation(NamedTuple):
    """What a score becomes after a window (rules.md section 8, steps A to F).

    Attributes:
        total: the new score before it is clamped (Q07).
        score: `total` within the bounds.
        window: the window's own evaluation.
        findings: rows that gave points, S rows first.
    """

    total: int
    score: int
    level: TemperatureLevel
    trend: Trend
    alerts: tuple[Alert, ...]
    findings: tuple[Finding, ...]
    window: WindowEvaluation


def measures(snapshot: Snapshot) -> Measures:
    """Derive every measure the tables may name from a snapshot; ratios are IEEE doubles."""
    sent = snapshot.messages_sent
    delivered = snapshot.messages_delivered
    return {
        **to_json(snapshot),
        "deliveredRate": delivered / sent if sent else 0.0,
        "replyRate": snapshot.messages_replied / sent if sent else 0.0,
        "readRate": snapshot.messages_read / delivered if delivered else 0.0,
        "deliveryEvidence": delivered + snapshot.delivery_failures,
        "observations": delivered
        + snapshot.delivery_failures
        + snapshot.messages_read
        + snapshot.messages_replied
        + snapshot.connection_disconnects,
    }


def evaluate_window(seen: Measures, rules: RuleSet = RULES) -> WindowEvaluation:
    """Evaluate a window by its measures; neutral where a guard does not hold."""
    if not holds(rules.window_guards, seen):
        return WindowEvaluation(0, (), (), None, None)
    findings = tuple(finding(rule, seen) for rule in rules.window_rules if holds(rule.when, seen))
    cooldown = window_cooldown(seen, rules)
    return WindowEvaluation(
        sum(found.points for found in findings),
        findings,
        tuple(_alert(rule, seen) for rule in rules.alerts if _of_window(rule) and holds(rule.when, seen)),
        finding(cooldown, seen) if cooldown else None,
        cooldown,
    )


def window_cooldown(seen: Measures, rules: RuleSet = RULES) -> CooldownRule | None:
    """Give the first row of the window's reasons to rest that holds; guards are the caller's."""
    return next((rule for rule in rules.window_cooldowns if holds(rule.when, seen)), None)


def evaluate(
    score: int, last_human_at: Millis | None, snapshot: Snapshot, now: Millis, rules: RuleSet = RULES
) -> Evaluation:
    """Evaluate what a score becomes after a window.

    Args:
        score: the score before, within its bounds.
        last_human_at: latest human interaction *before* this window (NO_HUMAN_INTERACTION).
        snapshot: what the window holds.
        now: the time it is evaluated for.
        rules: the tables.
    """
    seen = measures(snapshot)
    fired = [finding(rule, seen) for rule in rules.score_rules if holds(rule.when, seen)]
    window = evaluate_window(seen, rules)
    total = clamp(score + sum(found.points for found in fired), rules) + window.score_delta
    seen["score"] = total
    seen["pointsDropped"] = score - total
    level = level_of(total, seen["messagesBlocked"], rules)
    seen["overheated"] = level is TemperatureLevel.OVERHEATED
    seen["daysSinceHumanInteraction"] = days_since(last_human_at, now) or 0
    own = tuple(
        _alert(rule, seen) for rule in rules.alerts if not _of_window(rule) and holds(rule.when, seen)
    )
    return Evaluation(
        total,
        clamp(total, rules),
        level,
        _trend(total - score, rules),
        own + window.alerts,
        (*fired, *window.findings),
        window,
    )


def verdict_alerts(
    score: int, level: TemperatureLevel, codes: frozenset[AlertCode], rules: RuleSet = RULES
) -> tuple[Alert, ...]:
    """Give those alerts of `codes` that a score and a level alone raise."""
    seen = {"score": float(score), "overheated": float(level is TemperatureLevel.OVERHEATED)}
    return tuple(_alert(rule, seen) for rule in rules.alerts if rule.code in codes and holds(rule.when, seen))


def finding(rule: Rule | CooldownRule, seen: Measures) -> Finding:
    """Put a row that fired beside what was observed."""
    points = 0
    if isinstance(rule, Rule):
        points = rule.points if rule.per is None else rule.points * int(seen[rule.per])
        points = points if rule.points_max is None else min(points, rule.points_max)
    about = rule.when[0]
    return Finding(
        rule.id,
        about.measure,
        about.threshold,
        seen[about.measure],
        points,
        tuple((condition, seen[condition.measure]) for condition in rule.when),
    )


def level_of(total: float, blocked: float = 0, rules: RuleSet = RULES) -> TemperatureLevel:
    """Give the level of a score, clamped or not; any block overheats."""
    if blocked > 0:
        return TemperatureLevel.OVERHEATED
    return next(row.level for row in rules.levels if total >= row.score_min)


def clamp(score: int, rules: RuleSet = RULES) -> int:
    """Bring a score within its bounds."""
    return max(rules.score_min, min(rules.score_max, score))


def days_since(at: Millis | None, now: Millis) -> int | None:
    """Give the full days since a time, rounded down; None for never."""
    return None if at is None else (now - at) // DAY_MS


def _trend(change: int, rules: RuleSet) -> Trend:
    if change > rules.trend_change:
        return Trend.UP
    return Trend.DOWN if change < -rules.trend_change else Trend.STABLE


def _of_window(rule: AlertRule) -> bool:
    return rule.code in WINDOW_ALERTS


def _alert(rule: AlertRule, seen: Measures) -> Alert:
    fact = None if rule.fact is None else _as_text(rule.fact, seen[rule.fact])
    return Alert(rule.code, rule.severity, fact)


def _as_text(measure: str, value: float) -> str:
    """Write a number as an alert carries it (rules.md section 18, exactness)."""
    if measure in _RATES:
        return str(Decimal(value * 100).quantize(Decimal("0.1"), ROUND_HALF_UP))
    return str(floor(value + 0.5))


_MESSAGES: Final[dict[AlertCode, str]] = {
    AlertCode.BLOCK_DETECTED: "blocked by {} recipients in this window",
    AlertCode.HIGH_DELIVERY_FAILURES: "{} messages failed in this window",
    AlertCode.OVERHEATED: "the instance is overheated",
    AlertCode.COOLDOWN_REQUIRED: "the score requires a cooldown",
    AlertCode.SCORE_DEGRADING: "the score is down to {}",
    AlertCode.LOW_REPLY_RATE: "only {} % of the messages were answered",
    AlertCode.RAPID_SCORE_DROP: "this window costs {} points",
    AlertCode.NO_HUMAN_INTERACTION: "no reply for {} days",
    AlertCode.DELIVERY_DROP: "only {} % of the messages were delivered",
    AlertCode.SEND_DELAY_SPIKE: "deliveries take {} ms in the mean",
}

"""The rule tables: every threshold and every number of points, as data.

Theory of operation. A *measure* is a number derived from a snapshot. A *condition* compares a measure with a
threshold; comparisons are exact on binary doubles (8/20 is not below 0.4). A *rule* has an id, conditions
that must all hold, and points. Nothing else decides: `evaluation.py` and `cooldown.py` walk these tables,
`docs/rules.md` is printed from them, an explanation quotes their rows, and their hash names the rule set of
a decision. Two kinds of things may stand in this file: rows, and the few lines that compare and hash them.

Source of all numbers: rules.md sections 7 to 11. They are the reference's, unchanged.
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from domain.words import AlertCode, AlertSeverity, CooldownReason, TemperatureLevel, WarmUpPhase


class Op(StrEnum):
    """How a measure is compared with its threshold."""

    BELOW = "<"
    ABOVE = ">"
    AT_LEAST = ">="


class Condition(NamedTuple):
    """One comparison; `measure` is a key of `evaluation.measures`."""

    measure: str
    op: Op
    threshold: float

    def holds(self, measures: Mapping[str, float]) -> bool:
        """Compare."""
        observed = measures[self.measure]
        if self.op is Op.BELOW:
            return observed < self.threshold
        return observed > self.threshold if self.op is Op.ABOVE else observed >= self.threshold


class Rule(NamedTuple):
    """Points for what a window shows.

    Attributes:
        when: all must hold; the first one is what the rule is about.
        per: the points count once for each of this measure, at most `points_max` in sum.
    """

    id: str
    when: tuple[Condition, ...]
    points: int
    per: str | None = None
    points_max: int | None = None


class CooldownRule(NamedTuple):
    """A reason to rest; the first row whose conditions hold decides."""

    id: str
    when: tuple[Condition, ...]
    reason: CooldownReason


class AlertRule(NamedTuple):
    """An alert: when it is raised, and which measure its message must carry (None: none)."""

    code: AlertCode
    severity: AlertSeverity
    when: tuple[Condition, ...]
    fact: str | None


class Level(NamedTuple):
    """The level from a score on; the last row takes the rest."""

    score_min: float
    level: TemperatureLevel


class Phase(NamedTuple):
    """The phase below a score; the last row takes the rest."""

    score_below: float
    phase: WarmUpPhase


class RuleSet(NamedTuple):
    """All tables together, in the order they are applied."""

    score_initial: int
    score_min: int
    score_max: int
    window_guards: tuple[Condition, ...]
    window_rules: tuple[Rule, ...]
    window_cooldowns: tuple[CooldownRule, ...]
    score_rules: tuple[Rule, ...]
    levels: tuple[Level, ...]
    trend_change: int
    score_cooldowns: tuple[CooldownRule, ...]
    cooldown_stay_ms: int
    alerts: tuple[AlertRule, ...]
    at_risk_below: int
    healthy_from: int
    newborn_score_max: int
    newborn_cooldowns: int
    phases: tuple[Phase, ...]


_SENT_20: Final = Condition("messagesSent", Op.AT_LEAST, 20)
_SENT_10: Final = Condition("messagesSent", Op.AT_LEAST, 10)
_SENT_5: Final = Condition("messagesSent", Op.AT_LEAST, 5)
_EVIDENCE: Final = Condition("deliveryEvidence", Op.ABOVE, 0)
_LOW_DELIVERY: Final = (Condition("deliveredRate", Op.BELOW, 0.40), _SENT_20, _EVIDENCE)
_SLOW_DELIVERY: Final = (Condition("averageDeliveryLatencyMs", Op.AT_LEAST, 15_000), _SENT_5, _EVIDENCE)
_LOW_REPLIES: Final = (
    Condition("replyRate", Op.BELOW, 0.03),
    Condition("messagesSent", Op.ABOVE, 10),
)
_FAILURES: Final = (Condition("deliveryFailures", Op.ABOVE, 3),)
_BLOCKED: Final = (Condition("messagesBlocked", Op.ABOVE, 0),)
_EXHAUSTED: Final = (Condition("score", Op.BELOW, 30),)

RULES: Final = RuleSet(
    score_initial=50,
    score_min=0,
    score_max=100,
    window_guards=(
        Condition("messagesSent", Op.ABOVE, 0),
        Condition("observations", Op.AT_LEAST, 5),
    ),
    window_rules=(
        Rule("W1", _LOW_DELIVERY, -15),
        Rule("W2", (Condition("readRate", Op.BELOW, 0.10), _SENT_10), -5),
        Rule("W3", (Condition("replyRate", Op.BELOW, 0.03), _SENT_10), -8),
        Rule("W4", _SLOW_DELIVERY, -5),
        Rule("W5", (Condition("connectionDisconnects", Op.AT_LEAST, 3),), -8),
    ),
    window_cooldowns=(
        CooldownRule(
            "C1",
            (Condition("deliveredRate", Op.BELOW, 0.25), _SENT_20, _EVIDENCE),
            CooldownReason.DELIVERY_DROP,
        ),
        CooldownRule(
            "C2",
            (Condition("averageDeliveryLatencyMs", Op.AT_LEAST, 30_000), _SENT_10, _EVIDENCE),
            CooldownReason.SEND_DELAY_SPIKE,
        ),
        CooldownRule(
            "C3",
            (Condition("connectionDisconnects", Op.AT_LEAST, 5), _SENT_5),
            CooldownReason.CONNECTION_INSTABILITY,
        ),
    ),
    score_rules=(
        Rule("S1", (Condition("replyRate", Op.ABOVE, 0.15),), 5),
        Rule("S2", _LOW_REPLIES, -8),
        Rule("S3", _BLOCKED, -25, per="messagesBlocked"),
        Rule("S4", _FAILURES, -10),
        Rule("S5", (Condition("humanInteractions", Op.ABOVE, 0),), 3),
        Rule("S6", (Condition("reactionsReceived", Op.ABOVE, 0),), 2, per="reactionsReceived", points_max=10),
        Rule("S7", (Condition("groupInteractions", Op.ABOVE, 0),), 2),
        Rule("S8", (Condition("mediaMessages", Op.ABOVE, 0), Condition("textMessages", Op.ABOVE, 0)), 1),
    ),
    levels=(
        Level(80, TemperatureLevel.HOT),
        Level(60, TemperatureLevel.WARM),
        Level(40, TemperatureLevel.WARMING),
        Level(20, TemperatureLevel.COLD),
        Level(float("-inf"), TemperatureLevel.OVERHEATED),
    ),
    trend_change=2,
    score_cooldowns=(
        CooldownRule("C4", _BLOCKED, CooldownReason.BLOCK_SPIKE),
        CooldownRule("C5", _EXHAUSTED, CooldownReason.SCORE_THRESHOLD),
    ),
    cooldown_stay_ms=3_600_000,
    alerts=(
        AlertRule(AlertCode.BLOCK_DETECTED, AlertSeverity.CRITICAL, _BLOCKED, "messagesBlocked"),
        AlertRule(AlertCode.HIGH_DELIVERY_FAILURES, AlertSeverity.HIGH, _FAILURES, "deliveryFailures"),
        AlertRule(
            AlertCode.OVERHEATED, AlertSeverity.CRITICAL, (Condition("overheated", Op.ABOVE, 0),), None
        ),
        AlertRule(AlertCode.COOLDOWN_REQUIRED, AlertSeverity.CRITICAL, _EXHAUSTED, None),
        AlertRule(
            AlertCode.SCORE_DEGRADING,
            AlertSeverity.MEDIUM,
            (Condition("score", Op.BELOW, 50), Condition("score", Op.AT_LEAST, 30)),
            "score",
        ),
        AlertRule(AlertCode.LOW_REPLY_RATE, AlertSeverity.MEDIUM, _LOW_REPLIES, "replyRate"),
        AlertRule(
            AlertCode.RAPID_SCORE_DROP,
            AlertSeverity.HIGH,
            (Condition("pointsDropped", Op.AT_LEAST, 15),),
            "pointsDropped",
        ),
        AlertRule(
            AlertCode.NO_HUMAN_INTERACTION,
            AlertSeverity.LOW,
            (Condition("daysSinceHumanInteraction", Op.ABOVE, 7),),
            "daysSinceHumanInteraction",
        ),
        AlertRule(AlertCode.DELIVERY_DROP, AlertSeverity.HIGH, _LOW_DELIVERY, "deliveredRate"),
        AlertRule(
            AlertCode.SEND_DELAY_SPIKE, AlertSeverity.MEDIUM, _SLOW_DELIVERY, "averageDeliveryLatencyMs"
        ),
    ),
    at_risk_below=40,
    healthy_from=60,
    newborn_score_max=50,
    newborn_cooldowns=3,
    phases=(
        Phase(55, WarmUpPhase.OBSERVER),
        Phase(70, WarmUpPhase.INTERACTING),
        Phase(85, WarmUpPhase.SOCIAL),
        Phase(float("inf"), WarmUpPhase.READY),
    ),
)

WINDOW_ALERTS: Final = frozenset({AlertCode.DELIVERY_DROP, AlertCode.SEND_DELAY_SPIKE})
"""Alerts of the window's own evaluation: silent where its guards are."""

DAY_MS: Final = 86_400_000


def holds(conditions: tuple[Condition, ...], measures: Mapping[str, float]) -> bool:
    """Tell whether all conditions hold."""
    return all(condition.holds(measures) for condition in conditions)


def rule_set_id(rules: RuleSet) -> str:
    """Name a rule set: the first 16 hex digits of the SHA-256 of its tables."""
    tables = json.dumps(rules._asdict(), separators=(",", ":"), default=str)
    return hashlib.sha256(tables.encode()).hexdigest()[:16]

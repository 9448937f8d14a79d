"""Snapshots on and beside the thresholds, where the recorded cases of the reference leave a gap."""

from collections.abc import Callable
from typing import Final, TypeAlias

from domain.cooldown import Cooldown, at_step
from domain.evaluation import evaluate, evaluate_window, measures
from domain.rules import RuleSet
from domain.snapshot import Snapshot
from domain.words import CooldownReason

Edge: TypeAlias = tuple[str, Callable[[RuleSet], object], object]


def window_rules(snapshot: Snapshot) -> Callable[[RuleSet], object]:
    """Probe: ids of the window's rules and its reason to rest."""

    def probe(rules: RuleSet) -> object:
        window = evaluate_window(measures(snapshot), rules)
        rested = None if window.cooldown is None else window.cooldown.rule
        return [found.rule for found in window.findings], rested, [a.code.value for a in window.alerts]

    return probe


def score_rules(snapshot: Snapshot, score: int = 50) -> Callable[[RuleSet], object]:
    """Probe: ids of the score's rules, the unclamped score, the alerts."""

    def probe(rules: RuleSet) -> object:
        given = evaluate(score, None, snapshot, 0, rules)
        own = [found.rule for found in given.findings if found.rule.startswith("S")]
        return own, given.total, [alert.code.value for alert in given.alerts]

    return probe


def stays(elapsed_ms: int) -> Callable[[RuleSet], object]:
    """Probe: whether a cooldown without a condition holds this long after its start."""

    def probe(rules: RuleSet) -> object:
        rested = Cooldown(1, CooldownReason.DELIVERY_DROP, 0)
        return at_step(rested, None, elapsed_ms, rules).reason is not None

    return probe


def sent(number: int, **counts: int) -> Snapshot:
    """A window of replies and reads enough that only what is spelled out matters."""
    return Snapshot(messages_sent=number, **{"messages_replied": number, **counts})


EDGES: Final[list[Edge]] = [
    (
        "39.95 % delivered is a drop",
        window_rules(sent(2000, messages_delivered=799, messages_read=799)),
        (["W1"], None, ["DELIVERY_DROP"]),
    ),
    (
        "40 % delivered is none",
        window_rules(sent(20, messages_delivered=8, messages_read=8)),
        ([], None, []),
    ),
    (
        "24.95 % delivered is a reason to rest",
        window_rules(sent(2000, messages_delivered=499, messages_read=499)),
        (["W1"], "C1", ["DELIVERY_DROP"]),
    ),
    (
        "25 % delivered is none",
        window_rules(sent(20, messages_delivered=5, messages_read=5)),
        (["W1"], None, ["DELIVERY_DROP"]),
    ),
    (
        "9.95 % read is too few",
        window_rules(sent(2000, messages_delivered=2000, messages_read=199)),
        (["W2"], None, []),
    ),
    (
        "10 % read is enough",
        window_rules(sent(2000, messages_delivered=2000, messages_read=200)),
        ([], None, []),
    ),
    (
        "one failure is evidence enough for a slow delivery",
        window_rules(
            Snapshot(
                messages_sent=9, messages_replied=9, delivery_failures=1, average_delivery_latency_ms=15_000
            )
        ),
        (["W4"], None, ["SEND_DELAY_SPIKE"]),
    ),
    (
        "one failure is evidence enough to rest for a very slow delivery",
        window_rules(
            Snapshot(
                messages_sent=10,
                messages_replied=10,
                messages_read=10,
                delivery_failures=1,
                average_delivery_latency_ms=30_000,
            )
        ),
        (["W2", "W4"], "C2", ["SEND_DELAY_SPIKE"]),
    ),
    (
        "2.95 % answered is too few",
        score_rules(sent(2000, messages_replied=59, messages_delivered=2000, messages_read=2000)),
        (["S2"], 34, ["SCORE_DEGRADING", "LOW_REPLY_RATE", "RAPID_SCORE_DROP"]),
    ),
    (
        "nobody blocked and nobody reacted: no rule speaks",
        score_rules(Snapshot()),
        ([], 50, []),
    ),
    (
        "fourteen points are no rapid drop",
        score_rules(
            Snapshot(messages_sent=11, messages_delivered=11, messages_read=11, group_interactions=1)
        ),
        (["S2", "S7"], 36, ["SCORE_DEGRADING", "LOW_REPLY_RATE"]),
    ),
    ("a millisecond before its hour a cooldown stays", stays(3_599_999), True),
    ("with its hour a cooldown ends", stays(3_600_000), False),
]

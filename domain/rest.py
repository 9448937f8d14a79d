"""The reason to rest that holds on running counts: the rows of the rule tables, prepared for every step.

The same rows as `evaluation.window_cooldown` and the score's, asked millions of times an hour, so they are
flattened once and derive only what they compare.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from domain.rules import RULES, Condition, CooldownRule, Op, RuleSet
from domain.snapshot import (
    DELIVERED,
    DISCONNECT,
    FAILED,
    LATENCY_COUNT,
    LATENCY_SUM,
    READ,
    REPLIED,
    SENT,
)

_COMPARE: Final[dict[Op, Callable[[float, float], bool]]] = {
    Op.BELOW: operator.lt,
    Op.ABOVE: operator.gt,
    Op.AT_LEAST: operator.ge,
}

_WINDOW: Final = (
    "messagesSent",
    "observations",
    "deliveredRate",
    "deliveryEvidence",
    "averageDeliveryLatencyMs",
    "connectionDisconnects",
)
_SCORE: Final = ("score", "messagesBlocked")

SEEN: Final = frozenset({SENT, DELIVERED, READ, REPLIED, FAILED, DISCONNECT})
"""Kinds whose counts these rows look at."""


class _Row(NamedTuple):
    conditions: tuple[tuple[int, Callable[[float, float], bool], float], ...]
    rule: CooldownRule | None


class RestTable:
    """The rows of one rule set.

    Raises:
        ValueError: a row compares a measure that running counts do not give.
    """

    def __init__(self, rules: RuleSet = RULES) -> None:
        self._guard = _row(rules.window_guards, None, _WINDOW)
        self._window = [_row(rule.when, rule, _WINDOW) for rule in rules.window_cooldowns]
        self._score = [_row(rule.when, rule, _SCORE) for rule in rules.score_cooldowns]

    def rule(self, rolling: Sequence[int], score: int) -> CooldownRule | None:
        """Give the row whose reason holds: the rolling window's, else the score's (the fold, 7)."""
        sent = rolling[SENT]
        if sent:
            delivered = rolling[DELIVERED]
            evidence = delivered + rolling[FAILED]
            disconnects = rolling[DISCONNECT]
            latencies = rolling[LATENCY_COUNT]
            seen = (
                sent,
                evidence + rolling[READ] + rolling[REPLIED] + disconnects,
                delivered / sent,
                evidence,
                rolling[LATENCY_SUM] / latencies if latencies else 0,
                disconnects,
            )
            if _first((self._guard,), seen):
                row = _first(self._window, seen)
                if row is not None:
                    return row.rule
        row = _first(self._score, (score, 0))
        return None if row is None else row.rule


def _first(rows: Sequence[_Row], seen: Sequence[float]) -> _Row | None:
    for row in rows:
        for index, compare, threshold in row.conditions:
            if not compare(seen[index], threshold):
                break
        else:
            return row
    return None


def _row(conditions: Sequence[Condition], rule: CooldownRule | None, known: tuple[str, ...]) -> _Row:
    for condition in conditions:
        if condition.measure not in known:
            raise ValueError(f"no running count gives {condition.measure}")
    return _Row(tuple((known.index(c.measure), _COMPARE[c.op], c.threshold) for c in conditions), rule)

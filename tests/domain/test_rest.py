"""The reason to rest on running counts: the same rows as the evaluation of a snapshot."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evaluation import evaluate_window, measures
from domain.rest import RestTable
from domain.rules import RULES, Condition, Op, holds
from domain.snapshot import (
    DELIVERED,
    DISCONNECT,
    EMPTY,
    FAILED,
    LATENCY_COUNT,
    LATENCY_SUM,
    READ,
    REPLIED,
    SENT,
    from_counts,
)

TABLE = RestTable(RULES)
NEAR = st.sampled_from([0, 1, 2, 4, 5, 6, 9, 10, 11, 19, 20, 21, 80])


@given(st.tuples(*[NEAR] * 6), st.sampled_from([0, 29_999, 30_000]), st.sampled_from([0, 29, 30, 50]))
@settings(max_examples=400, deadline=None)
def test_running_counts_and_snapshots_give_the_same_reason(
    drawn: tuple[int, ...], latency: int, score: int
) -> None:
    """At and beside every threshold, the flattened rows say what the tables say."""
    counts = list(EMPTY)
    for kind, number in zip((SENT, DELIVERED, READ, REPLIED, FAILED, DISCONNECT), drawn, strict=True):
        counts[kind] = number
    counts[LATENCY_SUM], counts[LATENCY_COUNT] = latency * counts[DELIVERED], counts[DELIVERED]
    seen = measures(from_counts(tuple(counts)))

    expected = evaluate_window(seen).cooldown_rule
    if expected is None:
        by_score = seen | {"score": score}
        expected = next((rule for rule in RULES.score_cooldowns if holds(rule.when, by_score)), None)

    assert TABLE.rule(counts, score) == expected


def test_a_rule_about_what_is_not_counted_is_refused() -> None:
    """A table that could never fire is a mistake at the start, not a silence later."""
    unknown = RULES._replace(window_guards=(Condition("textMessages", Op.ABOVE, 0),))

    with pytest.raises(ValueError, match="textMessages"):
        RestTable(unknown)

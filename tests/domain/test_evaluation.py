"""The pure evaluation: bounds, order and words, for any snapshot."""

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evaluation import Alert, evaluate, evaluate_window, measures
from domain.rules import RULES
from domain.snapshot import Snapshot
from domain.words import AlertCode

COUNTS = st.integers(0, 60)
SNAPSHOTS = st.builds(
    Snapshot,
    messages_sent=COUNTS,
    messages_delivered=COUNTS,
    messages_read=COUNTS,
    messages_replied=COUNTS,
    messages_blocked=st.integers(0, 3),
    human_interactions=COUNTS,
    group_interactions=COUNTS,
    delivery_failures=COUNTS,
    connection_disconnects=st.integers(0, 8),
    average_delivery_latency_ms=st.sampled_from([0, 14_999, 15_000, 30_000.5]),
)


@given(SNAPSHOTS, st.integers(0, 100))
@settings(max_examples=300, deadline=None)
def test_a_score_stays_within_its_bounds_and_points_add_up(snapshot: Snapshot, score: int) -> None:
    """Clamped behind every evaluation; the window never takes more than 41 nor gives anything."""
    given_ = evaluate(score, None, snapshot, 0)
    own = sum(found.points for found in given_.findings if found.rule.startswith("S"))

    assert 0 <= given_.score <= 100
    assert -41 <= given_.window.score_delta <= 0
    assert given_.total == max(0, min(100, score + own)) + given_.window.score_delta


@given(SNAPSHOTS)
@settings(max_examples=200, deadline=None)
def test_alerts_and_findings_come_in_the_order_of_the_tables(snapshot: Snapshot) -> None:
    """Whoever reads two decisions beside each other finds the same thing in the same place."""
    given_ = evaluate(50, None, snapshot, 0)
    rules = [rule.id for rule in (*RULES.score_rules, *RULES.window_rules)]
    codes = [rule.code for rule in RULES.alerts]

    assert [rules.index(found.rule) for found in given_.findings] == sorted(
        rules.index(found.rule) for found in given_.findings
    )
    assert [codes.index(a.code) for a in given_.alerts] == sorted(codes.index(a.code) for a in given_.alerts)


@given(SNAPSHOTS)
@settings(max_examples=100, deadline=None)
def test_evaluating_again_gives_the_same_and_the_window_does_not_read_the_score(snapshot: Snapshot) -> None:
    """A pure function: no state, no clock."""
    assert evaluate(50, None, snapshot, 0) == evaluate(50, None, snapshot, 0)
    assert evaluate(0, None, snapshot, 0).window == evaluate_window(measures(snapshot))


def test_every_alert_says_its_number_in_one_line() -> None:
    """No alert code is without words, and the number stands in them where there is one."""
    for code in AlertCode:
        alert = next(rule for rule in RULES.alerts if rule.code is code)
        message = Alert(code, alert.severity, "4711").message

        assert "\n" not in message
        assert ("4711" in message) == (alert.fact is not None)

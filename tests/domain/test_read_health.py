"""Reading health: any time, any window, nothing saved."""

import pytest

from domain.errors import InvalidQuery, UnknownInstance
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import Setting
from domain.health import Health
from domain.health_ports import DecisionQuery
from domain.read_health import ReadInstanceHealth
from domain.words import (
    ActionKind,
    AlertCode,
    Connection,
    CooldownReason,
    EvaluationReason,
    HealthAction,
    Lifecycle,
    Millis,
    RiskLevel,
    SignalType,
    Source,
    TemperatureLevel,
    Trend,
    WarmUpPhase,
)
from tests.domain.arriving import arrive
from tests.domain.facts import burst, numbered
from tests.domain.worlds import START, WINDOW
from tests.fakes import InMemoryStore

SETTING = Setting(WINDOW)
HOUR: Millis = 3_600_000
ALWAYS = DecisionQuery("i-1", 0, 1 << 50, 1000)


@pytest.fixture
def store() -> InMemoryStore:
    """An instance that sent 21 messages at START, five of which were delivered a second later."""
    store = InMemoryStore()
    facts = burst(SignalType.MESSAGE_SENT, 21, START) + burst(SignalType.MESSAGE_DELIVERED, 5, START + 1000)
    arrive(store, EvaluateInstanceHealth(store, SETTING), numbered(facts), START + 2000)
    return store


def health_at(store: InMemoryStore, at: Millis) -> Health:
    return ReadInstanceHealth(store, SETTING).reputation("i-1", at).health


def test_before_its_first_fact_an_instance_is_new(store: InMemoryStore) -> None:
    """50, COLD, STABLE, newborn, connection unknown."""
    health = health_at(store, START - 1)

    assert (health.reputation_score, health.temperature_level) == (50, TemperatureLevel.COLD)
    assert (health.trend, health.lifecycle) == (Trend.STABLE, Lifecycle.CREATED)
    assert (health.connection, health.warm_up_phase) == (Connection.UNKNOWN, WarmUpPhase.NEWBORN)
    assert health.actions == (HealthAction.VIEW_HEALTH, HealthAction.BLOCK_DISPATCH)
    assert health.folded_at is None


def test_a_delivery_drop_shows_at_the_step_that_made_it(store: InMemoryStore) -> None:
    """A millisecond before the fifth delivery nothing is wrong; from it on the instance should rest."""
    before = health_at(store, START + 1003)
    after = health_at(store, START + 1004)

    assert before.cooldown_reason is None
    assert before.actions == (HealthAction.VIEW_HEALTH, HealthAction.ALLOW_DISPATCH)
    assert after.cooldown_reason is CooldownReason.DELIVERY_DROP
    assert after.cooldown_started_at == START + 1004
    assert after.temperature_level is TemperatureLevel.COOLDOWN
    assert (after.risk_level, after.lifecycle) == (RiskLevel.HIGH, Lifecycle.COOLDOWN)
    assert after.actions[-2:] == (HealthAction.BLOCK_DISPATCH, HealthAction.ALERT)
    assert {row.finding.rule for row in after.explanation} >= {"W1", "C1"}
    assert AlertCode.DELIVERY_DROP in {alert.code for alert in after.alerts}


def test_points_are_pending_until_the_point_window_ends(store: InMemoryStore) -> None:
    """The score stays at 50 while the window is open; then its points count, once."""
    last = health_at(store, START + WINDOW - 1)
    ended = health_at(store, START + WINDOW)

    assert (last.reputation_score, last.pending_points) == (50, -36)
    assert (ended.reputation_score, ended.pending_points) == (14, 0)


def test_a_cooldown_for_delivery_ends_at_the_hour_only_if_the_score_allows(store: InMemoryStore) -> None:
    """Below 30 the reason becomes SCORE_THRESHOLD and stays; only replies or an operator help."""
    health = health_at(store, START + 5 * HOUR)

    assert health.cooldown_reason is CooldownReason.SCORE_THRESHOLD
    assert health.cooldown_count == 1
    assert health.cooldown_started_at == START + 1004


def test_reading_saves_nothing(store: InMemoryStore) -> None:
    """However often one reads, no state and no decision changes."""
    states, decisions = dict(store._tables.states), dict(store._tables.decisions)
    reading = ReadInstanceHealth(store, SETTING)

    for at in range(START, START + 3 * HOUR, HOUR // 4):
        reading.reputation("i-1", at)

    assert (store._tables.states, store._tables.decisions) == (states, decisions)


def test_the_answer_names_the_newest_decision_up_to_its_time(store: InMemoryStore) -> None:
    """The decision id leads from the state to the row that explains it."""
    reading = ReadInstanceHealth(store, SETTING)
    decisions = reading.decisions(ALWAYS).decisions

    assert reading.reputation("i-1", START + 2000).decision_id == decisions[0].id
    assert reading.reputation("i-1", START + 10).decision_id == decisions[1].id
    assert reading.reputation("i-1", START - 1).decision_id is None
    assert reading.decision(decisions[0].id) == decisions[0]
    assert reading.decision("none") is None


def test_a_snapshot_counts_a_window_with_both_ends(store: InMemoryStore) -> None:
    """Both bounds are inclusive, and the default length is the evaluation's."""
    reading = ReadInstanceHealth(store, SETTING)

    answer = reading.snapshot("i-1", 1000, START + 1004)
    assert (answer.since, answer.until) == (START + 4, START + 1004)
    assert (answer.snapshot.messages_sent, answer.snapshot.messages_delivered) == (17, 5)
    assert reading.snapshot("i-1", None, START + WINDOW).snapshot.messages_sent == 21
    assert reading.snapshot("i-1", None, START + WINDOW + 1).snapshot.messages_sent == 20


@pytest.mark.parametrize("length", [0, -1, 31 * 86_400_000 + 1])
def test_a_window_that_makes_no_sense_is_refused(store: InMemoryStore, length: int) -> None:
    """Empty and endless windows are the caller's mistake."""
    with pytest.raises(InvalidQuery):
        ReadInstanceHealth(store, SETTING).snapshot("i-1", length, START)


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_of_decisions_is_bounded(store: InMemoryStore, limit: int) -> None:
    """1 to 1000 decisions a page."""
    with pytest.raises(InvalidQuery):
        ReadInstanceHealth(store, SETTING).decisions(ALWAYS._replace(limit=limit))


def test_decisions_are_paged_newest_first(store: InMemoryStore) -> None:
    """Walking page by page gives every decision once, in order; inverted bounds give none."""
    reading = ReadInstanceHealth(store, SETTING)
    whole = reading.decisions(ALWAYS).decisions

    first = reading.decisions(ALWAYS._replace(limit=1))
    second = reading.decisions(ALWAYS._replace(limit=1, after=first.next_key))

    assert [*first.decisions, *second.decisions] == whole
    assert second.next_key is None
    assert reading.decisions(ALWAYS._replace(since=1, until=0)).decisions == []


def test_an_unknown_instance_is_told_so(store: InMemoryStore) -> None:
    """Nothing was ever recorded: no answer is invented, nothing is evaluated, no operator acts on it."""
    reading = ReadInstanceHealth(store, SETTING)
    use_case = EvaluateInstanceHealth(store, SETTING)

    with pytest.raises(UnknownInstance):
        reading.reputation("i-2", START)
    with pytest.raises(UnknownInstance):
        reading.snapshot("i-2", None, START)
    with pytest.raises(UnknownInstance):
        use_case.requested("i-2", EvaluationReason.PRE_DISPATCH, START)
    with pytest.raises(UnknownInstance):
        use_case.acted("i-2", ActionKind.BAN, START)


def test_our_own_mark_as_read_is_no_read() -> None:
    """MESSAGE_READ of source DISPATCH stands in the timeline and in no count (Q12)."""
    store = InMemoryStore()
    facts = burst(SignalType.MESSAGE_READ, 2, START, source=Source.DISPATCH)
    facts += burst(SignalType.MESSAGE_READ, 1, START, prefix="w")
    arrive(store, EvaluateInstanceHealth(store, SETTING), numbered(facts), START + 10)

    assert health_at(store, START + 10).signals_snapshot.messages_read == 1
    answer = ReadInstanceHealth(store, SETTING).snapshot("i-1", None, START + 10)
    assert answer.snapshot.messages_read == 1

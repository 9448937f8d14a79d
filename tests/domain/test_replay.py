"""Replay: stored decisions come out of the stored signals again, even after late facts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import decide
from domain.decision import Decision
from domain.decision_text import from_row, to_row
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import Setting, setting_of
from domain.health_ports import DecisionQuery
from domain.past import fold_all
from domain.replay import ReplayDecisions
from domain.rule_constants import with_constants
from domain.rules import RULES
from domain.words import ActionKind, CooldownReason, EvaluationReason, Millis, SignalType
from tests.domain.arriving import arrive
from tests.domain.facts import burst, numbered
from tests.domain.fold_oracle import World
from tests.domain.test_evaluate_health import arrivals
from tests.domain.worlds import START, WINDOW
from tests.fakes import InMemoryStore

SETTING = Setting(WINDOW)
END: Millis = 1 << 50


def decisions_of(store: InMemoryStore) -> list[Decision]:
    """Give all stored decisions, newest first."""
    with store.reading() as reading:
        return [from_row(row) for row in reading.decisions(DecisionQuery("i-1", 0, END, 1000)).decisions]


@given(arrivals(), st.data())
@settings(max_examples=50, deadline=None)
def test_every_decision_is_reproduced_from_the_facts_it_knew(
    case: tuple[World, list[tuple[int, Millis]]], data: st.DataObject
) -> None:
    """Late facts, operator actions and requests in between: each stored row replays to itself."""
    world, batches = case
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    facts = iter(world.facts)
    for size, now in batches:
        arrive(store, use_case, [next(facts) for _ in range(size)], now)
        if data.draw(st.integers(0, 4)) == 0:
            use_case.acted("i-1", data.draw(st.sampled_from(ActionKind)), now)
        if data.draw(st.integers(0, 4)) == 0:
            use_case.requested("i-1", EvaluationReason.PRE_DISPATCH, now)
    replay = ReplayDecisions(store, SETTING)

    if batches:
        for replayed in replay.instance("i-1", 0, END):
            assert replayed.differences == ()


@given(arrivals())
@settings(max_examples=50, deadline=None)
def test_the_decisions_in_force_are_those_of_a_fold_from_scratch(
    case: tuple[World, list[tuple[int, Millis]]],
) -> None:
    """Whatever the order of arrival, the rows nothing supersedes say what the whole timeline says."""
    world, batches = case
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    facts = iter(world.facts)
    for size, now in batches:
        arrive(store, use_case, [next(facts) for _ in range(size)], now)
    if not batches:
        return

    with store.reading() as reading:
        whole = fold_all(reading, "i-1", batches[-1][1], SETTING)
        made = [decide.of_change("i-1", change, decide.Bounds(0, 0, 0), SETTING) for change in whole.changes]
        in_force = decide.effective_since(reading, "i-1", 0)

    expected = {decision.evaluated_at: decision.content for decision in made}
    told = {d.evaluated_at: d.content for d in in_force if d.before != d.after or d.evaluated_at in expected}
    assert told == expected


def test_a_cooldown_is_explained_by_its_own_row() -> None:
    """Rule, threshold, observed number and supporting signals stand in the row that began it."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    sent = burst(SignalType.MESSAGE_SENT, 24, START)
    delivered = burst(SignalType.MESSAGE_DELIVERED, 5, START + 1000)

    evaluated = arrive(store, use_case, numbered(sent + delivered), START + 5000)

    [decision] = [d for d in evaluated[0].decisions if d.after.cooldown_reason]
    assert decision.reason is EvaluationReason.WEBHOOK
    assert decision.before.cooldown_reason is None
    assert decision.after.cooldown_reason is CooldownReason.DELIVERY_DROP
    [row] = decision.explanation
    assert (row.finding.rule, row.finding.measure) == ("C1", "deliveredRate")
    assert (row.finding.threshold, row.finding.observed) == (0.25, 5 / 24)
    assert row.signals == 29
    assert len(row.signal_ids) == 20
    assert set(row.signal_ids) <= {f"f{seq:04}" for seq in range(1, 30)}
    assert decision.evaluated_at == START + 1004


def test_a_late_fact_supersedes_the_decision_it_changes_and_history_stays() -> None:
    """A late delivery undoes the cooldown: a new row names the old one, and both replay."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    first = numbered(
        burst(SignalType.MESSAGE_SENT, 21, START) + burst(SignalType.MESSAGE_DELIVERED, 5, START + 1000)
    )
    arrive(store, use_case, first, START + 5000)
    wrong, activation = decisions_of(store)
    late = numbered(burst(SignalType.MESSAGE_DELIVERED, 1, START + 1004, prefix="late"), first=27)

    arrive(store, use_case, late, START + 6000)

    correction, *kept = decisions_of(store)
    assert kept == [wrong, activation]
    assert correction.supersedes == wrong.id
    assert correction.after.cooldown_reason is None
    replay = ReplayDecisions(store, SETTING)
    assert replay.decision(wrong).reproduced
    assert replay.decision(correction).reproduced


def test_a_tampered_decision_names_the_first_difference() -> None:
    """A row that the facts do not give is reported by path, stored and recomputed value."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.CONNECTION_DISCONNECTED, 3, START)), START)
    asked = use_case.requested("i-1", EvaluationReason.PRE_DISPATCH, START + 1)
    tampered = asked._replace(after=asked.after._replace(score=99))

    replayed = ReplayDecisions(store, SETTING).decision(tampered)

    assert not replayed.reproduced
    assert ("after.score", 99, 50) in replayed.differences


def test_what_if_lists_the_steps_at_which_the_rules_part() -> None:
    """A stricter threshold begins a cooldown where the rules of now begin none; nothing is stored."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    facts = burst(SignalType.MESSAGE_SENT, 20, START) + burst(SignalType.MESSAGE_DELIVERED, 8, START + 1000)
    arrive(store, use_case, numbered(facts), START + 5000)
    stored = decisions_of(store)
    other = setting_of(WINDOW, rules=with_constants(RULES, {"C1.deliveredRate": 0.5}))

    turns = ReplayDecisions(store, SETTING).what_if("i-1", other, START, START + 5000)

    assert turns[0].decided is None
    assert turns[0].instead is not None
    assert turns[0].instead.after.cooldown_reason is CooldownReason.DELIVERY_DROP
    assert decisions_of(store) == stored


def test_a_decision_survives_its_text() -> None:
    """What is read back from the row equals what was stored."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    facts = burst(SignalType.MESSAGE_FAILED, 5, START) + burst(SignalType.MESSAGE_SENT, 21, START)
    arrive(store, use_case, numbered(facts), START + 5000)
    evaluated = use_case.due(START + WINDOW)

    assert evaluated[0].decisions
    for decision in evaluated[0].decisions:
        assert from_row(to_row(decision)) == decision

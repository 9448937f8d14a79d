"""Replay: stored decisions come out of the stored signals again, even after late facts."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import decide
from domain.decision import Decision
from domain.decision_text import from_row, to_row
from domain.errors import UnknownInstance
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fact import Fact
from domain.fold_state import Setting, setting_of
from domain.health import view_of
from domain.health_ports import DecisionQuery
from domain.past import fold_all, fold_to
from domain.replay import ReplayDecisions
from domain.retain import DAY_MS, DropPastRetention
from domain.rule_constants import with_constants
from domain.rules import RULES
from domain.words import ActionKind, AlertCode, CooldownReason, EvaluationReason, Millis, SignalType
from tests.domain.arriving import arrive
from tests.domain.facts import burst, numbered
from tests.domain.fold_oracle import World
from tests.domain.test_evaluate_health import arrivals
from tests.domain.worlds import START, WINDOW
from tests.fakes import InMemoryStore

SETTING = Setting(WINDOW)
END: Millis = 1 << 50
_LOUD = [
    SignalType.MESSAGE_DELIVERED,
    SignalType.MESSAGE_FAILED,
    SignalType.MESSAGE_REPLIED,
    SignalType.CONNECTION_DISCONNECTED,
    SignalType.CONNECTION_CONNECTED,
]
"""Facts a few of which change what one would do."""


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


@pytest.mark.parametrize("seed", range(30))
def test_decisions_are_reproduced_although_clocks_went_backwards(seed: int) -> None:
    """Two sidecars, each with a clock of its own that is stepped back: acts and answers replay to themselves.

    And the rows in force still say what a fold of everything says, numbered without a hole.
    """
    draw = random.Random(seed)
    store = InMemoryStore()
    sidecars = [EvaluateInstanceHealth(store, SETTING) for _ in range(2)]
    seq, now = 1, START
    for number in range(draw.randrange(4, 14)):
        now = max(START, now + draw.choice([0, 1, 1000, WINDOW // 3, WINDOW, -1, -1000, -WINDOW]))
        use_case, count = draw.choice(sidecars), draw.randrange(1, 24)
        at = max(START, now + draw.choice([0, 0, -5, -1000, -WINDOW // 2, 1000]))
        arrive(store, use_case, numbered(burst(draw.choice(_LOUD), count, at, prefix=f"{number}-"), seq), now)
        seq += count
        back = max(START, now + draw.choice([0, -1, -1000, -WINDOW, 1]))
        if draw.randrange(2):
            use_case.acted("i-1", draw.choice(list(ActionKind)), back)
        if not draw.randrange(3):
            use_case.requested("i-1", EvaluationReason.PRE_DISPATCH, back)

    replayed = list(ReplayDecisions(store, SETTING).instance("i-1", 0, END))

    assert [one.differences for one in replayed] == [()] * len(replayed)
    with store.reading() as reading:
        saved = reading.saved(["i-1"])["i-1"]
        rows = reading.decisions(DecisionQuery("i-1", 0, END, 1000)).decisions
        whole = fold_all(reading, "i-1", saved.at, SETTING)
        in_force = {
            one.evaluated_at: one.content
            for one in decide.effective_since(reading, "i-1", 0)
            if not one.asked
        }
    for change in whole.changes:
        made = decide.of_change("i-1", change, decide.Bounds(0, 0, 0), SETTING)
        assert in_force[change.after.at] == made.content
    assert sorted(row.arrival for row in rows) == list(range(1, len(rows) + 1))


def test_decisions_whose_window_was_changed_since_replay_with_their_own() -> None:
    """A sidecar of another window proves what was decided before it, until its own edge stands behind it."""
    store = InMemoryStore()
    first, second = EvaluateInstanceHealth(store, SETTING), setting_of(WINDOW // 6)
    arrive(store, first, numbered(burst(SignalType.MESSAGE_SENT, 24, START)), START + 5000)
    first.requested("i-1", EvaluationReason.PRE_DISPATCH, START + 6000)
    EvaluateInstanceHealth(store, second).requested("i-1", EvaluationReason.PRE_DISPATCH, START + WINDOW // 2)
    replay = ReplayDecisions(store, second)
    before = list(replay.instance("i-1", 0, END))
    edge = START + 5500 - WINDOW // 6 + DAY_MS

    DropPastRetention(store, second, 1)(edge)
    behind = {one.decision.evaluated_at: one for one in replay.instance("i-1", START + 5600, END)}

    assert {one.decision.window_ms for one in before} == {WINDOW, WINDOW // 6}
    assert all(one.reproduced for one in before)
    assert not any(one.differences for one in behind.values())
    assert behind[START + WINDOW // 2].reproduced


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


@given(
    st.lists(
        st.tuples(st.sampled_from(_LOUD), st.integers(1, 6), st.integers(0, 12), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=80, deadline=None)
def test_an_answer_in_force_is_the_one_the_whole_timeline_gives(
    drawn: list[tuple[SignalType, int, int, bool]],
) -> None:
    """Asked in between, whatever comes late: what one would act on is right, or a newer row says so."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_SENT, 20, START)), START)
    for number, (kind, count, second, asks) in enumerate(drawn):
        at = START + second * 1000
        with store.reading() as reading:
            first = reading.last_seqs(["i-1"])["i-1"] + 1
        arrive(store, use_case, numbered(burst(kind, count, at, prefix=f"b{number}-"), first), START + 12_000)
        if asks:
            use_case.requested("i-1", EvaluationReason.POST_CAMPAIGN, START + 12_000 + number)

    with store.reading() as reading:
        for answer in decide.effective_since(reading, "i-1", 0):
            if answer.asked:
                state = fold_to(reading, "i-1", answer.evaluated_at, SETTING).state
                whole = answer._replace(after=view_of(state, answer.evaluated_at, SETTING))
                assert answer.outcome == whole.outcome


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


def asked_then_late(late: list[Fact]) -> tuple[InMemoryStore, Decision, list[Decision]]:
    """Ask how an instance with 24 sends and 9 deliveries stands, then let facts arrive late."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    facts = burst(SignalType.MESSAGE_SENT, 24, START) + burst(SignalType.MESSAGE_DELIVERED, 9, START + 1000)
    arrive(store, use_case, numbered(facts), START + 5000)
    asked = use_case.requested("i-1", EvaluationReason.PRE_DISPATCH, START + 6000)
    arrive(store, use_case, numbered(late, first=34), START + 7000)
    return store, asked, [d for d in decisions_of(store) if d.reason is EvaluationReason.PRE_DISPATCH]


def test_a_late_fact_that_changes_no_outcome_leaves_an_answer_that_was_asked_for() -> None:
    """One more failure in its snapshot is no other answer (docs/adr/0015); the row replays to itself."""
    late = burst(SignalType.MESSAGE_FAILED, 3, START + 2000, prefix="late")

    store, asked, told = asked_then_late(late)

    assert told == [asked]
    assert AlertCode.DELIVERY_DROP in {alert.code for alert in asked.after.alerts}
    assert ReplayDecisions(store, SETTING).decision(asked).reproduced


@pytest.mark.parametrize(
    ("late", "changed"),
    [
        (burst(SignalType.MESSAGE_FAILED, 4, START + 2000, prefix="late"), "alerts"),
        (burst(SignalType.MESSAGE_DELIVERED, 1, START + 2000, prefix="late"), "alerts"),
        (burst(SignalType.CONNECTION_DISCONNECTED, 1, START + 2000, prefix="late"), "connection"),
        (burst(SignalType.CONNECTION_DISCONNECTED, 5, START + 2000, prefix="late"), "cooldown_reason"),
    ],
    ids=["an alert more", "an alert less", "connection", "cooldown"],
)
def test_a_late_fact_that_changes_what_one_would_do_supersedes_an_answer(
    late: list[Fact], changed: str
) -> None:
    """The new row has its reason and its time, names the old one, and both replay."""
    store, asked, told = asked_then_late(late)

    [again, old] = told
    assert old == asked
    assert (again.supersedes, again.reason, again.evaluated_at) == (
        asked.id,
        asked.reason,
        asked.evaluated_at,
    )
    assert getattr(again.after, changed) != getattr(asked.after, changed)
    replay = ReplayDecisions(store, SETTING)
    assert replay.decision(asked).reproduced
    assert replay.decision(again).reproduced


def test_a_late_fact_supersedes_the_decision_of_a_step_for_any_number_in_it() -> None:
    """The proof of a change is right to the last number: one more failure is another row."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_FAILED, 5, START)), START + 10)
    [scored] = use_case.due(START + WINDOW)[0].decisions
    late = numbered(burst(SignalType.MESSAGE_FAILED, 1, START + 20, prefix="late"), first=6)

    arrive(store, use_case, late, START + WINDOW + 10)

    again = decisions_of(store)[0]
    assert (again.supersedes, again.outcome) == (scored.id, scored.outcome)
    assert (scored.snapshot.delivery_failures, again.snapshot.delivery_failures) == (5, 6)


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


def test_an_unknown_instance_is_told_so() -> None:
    """Nothing was ever recorded: there is nothing to replay and nothing to ask."""
    replay = ReplayDecisions(InMemoryStore(), SETTING)

    with pytest.raises(UnknownInstance):
        next(iter(replay.instance("i-2", 0, END)))
    with pytest.raises(UnknownInstance):
        replay.what_if("i-2", SETTING, 0, END)


def test_more_decisions_than_a_page_are_all_replayed_and_all_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page of answers and one: each replays, and a late fact that matters supersedes every one of them."""
    monkeypatch.setattr(decide, "PAGE_MAX", 10)
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_SENT, 6, START)), START + 10)
    asked = 2 * decide.PAGE_MAX + 1
    for number in range(asked):
        use_case.requested("i-1", EvaluationReason.PRE_DISPATCH, START + 100 + number)

    replayed = list(ReplayDecisions(store, SETTING).instance("i-1", 0, END))
    arrive(
        store,
        use_case,
        numbered(burst(SignalType.CONNECTION_DISCONNECTED, 5, START + 50, prefix="late"), 7),
        START + 2000,
    )

    assert len(replayed) == asked + 1
    assert all(one.reproduced for one in replayed)
    with store.reading() as reading:
        in_force = decide.effective_since(reading, "i-1", START + 100)
    assert len(in_force) == asked
    assert {d.after.cooldown_reason for d in in_force} == {CooldownReason.CONNECTION_INSTABILITY}


def test_a_decision_names_each_supporting_signal_once() -> None:
    """Two rules that rest on the same messages do not double their evidence."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    facts = burst(SignalType.MESSAGE_SENT, 4, START) + burst(
        SignalType.CONNECTION_DISCONNECTED, 5, START + 10
    )
    arrive(
        store, use_case, numbered(facts + burst(SignalType.MESSAGE_SENT, 2, START + 20, prefix="n")), START
    )

    [scored] = use_case.due(START + WINDOW)[0].decisions[-1:]

    ids = scored.signal_ids
    assert len(ids) == len(set(ids))
    assert set(ids) >= {f"f{seq:04}" for seq in range(5, 10)}


def test_a_decision_of_other_rule_tables_is_told_by_their_hash() -> None:
    """It can neither be confirmed nor refuted: the tables it stands on are not here."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_SENT, 3, START)), START + 10)
    use_case.acted("i-1", ActionKind.BAN, START + 20)
    foreign = decisions_of(store)[0]._replace(rule_set="other")

    replayed = ReplayDecisions(store, SETTING).decision(foreign)

    assert not replayed.reproduced
    assert [difference.path for difference in replayed.differences] == ["ruleSet"]

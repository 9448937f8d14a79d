"""Evaluating: the stored state equals a fold from scratch, however the facts came."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import StoreUnavailable
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fact import Fact
from domain.fold_state import Setting, setting_of, to_text
from domain.fold_supply import FACTS_MAX
from domain.health_ports import DecisionQuery
from domain.read_health import ReadInstanceHealth
from domain.replay import ReplayDecisions
from domain.rule_constants import with_constants
from domain.rules import RULES
from domain.words import (
    ActionKind,
    Connection,
    CooldownReason,
    EvaluationReason,
    HealthAction,
    Lifecycle,
    Millis,
    SignalType,
    TemperatureLevel,
)
from tests.domain.arriving import arrive, from_scratch, record, state_of
from tests.domain.facts import burst, numbered
from tests.domain.fold_oracle import World
from tests.domain.worlds import START, WINDOW, worlds
from tests.fakes import InMemoryStore

SETTING = Setting(WINDOW)
FAR: Millis = START + 100 * 3_600_000


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[World, list[tuple[int, Millis]]]:
    """A world, and the batches its facts arrive in: (facts, wall clock), some late, some from the future."""
    world = draw(worlds(actions=False))
    left = len(world.facts)
    batches = []
    now = START
    while left:
        size = draw(st.integers(min(left, 1 + len(world.facts) // 6), left))
        now += draw(st.sampled_from([0, 1, 60_000, 1_800_000, 7_200_000]))
        batches.append((size, now))
        left -= size
    return world, batches


@given(arrivals(), st.data())
@settings(max_examples=60, deadline=None)
def test_incremental_equals_from_scratch_byte_for_byte(
    case: tuple[World, list[tuple[int, Millis]]], data: st.DataObject
) -> None:
    """Any arrival order, batching, restarts, looks and operator actions give the fold from scratch."""
    world, batches = case
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    facts = iter(world.facts)
    for size, now in batches:
        batch: Sequence[Fact] = [next(facts) for _ in range(size)]
        arrive(store, use_case, batch, now)
        if data.draw(st.integers(0, 4)) == 0:
            use_case.acted("i-1", data.draw(st.sampled_from(ActionKind)), now)
        if data.draw(st.integers(0, 3)) == 0:
            use_case = EvaluateInstanceHealth(store, SETTING)
        if data.draw(st.booleans()):
            use_case.due(now)
        assert to_text(state_of(store)) == to_text(from_scratch(store, SETTING, now))
    if batches:
        store._tables.states["i-1"] = store._tables.states["i-1"]._replace(due_at=FAR)
        use_case.due(FAR)
        assert to_text(state_of(store)) == to_text(from_scratch(store, SETTING, FAR))


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans(), st.booleans()), min_size=2, max_size=8
    )
)
@settings(max_examples=150, deadline=None)
def test_sidecars_whose_clocks_differ_miss_no_fact(
    arrived: list[tuple[Millis, Millis, bool, bool]],
) -> None:
    """A fact that was due by one clock does not get lost, and never waits again, when a slower one looks."""
    store = InMemoryStore()
    sidecars = [EvaluateInstanceHealth(store, SETTING) for _ in range(2)]
    folded_at = -1
    for seq, (dated, clock, other, looks) in enumerate(arrived, start=1):
        fact = burst(SignalType.MESSAGE_REPLIED, 1, START + dated, prefix=f"b{seq}-")
        arrive(store, sidecars[other], numbered(fact, seq), START + clock)
        if looks:
            sidecars[not other].due(START + clock + 1)
        state = state_of(store)
        assert state.at >= folded_at
        assert to_text(state) == to_text(from_scratch(store, SETTING, max(state.at, START + clock)))
        folded_at = state.at

    store._tables.states["i-1"] = store._tables.states["i-1"]._replace(due_at=FAR)
    sidecars[0].due(FAR)

    assert to_text(state_of(store)) == to_text(from_scratch(store, SETTING, FAR))


def test_a_clock_that_is_set_back_loses_no_fact() -> None:
    """A late fact evaluated by a slower clock refolds as far as the faster one had folded."""
    store = InMemoryStore()
    fast, slow = EvaluateInstanceHealth(store, SETTING), EvaluateInstanceHealth(store, SETTING)
    arrive(store, fast, numbered(burst(SignalType.MESSAGE_SENT, 3, START, step_ms=10)), START + 20)
    late = numbered(burst(SignalType.MESSAGE_DELIVERED, 1, START + 5), 4)

    arrive(store, slow, late, START + 10)

    assert state_of(store).rolling[:2] == (3, 1)


def test_an_answer_is_not_dated_before_what_it_knows() -> None:
    """Asked by a slower clock, a decision speaks of the last step that is known, and replays."""
    store = InMemoryStore()
    fast, slow = EvaluateInstanceHealth(store, SETTING), EvaluateInstanceHealth(store, SETTING)
    arrive(store, fast, numbered(burst(SignalType.MESSAGE_SENT, 3, START, step_ms=10)), START + 20)

    asked = slow.requested("i-1", EvaluationReason.PRE_DISPATCH, START + 10)

    assert (asked.evaluated_at, asked.snapshot.messages_sent) == (START + 20, 3)
    assert ReplayDecisions(store, SETTING).decision(asked).reproduced


def test_what_an_operator_did_last_holds_whatever_the_clocks_say() -> None:
    """Leaving on a sidecar whose clock is behind the one that entered leaves the cooldown."""
    store = InMemoryStore()
    fast, slow = EvaluateInstanceHealth(store, SETTING), EvaluateInstanceHealth(store, SETTING)
    arrive(store, fast, numbered(burst(SignalType.MESSAGE_SENT, 1, START)), START)

    fast.acted("i-1", ActionKind.ENTER_COOLDOWN, START + 2000)
    left = slow.acted("i-1", ActionKind.LEAVE_COOLDOWN, START + 1000)

    assert left.evaluated_at == START + 2000
    assert state_of(store).cooldown.reason is None


def test_a_fact_from_the_future_waits_until_it_is_due() -> None:
    """Before its date it changes nothing; at its date the cron brings it in."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    facts = numbered(
        [*burst(SignalType.MESSAGE_SENT, 1, START), *burst(SignalType.MESSAGE_REPLIED, 1, START + 5000)]
    )
    arrive(store, use_case, facts, START)

    early = use_case.due(START + 4999)
    due = use_case.due(START + 5000)

    assert early == []
    assert due[0].preview.last_human_interaction_at == START + 5000


def test_several_futures_become_due_one_after_the_other() -> None:
    """The next waiting fact is found when the one before it was folded."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_REPLIED, 3, START + 1000, step_ms=1000)), START)

    seen = [use_case.due(START + at)[0].preview.last_human_interaction_at for at in (1000, 2000, 3000)]

    assert seen == [START + 1000, START + 2000, START + 3000]


def test_another_sidecar_on_the_same_store_gives_the_same_state() -> None:
    """What is kept in memory is valid only as long as nobody else evaluated the instance."""
    store = InMemoryStore()
    one, two = EvaluateInstanceHealth(store, SETTING), EvaluateInstanceHealth(store, SETTING)
    facts = numbered(burst(SignalType.MESSAGE_SENT, 30, START, step_ms=60_000))
    now = START + 30 * 60_000

    for index in range(0, 30, 2):
        arrive(store, one, facts[index : index + 1], now)
        arrive(store, two, facts[index + 1 : index + 2], now)
    late = numbered(burst(SignalType.MESSAGE_FAILED, 5, START + 1, prefix="late"), 31)
    arrive(store, one, late, now)

    assert to_text(state_of(store)) == to_text(from_scratch(store, SETTING, now))


def test_an_evaluation_that_was_missed_is_made_up_for() -> None:
    """Facts recorded without their evaluation, as by a crash in between, are found by the cron."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    facts = numbered(burst(SignalType.MESSAGE_SENT, 6, START))
    record(store, facts[:3], START)
    assert [evaluated.instance_id for evaluated in use_case.due(START + 10)] == ["i-1"]
    record(store, facts[3:5], START)

    arrive(store, use_case, facts[5:], START + 20)

    assert state_of(store).rolling[0] == 6
    assert store.unevaluated(10) == []


def test_a_failing_store_leaves_nothing_behind() -> None:
    """A transaction that breaks changes neither the store nor what is remembered."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_SENT, 3, START)), START)
    more = numbered(burst(SignalType.MESSAGE_SENT, 3, START + 10, prefix="n"), 4)
    store.fail_at_commit = True
    with pytest.raises(StoreUnavailable):
        use_case.touched(record(store, more, START + 20), START + 20)
    store.fail_at_commit = False

    use_case.due(START + 60_000)

    assert to_text(state_of(store)) == to_text(from_scratch(store, SETTING, START + 60_000))
    assert state_of(store).rolling[0] == 6


def test_another_rule_set_refolds_and_explains_the_difference() -> None:
    """What other numbers make of the same facts is stored as one decision, dated now."""
    store = InMemoryStore()
    arrive(
        store,
        EvaluateInstanceHealth(store, SETTING),
        numbered(burst(SignalType.MESSAGE_FAILED, 4, START)),
        START + 10,
    )
    EvaluateInstanceHealth(store, SETTING).due(START + WINDOW)
    assert state_of(store).score == 40
    other = setting_of(WINDOW, rules=with_constants(RULES, {"S4.points": -25}))
    now = START + WINDOW + 60_000

    decision = EvaluateInstanceHealth(store, other).requested("i-1", EvaluationReason.PRE_DISPATCH, now)

    assert decision.after.score == 25
    assert decision.rule_set == other.rule_set
    page = ReadInstanceHealth(store, other).decisions(DecisionQuery("i-1", now, now, 10))
    assert {(d.reason, d.before.score, d.after.score) for d in page.decisions} == {
        (EvaluationReason.CRON, 40, 25),
        (EvaluationReason.PRE_DISPATCH, 25, 25),
    }
    assert to_text(state_of(store)) == to_text(from_scratch(store, other, now))


def test_a_quiet_instance_asks_for_no_more_looks() -> None:
    """When nothing is left that time could change, no step is due."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_SENT, 3, START)), START)

    looks = 0
    now = START
    while store._tables.states["i-1"].due_at is not None:
        now = store._tables.states["i-1"].due_at
        use_case.due(now)
        looks += 1
        assert looks < 100

    assert START + WINDOW < now <= START + WINDOW + 60_000 + 3
    assert state_of(store).rolling[0] == 0


def test_all_touched_instances_share_each_query() -> None:
    """Evaluating a hundred instances asks the store as often as evaluating one."""
    asked = []
    for count in (1, 100):
        store = InMemoryStore()
        use_case = EvaluateInstanceHealth(store, SETTING)
        facts = [
            fact._replace(instance_id=f"i-{number:03}", seq=seq, id=f"{number}-{seq}")
            for number in range(count)
            for seq, fact in enumerate(burst(SignalType.PRESENCE_SET, 2, START, step_ms=1000), start=1)
        ]
        arrive(store, use_case, facts[::2], START)
        before = store.queries
        arrive(store, use_case, facts[1::2], START + 1000)
        asked.append(store.queries - before)

    assert asked[0] == asked[1]
    assert asked[0] <= 5


def test_operator_actions_of_one_millisecond_apply_in_their_order() -> None:
    """Entering and leaving at once leaves the instance out of cooldown, and both are recorded."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_SENT, 1, START)), START)

    entered = use_case.acted("i-1", ActionKind.ENTER_COOLDOWN, START + 10)
    left = use_case.acted("i-1", ActionKind.LEAVE_COOLDOWN, START + 10)

    assert entered.after.cooldown_reason is CooldownReason.MANUAL_INTERVENTION
    assert entered.reason is EvaluationReason.OPERATOR
    assert left.after.cooldown_reason is None
    assert left.supersedes == entered.id
    assert len(left.action_ids) == 2


def test_a_banned_instance_stays_banned() -> None:
    """No connection and no reply brings it back; it is disconnected and may only be looked at."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.CONNECTION_CONNECTED, 1, START)), START)

    banned = use_case.acted("i-1", ActionKind.BAN, START + 10)
    arrive(
        store,
        use_case,
        numbered(burst(SignalType.CONNECTION_CONNECTED, 1, START + 20, prefix="n"), 2),
        START + 20,
    )

    health = ReadInstanceHealth(store, SETTING).reputation("i-1", START + 30).health
    assert banned.after.lifecycle is Lifecycle.BANNED
    assert (health.lifecycle, health.connection) == (Lifecycle.BANNED, Connection.DISCONNECTED)
    assert health.actions == (HealthAction.VIEW_HEALTH, HealthAction.BLOCK_DISPATCH, HealthAction.ALERT)


def test_reinitialising_gives_a_new_reputation_and_forgets_no_fact() -> None:
    """Score, level and count start again; what was counted before does not score; the last reply is known."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    facts = burst(SignalType.MESSAGE_REPLIED, 1, START) + burst(SignalType.MESSAGE_FAILED, 9, START)
    arrive(store, use_case, numbered(facts), START)
    use_case.acted("i-1", ActionKind.ENTER_COOLDOWN, START + 5)

    again = use_case.acted("i-1", ActionKind.REINITIALISE, START + 10)
    use_case.due(START + 10 + 2 * WINDOW)

    assert (again.after.score, again.after.temperature_level) == (50, TemperatureLevel.COLD)
    assert (again.after.cooldown_count, again.after.cooldown_reason) == (0, None)
    assert again.after.last_human_interaction_at == START
    assert state_of(store).score == 50


@pytest.mark.parametrize("kind", ActionKind)
def test_an_act_right_behind_a_changed_setting_is_recorded(kind: ActionKind) -> None:
    """The number was quiet since the restart with another window: the operator still gets a decision."""
    store = InMemoryStore()
    facts = numbered(burst(SignalType.MESSAGE_FAILED, 4, START))
    arrive(store, EvaluateInstanceHealth(store, SETTING), facts, START + 10)
    other = setting_of(WINDOW // 2)

    decision = EvaluateInstanceHealth(store, other).acted("i-1", kind, START + 60_000)

    assert decision.reason is EvaluationReason.OPERATOR
    assert decision.window_ms == WINDOW // 2
    assert ReplayDecisions(store, other).decision(decision).reproduced


def test_another_setting_that_changes_nothing_is_no_decision() -> None:
    """Only a difference is explained: the same counts by a window a millisecond longer are none."""
    store = InMemoryStore()
    arrive(
        store,
        EvaluateInstanceHealth(store, SETTING),
        numbered(burst(SignalType.PRESENCE_SET, 2, START)),
        START,
    )
    other = setting_of(WINDOW + 1)

    [evaluated] = EvaluateInstanceHealth(store, other).due(START + 60_000)

    assert evaluated.decisions == ()
    assert store._tables.states["i-1"].setting == other.id


def test_more_facts_than_are_read_at_once_are_folded_in_parts() -> None:
    """Five thousand and more that waited in the future all count when they are due."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    many = FACTS_MAX + 200
    facts = numbered(burst(SignalType.MESSAGE_SENT, many, START, step_ms=10))
    record(store, facts, START - 1)
    while store.unevaluated(1):
        use_case.due(START - 1)

    use_case.due(START + many * 10)

    assert state_of(store).rolling[0] == many
    assert to_text(state_of(store)) == to_text(from_scratch(store, SETTING, START + many * 10))

"""Retention: what is old goes, where the fold stood stays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import PastRetention
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import Setting, setting_of, to_text
from domain.past import fold_all
from domain.read_health import ReadInstanceHealth
from domain.retain import DropPastRetention
from domain.timeline import TimelineQuery
from domain.words import EvaluationReason, Millis, SignalType
from tests.domain.arriving import arrive, record, state_of
from tests.domain.facts import burst, numbered
from tests.domain.fold_oracle import World
from tests.domain.worlds import START, WINDOW, worlds
from tests.fakes import InMemoryStore

SETTING = Setting(WINDOW)
DAY: Millis = 86_400_000


def dated(store: InMemoryStore) -> list[Millis]:
    page = store.timeline(TimelineQuery("i-1", 0, 1 << 50, limit=5000))
    return [row.occurred_at for row in page.signals]


def test_exactly_as_old_as_the_retention_is_kept() -> None:
    """A signal one millisecond older goes."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_SENT, 3, START)), START + 10)

    gone = DropPastRetention(store, SETTING, 1)(START + 1 + DAY)

    assert gone == 1
    assert dated(store) == [START + 1, START + 2]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_retention_that_is_told_to_end_ends_between_two_steps(steps: int) -> None:
    """A sidecar that stops waits for one step at most; what is left goes the next time."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_SENT, 3, START)), START + 10)
    drop = DropPastRetention(store, SETTING, 1)
    asked = 0

    def go_on() -> bool:
        nonlocal asked
        asked += 1
        return asked < steps

    gone = drop(START + 3 + DAY, go_on)

    assert (asked, gone) == (min(steps, 2), 0 if steps == 1 else 3)
    assert drop(START + 3 + DAY) == 3 - gone


class Fragmented(InMemoryStore):
    """A store whose file shrinks by a bounded piece a call."""

    pieces = 3

    def give_back(self) -> bool:
        """Give one piece back; tell whether there is another."""
        self.pieces -= 1
        return self.pieces > 0


@pytest.mark.parametrize(("steps", "left"), [(9, 0), (1, 2)])
def test_room_is_given_back_piece_by_piece_until_none_is_left_or_it_is_told_to_end(
    steps: int, left: int
) -> None:
    """A store that was large does not hold up the end of its sidecar."""
    store = Fragmented()
    asked = iter(range(1, 100))

    DropPastRetention(store, SETTING, 1)(START + DAY, lambda: next(asked) < steps)

    assert store.pieces == left


@given(worlds(actions=False), st.integers(0, 7_200_000))
@settings(max_examples=60, deadline=None)
def test_the_reputation_is_the_same_after_old_facts_are_gone(world: World, after_ms: Millis) -> None:
    """Folding on from the stored base gives, byte for byte, what folding everything gave."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    now = START + 6 * 3_600_000
    arrive(store, use_case, world.facts, now)
    if not world.facts:
        return
    before = state_of(store)
    edge = START + after_ms

    DropPastRetention(store, SETTING, 1)(edge + DAY)

    assert all(at >= edge for at in dated(store))
    with store.reading() as reading:
        assert to_text(fold_all(reading, "i-1", now, SETTING).state) == to_text(before)


@given(worlds(actions=False), worlds(actions=False))
@settings(max_examples=60, deadline=None)
def test_older_facts_that_still_arrive_are_recorded_and_not_folded(world: World, later: World) -> None:
    """Whatever arrives behind the base, evaluating at once or from the base gives the same state."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    now = START + 6 * 3_600_000
    arrive(store, use_case, world.facts, now)
    if not world.facts or not later.facts:
        return
    edge = START + 3_600_000
    DropPastRetention(store, SETTING, 1)(edge + DAY)
    first = len(world.facts) + 1
    renamed = [fact._replace(message_id=None) for fact in numbered(later.facts, first)]

    arrive(store, use_case, renamed, now)

    with store.reading() as reading:
        assert to_text(fold_all(reading, "i-1", now, SETTING).state) == to_text(state_of(store))


def test_the_past_behind_the_base_is_refused() -> None:
    """A time before the retention horizon has no reliable answer, the horizon itself has."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    arrive(store, use_case, numbered(burst(SignalType.MESSAGE_SENT, 3, START)), START + 10)
    edge = START + 60_000
    DropPastRetention(store, SETTING, 1)(edge + DAY)
    reading = ReadInstanceHealth(store, SETTING)

    with pytest.raises(PastRetention):
        reading.reputation("i-1", edge + WINDOW - 1)
    assert reading.reputation("i-1", edge + WINDOW).health.reputation_score == 50


def test_another_window_length_folds_on_from_the_base() -> None:
    """A new setting takes over the score of the base and counts only what is dated behind it."""
    store = InMemoryStore()
    arrive(
        store,
        EvaluateInstanceHealth(store, SETTING),
        numbered(burst(SignalType.MESSAGE_FAILED, 4, START)),
        START + 10,
    )
    EvaluateInstanceHealth(store, SETTING).due(START + WINDOW)
    edge = START + WINDOW
    DropPastRetention(store, SETTING, 1)(edge + DAY)
    other = EvaluateInstanceHealth(store, setting_of(300_000))
    late = burst(SignalType.MESSAGE_FAILED, 4, edge + WINDOW + 1, prefix="n")

    arrive(store, other, numbered(late, first=5), edge + WINDOW + 300_001)

    assert state_of(store).score == 30


def test_retention_under_a_new_setting_keeps_what_the_dropped_facts_scored() -> None:
    """It runs at start, before a quiet instance is evaluated anew: the base speaks for the facts."""
    store = InMemoryStore()
    failed = numbered(burst(SignalType.MESSAGE_FAILED, 4, START))
    arrive(store, EvaluateInstanceHealth(store, SETTING), failed, START + 10)
    EvaluateInstanceHealth(store, SETTING).due(START + WINDOW)
    other = setting_of(300_000)
    now = START + 2 * WINDOW + DAY

    gone = DropPastRetention(store, other, 1)(now)
    asked = EvaluateInstanceHealth(store, other).requested("i-1", EvaluationReason.CRON, now)
    late = numbered(burst(SignalType.MESSAGE_FAILED, 4, START + 5, prefix="late"), 5)
    arrive(store, EvaluateInstanceHealth(store, other), late, now)

    assert gone == 4
    assert asked.after.score == 40
    assert state_of(store).score == 40


def test_an_instance_that_was_never_evaluated_gets_its_base_from_its_first_evaluation() -> None:
    """Nothing is stored for it; running again on the same day stores no second base for the others."""
    store = InMemoryStore()
    record(store, numbered(burst(SignalType.MESSAGE_SENT, 1, START + DAY)), START + DAY)
    arrive(
        store,
        EvaluateInstanceHealth(store, SETTING),
        [fact._replace(instance_id="i-2") for fact in numbered(burst(SignalType.MESSAGE_SENT, 1, START))],
        START,
    )
    retain = DropPastRetention(store, SETTING, 1)

    retain(START + DAY + 5)
    versions = [store._tables.states["i-2"].version]
    retain(START + DAY + 5)

    with store.reading() as reading:
        assert reading.base("i-1") is None
        assert reading.base("i-2") is not None
    assert [store._tables.states["i-2"].version] == versions


@pytest.mark.parametrize(("beside", "counted"), [(-1, 0), (0, 0), (1, 1)])
def test_a_late_fact_at_the_base_itself_is_not_folded_and_never_leaves(beside: int, counted: int) -> None:
    """The base speaks for its own millisecond too; one behind it counts, and goes when its window is over."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, SETTING)
    edge = START + 60_000
    base = edge + WINDOW
    arrive(store, use_case, numbered(burst(SignalType.PRESENCE_SET, 1, base - 10)), base + 1000)
    DropPastRetention(store, SETTING, 1)(edge + DAY)

    late = numbered(burst(SignalType.MESSAGE_SENT, 1, base + beside, prefix="late"), 2)
    arrive(store, use_case, late, base + 2000)
    during = state_of(store).rolling
    use_case.due(base + 62_000)
    for _ in range(100):
        use_case.due(store._tables.states["i-1"].due_at or base)

    assert during[0] == counted
    assert set(state_of(store).rolling) == {0}
    with store.reading() as reading:
        assert to_text(fold_all(reading, "i-1", base + DAY, SETTING).state) == to_text(state_of(store))

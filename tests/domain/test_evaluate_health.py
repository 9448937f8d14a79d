"""Evaluating: the stored state equals a fold from scratch, however the facts came."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evaluate_health import EvaluateInstanceHealth
from domain.fact import Fact
from domain.fold_state import Setting, to_text
from domain.words import ActionKind, Millis
from tests.domain.arriving import arrive, from_scratch, state_of
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

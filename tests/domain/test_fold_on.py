"""Folding in parts: what is read at once is bounded, the result is the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.fold_on import fold_on
from domain.fold_state import Setting, initial, setting_of, to_text
from domain.fold_supply import Move
from domain.rules import RULES
from domain.words import Millis, SignalType
from tests.domain.arriving import from_scratch, record
from tests.domain.facts import burst, numbered
from tests.domain.fold_oracle import Oracle, World
from tests.domain.worlds import START, WINDOW, dates, worlds
from tests.fakes import InMemoryStore

SETTING = Setting(WINDOW)
FAR: Millis = START + 100 * 3_600_000


@given(worlds(actions=False), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_a_fold_in_parts_equals_a_fold_at_once(world: World, facts_max: int) -> None:
    """However few facts are read at once, even fewer than share a millisecond, the state is the same."""
    store = InMemoryStore()
    record(store, world.facts, START)

    with store.reading() as reading:
        parts = fold_on(reading, Move("i-1", initial(RULES), -1, FAR), SETTING, facts_max)

    assert to_text(parts.state) == to_text(from_scratch(store, SETTING, FAR))


@given(worlds(latency=True, actions=False), dates())
@settings(max_examples=60, deadline=None)
def test_latencies_come_from_the_earliest_send_in_any_window(world: World, until: Millis) -> None:
    """With the switch on, what the store supplies gives the recount that knows every send."""
    store = InMemoryStore()
    record(store, world.facts, START)
    setting = setting_of(WINDOW, latency_rules=True)

    assert from_scratch(store, setting, until) == Oracle(world).run(until)


def test_reading_follows_what_moves_not_what_the_window_holds() -> None:
    """Two facts behind a window of ten thousand are folded in with a handful of rows."""
    store = InMemoryStore()
    record(store, numbered(burst(SignalType.MESSAGE_SENT, 10_000, START, step_ms=100)), START)
    state = from_scratch(store, SETTING, START + 1_000_000)
    more = burst(SignalType.MESSAGE_DELIVERED, 2, START + 1_000_001)
    record(store, numbered(more, first=10_001), START)

    with store.reading() as reading:
        counted = _Counting(reading)
        move = Move("i-1", state, state.at, START + 1_000_010)
        folded = fold_on(counted, move, SETTING)  # type: ignore[arg-type]  # passes every call on

    assert folded.state.rolling[:2] == (10_000, 2)
    assert counted.rows <= 6


class _Counting:
    """Counts the rows a reading gives."""

    def __init__(self, reading: object) -> None:
        self._reading = reading
        self.rows = 0

    def __getattr__(self, name: str) -> object:
        method = getattr(self._reading, name)

        def call(*arguments: object) -> object:
            found = method(*arguments)
            self.rows += len(found)
            return found

        return call

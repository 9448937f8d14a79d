"""Two settings in turn over one history: what one of them saved never hides a fact from the other."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import Setting, to_text
from domain.past import fold_to
from domain.words import Millis, SignalType
from tests.domain.arriving import arrive, from_scratch, state_of
from tests.domain.facts import burst, numbered
from tests.domain.worlds import START, WINDOW
from tests.fakes import InMemoryStore

LONG, SHORT = Setting(WINDOW), Setting(WINDOW // 4)
MINUTE: Millis = 60_000

Turn = tuple[Setting, int, int, int]
"""Who evaluates, minutes that have passed since, how late its facts are in minutes, how many there are."""


def turns() -> st.SearchStrategy[list[Turn]]:
    """Up to seven evaluations by either setting, each with facts that may be two hours late."""
    passed = st.sampled_from([0, 1, 20, 40, 90])
    one = st.tuples(st.sampled_from([LONG, SHORT]), passed, st.integers(0, 120), st.integers(1, 3))
    return st.lists(one, min_size=2, max_size=7)


@given(turns())
@example([(LONG, 0, 0, 2), (LONG, 40, 0, 1), (SHORT, 1, 0, 1), (LONG, 1, 30, 2)])
@example([(LONG, 0, 0, 2), (SHORT, 40, 0, 1), (SHORT, 20, 0, 1), (LONG, 40, 45, 1), (SHORT, 0, 60, 1)])
@settings(max_examples=60)
def test_a_setting_that_comes_back_folds_what_arrived_meanwhile(turns: list[Turn]) -> None:
    """Late facts and those of the other setting's time are in the state, now and at any time asked for."""
    store = InMemoryStore()
    now, seq = START + 3 * WINDOW, 1
    for setting, passed, late, count in turns:
        now += passed * MINUTE
        facts = burst(SignalType.MESSAGE_FAILED, count, now - late * MINUTE, prefix=f"m{seq}-")
        arrive(store, EvaluateInstanceHealth(store, setting), numbered(facts, seq), now)
        seq += count
        assert to_text(state_of(store)) == to_text(from_scratch(store, setting, now))

    with store.reading() as reading:
        for setting in (LONG, SHORT):
            for at in range(START, now + MINUTE, 10 * MINUTE):
                asked = fold_to(reading, "i-1", at, setting).state
                assert to_text(asked) == to_text(from_scratch(store, setting, at))

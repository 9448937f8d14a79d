"""What is remembered between two evaluations: bounded, and never trusted for another version."""

from domain.fold_state import INITIAL
from domain.resume import INSTANCES_MAX, KEPT_AGE_MAX_MS, KEPT_MIN, LiveFolds, SavedFold, before_in
from domain.resume import saved_from_text as read
from domain.resume import saved_to_text as write

SAVED = SavedFold(INITIAL, 5, 7, 11, 13)


def test_a_saved_fold_survives_its_text() -> None:
    """State, waiting fact, newest decision and base come back as they were."""
    assert read(write(SAVED)) == SAVED


def test_what_another_sidecar_evaluated_since_is_not_used() -> None:
    """Another version of the row means somebody else moved the fold."""
    lives = LiveFolds()
    lives.put("i-1", 3, SAVED, [])

    assert lives.get("i-1", 4) is None
    found = lives.get("i-1", 3)
    assert found is not None
    assert found.saved == SAVED


def test_the_instance_unused_for_longest_is_forgotten_beyond_the_bound() -> None:
    """Memory holds a stated number of instances, however many there are."""
    lives = LiveFolds()
    for number in range(INSTANCES_MAX):
        lives.put(f"i-{number}", 1, SAVED, [])
    lives.put("i-0", 2, SAVED, [])
    lives.put("one more", 1, SAVED, [])

    assert lives.get("i-1", 1) is None
    assert lives.get("i-0", 2) is not None
    assert lives.get("i-2", 1) is not None


def test_kept_states_are_those_before_a_late_fact_and_the_new_ones() -> None:
    """What a late fact made wrong goes; what is older than six hours goes; some always stay."""
    lives = LiveFolds()
    now = 10 * KEPT_AGE_MAX_MS
    kept = [
        INITIAL._replace(at=at) for at in (now - KEPT_AGE_MAX_MS - 1, now - KEPT_AGE_MAX_MS, now - 5, now)
    ]

    joined = lives.joined(kept, now, [INITIAL._replace(at=now, score=7)], now)

    assert [(state.at, state.score) for state in joined] == [
        (now - KEPT_AGE_MAX_MS, 50),
        (now - 5, 50),
        (now, 7),
    ]
    assert lives.joined([], now, [], now) == []
    assert KEPT_MIN >= 3


def test_resuming_goes_to_the_newest_state_strictly_before() -> None:
    """A state at the late fact's own millisecond would have missed it."""
    kept = [INITIAL._replace(at=at) for at in (1, 5, 9)]

    assert before_in(kept, 9) == kept[1]
    assert before_in(kept, 10) == kept[2]
    assert before_in(kept, 1) is None

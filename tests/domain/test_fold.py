"""The fold: equal to its literal form, whatever the path it took."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.fact import Fact
from domain.fold import fold
from domain.fold_material import Entry, Material, entries_of, reports_of
from domain.fold_state import (
    INITIAL,
    KEPT_MAX,
    FoldState,
    Setting,
    from_text,
    keep,
    setting_named,
    setting_of,
    thinned,
    to_text,
)
from domain.words import Millis, SignalType, Source
from tests.domain.fold_oracle import Oracle, World
from tests.domain.worlds import START, WINDOW, dates, worlds

FAR: Millis = START + 100 * 3_600_000
SETTING = Setting(WINDOW)


def material(world: World, since: Millis, until: Millis) -> Material:
    """Give what a fold needs from a time to another, cut from a whole world."""
    entries = entries_of(world.facts, world.sent)
    leaving = [e for e in entries if since - WINDOW <= e.at <= until - WINDOW - 1]
    entering = [e for e in entries if since < e.at <= until]
    moved = set(leaving) | set(entering)
    messages = {e.message_id for e in moved if e.message_id}
    reports = reports_of([e for e in entries if e.message_id in messages])
    acted = sorted(
        (action for action in world.actions if since < action.at <= until), key=lambda a: (a.at, a.id)
    )
    return Material(leaving, entering, reports, acted)


def moved(world: World, state: FoldState, until: Millis) -> FoldState:
    """Fold on from a state that passed through the store."""
    stored = from_text(to_text(state))
    return fold(stored, material(world, stored.at, until), until, SETTING).state


@given(worlds(), dates())
@settings(max_examples=150, deadline=None)
def test_the_fold_equals_a_recount_at_every_step(world: World, until: Millis) -> None:
    """Moving by what enters and leaves gives what recounting all facts at each step gives."""
    assert fold(INITIAL, material(world, -1, until), until, SETTING).state == Oracle(world).run(until)


@given(worlds(latency=True))
@settings(max_examples=60, deadline=None)
def test_the_fold_equals_a_recount_with_the_latency_switch_on(world: World) -> None:
    """A message's latency stays in the mean as long as any of its reports is in the window."""
    assert fold(INITIAL, material(world, -1, FAR), FAR, SETTING).state == Oracle(world).run(FAR)


def test_a_message_told_twice_keeps_its_latency_in_the_mean_until_its_last_report_leaves() -> None:
    """The first report goes and the second, later one gives the latency; then both are gone."""
    kind, later = SignalType.MESSAGE_DELIVERED, START + 60_000
    facts = [
        Fact("i-1", f"{at}", 0, kind, source, at, message, is_group=False, latency_ms=None)
        for message, at, source in (
            ("twice", START, Source.WEBHOOK),
            ("twice", later, Source.DISPATCH),
            ("once", later, Source.WEBHOOK),
        )
    ]
    world = World(facts, (), WINDOW, {"twice": START - 2_000, "once": START})

    for until in (START, later, START + WINDOW, START + WINDOW + 1, later + WINDOW, later + WINDOW + 1):
        state = fold(INITIAL, material(world, -1, until), until, SETTING).state
        assert state == Oracle(world).run(until)
        assert moved(world, fold(INITIAL, material(world, -1, START), START, SETTING).state, until) == state


def test_facts_without_a_message_are_no_reports_of_one() -> None:
    """A send's latency names no message: two of them are two facts."""
    entries = [Entry(START, 1, ""), Entry(START, 1, ""), Entry(START, 1, "a"), Entry(START + 1, 1, "a")]

    assert list(reports_of(entries)) == [(1, "a")]


@pytest.mark.parametrize("latency_rules", [True, False])
def test_a_setting_is_read_back_from_its_id(latency_rules: bool) -> None:
    """Whoever finds a stored state knows what it was folded with."""
    setting = setting_of(900_000, latency_rules=latency_rules)

    read = setting_named(setting.id)

    assert read is not None
    assert (read.id, read.window_ms, read.latency_rules) == (setting.id, 900_000, latency_rules)


@pytest.mark.parametrize("odd", ["", "rules", "{0}", "{0}/", "{0}/x/plain", "{0}/9/loud", "other/9/plain"])
def test_an_id_of_other_rules_or_of_none_gives_no_setting(odd: str) -> None:
    """Nobody folds on from what these rules did not make."""
    assert setting_named(odd.format(setting_of(1).rule_set)) is None


@given(worlds(), st.lists(dates(), max_size=8))
@settings(max_examples=150, deadline=None)
def test_how_often_one_looks_does_not_matter(world: World, looks: Sequence[Millis]) -> None:
    """Folding in any number of pieces, each through the store, gives the same text as at once."""
    state = INITIAL
    for until in [*sorted(looks), FAR]:
        state = moved(world, state, until)

    assert to_text(state) == to_text(fold(INITIAL, material(world, -1, FAR), FAR, SETTING).state)


@given(worlds())
@settings(max_examples=60, deadline=None)
def test_every_kept_state_leads_to_the_same_end(world: World) -> None:
    """Whatever kept state a late batch resumes from, the fold ends in the same state."""
    whole = fold(INITIAL, material(world, -1, FAR), FAR, SETTING)

    for state in whole.kept:
        assert moved(world, state, FAR) == whole.state


@given(worlds(actions=False))
@settings(max_examples=60, deadline=None)
def test_no_message_scores_twice_and_none_is_missed(world: World) -> None:
    """The ended point windows together hold every counted fact, each message once a window."""
    folded = fold(INITIAL, material(world, -1, FAR), FAR, SETTING)
    entries = [e for e in entries_of(world.facts, None) if e.kind <= 10]

    opened: list[Millis] = []
    for entry in entries:
        if not opened or entry.at >= opened[-1] + WINDOW:
            opened.append(entry.at)
    expected = []
    for start in opened:
        inside = [e for e in entries if start <= e.at < start + WINDOW]
        expected.append((start, _distinct(inside)))
    ended = [window for change in folded.changes for window in change.ended]
    by_start = dict(expected)
    for window in ended:
        assert sum(window.counts[:11]) == by_start[window.opened_at]
    assert len(folded.commits) == len(expected)
    assert folded.state.point_opened_at is None
    assert folded.state.rolling[:14] == (0,) * 14


def _distinct(entries: Sequence[Entry]) -> int:
    return len({(e.kind, e.message_id) if e.message_id else (e.kind, str(n)) for n, e in enumerate(entries)})


def test_kept_states_are_bounded_and_none_is_much_further_back_than_asked() -> None:
    """Of a hundred thousand states few stay; before any time lies one at most twice as far back."""
    kept: list[FoldState] = []

    for at in range(100_000):
        keep(kept, INITIAL._replace(at=at))

    assert len(kept) <= 2 * KEPT_MAX
    for late in (2, 10, 500, 7_000, 40_000):
        before = max(state.at for state in thinned(kept, KEPT_MAX) if state.at < 100_000 - late)
        assert 100_000 - before <= 3 * late
    assert len(thinned(kept, 4)) <= 4

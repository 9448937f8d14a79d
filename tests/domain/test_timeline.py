"""The timeline of one instance: pages with gaps on the first."""

import pytest

from domain.errors import InvalidQuery
from domain.recorded import Gap, Progress
from domain.timeline import LIMIT_MAX, GetReputationTimeline, PageKey, TimelineQuery
from domain.words import Millis, SignalType
from tests.domain.arriving import record
from tests.domain.facts import burst, numbered
from tests.domain.worlds import START
from tests.fakes import InMemoryStore

END: Millis = START + 60_000


@pytest.fixture
def timeline() -> GetReputationTimeline:
    """Three facts of one millisecond each, and a gap among them."""
    store = InMemoryStore()
    record(store, numbered(burst(SignalType.MESSAGE_SENT, 3, START)), START)
    with store.recording() as recording:
        recording.advance([Progress("w0")], [Gap("k", START + 1, START + 1, "disk_full", 4)])
    return GetReputationTimeline(store)


def test_gaps_stand_on_the_first_page_only(timeline: GetReputationTimeline) -> None:
    """Walking page by page gives each signal once and each gap once."""
    first = timeline(TimelineQuery("i-1", START, END, limit=2))
    second = timeline(TimelineQuery("i-1", START, END, limit=2, after=first.next_key))

    assert [row.seq for row in [*first.signals, *second.signals]] == [1, 2, 3]
    assert first.next_key == PageKey(START + 1, 2)
    assert second.next_key is None
    assert ([gap.lost for gap in first.gaps], second.gaps) == ([4], [])


def test_inverted_bounds_give_an_empty_page_and_equal_ones_an_instant(
    timeline: GetReputationTimeline,
) -> None:
    """Both bounds are inclusive."""
    assert timeline(TimelineQuery("i-1", END, START)) == ([], [], None)
    assert [row.seq for row in timeline(TimelineQuery("i-1", START + 2, START + 2)).signals] == [3]


@pytest.mark.parametrize("limit", [0, -1, LIMIT_MAX + 1])
def test_a_limit_out_of_bounds_is_refused_by_name(timeline: GetReputationTimeline, limit: int) -> None:
    """One to 5 000 rows a page."""
    with pytest.raises(InvalidQuery) as refused:
        timeline(TimelineQuery("i-1", START, END, limit=limit))

    assert refused.value.field == "limit"


def test_the_longest_page_is_allowed(timeline: GetReputationTimeline) -> None:
    """The bound itself is inside."""
    assert len(timeline(TimelineQuery("i-1", START, END, limit=LIMIT_MAX)).signals) == 3

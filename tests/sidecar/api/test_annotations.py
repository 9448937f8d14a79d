"""GET /v1/annotations over the real listener."""

from typing import Any

import pytest

from domain.recorded import Gap, RecordedSignal
from domain.words import SignalType
from sidecar.api import annotations
from tests.builders import recorded_signal
from tests.sidecar.api.serving import NOW, ListStore, admin, run, summary

UP = SignalType.CONNECTION_CONNECTED
DOWN = SignalType.CONNECTION_DISCONNECTED
ERROR = SignalType.CONNECTION_ERROR
TARGET = f"/v1/annotations?instanceId=sales-1&since={NOW - 1000}&until={NOW}"


def changes(*facts: tuple[int, SignalType]) -> list[RecordedSignal]:
    """Make connection facts, that many milliseconds before NOW."""
    return [recorded_signal(n, NOW - ago, kind) for n, (ago, kind) in enumerate(facts, 1)]


def ask(store: ListStore, target: str = TARGET) -> list[Any]:
    """Ask once, and give the annotations."""

    async def story() -> Any:
        async with admin(store) as api:
            return (await api.get(target)).json

    answer = run(story)
    assert answer["nextCursor"] is None
    return list(answer["annotations"])


@pytest.mark.parametrize(
    ("facts", "spans"),
    [
        ([], []),
        ([(900, UP)], []),
        ([(900, DOWN), (700, UP)], [(900, 700)]),
        ([(900, DOWN), (800, ERROR), (700, UP), (600, UP), (500, ERROR)], [(900, 700), (500, 0)]),
        ([(5000, DOWN)], [(1000, 0)]),
        ([(5000, DOWN), (400, UP)], [(1000, 400)]),
        ([(5000, DOWN), (4000, UP)], []),
        ([(1000, DOWN), (0, UP)], [(1000, 0)]),
    ],
)
def test_a_disconnect_lasts_until_the_next_connection(
    facts: list[tuple[int, SignalType]], spans: list[tuple[int, int]]
) -> None:
    """Spans are clipped to the question; one that began before it counts, one still open ends with it."""
    found = ask(ListStore(changes(*facts)))

    assert [(NOW - one["time"], NOW - one["timeEnd"]) for one in found] == spans
    assert all(one["tags"] == "disconnect" and "sales-1" in one["title"] for one in found)


def test_gaps_are_drawn_with_their_number_and_reason() -> None:
    """Lost facts are visible over every panel."""
    found = ask(ListStore(gaps=[Gap("k", NOW - 300, NOW - 200, "disk_full", 12)]))

    assert found == [
        {
            "time": NOW - 300,
            "timeEnd": NOW - 200,
            "title": "facts lost",
            "text": "12 facts of unknown instances were lost: disk_full",
            "tags": "gap",
        }
    ]


def test_without_an_instance_all_are_walked_a_page_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every instance is seen once; gaps stand on the first page only."""
    monkeypatch.setattr(annotations, "INSTANCES_PAGE", 2)
    names = [f"n{i}" for i in range(5)]
    store = ListStore(
        [recorded_signal(1, NOW - 10, DOWN, instance_id=name) for name in names],
        [Gap("k", NOW - 300, NOW, "disk_full", 1)],
        [summary(name) for name in names],
    )

    async def story() -> list[list[str]]:
        pages, cursor, now = [], "", NOW
        async with admin(store, clock=lambda: now) as api:
            while True:
                answer = (await api.get(f"/v1/annotations?{cursor}")).json
                pages.append([one["title"] for one in answer["annotations"]])
                if answer["nextCursor"] is None:
                    return pages
                cursor, now = f"cursor={answer['nextCursor']}", now + 10**9

    pages = run(story)

    assert pages == [
        ["facts lost", "n0 disconnected", "n1 disconnected"],
        ["n2 disconnected", "n3 disconnected"],
        ["n4 disconnected"],
    ]


def test_too_many_changes_are_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flapping instance shows its newest changes and a span that says what is missing."""
    monkeypatch.setattr(annotations, "FACTS_MAX", 4)
    facts = changes(*[(900 - n * 100, (DOWN, UP)[n % 2]) for n in range(8)])

    cut, *rest = ask(ListStore(facts))

    assert cut["tags"] == "disconnect,cut"
    assert (NOW - cut["time"], NOW - cut["timeEnd"]) == (1000, 500)
    assert [NOW - one["time"] for one in rest] == [500, 300]


def test_inverted_bounds_are_empty_and_a_foreign_cursor_is_refused() -> None:
    """Nothing lies between an end and an earlier end; a cursor keeps to its question."""
    store = ListStore(changes((900, DOWN)))
    assert ask(store, f"/v1/annotations?since={NOW}&until={NOW - 1}") == []

    async def story() -> Any:
        async with admin(store) as api:
            return (await api.get("/v1/annotations?cursor=AAAA")).problem

    assert run(story) == (400, "bad_cursor", "cursor")

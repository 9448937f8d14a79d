"""Which instances the gauges speak of, and what they say after a restart, on a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.decision import Decision
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import setting_of
from domain.words import EvaluationReason, SignalType
from exporters.sql.store import SqlStore
from sidecar.bootstrap import gauges
from sidecar.bootstrap.gauges import InstanceBoard
from tests.builders import recorded_signal

T0 = 1_790_000_000_000
SETTING = setting_of(1_800_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Open an empty store."""
    opened = SqlStore(f"sqlite:///{tmp_path / 'store.db'}", sidecar_id="s1")
    opened.open()
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def always_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every refresh reads; how old states may be is not what is tested."""
    monkeypatch.setattr(gauges, "BOARD_NS", -1)


def fail(store: SqlStore, instance_id: str, at: int = T0, *, times: int = 1) -> Decision:
    """Record failed sends and evaluate; enough of them raise alerts."""
    rows = [
        recorded_signal(number, at + number, SignalType.MESSAGE_FAILED, instance_id=instance_id)
        for number in range(1, times + 1)
    ]
    with store.recording() as recording:
        head = recording.lock([instance_id])[instance_id]
        recording.append(rows)
        recording.save_heads([head._replace(last_seq=times, last_signal_at=rows[-1].occurred_at)])
    evaluate = EvaluateInstanceHealth(store, SETTING)
    return evaluate.requested(instance_id, EvaluationReason.CRON, at + times + 1)


def alerts(board: InstanceBoard) -> dict[str, int]:
    """Refresh, and give the alerts shown."""
    board.refresh()
    return {row.instance_id: row.alerts for row in board.gauges()}


def test_alerts_are_known_after_a_restart(store: SqlStore) -> None:
    """A new board takes them from the stored decisions, before any new one is made."""
    decision = fail(store, "sales-1", times=12)
    fail(store, "sales-2")
    assert decision.after.alerts

    shown = alerts(InstanceBoard(store, 10, list))

    assert shown == {"sales-1": len(decision.after.alerts), "sales-2": 0}


def test_an_announced_decision_is_newer_than_the_store(store: SqlStore) -> None:
    """What was announced is shown, whatever the newest stored decision read before said."""
    board = InstanceBoard(store, 10, list)
    fail(store, "sales-1")
    assert alerts(board) == {"sales-1": 0}

    decision = fail(store, "sales-1", T0 + 1000, times=12)
    board.decided([decision])

    assert alerts(board) == {"sales-1": len(decision.after.alerts)}


def test_the_states_shown_are_those_of_instances_that_have_a_place(store: SqlStore) -> None:
    """With every place taken, the list's first instances are not the ones: the active ones are."""
    for number in range(8):
        fail(store, f"sales-{number}", times=12 if number > 5 else 1)
    placed = ["sales-6", "sales-7", "unknown"]

    shown = alerts(InstanceBoard(store, 3, lambda: placed))

    assert shown.keys() == {"sales-6", "sales-7"}
    assert all(shown.values())


def test_free_places_are_offered_to_the_first_of_the_list(store: SqlStore) -> None:
    """A number that is known but silent still shows its state while there is room."""
    for number in range(4):
        fail(store, f"sales-{number}")

    assert alerts(InstanceBoard(store, 3, lambda: ["sales-3"])).keys() == {
        "sales-0",
        "sales-1",
        "sales-2",
        "sales-3",
    }


def test_what_is_remembered_of_alerts_is_bounded(store: SqlStore) -> None:
    """Decisions that nobody scrapes take no memory; whoever leaves and comes back has its alerts again."""
    board = InstanceBoard(store, 2, lambda: placed)
    decisions = [fail(store, f"sales-{number}", times=12) for number in range(6)]
    for decision in decisions:
        board.decided([decision])
    assert len(board._alerts) == 2

    for placed in (["sales-4", "sales-5"], ["sales-0", "sales-1"], ["sales-4", "sales-5"]):
        shown = alerts(board)
        assert shown.keys() == set(placed)
        assert all(shown.values())


def test_places_at_the_start_go_to_those_heard_of_last(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their names, over several pages of the list."""
    monkeypatch.setattr(gauges, "START_PAGE", 2)
    for number, age in enumerate((5, 1, 4, 2, 3)):
        fail(store, f"sales-{number}", T0 - age * 1000)

    recent = InstanceBoard(store, 3, list).recent()

    assert recent == [("sales-1", T0 - 999), ("sales-3", T0 - 1999), ("sales-4", T0 - 2999)]

"""The wall clock set back and forward under load: no negative duration, one order, nothing lost."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.book import LATENCY, SENT, read_book
from tests.e2e.load import Load, Numbered, balanced, grown
from tests.e2e.sidecars import Sidecar, until, world

HOUR = 3600
SETTINGS = (-2 * HOUR, 3 * HOUR, 0, -7 * 24 * HOUR, 0)
"""Where the clock is set to, one after the other, in seconds from the true time."""
JUMPS_FULL = 40
pytestmark = pytest.mark.slow


@pytest.fixture
def set_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file whose text moves the wall clock of every process started from here on."""
    file = tmp_path / "clock"
    file.write_text("0")
    folder = Path(__file__).parent / "clock"
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(folder), str(root))))
    monkeypatch.setenv("CHAOS_CLOCK", str(file))
    return file


def negatives(running: Sidecar) -> list[str]:
    """Name every metric that tells of less than nothing; a falling trend does so rightly."""
    metrics = running.metrics().items()
    return [name for name, value in metrics if value < 0 and "_trend" not in name]


def test_a_clock_that_is_set_loses_nothing_and_no_duration_is_negative(
    set_clock: Path, tmp_path: Path, full: bool
) -> None:
    """Durations come from another clock; a page reads the same from either end; every answer is recorded."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    jumps = SETTINGS * (JUMPS_FULL // len(SETTINGS)) if full else SETTINGS
    with world(tmp_path, gateway=Numbered(), database_url=url) as (_, running, _):
        sends = Load(running.listeners["dispatch"], connections=2)
        with ExitStack() as stack:
            stack.callback(sends.stop)
            until(grown(sends, 60))
            for seconds in jumps:
                set_clock.write_text(str(seconds))
                until(grown(sends, 120), 60)
                assert negatives(running) == []
        until(lambda: running.metrics()["reputation_signals_pending"] == 0, 60)
        assert balanced(running)
        up, down = ([row["id"] for row in running.timeline("vendas-01", order=o)] for o in ("asc", "desc"))
        rows = running.timeline("vendas-01", type="SEND_LATENCY_OBSERVED")
        health = running.request("admin", "GET", "/v1/instances/vendas-01/reputation")
        assert running.stop() == 0

    book = read_book(url)
    book.check()
    assert sends.failures == []
    for kind in (SENT, LATENCY):
        assert sorted(book.messages(kind)) == sorted(sends.ids)
    assert up == down[::-1] or len(up) == 5000
    assert [row["occurredAt"] for row in rows] == sorted(row["occurredAt"] for row in rows)
    days = {row["occurredAt"][:10] for row in rows}
    assert len(days) > 1, "the clock was never set"
    assert all(0 <= row["latencyMs"] < 60_000 for row in rows)
    assert health.status == 200
    assert book.gaps == []

"""kill -9 at random moments under load: what was answered is recorded, once, and the ledger balances."""

import os
import random
import signal
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.chaos.book import LATENCY, SENT, read_book
from tests.e2e.load import Load, Numbered, balanced, grown
from tests.e2e.sidecars import Sidecar, origin, until

KILLS = {"sqlite": 6, "postgresql": 4}
KILLS_FULL = 200
"""On each database."""
VICTIMS = ("worker", "recorder", "supervisor", "all")
pytestmark = pytest.mark.slow


def kill(victim: str, running: Sidecar) -> None:
    """Kill one process, or all at once."""
    if victim == "all":
        running.kill()
        return
    if victim == "supervisor":
        children = psutil.Process(running.process.pid).children()
        os.kill(running.process.pid, signal.SIGKILL)
        psutil.wait_procs(children, timeout=20)
        running.kill()
        return
    title = "sidecar: worker 0" if victim == "worker" else "sidecar: recorder"
    running.child(title).kill()


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_whatever_is_killed_under_load_loses_nothing_answered_and_doubles_nothing(
    database: str, tmp_path: Path, request: pytest.FixtureRequest, full: bool
) -> None:
    """Each answered send has both its facts exactly once; what was in hand is a gap, counted exactly."""
    url = (
        f"sqlite:///{tmp_path / 'store.db'}"
        if database == "sqlite"
        else request.getfixturevalue("database_url")
    )
    dice = random.Random(7)
    victims = [VICTIMS[n % len(VICTIMS)] for n in range(KILLS_FULL if full else KILLS[database])]
    dice.shuffle(victims)
    answered: list[str] = []
    with ExitStack() as stack:
        gateway = stack.enter_context(origin(Numbered()))

        def start() -> tuple[Sidecar, Load]:
            running = Sidecar(tmp_path / "data", provider_url=gateway.url, database_url=url)
            stack.callback(running.kill)
            sends = Load(running.ready().listeners["dispatch"])
            stack.callback(sends.stop)
            return running, sends

        running, sends = start()
        for victim in victims:
            until(grown(sends, dice.randrange(1, 150)), 60)
            kill(victim, running)
            if victim in ("supervisor", "all"):
                sends.stop()
                answered += sends.ids
                running, sends = start()
        until(grown(sends, 20), 60)
        sends.stop()
        answered += sends.ids
        until(lambda: running.metrics().get("reputation_signals_pending") == 0, 60)
        until(lambda: balanced(running))
        assert running.stop() == 0

    book = read_book(url)
    book.check()
    for kind in (SENT, LATENCY):
        recorded = book.messages(kind)
        assert set(answered) <= set(recorded)
        assert len(recorded) == len(set(recorded))
    assert {reason for reason, _ in book.gaps} <= {"worker_killed"}
    assert not list((tmp_path / "data" / "quarantine").glob("*"))

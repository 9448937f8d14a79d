"""PostgreSQL stopped, crashed, away at the start, its connections cut: the traffic never notices."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from sidecar.clock import monotonic_ns
from tests.chaos.book import LATENCY, SENT, read_book
from tests.chaos.database_server import DatabaseServer
from tests.e2e.load import Load, Numbered, balanced, grown
from tests.e2e.sidecars import Sidecar, until, world
from tests.postgres import execute

OUTAGE_SECONDS, OUTAGE_SECONDS_FULL = "1", "180"
"""Unless `SIDECAR_CHAOS_OUTAGE_SECONDS` says how long."""
CUTS, CUTS_FULL = 15, 500
BETWEEN_CUTS_SECONDS = 0.5
"""At most: a batch that is always cut would leave only one moment to be tried."""
pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def readiness(running: Sidecar) -> tuple[int, str]:
    answer = running.request("admin", "GET", "/readyz")
    return answer.status, json.loads(answer.body)["status"]


def lasted(seconds: float) -> None:
    """Let an outage last: how long it lasts is what is tested."""
    end = monotonic_ns() + seconds * 1e9
    until(lambda: monotonic_ns() > end, seconds + 5)


def settled(running: Sidecar, seconds: float = 90) -> None:
    until(lambda: running.metrics().get("reputation_signals_pending") == 0, seconds)
    assert balanced(running)


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_an_outage_of_the_database_costs_no_request_no_fact_and_no_order(
    how: str, own_server: DatabaseServer, own_database: str, tmp_path: Path, full: bool
) -> None:
    """Readiness says degraded with 200; afterwards every fact is there, in the order it was answered."""
    told = os.environ.get("SIDECAR_CHAOS_OUTAGE_SECONDS")
    seconds = float(told or (OUTAGE_SECONDS_FULL if full else OUTAGE_SECONDS))
    with world(tmp_path, gateway=Numbered(), database_url=own_database) as (_, running, _):
        sends = Load(running.listeners["dispatch"], connections=1)  # one: what is answered has one order
        with ExitStack() as stack:
            stack.callback(sends.stop)
            until(grown(sends, 200))
            settled_before = running.total("reputation_signals_total")
            own_server.stop(how)
            first, outage = len(sends.ids), grown(sends, 200)
            until(lambda: readiness(running) == (200, "degraded"))
            until(outage)
            lasted(seconds)
            last = len(sends.ids)
            assert readiness(running) == (200, "degraded")
            own_server.start()
            until(grown(sends, 200))
        until(lambda: readiness(running) == (200, "ok"), 30)
        settled(running)
        assert running.stop() == 0

    book = read_book(own_database)
    book.check()
    assert settled_before > 0
    assert sends.failures == []
    assert book.messages(SENT) == sends.ids  # the outage's, from `first` to `last`, included
    assert last - first >= 200
    assert sorted(book.messages(LATENCY)) == sorted(sends.ids)
    assert book.gaps == []


def test_a_database_that_is_away_at_the_start_is_waited_for(
    own_server: DatabaseServer, own_database: str, tmp_path: Path
) -> None:
    """Ready at once, degraded with 200; what came meanwhile is recorded in order when it is there."""
    own_server.stop()
    with world(tmp_path, gateway=Numbered(), database_url=own_database) as (_, running, _):
        assert readiness(running) == (200, "degraded")
        sends = Load(running.listeners["dispatch"], connections=1)
        with ExitStack() as stack:
            stack.callback(sends.stop)
            until(grown(sends, 300))
            own_server.start()
            until(grown(sends, 100))
        until(lambda: readiness(running) == (200, "ok"), 30)
        settled(running)
        assert running.stop() == 0

    book = read_book(own_database)
    book.check()
    assert sends.failures == []
    assert book.messages(SENT) == sends.ids
    assert book.gaps == []


def test_connections_that_are_cut_at_any_moment_double_nothing_and_lose_nothing(
    database_url: str, tmp_path: Path, full: bool
) -> None:
    """Whether the cut came before or behind a commit, the batch is recorded once."""
    cut, due, dice = 0, monotonic_ns(), Random(4)
    with world(tmp_path, gateway=Numbered(), database_url=database_url) as (_, running, _):
        sends = Load(running.listeners["dispatch"], connections=2)
        with ExitStack() as stack:
            stack.callback(sends.stop)
            until(lambda: running.total("reputation_signals_total") > 0)

            def tried() -> bool:
                """Cut the writing connections that are inside a transaction right now."""
                nonlocal cut, due
                if monotonic_ns() < due:
                    return False
                ended = execute(
                    database_url,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE xact_start IS NOT NULL "
                    "AND application_name = 'reputation-sidecar' AND datname = current_database()",
                )
                if ended:
                    cut += len(ended)
                    due = monotonic_ns() + int(dice.uniform(0, BETWEEN_CUTS_SECONDS) * 1e9)
                return cut >= (CUTS_FULL if full else CUTS)

            until(tried, 900 if full else 60)
            until(grown(sends, 50))
        settled(running)
        assert running.stop() == 0

    book = read_book(database_url)
    book.check()
    assert sends.failures == []
    assert sorted(book.messages(SENT)) == sorted(sends.ids)
    assert book.gaps == []

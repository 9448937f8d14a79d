"""Supervisor, worker and recorder as real processes: starting, crashing, draining, handing over."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.load import SEND, TEXT, Numbered, balanced, grown, load, recorded_ids
from tests.e2e.sidecars import Answer, Sidecar, call, origin, sidecar, until, world


def refused(data_dir: Path, **settings: str) -> tuple[int, str]:
    """Start what cannot run; give its exit status and what it said."""
    running = Sidecar(data_dir, **settings)
    try:
        return running.wait(), "".join(running.errors)
    finally:
        running.kill()


def test_processes_carry_their_names(tmp_path: Path) -> None:
    """An operator sees in a process list who is who."""
    with world(tmp_path, workers="2") as (_, running, _):
        for title in ("sidecar: worker 0", "sidecar: worker 1", "sidecar: recorder"):
            assert running.child(title).is_running()
        assert " ".join(psutil.Process(running.process.pid).cmdline()).strip() == "sidecar: supervisor"


def test_a_killed_recorder_costs_no_traffic_and_no_fact(tmp_path: Path) -> None:
    """Workers journal on, the next recorder resumes at its stored position."""
    with world(tmp_path, gateway=Numbered()) as (_, running, _), load(running.listeners["dispatch"]) as sends:
        for _ in range(3):
            running.child("sidecar: recorder").kill()
            until(grown(sends, 50))
            until(lambda: running.request("admin", "GET", "/healthz").status == 200)
        sends.stop()
        until(lambda: sorted(recorded_ids(running)) == sorted(sends.ids))
        assert balanced(running)
        # The newest recorder tells of the deaths of all before it: an alert on them can fire.
        died = 'reputation_sidecar_events_total{event="process.died"}'
        until(lambda: running.metrics()[died] == 3)

    assert sends.failures == []
    assert len(running.logged("process.died")) == 3


def test_a_killed_worker_loses_nothing_it_had_released_and_the_other_serves(tmp_path: Path) -> None:
    """What a client was answered is in the timeline, however the worker ended."""
    with world(tmp_path, gateway=Numbered(), workers="2") as (_, running, _):
        with load(running.listeners["dispatch"]) as sends:
            until(lambda: len(sends.ids) > 100)
            for name in ("sidecar: worker 0", "sidecar: worker 1"):
                running.child(name).kill()
                until(grown(sends, 100))
        until(lambda: set(sends.ids) <= set(recorded_ids(running)))
        ids = recorded_ids(running)
        until(lambda: balanced(running))

    assert len(ids) == len(set(ids))


def test_everything_killed_at_once_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """Kill -9 under load, then a start on the same data directory: all ids, each once."""
    with origin(Numbered()) as gateway:
        with sidecar(tmp_path, provider_url=gateway.url) as first:
            with load(first.listeners["dispatch"]) as sends:
                until(lambda: len(sends.ids) > 200)
                first.kill()
            answered = list(sends.ids)
        with sidecar(tmp_path, provider_url=gateway.url) as second:
            until(lambda: set(answered) <= set(recorded_ids(second)))
            ids = recorded_ids(second)
            assert balanced(second)
            assert second.stop() == 0

    assert len(ids) == len(set(ids))


def test_children_leave_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    """No orphan keeps the ports."""
    with world(tmp_path) as (_, running, _):
        children = psutil.Process(running.process.pid).children()
        os.kill(running.process.pid, signal.SIGKILL)
        gone, alive = psutil.wait_procs(children, timeout=20)

    assert (len(gone), alive) == (2, [])


def test_a_stop_lets_what_is_in_flight_finish_and_records_it(tmp_path: Path) -> None:
    """SIGTERM: not ready at once, the answer still comes, its facts are stored, exit 0."""
    gateway = Numbered()
    gateway.gate.clear()
    answers: list[Answer] = []
    with world(tmp_path, gateway=gateway) as (upstream, running, _):
        thread = threading.Thread(
            target=lambda: answers.append(running.request("dispatch", "POST", TEXT, SEND)), daemon=True
        )
        thread.start()
        until(lambda: upstream.seen)
        running.process.send_signal(signal.SIGTERM)
        until(lambda: running.request("admin", "GET", "/readyz").status == 503)
        assert running.process.poll() is None
        gateway.gate.set()
        assert running.wait() == 0
        thread.join(5)

    assert [answer.status for answer in answers] == [200]
    with sidecar(tmp_path, provider_url="http://127.0.0.1:9") as again:
        until(lambda: len(recorded_ids(again)) == 1)


def test_a_second_sigterm_ends_everything_now(tmp_path: Path) -> None:
    """An operator in a hurry is not kept waiting by a hanging gateway."""
    gateway = Numbered()
    gateway.gate.clear()
    with world(tmp_path, gateway=gateway, drain_seconds="600") as (upstream, running, _):
        connection = http.client.HTTPConnection(running.listeners["dispatch"])
        connection.request("POST", TEXT, SEND)
        until(lambda: upstream.seen)
        running.process.send_signal(signal.SIGTERM)
        until(lambda: running.logged("sidecar.stopping"))
        running.process.send_signal(signal.SIGTERM)
        assert running.wait(15) == 0
        connection.close()
        gateway.gate.set()


@pytest.mark.parametrize(
    ("workers", "reuse"),
    [("213", True), ("11", False)],
    ids=["other-counts-of-workers", "a-connection-each"],
)
@pytest.mark.slow
def test_a_newer_sidecar_takes_the_sockets_over_without_a_failed_request(
    tmp_path: Path, workers: str, reuse: bool
) -> None:
    """Restarts in a row on one data directory under load: not one failure, every id recorded once."""
    with origin(Numbered()) as gateway, contextlib.ExitStack() as stack:
        running = stack.enter_context(sidecar(tmp_path, provider_url=gateway.url, workers=workers[0]))
        sends = stack.enter_context(load(running.listeners["dispatch"], reuse=reuse))
        for count in workers[1:]:
            until(grown(sends, 100))
            heir = stack.enter_context(sidecar(tmp_path, provider_url=gateway.url, workers=count))
            assert heir.listeners == running.listeners
            assert running.wait() == 0
            running = heir
        until(grown(sends, 100))
        sends.stop()
        until(lambda: set(sends.ids) <= set(recorded_ids(running)))
        ids = recorded_ids(running)
        assert running.stop() == 0

    assert sends.failures == []
    assert sorted(ids) == sorted(sends.ids)


def test_a_heir_that_fails_leaves_the_old_sidecar_alone(tmp_path: Path) -> None:
    """A bad new configuration must not cost the running one."""
    with world(tmp_path) as (_, running, _):
        environment = {
            **os.environ,
            "SIDECAR_PROVIDER_URL": "http://127.0.0.1:9",
            "SIDECAR_DATA_DIR": str(tmp_path),
        }
        broken = subprocess.run(
            [sys.executable, "-m", "sidecar", "run", "--database-url", "sqlite:///:memory:"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert running.request("admin", "GET", "/readyz").status == 200

    assert broken.returncode == 1
    assert "SQLite" in broken.stderr
    assert "Traceback" not in broken.stderr


def test_a_taken_port_is_explained(tmp_path: Path) -> None:
    """Which listener, which address, what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, text = refused(tmp_path, provider_url="http://127.0.0.1:9", dispatch_listen=address)

    assert status == 1
    assert f"dispatch listener: {address} cannot be listened on" in text
    assert "choose another address" in text


def test_a_bad_configuration_exits_2_with_every_fault(tmp_path: Path) -> None:
    """Nothing starts on a configuration that was not understood."""
    status, text = refused(tmp_path, provider_url="ftp://x", workers="0", nonsense="1")

    assert status == 2
    assert "SIDECAR_PROVIDER_URL" in text
    assert "SIDECAR_WORKERS" in text
    assert "SIDECAR_NONSENSE" in text


def test_the_store_may_be_away_at_the_start(tmp_path: Path) -> None:
    """Listeners and the ready line never wait for the database; facts wait in the journal."""
    database = tmp_path / "store"
    database.mkdir()
    (database / "db.sqlite").mkdir()  # a directory where the file should be: cannot be opened
    with world(tmp_path / "data", gateway=Numbered(), database_url=f"sqlite:///{database}/db.sqlite") as (
        _,
        running,
        _,
    ):
        assert running.request("dispatch", "POST", TEXT, SEND).status == 200
        answer = running.request("admin", "GET", "/readyz")
        assert answer.status == 200
        assert json.loads(answer.body)["status"] == "degraded"
        assert running.request("admin", "GET", "/v1/instances").status == 503
        (database / "db.sqlite").rmdir()
        until(lambda: len(recorded_ids(running)) == 1)
        assert json.loads(running.request("admin", "GET", "/readyz").body)["status"] == "ok"


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "ctrl-c"])
def test_an_idle_sidecar_stops_at_once(signal_number: signal.Signals, tmp_path: Path) -> None:
    """Stopping waits for traffic, not for timeouts."""
    with world(tmp_path) as (_, running, _):
        started = time.monotonic()
        running.process.send_signal(signal_number)
        assert running.wait() == 0

    assert time.monotonic() - started < 8


def test_an_unreachable_provider_is_told_apart_and_recorded(tmp_path: Path) -> None:
    """502 with the sidecar's own header, and a MESSAGE_FAILED with the reason."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with sidecar(tmp_path, provider_url=f"http://127.0.0.1:{port}") as running:
        answer = running.request("dispatch", "POST", TEXT, SEND)
        running.settled(exchanges=1)
        signals = running.timeline("vendas-01")

    assert (answer.status, answer.headers["Sidecar-Error"]) == (502, "NETWORK_ERROR")
    assert [(s["type"], s["context"]["code"]) for s in signals] == [("MESSAGE_FAILED", "NETWORK_ERROR")]


def test_admin_needs_the_token_when_there_is_one(tmp_path: Path) -> None:
    """Everything but probes and public metrics is closed without it."""
    with world(tmp_path, admin_token="a-token-of-some-length") as (_, running, _):
        address = running.listeners["admin"]
        statuses = {
            target: call(address, "GET", target).status
            for target in ("/healthz", "/metrics", "/v1/instances")
        }
        bearer = {"Authorization": "Bearer a-token-of-some-length"}
        until(lambda: call(address, "GET", "/v1/instances", headers=bearer).status == 200)

    assert statuses == {"/healthz": 200, "/metrics": 200, "/v1/instances": 401}

"""A live WebSocket while a newer sidecar takes the sockets over: it ends with its ends, or with the drain."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from tests.e2e.sidecars import Sidecar, sidecar, until


def echo(connection: ServerConnection) -> None:
    """Send back what comes."""
    for message in connection:
        connection.send(message)


@contextmanager
def sockets() -> Iterator[str]:
    """Run a gateway that speaks WebSocket; give its base URL."""
    with serve(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def told(running: Sidecar) -> str:
    return f"ws://{running.listeners['dispatch']}/ws"


@pytest.mark.slow
def test_a_tunnel_outlives_a_takeover_in_the_old_process_until_it_ends(tmp_path: Path) -> None:
    """No WebSocket is cut by an upgrade: the old sidecar carries it on, the new one takes the next."""
    with (
        sockets() as gateway,
        sidecar(tmp_path, provider_url=gateway, drain_seconds="120") as old,
        connect(told(old)) as client,
    ):
        client.send("before")
        assert client.recv(10) == "before"

        with sidecar(tmp_path, provider_url=gateway) as new:
            until(lambda: old.logged("sidecar.stopping"))
            with connect(told(new)) as other:
                other.send("to the new one")
                assert other.recv(10) == "to the new one"
            client.send("after")
            assert client.recv(10) == "after"
            assert old.process.poll() is None

            client.close()

            assert old.wait() == 0
            assert new.stop() == 0


@pytest.mark.slow
def test_a_tunnel_that_does_not_end_is_cut_at_the_bound_of_the_drain(tmp_path: Path) -> None:
    """A WebSocket that stays open for days must not keep the old sidecar for days."""
    with (
        sockets() as gateway,
        sidecar(tmp_path, provider_url=gateway, drain_seconds="1") as old,
        connect(told(old)) as client,
    ):
        client.send("before")
        assert client.recv(10) == "before"

        with sidecar(tmp_path, provider_url=gateway) as new:
            with pytest.raises(ConnectionClosed):
                client.recv(15)
            assert old.wait() == 0
            assert new.stop() == 0

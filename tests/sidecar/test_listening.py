"""Listening sockets: bound with an explanation, handed over without losing one connection."""

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from sidecar.addresses import Address
from sidecar.listening import Handover, ListenError, bind, shown, take_over

LOOPBACK = Address("127.0.0.1", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_bound_socket_listens_and_shows_its_real_address(host: str) -> None:
    """Port 0 becomes a real one, IPv6 gets its brackets."""
    with bind("dispatch", Address(host, 0)) as sock:
        with socket.create_connection((host, sock.getsockname()[1]), timeout=5):
            pass

        assert shown(sock) == str(Address(host, sock.getsockname()[1]))


def test_a_taken_address_is_explained() -> None:
    """Which listener, which address, what to do."""
    with bind("dispatch", LOOPBACK) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ListenError, match=rf"webhook listener: {address} .* choose another address"):
            bind("webhook", address)


def test_nobody_answers_where_there_is_no_sidecar(tmp_path: Path) -> None:
    """A first start takes nothing over, nor does one beside a dead socket file."""
    dead = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(dead))

    assert take_over(tmp_path / "none.sock", {}) is None
    assert take_over(dead, {}) is None


def test_an_heir_gets_the_very_sockets_it_asks_for_and_the_old_one_learns_when_it_is_ready(
    tmp_path: Path,
) -> None:
    """Same queue, so no connection is lost; sockets of other addresses stay where they are."""
    path = tmp_path / "control.sock"

    async def old_and_new() -> None:
        told = asyncio.Event()
        dispatch, admin = bind("dispatch", LOOPBACK), bind("admin", LOOPBACK)
        offered = {"dispatch": (LOOPBACK, dispatch), "admin": (LOOPBACK, admin)}
        handover = Handover(path, offered, told.set)
        handover.open()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

        wanted = {"dispatch": LOOPBACK, "admin": Address("127.0.0.1", 9)}
        heir = await asyncio.to_thread(take_over, path, wanted)
        assert heir is not None
        assert set(heir.sockets) == {"dispatch"}
        assert heir.sockets["dispatch"].getsockname() == dispatch.getsockname()
        assert not told.is_set()

        dispatch.close()  # the old one lets go; a connection made now waits in the shared queue
        client = socket.create_connection(heir.sockets["dispatch"].getsockname(), timeout=5)
        heir.sockets["dispatch"].setblocking(True)
        accepted, _ = await asyncio.to_thread(heir.sockets["dispatch"].accept)
        heir.ready()
        await asyncio.wait_for(told.wait(), 5)
        handover.close()
        for sock in (client, accepted, admin, *heir.sockets.values()):
            sock.close()

    asyncio.run(old_and_new())
    assert not path.exists()


def test_an_heir_that_dies_before_it_is_ready_changes_nothing(tmp_path: Path) -> None:
    """The old sidecar serves on, also the next heir."""
    path = tmp_path / "control.sock"

    async def two_heirs() -> bool:
        told = asyncio.Event()
        with bind("dispatch", LOOPBACK) as dispatch:
            handover = Handover(path, {"dispatch": (LOOPBACK, dispatch)}, told.set)
            handover.open()
            for ready in (False, True):
                heir = await asyncio.to_thread(take_over, path, {"dispatch": LOOPBACK})
                assert heir is not None
                assert not told.is_set()
                if ready:
                    heir.ready()
                heir.close()
                for sock in heir.sockets.values():
                    sock.close()
            await asyncio.wait_for(told.wait(), 5)
            handover.close()
        return told.is_set()

    assert asyncio.run(two_heirs())


def test_rubbish_on_the_control_socket_is_ignored(tmp_path: Path) -> None:
    """Only the one word gets the sockets."""
    path = tmp_path / "control.sock"

    async def rubbish() -> bytes:
        told = asyncio.Event()
        with bind("dispatch", LOOPBACK) as dispatch:
            handover = Handover(path, {"dispatch": (LOOPBACK, dispatch)}, told.set)
            handover.open()
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"give me all\n")
            answer = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            handover.close()
        assert not told.is_set()
        return answer

    assert asyncio.run(rubbish()) == b""


def test_a_path_too_long_for_a_socket_still_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deep data directories are common in containers and tests; a Unix socket path holds about 100 bytes."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)

    async def deep_down() -> bool:
        with bind("dispatch", LOOPBACK) as dispatch:
            handover = Handover(deep / "control.sock", {"dispatch": (LOOPBACK, dispatch)}, lambda: None)
            handover.open()
            heir = await asyncio.to_thread(take_over, deep / "control.sock", {"dispatch": LOOPBACK})
            handover.close()
        assert heir is not None
        for sock in heir.sockets.values():
            sock.close()
        heir.close()
        return True

    assert asyncio.run(deep_down())

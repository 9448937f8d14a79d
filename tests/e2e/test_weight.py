"""A real sidecar under weight: thousands of slow callers, and many big bodies, in bounded memory."""

import asyncio
import itertools
import resource
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self, cast

import psutil
import pytest

from tests.e2e.load import SEND, Numbered, load
from tests.e2e.sidecars import Sidecar, origin, sidecar, until

MIB = 1 << 20
SLOW = 2000
FILES_NEEDED = 2 * SLOW + 500
SLOW_BYTES_EACH_MAX = 20 * 1024
"""P6 allows 20 MB for 1 000 idle connections."""

BODIES = 20
PIECE = bytes(range(256)) * 256
PIECES = 128
"""8 MiB a body; `make bench ARGS=p6` takes 100 MB."""

ADDED_MAX = 20 * MIB
BODY_BYTES = PIECES * len(PIECE)
HEAD = b"POST /message/vendas-01/media HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"


class Peak:
    """The highest resident size of a process while the block runs."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._over = threading.Event()
        self.before = self.highest = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _now(self) -> int:
        return int(self._process.memory_info().rss)

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.highest = max(self.highest, self._now())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def added(self) -> int:
        return max(self.highest, self._now()) - self.before


def address(running: Sidecar) -> tuple[str, int]:
    host, _, port = running.listeners["dispatch"].rpartition(":")
    return host, int(port)


def refused(running: Sidecar, reason: str) -> float:
    return running.metrics()[f'reputation_wire_refusals_total{{direction="outbound",reason="{reason}"}}']


@pytest.fixture
def _many_files() -> Iterator[None]:
    """Allow this process, and the sidecar it starts, as many open files as the connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_NEEDED:
        pytest.skip(f"{FILES_NEEDED} open files are needed, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES_NEEDED), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Light(asyncio.Protocol):
    """A gateway's connection that costs next to nothing: it answers each whole send with an id of its own."""

    numbers = itertools.count()

    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._data.endswith(SEND):
            self._data = b""
            content = b'{"success":true,"data":{"message_id":"3EB0%08X","status":"sent"}}' % next(
                self.numbers
            )
            answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            cast("asyncio.Transport", self._transport).write(answer % (len(content), content))


@contextmanager
def light_gateway() -> Iterator[str]:
    """Serve it in a thread of its own; give its URL."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Light, "127.0.0.1", 0, backlog=4096))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.mark.slow
@pytest.mark.usefixtures("_many_files")
def test_two_thousand_slow_callers_cost_a_quick_one_nothing(tmp_path: Path) -> None:
    """Heads and bodies that drip: memory is bounded, traffic flows, each slow one ends by its own bound."""
    with ExitStack() as stack:
        gateway = stack.enter_context(light_gateway())
        bounds = {"head_arrival_ms": "5000", "idle_ms": "5000", "max_connections": str(SLOW + 100)}
        running = stack.enter_context(sidecar(tmp_path, provider_url=gateway, **bounds))
        with load(running.listeners["dispatch"], 1) as before:
            until(lambda: len(before.ids) > 200)
        peak = stack.enter_context(Peak(running.child("sidecar: worker 0")))
        slow = [stack.enter_context(socket.create_connection(address(running), 20)) for _ in range(SLOW)]
        for at, sock in enumerate(slow):
            sock.sendall(HEAD[:20] if at % 2 else HEAD % 9 + b"1234")
        with load(running.listeners["dispatch"], 2) as quick:
            while len(quick.ids) < 100:
                for sock in slow[1::2]:  # the drip: it must not extend the time for a head
                    with suppress(OSError):
                        sock.sendall(b"x")
        assert quick.failures == []

        for at, sock in enumerate(slow):
            assert sock.recv(4096).startswith(b"HTTP/1.1 408 "), at
        until(lambda: refused(running, "head_timeout") == SLOW / 2)
        until(lambda: refused(running, "body_timeout") == SLOW / 2)
        assert peak.added < SLOW * SLOW_BYTES_EACH_MAX


@pytest.mark.usefixtures("_many_files")
def test_a_caller_beyond_the_bound_on_connections_is_answered_503_and_counted(tmp_path: Path) -> None:
    """It learns why by the sidecar's own field; those within the bound are served on."""
    with ExitStack() as stack:
        gateway = stack.enter_context(origin(Numbered()))
        running = stack.enter_context(sidecar(tmp_path, provider_url=gateway.url, max_connections="50"))
        for _ in range(50):
            stack.enter_context(socket.create_connection(address(running), 20))
        until(lambda: running.total("reputation_proxy_open_connections") == 50)

        answer = running.request("dispatch", "GET", "/")

        assert (answer.status, answer.headers["Sidecar-Error"]) == (503, "OVER_CAPACITY")
        until(lambda: refused(running, "connections") == 1)
        assert not gateway.seen


class Bulk:
    """A gateway that takes a big body and answers with another; keeps neither."""

    def __init__(self) -> None:
        self.sums: list[int] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            self.sums.append(take_body(sock))
            give_body(
                sock, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES
            )

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)


def give_body(sock: socket.socket, head: bytes) -> None:
    sock.sendall(head)
    for _ in range(PIECES):
        sock.sendall(PIECE)


def take_body(sock: socket.socket) -> int:
    """Read a head and a body; give the body's checksum."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(1)
    total = left = 0
    left = BODY_BYTES
    while left:
        piece = sock.recv(min(left, 262_144))
        assert piece, "broke off"
        total = zlib.crc32(piece, total)
        left -= len(piece)
    return total


@contextmanager
def bulk() -> Iterator[Bulk]:
    gateway = Bulk()
    try:
        yield gateway
    finally:
        gateway.close()


@pytest.mark.slow
def test_twenty_big_bodies_both_ways_at_once_add_little_memory(tmp_path: Path) -> None:
    """Streamed with back-pressure, byte for byte; the worker keeps no body (P6)."""
    expected = zlib.crc32(PIECE * PIECES)
    received: list[int] = []

    def exchange() -> None:
        with socket.create_connection(address(running), 60) as sock:
            give_body(sock, HEAD % BODY_BYTES)
            received.append(take_body(sock))

    with bulk() as gateway, sidecar(tmp_path, provider_url=gateway.url) as running:
        exchange()
        with Peak(running.child("sidecar: worker 0")) as peak:
            callers = [threading.Thread(target=exchange, daemon=True) for _ in range(BODIES)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join(60)

    assert received == gateway.sums == [expected] * (BODIES + 1)
    assert peak.added < ADDED_MAX

"""Real peers on loopback for the wire's tests: callers and origins that say the bytes they are told."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from domain.words import Direction
from sidecar.exchange import Body, BodyCopy, BodyState, Exchange, Headers, Release, Verification
from sidecar.wire import Counters, Forwarder, Limits, Route, Upstream, VerifyMode

T = TypeVar("T")
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter

DEADLINE_SECONDS = 20.0


def run(coro: Coroutine[Any, Any, T]) -> T:
    """Run a test's story on uvloop, as the worker does, within a deadline."""

    async def bounded() -> T:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await coro

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is a plain value of the code under test
            await asyncio.sleep(0.002)


class Origin:
    """A server whose handler gets each connection; `connections` counts them."""

    def __init__(self) -> None:
        self.connections = 0
        self.received = bytearray()
        self.port = 0


Handler = Callable[[Origin, Reader, Writer], Awaitable[None]]
"""What an origin does with a connection."""


class WholeCopy:
    """A body copy without bounds: what the wire fed is what it gives."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        self._pieces.append(chunk)

    def finish(self, *, complete: bool) -> Body:
        data = b"".join(self._pieces)
        return Body(data, BodyState.WHOLE if complete else BodyState.CUT)


class PlainCopier:
    """Copies every body by the same kind of copy."""

    def __init__(self, start: Callable[[], BodyCopy]) -> None:
        self.start = start

    def whole(self, payload: bytes) -> Body:
        copy = self.start()
        copy.feed(payload)
        return copy.finish(complete=True)


class Witness:
    """An observer that remembers the exchanges and releases at once, or when told to."""

    def __init__(self, *, hold: bool = False) -> None:
        self.exchanges: list[Exchange] = []
        self.releases: list[Release] = []
        self.hold = hold
        self.verifier: Callable[[Exchange], Verification | None] = lambda _: None

    def copier_of(self, headers: Headers) -> PlainCopier:
        return PlainCopier(WholeCopy)

    def verification(self, exchange: Exchange) -> Verification | None:
        return self.verifier(exchange)

    def ended(self, exchange: Exchange, release: Release) -> None:
        self.exchanges.append(exchange)
        if self.hold:
            self.releases.append(release)
        else:
            release()

    async def exchange(self, count: int = 1) -> Exchange:
        """Wait until so many exchanges ended; give the last."""
        await until(lambda: len(self.exchanges) >= count)
        return self.exchanges[count - 1]


@contextlib.asynccontextmanager
async def origin(handler: Handler, **how: Any) -> AsyncIterator[Origin]:
    """Serve a handler on loopback."""
    told = Origin()

    async def connected(reader: Reader, writer: Writer) -> None:
        told.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(told, reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, **how)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        server.close()


def listening() -> socket.socket:
    """Give a bound loopback socket."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock


class Wire:
    """A running forwarder with all there is to look at."""

    def __init__(self, forwarder: Forwarder, witness: Witness, port: int) -> None:
        self.forwarder = forwarder
        self.counters = forwarder.counters
        self.side = forwarder.side
        self.witness = witness
        self.port = port

    async def connect(self, **how: Any) -> tuple[Reader, Writer]:
        """Open a caller's connection."""
        return await asyncio.open_connection("127.0.0.1", self.port, **how)

    async def ask(self, request: bytes) -> bytes:
        """Send bytes on a connection of their own, end the sending side when answered, give all that came."""
        reader, writer = await self.connect()
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer


@contextlib.asynccontextmanager
async def wire(
    upstream: int | str | Upstream,
    *,
    limits: Limits | None = None,
    witness: Witness | None = None,
    direction: Direction = Direction.DISPATCH,
    verify: VerifyMode = VerifyMode.OFF,
    tls: Any = None,
) -> AsyncIterator[Wire]:
    """Run a forwarder in front of an upstream: a loopback port, a URL, or the whole thing."""
    if isinstance(upstream, int):
        upstream = f"http://127.0.0.1:{upstream}"
    if isinstance(upstream, str):
        upstream = Upstream.parse(upstream)
    seen = witness or Witness()
    route = Route(name="test", direction=direction, upstream=upstream, verify_mode=verify, tls=tls)
    forwarder = Forwarder(route, limits or Limits(sweep_seconds=0.02), seen, Counters())
    sock = listening()
    port = sock.getsockname()[1]
    await forwarder.serve(sock)
    try:
        yield Wire(forwarder, seen, port)
    finally:
        forwarder.abort()
        await asyncio.sleep(0)


async def read_head(reader: Reader) -> bytes:
    """Read a head with its empty line."""
    return await reader.readuntil(b"\r\n\r\n")


async def read_request(told: Origin, reader: Reader) -> bytes:
    """Read one request with a Content-Length, or without body; give its head."""
    head = await read_head(reader)
    told.received += head
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            told.received += await reader.readexactly(int(line.partition(b":")[2]))
    return head


def always(answer: bytes) -> Handler:
    """Make a handler that gives the same answer to every request on a connection."""

    async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
        while True:
            await read_request(told, reader)
            writer.write(answer)

    return handler


async def read_answer(reader: Reader) -> tuple[bytes, bytes]:
    """Read one answer with a Content-Length: its head and body."""
    head = await read_head(reader)
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head, await reader.readexactly(int(line.partition(b":")[2]))
    return head, b""

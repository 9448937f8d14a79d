"""A forwarder as a whole: its counters, its drain, its end."""

import asyncio
import ssl

import orjson
import trustme

from sidecar.exchange import WireError
from sidecar.wire import Limits
from tests.sidecar.wire.desk import OK
from tests.sidecar.wire.peers import (
    Origin,
    Reader,
    Writer,
    always,
    origin,
    read_answer,
    read_head,
    read_request,
    run,
    until,
    wire,
)

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
DRAINING = Limits(sweep_seconds=0.02, drain_idle_seconds=0.1, linger_seconds=0.1)


def test_a_drain_finishes_what_is_in_flight_and_says_close() -> None:
    """No new connection is accepted; the exchange in flight is answered, then its connection ends."""

    async def story() -> None:
        go_on = asyncio.Event()

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            await go_on.wait()
            writer.write(OK)

        async with origin(handler) as told, wire(told.port, limits=DRAINING) as sut:
            reader, writer = await sut.connect()
            writer.write(GET)
            await until(lambda: told.connections == 1)
            draining = asyncio.ensure_future(sut.forwarder.drain(10))  # noqa: TID251 - a test's own
            await asyncio.sleep(0)
            refused = False
            try:
                await sut.connect()
            except ConnectionRefusedError:
                refused = True
            assert refused
            go_on.set()
            head, body = await read_answer(reader)
            assert b"\r\nConnection: close\r\n" in head
            assert body == b"ok"
            assert await reader.read() == b""
            writer.close()
            await draining
            assert sut.counters.upstream_connections == 0

    run(story())


def test_a_request_that_comes_on_an_idle_connection_while_draining_is_served() -> None:
    """It was already on its way: for a moment idle connections stay open for it."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port, limits=DRAINING) as sut:
            reader, writer = await sut.connect()
            writer.write(GET)
            await read_answer(reader)
            draining = asyncio.ensure_future(sut.forwarder.drain(10))  # noqa: TID251 - a test's own
            await asyncio.sleep(0.03)
            writer.write(GET)
            head, _ = await read_answer(reader)
            assert b"\r\nConnection: close\r\n" in head
            writer.close()
            await draining

    run(story())


def test_a_drain_ends_when_idle_connections_have_had_their_moment() -> None:
    """Callers that keep a connection for later do not hold up the stop."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port, limits=DRAINING) as sut:
            reader, writer = await sut.connect()
            writer.write(GET)
            await read_answer(reader)
            async with asyncio.timeout(2):
                await sut.forwarder.drain(10)
            assert await reader.read() == b""
            writer.close()

    run(story())


def test_a_drain_cuts_what_does_not_end_in_time() -> None:
    """The facts of a cut exchange are told; its caller learns that there was no answer in time."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            await reader.read()

        async with origin(handler) as told, wire(told.port, limits=DRAINING) as sut:
            reader, writer = await sut.connect()
            writer.write(GET)
            await until(lambda: told.connections == 1)
            await sut.forwarder.drain(0.1)
            head, _ = await read_answer(reader)
            assert head.startswith(b"HTTP/1.1 504 ")
            assert (await sut.witness.exchange()).error is WireError.TIMEOUT
            assert await reader.read() == b""
            await until(lambda: sut.side.open_connections == 0)
            assert sut.side.active_requests == 0
            writer.close()

    run(story())


def test_a_drain_without_connections_ends_at_once() -> None:
    """Nothing to wait for."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port) as sut:
            async with asyncio.timeout(1):
                await sut.forwarder.drain(10)

    run(story())


def test_no_request_fails_while_callers_that_obey_close_are_drained() -> None:
    """Under load every request that was sent is answered, up to the last."""

    async def story() -> None:
        async def load(sut_port: int, stop: asyncio.Event) -> int:
            answered = 0
            reader, writer = await asyncio.open_connection("127.0.0.1", sut_port)
            while not stop.is_set():
                writer.write(GET)
                head, body = await read_answer(reader)
                assert body == b"ok"
                answered += 1
                if b"\r\nConnection: close\r\n" in head:
                    break
            writer.close()
            return answered

        async with origin(always(OK)) as told, wire(told.port) as sut:
            stop = asyncio.Event()
            loads = [asyncio.ensure_future(load(sut.port, stop)) for _ in range(20)]  # noqa: TID251 - a test's own
            await until(lambda: sut.side.exchanges > 200)
            await sut.forwarder.drain(10)
            answered = await asyncio.gather(*loads)

            assert sum(answered) == sut.side.exchanges
            assert not sut.side.errors

    run(story())


def test_a_listener_may_speak_tls() -> None:
    """The listener's certificate is presented, exchanges and streams work, a refusal still reads."""

    async def story() -> None:
        authority = trustme.CA()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(server)
        client = ssl.create_default_context()
        authority.configure_trust(client)
        async with origin(always(OK)) as told, wire(told.port, tls=server) as sut:
            reader, writer = await sut.connect(ssl=client, server_hostname="localhost")
            for _ in range(3):
                writer.write(GET)
                assert (await read_answer(reader))[1] == b"ok"
            writer.write(b"BAD\r\n\r\n")
            assert (await read_head(reader)).startswith(b"HTTP/1.1 400 ")
            await reader.read()
            writer.close()

    run(story())


def test_a_tls_handshake_must_come_in_time() -> None:
    """A caller that says nothing to a TLS listener is cut off like one that sends no head."""

    async def story() -> None:
        authority = trustme.CA()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(server)
        limits = Limits(sweep_seconds=0.02, head_seconds=0.1)
        async with origin(always(OK)) as told, wire(told.port, tls=server, limits=limits) as sut:
            reader, writer = await sut.connect()
            assert await reader.read() == b""
            writer.close()

    run(story())


def test_counters_become_plain_json() -> None:
    """What a worker publishes holds every count under a fixed name."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port) as sut:
            await sut.ask(b"GET / HTTP/1.1\r\n\r\n")
            reader, writer = await sut.connect()
            writer.write(GET)
            await read_answer(reader)

            published = orjson.loads(orjson.dumps(sut.counters.as_json()))
            side = published["sides"]["dispatch"]
            assert side["exchanges"] == 1
            assert side["refusals"] == {"no_host": 1}
            assert side["activeRequests"] == 0
            assert side["openConnections"] >= 1
            assert published["upstreamConnections"] == 1
            assert published["sides"]["webhook"]["exchanges"] == 0
            writer.close()

    run(story())

"""Switched connections: WebSocket through a real client and server, and any other protocol by its bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from sidecar.exchange import WireError
from sidecar.wire import Limits
from tests.sidecar.wire.peers import (
    Origin,
    Reader,
    Wire,
    Writer,
    always,
    origin,
    read_head,
    read_request,
    run,
    until,
    wire,
)

SWITCH = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"


async def echo(connection: ServerConnection) -> None:
    """Send back what comes; close when told to, with the code told."""
    async for message in connection:
        if isinstance(message, str) and message.startswith("close "):
            await connection.close(int(message.split()[1]), "as told")
            return
        await connection.send(message)


def with_websockets(story: Callable[[Wire], Coroutine[Any, Any, None]]) -> None:
    """Run a story with a WebSocket server behind the wire."""

    async def whole() -> None:
        async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with wire(port) as sut:
                await story(sut)

    run(whole())


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1024 * 1024])
def test_messages_of_any_size_come_back_as_they_were_sent(size: int) -> None:
    """Binary and text, from empty to 1 MiB."""

    async def story(sut: Wire) -> None:
        async with connect(f"ws://127.0.0.1:{sut.port}/ws", max_size=None) as client:
            await client.send(b"\xfe" * size)
            assert await client.recv() == b"\xfe" * size
            await client.send("é" * size)
            assert await client.recv() == "é" * size

    with_websockets(story)


def test_a_fragmented_message_arrives_whole_and_pings_are_answered() -> None:
    """Frames pass as they are: the tunnel knows nothing of them."""

    async def story(sut: Wire) -> None:
        async with connect(f"ws://127.0.0.1:{sut.port}/ws") as client:
            await client.send(["one", "two", "three"])
            assert await client.recv() == "onetwothree"
            await asyncio.wait_for(await client.ping(), 5)

    with_websockets(story)


def test_fragments_of_both_sides_arrive_one_by_one_with_control_frames_between() -> None:
    """A megabyte in fragments of 64 KiB each way, pings in the middle of the message."""

    async def story() -> None:
        pieces = [bytes((number,)) * 65_536 for number in range(16)]
        received: list[bytes] = []

        async def in_fragments(connection: ServerConnection) -> None:
            received.extend([piece async for piece in connection.recv_streaming(decode=False)])
            await connection.ping()
            await connection.send(pieces)

        async with serve(in_fragments, "127.0.0.1", 0, max_size=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with (
                wire(port) as sut,
                connect(f"ws://127.0.0.1:{sut.port}/ws", max_size=None) as client,
            ):

                async def slowly() -> AsyncIterator[bytes]:
                    for piece in pieces:
                        yield piece
                        await client.ping()

                await client.send(slowly())
                returned = [piece async for piece in client.recv_streaming(decode=False)]
        # The library ends a message with an empty fragment.
        assert received == [*pieces, b""]
        assert returned == [*pieces, b""]

    run(story())


@pytest.mark.parametrize("code", [1000, 1001, 3999])
def test_close_codes_of_the_client_reach_the_server(code: int) -> None:
    """With its reason; both sides end well."""

    async def story() -> None:
        closed: list[tuple[int | None, str | None]] = []

        async def until_closed(connection: ServerConnection) -> None:
            await connection.wait_closed()
            closed.append((connection.close_code, connection.close_reason))

        async with serve(until_closed, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with wire(port) as sut:
                client = await connect(f"ws://127.0.0.1:{sut.port}/ws")
                await client.close(code, "I am done")
                await until(lambda: closed == [(code, "I am done")])
                await until(lambda: sut.counters.tunnels == 0)

    run(story())


@pytest.mark.parametrize("code", [1000, 1011, 4321])
def test_close_codes_of_the_server_reach_the_client(code: int) -> None:
    """And afterwards nothing of the tunnel is left."""

    async def story(sut: Wire) -> None:
        async with connect(f"ws://127.0.0.1:{sut.port}/ws") as client:
            assert sut.counters.tunnels == 1
            await client.send(f"close {code}")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (code, "as told")
        await until(lambda: sut.counters.tunnels == 0 and sut.side.open_connections == 0)
        assert sut.counters.upstream_connections == 0

    with_websockets(story)


def test_the_exchange_ends_when_the_tunnel_is_there() -> None:
    """It is told of as a 101 without bodies; what flows through the tunnel is not observed."""

    async def story(sut: Wire) -> None:
        async with connect(f"ws://127.0.0.1:{sut.port}/ws") as client:
            await client.send("x")
            exchange = await sut.witness.exchange()
            assert (exchange.status, exchange.answered, exchange.error) == (101, 101, None)
            assert exchange.response_body.data == b""
            assert sut.side.active_requests == 0

    with_websockets(story)


def test_bytes_sent_before_and_with_the_switch_are_not_lost() -> None:
    """Both peers may speak at once: what came ahead of the 101 goes up only after it."""

    async def story() -> None:
        early: list[bytes] = []

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            early.append(await read_request(told, reader))
            writer.write(SWITCHED + b"hello")
            early.append(await reader.readexactly(5))
            writer.write(b"bye")

        async with origin(handler) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(SWITCH + b"early")
            assert await read_head(reader) == SWITCHED.replace(b"upgrade", b"Upgrade")
            assert await reader.readexactly(8) == b"hellobye"
            assert early[1] == b"early"
            assert b"Connection: upgrade\r\nUpgrade: x\r\n" in early[0]
            assert await reader.read() == b""
            writer.close()

    run(story())


def test_each_side_may_end_its_sending_first() -> None:
    """A half-closed tunnel carries the other direction on."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            writer.write(SWITCHED)
            told.received += await reader.read()
            writer.write(b"after your end")

        async with origin(handler) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(SWITCH)
            await read_head(reader)
            writer.write(b"all I have")
            writer.write_eof()
            assert await reader.read() == b"after your end"
            assert told.received.endswith(b"all I have")
            await until(lambda: sut.counters.tunnels == 0)
            writer.close()

    run(story())


def test_an_upgrade_that_is_not_taken_is_an_ordinary_exchange() -> None:
    """What the caller sent ahead is its next request, not the new protocol's."""

    async def story() -> None:
        ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        async with origin(always(ok)) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(SWITCH + b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
            assert await reader.readexactly(2 * len(ok)) == ok * 2
            assert b"GET /next HTTP/1.1\r\n" in told.received
            assert sut.counters.tunnels == 0
            writer.close()

    run(story())


@pytest.mark.parametrize(
    "answer",
    [
        SWITCHED.replace(b"Upgrade: x\r\n", b""),
        SWITCHED.replace(b"Connection: upgrade\r\n", b""),
    ],
)
def test_a_switch_that_names_no_protocol_is_a_bad_answer(answer: bytes) -> None:
    """RFC 9110 section 15.2.2."""

    async def story() -> None:
        async with origin(always(answer)) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(SWITCH)
            assert (await read_head(reader)).startswith(b"HTTP/1.1 502 ")
            assert (await sut.witness.exchange()).error is WireError.BAD_RESPONSE
            writer.close()

    run(story())


def test_a_quiet_tunnel_stays_and_a_lost_end_closes_the_other() -> None:
    """Idle bounds are not for tunnels; the loss of either end is passed on."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            writer.write(SWITCHED)
            await reader.read()

        limits = Limits(sweep_seconds=0.02, idle_seconds=0.05, head_seconds=0.05)
        async with origin(handler) as told, wire(told.port, limits=limits) as sut:
            reader, writer = await sut.connect()
            writer.write(SWITCH)
            await read_head(reader)
            await asyncio.sleep(0.3)
            assert sut.counters.tunnels == 1
            writer.transport.abort()
            await until(lambda: sut.counters.tunnels == 0)
            await until(lambda: sut.counters.upstream_connections == 0)

    run(story())


def test_a_tunnel_passes_back_pressure_on() -> None:
    """A side that does not read stops the other; our buffers stay small."""

    async def story() -> None:
        sent = 0
        total = 64 * 1024 * 1024

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            nonlocal sent
            await read_request(told, reader)
            writer.write(SWITCHED)
            while sent < total:
                writer.write(bytes(65536))
                await writer.drain()
                sent += 65536

        async with origin(handler) as told, wire(told.port) as sut:
            reader, writer = await sut.connect(limit=65536)
            writer.write(SWITCH)
            await read_head(reader)
            caller = next(iter(sut.forwarder._callers))
            await until(lambda: caller.blocked)
            assert caller.transport.get_write_buffer_size() <= 512 * 1024
            assert sent < total
            writer.transport.abort()
            await until(lambda: sut.counters.tunnels == 0)

    run(story())

"""Callers' connections: order, patience, and what becomes of those who have none."""

import asyncio
import socket
import struct

import pytest

from sidecar.exchange import WireError
from sidecar.wire import Limits, Reason
from tests.sidecar.wire.desk import OK, Desk
from tests.sidecar.wire.peers import (
    Origin,
    Reader,
    Writer,
    always,
    origin,
    read_answer,
    read_request,
    run,
    until,
    wire,
)

GET = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
HASTY = Limits(sweep_seconds=0.02, head_seconds=0.1, idle_seconds=0.15, linger_seconds=0.1)


def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    """RFC 9112 section 9.3.2: the origin sees the next request when the last one is answered."""

    async def story() -> None:
        at_once = 0

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            nonlocal at_once
            while True:
                head = await read_request(told, reader)
                at_once += 1
                assert at_once == 1
                await asyncio.sleep(0)
                at_once -= 1
                body = head.split(b" ")[1]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        async with origin(handler) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(b"".join(GET % number for number in range(300)))
            for number in range(300):
                assert (await read_answer(reader))[1] == b"/%d" % number
            assert told.connections == 1
            writer.close()

    run(story())


def test_a_caller_that_pipelines_is_not_read_beyond_what_is_kept() -> None:
    """While an answer is awaited, later bytes are kept once and reading pauses."""

    async def story() -> None:
        desk = Desk()
        await desk.say(GET % 1)
        assert desk.down.is_reading()
        await desk.say(GET % 2)
        assert not desk.down.is_reading()
        await desk.answer()
        assert desk.down.is_reading()
        await desk.answer()

        assert [exchange.target for exchange in desk.witness.exchanges] == [b"/1", b"/2"]

    run(story())


def test_a_caller_that_does_not_take_its_answers_is_not_served_on() -> None:
    """A blocked caller's next request waits: answers cannot pile up in our memory."""

    async def story() -> None:
        desk = Desk()
        desk.caller.pause_writing()
        await desk.say(GET % 1)
        assert not desk.up.written
        desk.caller.resume_writing()
        await desk.answer()

        assert desk.down.written == OK

    run(story())


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(b"", None), (b"GET / HT", Reason.HEAD_TIMEOUT), (b"\r\n", None)],
    ids=["nothing", "a-piece", "an-empty-line"],
)
def test_a_head_must_come_in_time(sent: bytes, reason: Reason | None) -> None:
    """A slow head is answered 408 and counted; a connection without one is just closed."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port, limits=HASTY) as sut:
            answer = await sut.ask(sent)

            assert answer.startswith(b"HTTP/1.1 408 " if reason else b"")
            assert bool(answer) == bool(reason)
            assert dict(sut.side.refusals) == ({reason: 1} if reason else {})
            await until(lambda: sut.side.open_connections == 0)

    run(story())


def test_a_head_dripped_in_is_cut_off_at_the_same_bound() -> None:
    """Sending a byte now and then does not extend the time for a head."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port, limits=HASTY) as sut:
            reader, writer = await sut.connect()

            async def drip() -> None:
                for byte in GET % 1 * 50:
                    writer.write(bytes((byte,)))
                    await asyncio.sleep(0.02)

            dripping = asyncio.ensure_future(drip())  # noqa: TID251 - a test's own
            assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 408 ")
            dripping.cancel()
            writer.close()

    run(story())


def test_an_idle_connection_is_closed() -> None:
    """After its answer a connection may be quiet for so long, not longer; nothing is counted."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port, limits=HASTY) as sut:
            reader, writer = await sut.connect()
            writer.write(GET % 1)
            await read_answer(reader)
            assert await reader.read() == b""
            assert not sut.side.refusals
            writer.close()

    run(story())


def test_a_request_whose_rest_does_not_come_is_ended() -> None:
    """408, the upstream's connection cut, counted by its reason."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port, limits=HASTY) as sut:
            answer = await sut.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe")

            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"Sidecar-Error: BODY_TIMEOUT\r\n" in answer
            assert dict(sut.side.refusals) == {Reason.BODY_TIMEOUT: 1}
            exchange = await sut.witness.exchange()
            assert (exchange.error, exchange.answered) == (WireError.CLIENT_CLOSED, 408)
            await until(lambda: sut.counters.upstream_connections == 0)

    run(story())


def test_a_caller_waits_for_its_answer_without_bound() -> None:
    """Idle time does not run while an answer is due: gateways may hold a send."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            await asyncio.sleep(4 * HASTY.idle_seconds)
            writer.write(OK)

        async with origin(handler) as told, wire(told.port, limits=HASTY) as sut:
            reader, writer = await sut.connect()
            writer.write(GET % 1)
            assert (await read_answer(reader))[1] == b"ok"
            writer.close()

    run(story())


BIG = 8 * 1024 * 1024


async def big(told: Origin, reader: Reader, writer: Writer) -> None:
    """Answer with a body larger than all buffers on the way."""
    await read_request(told, reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG + bytes(BIG))
    await writer.drain()


def narrow(port: int) -> socket.socket:
    """Connect with a receive buffer that holds little of the big answer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


def test_a_caller_that_stops_reading_is_cut_off() -> None:
    """What makes no progress for the idle time holds a connection for nothing."""

    async def story() -> None:
        async with origin(big) as told, wire(told.port, limits=HASTY) as sut:
            sock = narrow(sut.port)
            sock.send(GET % 1)

            await until(lambda: sut.side.open_connections == 0 and sut.side.exchanges == 1)
            sock.close()

    run(story())


def test_a_caller_that_reads_slowly_gets_everything() -> None:
    """Slow is not stuck: as long as it takes bytes, it is waited for, and memory stays bounded."""

    async def story() -> None:
        limits = Limits(sweep_seconds=0.02, idle_seconds=0.3)
        async with origin(big) as told, wire(told.port, limits=limits) as sut:
            sock = narrow(sut.port)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, GET % 1)
            received = 0
            began = loop.time()
            while received < BIG:
                received += len(await loop.sock_recv(sock, 65536))
                if loop.time() - began < 1.0:
                    await asyncio.sleep(0.02)
                for caller in sut.forwarder._callers:
                    assert caller.transport.get_write_buffer_size() <= 512 * 1024
            assert received > BIG
            assert (await sut.witness.exchange()).error is None
            sock.close()

    run(story())


def test_a_half_closed_caller_still_gets_its_answer() -> None:
    """Tools that end their sending side after the request read the answer to its end."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(GET % 1)
            writer.write_eof()
            assert await reader.read() == OK
            await until(lambda: sut.side.open_connections == 0)
            writer.close()

    run(story())


def test_a_refused_caller_reads_its_refusal_though_it_keeps_sending() -> None:
    """RFC 9112 section 9.6: the connection closes in steps, so that no reset overtakes the answer."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(b"BAD\r\n\r\n" + b"x" * 300_000)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 400 ")
            writer.close()

    run(story())


def test_connections_beyond_the_bound_are_answered_503_and_closed() -> None:
    """The caller learns why; capacity is free again as soon as others leave."""

    async def story() -> None:
        limits = Limits(sweep_seconds=0.02, connections_max=2, overflow_max=1)
        async with origin(always(OK)) as told, wire(told.port, limits=limits) as sut:
            first = [await sut.connect() for _ in range(2)]
            await until(lambda: sut.side.open_connections == 2)
            _, over = await sut.connect()
            await until(lambda: sut.side.open_connections == 3)
            assert await sut.ask(GET % 1) == b""
            assert dict(sut.side.refusals) == {Reason.CONNECTIONS: 1}

            over.write(GET % 1)
            exchange = await sut.witness.exchange()
            assert (exchange.error, exchange.answered) == (WireError.OVER_CAPACITY, 503)
            assert dict(sut.side.refusals) == {Reason.CONNECTIONS: 2}
            over.close()
            for _, writer in first:
                writer.close()
            await until(lambda: sut.side.open_connections == 0)
            reader, writer = await sut.connect()
            writer.write(GET % 1)
            assert (await read_answer(reader))[1] == b"ok"
            writer.close()

    run(story())


def test_a_caller_that_resets_in_the_middle_of_its_answer_costs_no_fact() -> None:
    """The rest of the answer is still taken from the upstream, and the exchange tells its whole."""

    async def story() -> None:
        async with origin(big) as told, wire(told.port) as sut:
            sock = narrow(sut.port)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, GET % 1)
            await loop.sock_recv(sock, 65536)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()

            exchange = await sut.witness.exchange()
            assert exchange.client_gone
            assert (exchange.status, exchange.answered, exchange.error) == (200, 200, None)
            assert len(exchange.response_body.data) == BIG
            await until(lambda: sut.side.open_connections == 0)
            assert not sut.forwarder.orphans

    run(story())


def test_hundreds_of_slow_callers_do_not_slow_a_quick_one() -> None:
    """Half-sent heads and half-sent bodies wait in their corner, and end by their bounds."""

    async def story() -> None:
        limits = Limits(sweep_seconds=0.02, head_seconds=1.0, idle_seconds=1.0, linger_seconds=0.1)
        async with origin(always(OK)) as told, wire(told.port, limits=limits) as sut:
            slow = [await sut.connect() for _ in range(300)]
            for number, (_, writer) in enumerate(slow):
                whole = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n12345678"
                writer.write(whole[: 10 + number % (len(whole) - 9)])
            reader, writer = await sut.connect()
            for _ in range(50):
                writer.write(GET % 1)
                assert (await read_answer(reader))[1] == b"ok"
            writer.close()
            for reader, writer in slow:
                assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
                writer.close()
            assert sum(sut.side.refusals.values()) == 300
            await until(lambda: sut.side.open_connections == 0)

    run(story())

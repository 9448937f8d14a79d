"""Exchanges in flight: answers of every shape, failures at every stage, and what is told of them."""

import asyncio
import socket
import struct

import pytest

from sidecar.exchange import BodyState, WireError
from sidecar.wire import Limits
from tests.sidecar.wire.desk import OK, Desk
from tests.sidecar.wire.peers import (
    Handler,
    Origin,
    Reader,
    Witness,
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
POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n"
)
QUICK = Limits(sweep_seconds=0.02, orphan_seconds=0.1, response_head_seconds=0.1, release_seconds=0.1)


def reset(writer: Writer) -> None:
    """Cut a connection so that its peer sees a reset."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("size", range(1, 40))
@pytest.mark.parametrize("request_bytes", [GET, POST, CHUNKED], ids=["get", "length", "chunked"])
def test_a_request_cut_anywhere_is_the_same_request(request_bytes: bytes, size: int) -> None:
    """However the kernel delivers it, the origin gets the same message and the observer sees the same."""

    async def story() -> None:
        desk = Desk()
        await desk.say(request_bytes * 2, size)
        await desk.answer_all()

        head, _, body = bytes(desk.up.written).partition(b"\r\n\r\n")
        assert head == request_bytes.partition(b"\r\n\r\n")[0].replace(b"Host: h", b"Host: origin")
        if request_bytes is CHUNKED:
            assert body.replace(b"\r\n", b"").count(b"0X: y") == 2
        else:
            assert bytes(desk.up.written) == request_bytes.replace(b": h\r", b": origin\r") * 2
        assert len(desk.witness.exchanges) == 2
        for exchange in desk.witness.exchanges:
            assert exchange.request_body.data == (b"" if request_bytes is GET else b"hello")
            assert exchange.error is None

    run(story())


ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        b"hello",
    ),
    "empty-chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b""),
    "none": (b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", b""),
    "zero": (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", b""),
    "interim": (b"HTTP/1.1 103 Hints\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", b"a"),
}


@pytest.mark.parametrize("size", [*range(1, 30), 1 << 20])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_cut_anywhere_is_the_same_answer_and_ends_at_its_release(name: str, size: int) -> None:
    """Before the release the caller has less than the whole; after it, all; the payload is observed."""
    answer, payload = ANSWERS[name]

    async def story() -> None:
        desk = Desk(witness=Witness(hold=True))
        await desk.say(GET)
        await desk.answer(answer, size)

        before = bytes(desk.down.written)
        desk.witness.releases[0]()
        desk.witness.releases[0]()
        after = bytes(desk.down.written)

        assert len(before) < len(after)
        head, _, body = after.rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")
        if b"chunked" in head:
            assert body.endswith(b"0\r\n\r\n")
            assert not before.endswith(b"0\r\n\r\n")
        else:
            assert after == answer
        exchange = desk.witness.exchanges[0]
        assert exchange.response_body.data == payload
        assert exchange.answered == exchange.status
        assert not desk.up.closed

    run(story())


def test_events_of_a_stream_pass_at_once() -> None:
    """Each piece of an endless answer reaches the caller before the next is sent (server-sent events)."""

    async def story() -> None:
        told_to_go_on = asyncio.Event()

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            writer.write(b"data: 1\n\n")
            await told_to_go_on.wait()
            writer.write(b"data: 2\n\n")

        async with origin(handler) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(GET)
            head = await read_head(reader)
            assert b"\r\nConnection: close\r\n" in head
            assert await reader.readexactly(9) == b"data: 1\n\n"
            told_to_go_on.set()
            assert await reader.read() == b"data: 2\n\n"
            exchange = await sut.witness.exchange()
            assert exchange.response_body == (b"data: 1\n\ndata: 2\n\n", BodyState.WHOLE)
            writer.close()

    run(story())


def test_continue_is_asked_for_and_given_by_the_origin() -> None:
    """RFC 9110 section 10.1.1, end to end: the wire neither answers for the origin nor delays it."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            told.received += await read_head(reader)
            writer.write(b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n")
            told.received += await reader.readexactly(5)
            writer.write(OK)

        async with origin(handler) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(POST.replace(b"\r\n\r\nhello", b"\r\nExpect: 100-continue\r\n\r\n"))
            assert await read_head(reader) == b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"
            writer.write(b"hello")
            assert (await read_answer(reader))[1] == b"ok"
            assert b"\r\nExpect: 100-continue\r\n" in told.received
            writer.close()

    run(story())


def test_a_final_answer_instead_of_continue_ends_the_connection() -> None:
    """The caller may or may not send the body now: where its next request begins could not be told."""

    async def story() -> None:
        desk = Desk()
        await desk.say(POST.replace(b"\r\n\r\nhello", b"\r\nExpect: 100-continue\r\n\r\n"))
        await desk.answer(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")

        assert desk.down.written == b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        assert desk.down.half_closed
        assert desk.up.aborted
        assert desk.witness.exchanges[0].status == 401

    run(story())


def test_an_answer_before_the_end_of_the_request_lets_both_go_on() -> None:
    """The rest of the request still reaches the origin, and both connections serve the next exchange."""

    async def story() -> None:
        desk = Desk()
        await desk.say(POST[:-3])
        await desk.answer()
        assert desk.down.written == OK
        assert desk.witness.exchanges[0].request_body == (b"he", BodyState.CUT)
        await desk.say(POST[-3:] + GET)
        await desk.answer()

        assert desk.up.written.endswith(b"hello" + GET.replace(b": h", b": origin"))
        assert desk.down.written == OK * 2
        assert not desk.down.half_closed

    run(story())


def test_an_early_answer_that_closes_ends_both_connections_after_it() -> None:
    """A 413 from an origin that hangs up reaches the caller, though it still sends its body."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 413 Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")

        async with origin(handler) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 1000)
            head, body = await read_answer(reader)
            assert head.startswith(b"HTTP/1.1 413 ")
            assert b"\r\nConnection: close\r\n" in head
            assert body == b"big"
            assert await reader.read() == b""
            writer.close()

    run(story())


def breaking_off(before: bytes, *, by_reset: bool) -> Handler:
    """Make an origin that reads a request, says this much, and breaks off."""

    async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
        await read_request(told, reader)
        writer.write(before)
        await writer.drain()
        if by_reset:
            reset(writer)

    return handler


@pytest.mark.parametrize("by_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("before", "error"),
    [
        (b"", WireError.NETWORK_ERROR),
        (b"HTTP/1.1 200 O", WireError.NETWORK_ERROR),
        (b"HTTP/1.1 100 Continue\r\n\r\n", WireError.NETWORK_ERROR),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", WireError.BROKEN_RESPONSE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", WireError.BROKEN_RESPONSE),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell", WireError.BROKEN_RESPONSE),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n", WireError.BROKEN_RESPONSE),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n0\r\n",
            WireError.BROKEN_RESPONSE,
        ),
    ],
)
def test_an_origin_that_breaks_off_never_looks_finished(
    before: bytes, error: WireError, by_reset: bool
) -> None:
    """Before a head: 502. After it: the bytes that came, then an end that its framing does not allow."""

    async def story() -> None:
        async with origin(breaking_off(before, by_reset=by_reset)) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(POST)
            exchange = await sut.witness.exchange()
            answer = b""
            try:
                while piece := await reader.read(1000):
                    answer += piece
                    if answer.endswith(b"}}"):
                        break
            except ConnectionResetError:
                pass

            assert exchange.error is error
            if error is WireError.NETWORK_ERROR:
                assert answer.split(b"HTTP/1.1 ")[-1].startswith(b"502 ")
                assert exchange.status is None
            else:
                assert b"Sidecar-Error" not in answer
                assert not answer.endswith((b"hello", b"0\r\n\r\n"))
                assert exchange.status == 200
                assert exchange.response_body.state is not BodyState.WHOLE
            assert told.connections == 1
            writer.close()

    run(story())


@pytest.mark.parametrize("by_reset", [False, True], ids=["closed", "reset"])
def test_an_answer_until_close_ends_whole_or_by_reset(by_reset: bool) -> None:
    """Where only the connection's end ends an answer, a broken one must be shown as a reset."""

    async def story() -> None:
        handler = breaking_off(b"HTTP/1.1 200 OK\r\n\r\nhello", by_reset=by_reset)
        async with origin(handler) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(POST)
            await read_head(reader)
            assert await reader.readexactly(5) == b"hello"
            if by_reset:
                with pytest.raises(ConnectionResetError):
                    await reader.read()
            else:
                assert await reader.read() == b""
            exchange = await sut.witness.exchange()
            assert exchange.error is (WireError.BROKEN_RESPONSE if by_reset else None)
            writer.close()

    run(story())


def test_an_http10_caller_gets_chunks_as_plain_payload_and_a_close() -> None:
    """Interim answers and chunks are not for it (RFC 9110 section 15.2, RFC 9112 section 6.1)."""

    async def story() -> None:
        desk = Desk()
        await desk.say(b"GET / HTTP/1.0\r\n\r\n")
        await desk.answer(b"HTTP/1.1 103 H\r\n\r\n" + ANSWERS["chunked"][0])

        assert desk.down.written == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
        assert desk.down.half_closed

    run(story())


@pytest.mark.parametrize("cut", [10, len(POST) - 5, len(POST) - 1])
def test_a_caller_that_hangs_up_before_its_request_is_whole_aborts_it(cut: int) -> None:
    """The origin sees its connection end without a whole request; in the head, it never sees it at all."""

    async def story() -> None:
        seen: list[bytes] = []

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            seen.append(await reader.read(1 << 16))
            try:
                seen.append(await reader.read())
            except ConnectionResetError:
                seen.append(b"")

        async with origin(handler) as told, wire(told.port) as sut:
            _, writer = await sut.connect()
            writer.write(POST[:cut])
            if cut > 10:
                await until(lambda: len(seen) == 1)
            writer.close()
            if cut == 10:
                await until(lambda: sut.side.open_connections == 0)
                assert told.connections == 0
                assert not sut.witness.exchanges
            else:
                exchange = await sut.witness.exchange()
                assert exchange.error is WireError.CLIENT_CLOSED
                assert exchange.client_gone
                assert exchange.answered is None
                await until(lambda: len(seen) == 2)
                assert not b"".join(seen).endswith(b"hello")

    run(story())


def test_the_answer_is_awaited_when_the_caller_hangs_up_after_its_request() -> None:
    """What really happened to the message is told, though nobody takes the answer."""

    async def story() -> None:
        go_on = asyncio.Event()

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            await go_on.wait()
            writer.write(OK)

        async with origin(handler) as told, wire(told.port) as sut:
            _, writer = await sut.connect()
            writer.write(POST)
            await until(lambda: told.received.endswith(b"hello"))
            reset(writer)
            await until(lambda: sut.side.open_connections == 0)
            go_on.set()

            exchange = await sut.witness.exchange()
            assert (exchange.status, exchange.answered, exchange.error) == (200, None, None)
            assert exchange.client_gone
            assert exchange.response_body == (b"ok", BodyState.WHOLE)
            assert sut.side.active_requests == 0

    run(story())


def test_an_answer_is_awaited_for_a_bounded_time_without_its_caller() -> None:
    """An origin that never answers does not keep an exchange nobody waits for."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            await reader.read()

        limits = Limits(sweep_seconds=0.02, orphan_seconds=0.1)
        async with origin(handler) as told, wire(told.port, limits=limits) as sut:
            _, writer = await sut.connect()
            writer.write(POST)
            await until(lambda: told.received.endswith(b"hello"))
            reset(writer)

            exchange = await sut.witness.exchange()
            assert exchange.error is WireError.TIMEOUT
            assert exchange.client_gone
            await until(lambda: sut.counters.upstream_connections == 0)
            assert not sut.forwarder.orphans

    run(story())


def test_a_head_that_does_not_come_in_time_is_a_504() -> None:
    """Only where a bound is set: gateways may hold a send for long."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            await reader.read()

        async with origin(handler) as told, wire(told.port, limits=QUICK) as sut:
            reader, writer = await sut.connect()
            writer.write(POST)
            head, _ = await read_answer(reader)
            assert head.startswith(b"HTTP/1.1 504 ")
            assert b"Sidecar-Error: TIMEOUT\r\n" in head
            assert (await sut.witness.exchange()).error is WireError.TIMEOUT
            writer.close()

    run(story())


def test_an_observer_that_does_not_release_is_overruled() -> None:
    """A stuck observer costs a bounded delay, is counted, and a late release does nothing."""

    async def story() -> None:
        witness = Witness(hold=True)
        async with origin(always(OK)) as told, wire(told.port, limits=QUICK, witness=witness) as sut:
            reader, writer = await sut.connect()
            writer.write(GET)
            assert (await read_answer(reader))[1] == b"ok"
            assert sut.counters.late_releases == 1
            witness.releases[0]()
            writer.write(GET)
            assert (await read_answer(reader))[1] == b"ok"
            writer.close()

    run(story())


def test_bytes_after_an_answer_are_not_the_next_answer() -> None:
    """An origin that says too much loses its connection; the next request gets a new one."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            while True:
                await read_request(told, reader)
                writer.write(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

        async with origin(handler) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            for _ in range(3):
                writer.write(GET)
                assert (await read_answer(reader))[1] == b"ok"
            assert told.connections == 3
            writer.close()

    run(story())

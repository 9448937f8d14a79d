"""One request, one answer, over real sockets: what passes, what changes, and what is told of it."""

import asyncio

from sidecar.exchange import BodyState, WireError
from tests.sidecar.wire.peers import (
    Origin,
    Reader,
    Witness,
    Writer,
    always,
    origin,
    read_answer,
    read_head,
    run,
    until,
    wire,
)

POST = (
    b"POST /message/sendText/a%2Fb?x=1 HTTP/1.1\r\nHost: me:1\r\nContent-Length: 7\r\n"
    b"X-a: 1\r\nx-A:  2 \r\n\r\n"
    b'{"a":1}'
)
OK = b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-b: 1\r\nx-B: 2\r\n\r\nok"


def test_a_request_and_its_answer_pass_with_host_alone_changed() -> None:
    """Target, order, case, duplicates and white space of fields are kept; Host names the upstream."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(POST)
            head, body = await read_answer(reader)

            assert head + body == OK
            assert bytes(told.received) == POST.replace(b"me:1", b"127.0.0.1:%d" % told.port)
            exchange = await sut.witness.exchange()
            assert (exchange.method, exchange.target) == (b"POST", b"/message/sendText/a%2Fb?x=1")
            assert (exchange.status, exchange.answered, exchange.error) == (200, 200, None)
            assert exchange.request_body == (b'{"a":1}', BodyState.WHOLE)
            assert exchange.response_body == (b"ok", BodyState.WHOLE)
            assert exchange.first_byte_ns <= exchange.sent_ns <= exchange.received_ns <= exchange.ended_ns
            assert 0 < exchange.started_at <= exchange.ended_at
            writer.close()

    run(story())


def test_kept_connections_are_reused_on_both_sides() -> None:
    """Many requests on one caller's connection need one connection to the upstream."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            for _ in range(5):
                writer.write(POST)
                await read_answer(reader)

            assert told.connections == 1
            assert sut.side.exchanges == 5
            writer.close()

    run(story())


def test_chunked_bodies_are_framed_anew_and_keep_payload_and_trailers() -> None:
    """Both ways, payload and trailers arrive; how it was cut into chunks is this hop's own."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            told.received += await read_head(reader)
            told.received += await reader.readuntil(b"0\r\nX-Sum: 9\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n")
            writer.write(b"1\r\nc\r\n0\r\nX-End: 1\r\n\r\n")

        async with origin(handler) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"3\r\nabc\r\n02;q\r\nde\r\n0\r\nX-Sum: 9\r\n\r\n")
            await read_head(reader)

            assert (await reader.readuntil(b"\r\n\r\n")).endswith(b"0\r\nX-End: 1\r\n\r\n")
            exchange = await sut.witness.exchange()
            assert exchange.request_body == (b"abcde", BodyState.WHOLE)
            assert exchange.response_body == (b"abc", BodyState.WHOLE)
            writer.close()

    run(story())


def test_the_last_byte_of_an_answer_waits_for_its_release() -> None:
    """Until the observer lets go, the caller cannot hold a whole answer."""

    async def story() -> None:
        async with origin(always(OK)) as told, wire(told.port, witness=Witness(hold=True)) as sut:
            reader, writer = await sut.connect()
            writer.write(POST)
            await sut.witness.exchange()
            reading = asyncio.ensure_future(read_answer(reader))  # noqa: TID251 - a test's own
            done, _ = await asyncio.wait({reading}, timeout=0.05)
            assert not done

            sut.witness.releases[0]()

            assert (await reading)[1] == b"ok"
            writer.close()

    run(story())


def test_an_upstream_that_refuses_is_a_502_with_a_code() -> None:
    """The caller can tell the sidecar's own answer by its Sidecar-Error field."""

    async def story() -> None:
        async with origin(always(OK)) as told:
            free = told.port
        async with wire(free) as sut:
            reader, writer = await sut.connect()
            writer.write(POST)
            head, body = await read_answer(reader)

            assert head.startswith(b"HTTP/1.1 502 ")
            assert b"\r\nSidecar-Error: NETWORK_ERROR\r\n" in head
            assert b'{"error":{"code":"NETWORK_ERROR"' in body
            exchange = await sut.witness.exchange()
            assert (exchange.status, exchange.answered, exchange.error) == (
                None,
                502,
                WireError.NETWORK_ERROR,
            )
            await until(lambda: sut.side.active_requests == 0)
            writer.close()

    run(story())

"""Connections to the upstream: newest first, never stale, never a request twice; and how connecting fails."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from sidecar.exchange import WireError
from sidecar.wire import Limits, Upstream
from tests.sidecar.wire.desk import OK
from tests.sidecar.wire.peers import (
    Origin,
    Reader,
    Wire,
    Writer,
    always,
    listening,
    origin,
    read_answer,
    read_request,
    run,
    until,
    wire,
)

POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"


async def post(sut: Wire) -> bytes:
    """Send one request on a connection of its own; give the head of its answer."""
    reader, writer = await sut.connect()
    writer.write(POST)
    head, _ = await read_answer(reader)
    writer.close()
    return head


def test_the_connection_used_last_is_used_next() -> None:
    """Last in, first out: what is not needed grows old and goes."""

    async def story() -> None:
        served: list[int] = []
        both_here = asyncio.Event()

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            number = told.connections
            while True:
                await read_request(told, reader)
                served.append(number)
                if len(served) == 2:
                    both_here.set()
                await both_here.wait()
                writer.write(OK)

        async with origin(handler) as told, wire(told.port) as sut:
            await asyncio.gather(post(sut), post(sut))
            last = sut.forwarder.pool._idle[-1]
            for _ in range(3):
                await post(sut)

            assert told.connections == 2
            assert len(set(served[2:])) == 1
            assert sut.forwarder.pool._idle[-1] is last

    run(story())


def test_a_connection_idle_for_too_long_is_not_used_again() -> None:
    """Node closes after 5 s of idleness: a request must never meet that moment."""

    async def story() -> None:
        limits = Limits(sweep_seconds=30, reuse_seconds=0.05)
        async with origin(always(OK)) as told, wire(told.port, limits=limits) as sut:
            await post(sut)
            connection = sut.forwarder.pool._idle[-1]
            connection.idle_since_ns -= 50_000_000
            await post(sut)

            assert told.connections == 2
            await until(lambda: sut.counters.upstream_connections == 1)

    run(story())


def test_idle_connections_are_closed_in_time_without_any_request() -> None:
    """The sweep closes what grew too old, so that the origin need not."""

    async def story() -> None:
        limits = Limits(sweep_seconds=0.02, reuse_seconds=0.05)
        async with origin(always(OK)) as told, wire(told.port, limits=limits) as sut:
            await post(sut)
            await until(lambda: sut.counters.upstream_connections == 0)
            assert not sut.forwarder.pool._idle

    run(story())


def test_an_origin_that_closes_after_each_answer_loses_no_request() -> None:
    """A pooled connection whose end has arrived is never given a request."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            writer.write(OK)

        async with origin(handler) as told, wire(told.port) as sut:
            for number in range(50):
                assert (await post(sut)).startswith(b"HTTP/1.1 200 ")
                await until(lambda: sut.counters.upstream_connections == 0)
                assert told.connections == number + 1
            assert bytes(told.received).count(b"hello") == 50

    run(story())


def test_an_end_that_the_loop_has_not_seen_is_noticed_before_reuse() -> None:
    """Idle for more than a moment, a connection is looked at: a closed one is passed over."""

    async def story() -> None:
        ends: list[Writer] = []

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            writer.write(OK)
            ends.append(writer)
            await reader.read()

        async with origin(handler) as told, wire(told.port) as sut:
            await post(sut)
            connection = sut.forwarder.pool._idle[-1]
            connection.pause()  # as if the loop had not turned since
            ends[0].close()
            await ends[0].wait_closed()
            connection.idle_since_ns -= 1_000_000_000

            assert (await post(sut)).startswith(b"HTTP/1.1 200 ")
            assert told.connections == 2

    run(story())


def test_a_request_that_meets_a_dying_connection_is_not_sent_again() -> None:
    """The caller gets a 502 and decides; the origin sees the message at most once."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            writer.write(OK)
            await read_request(told, reader)  # the second request is read, and never answered

        async with origin(handler) as told, wire(told.port) as sut:
            await post(sut)
            head = await post(sut)
            assert head.startswith(b"HTTP/1.1 502 ")
            assert b"Sidecar-Error: NETWORK_ERROR\r\n" in head
            assert bytes(told.received).count(b"hello") == 2
            assert told.connections == 1

    run(story())


def test_the_pool_is_bounded() -> None:
    """More idle connections than the bound are closed, not kept."""

    async def story() -> None:
        limits = Limits(sweep_seconds=0.02, pool_max=1)
        waiting: list[Writer] = []

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_request(told, reader)
            waiting.append(writer)
            if len(waiting) == 3:
                for each in waiting:
                    each.write(OK)
            await reader.read()

        async with origin(handler) as told, wire(told.port, limits=limits) as sut:
            await asyncio.gather(post(sut), post(sut), post(sut))
            assert len(sut.forwarder.pool._idle) == 1
            await until(lambda: sut.counters.upstream_connections == 1)

    run(story())


def test_an_origin_that_does_not_accept_in_time_is_a_504() -> None:
    """A full backlog answers nothing: the bound on connecting ends the wait."""

    async def story() -> None:
        full = listening()
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        limits = Limits(sweep_seconds=0.02, connect_seconds=0.1)
        async with wire(full.getsockname()[1], limits=limits) as sut:
            head = await post(sut)
            assert head.startswith(b"HTTP/1.1 504 ")
            assert b"Sidecar-Error: CONNECT_TIMEOUT\r\n" in head
        for sock in (full, *fillers):
            sock.close()

    run(story())


def test_a_name_that_does_not_resolve_is_a_502() -> None:
    """RFC 6761 section 6.4: `.invalid` never resolves."""

    async def story() -> None:
        async with wire("http://gateway.invalid") as sut:
            head = await post(sut)
            assert (
                b"Sidecar-Error: NETWORK_ERROR\r\n" in head or b"Sidecar-Error: CONNECT_TIMEOUT\r\n" in head
            )

    run(story())


def test_a_caller_that_leaves_while_connecting_stops_the_connecting() -> None:
    """Nothing is sent for a request that was never whole."""

    async def story() -> None:
        full = listening()
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with wire(full.getsockname()[1]) as sut:
            _, writer = await sut.connect()
            writer.write(POST[:-1])
            await until(lambda: sut.side.active_requests == 1)
            writer.close()
            exchange = await sut.witness.exchange()
            assert exchange.error is WireError.CLIENT_CLOSED
            assert sut.counters.upstream_connections == 0
        for sock in (full, *fillers):
            sock.close()

    run(story())


class Certified:
    """A certificate authority of the test's own, and an origin's certificate by it."""

    def __init__(self, name: str) -> None:
        self.authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(self.server)
        self.server.sni_callback = self._note
        self.names: list[str | None] = []

    def _note(self, _: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        self.names.append(name)


def upstream_trusting(certified: Certified, tmp_path: Path, port: int, host: str = "localhost") -> Upstream:
    ca_file = str(tmp_path / "ca.pem")
    certified.authority.cert_pem.write_to_path(ca_file)
    return Upstream.parse(f"https://{host}:{port}/base", ca_file=ca_file)


def test_tls_to_the_upstream_verifies_and_names_its_host(tmp_path: Path) -> None:
    """SNI, chain and name by a custom authority; target with prefix; the pool works as over plain TCP."""

    async def story() -> None:
        certified = Certified("localhost")
        async with (
            origin(always(OK), ssl=certified.server) as told,
            wire(upstream_trusting(certified, tmp_path, told.port)) as sut,
        ):
            for _ in range(3):
                assert (await post(sut)).startswith(b"HTTP/1.1 200 ")
            assert certified.names == ["localhost"]
            assert told.received.startswith(b"POST /base/a HTTP/1.1\r\nHost: localhost:%d\r\n" % told.port)

    run(story())


@pytest.mark.parametrize("fault", ["name", "authority"])
def test_a_certificate_that_does_not_verify_is_a_502(tmp_path: Path, fault: str) -> None:
    """Another name, or an authority that nobody here trusts: no request is sent."""

    async def story() -> None:
        certified = Certified("elsewhere.example" if fault == "name" else "localhost")
        trusted = certified if fault == "name" else Certified("localhost")
        async with (
            origin(always(OK), ssl=certified.server) as told,
            wire(upstream_trusting(trusted, tmp_path, told.port)) as sut,
        ):
            head = await post(sut)
            assert head.startswith(b"HTTP/1.1 502 ")
            assert b"Sidecar-Error: TLS_ERROR\r\n" in head
            assert not told.received

    run(story())


def test_a_plain_origin_where_tls_is_expected_is_a_502(tmp_path: Path) -> None:
    """Whatever it answers to the handshake, the caller learns that the upstream failed."""

    async def story() -> None:
        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with (
            origin(handler) as told,
            wire(upstream_trusting(Certified("localhost"), tmp_path, told.port)) as sut,
        ):
            assert (await post(sut)).startswith(b"HTTP/1.1 502 ")
            assert (await sut.witness.exchange()).error in {WireError.TLS_ERROR, WireError.NETWORK_ERROR}

    run(story())


def test_an_upstream_is_reached_over_ipv6() -> None:
    """Host carries the bracketed address."""

    async def story() -> None:
        server = await asyncio.start_server(serve_one, "::1", 0)
        port = server.sockets[0].getsockname()[1]
        async with wire(f"http://[::1]:{port}/p/") as sut:
            assert (await post(sut)).startswith(b"HTTP/1.1 200 ")
        server.close()

    async def serve_one(reader: Reader, writer: Writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"POST /p/a HTTP/1.1\r\nHost: [::1]:")
        writer.write(OK)
        await reader.read()
        writer.close()

    run(story())

"""TLS handshakes of callers that come to nothing: each counted once, under its reason."""

import asyncio
import os
import resource
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
import trustme

from sidecar.tasks import spawn
from sidecar.wire import Limits
from sidecar.wire.handshakes import Handshake
from sidecar.wire.refusal import Reason
from tests.sidecar.wire.desk import OK
from tests.sidecar.wire.peers import Wire, always, origin, read_answer, run, until, wire

QUICK = Limits(sweep_seconds=0.02, head_seconds=0.3)


class Ends:
    """Contexts of a listener and of a caller that trusts it."""

    def __init__(self) -> None:
        authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.server)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)


def shake(port: int, context: ssl.SSLContext) -> None:
    """Try a handshake that fails, as a plain client that sends its alert does."""
    with (
        socket.create_connection(("127.0.0.1", port), 5) as raw,
        pytest.raises(OSError, match="SSL"),
        context.wrap_socket(raw, server_hostname="localhost"),
    ):
        pass


async def good(sut: Wire, ends: Ends) -> None:
    """Make a connection and an exchange."""
    reader, writer = await sut.connect(ssl=ends.client, server_hostname="localhost")
    writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await read_answer(reader))[1] == b"ok"
    writer.close()


async def no_tls(sut: Wire, _: Ends) -> None:
    reader, writer = await sut.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await reader.read()
    writer.close()


async def nothing_common(sut: Wire, ends: Ends) -> None:
    ends.server.maximum_version = ends.client.maximum_version = ssl.TLSVersion.TLSv1_2
    ends.server.set_ciphers("ECDHE+AES256")
    ends.client.set_ciphers("ECDHE+AES128")
    await asyncio.to_thread(shake, sut.port, ends.client)


async def refused(sut: Wire, _: Ends) -> None:
    await asyncio.to_thread(shake, sut.port, ssl.create_default_context())


async def refused_before_tls_13(sut: Wire, ends: Ends) -> None:
    ends.server.maximum_version = ssl.TLSVersion.TLSv1_2
    await asyncio.to_thread(shake, sut.port, ssl.create_default_context())


async def silent(sut: Wire, _: Ends) -> None:
    reader, writer = await sut.connect()
    await reader.read()
    writer.close()


async def hung_up(sut: Wire, _: Ends) -> None:
    writer = (await sut.connect())[1]
    writer.write(b"\x16\x03\x01")
    writer.close()


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (no_tls, Handshake.NO_TLS),
        (nothing_common, Handshake.NOTHING_COMMON),
        (refused, Handshake.REFUSED),
        (refused_before_tls_13, Handshake.REFUSED),
        (silent, Handshake.UNFINISHED),
        (hung_up, Handshake.UNFINISHED),
    ],
)
def test_a_failed_handshake_counts_once_under_its_reason(
    story: Callable[[Wire, Ends], Coroutine[Any, Any, None]], reason: Handshake
) -> None:
    """Also when its time is over long since; one that succeeds beside it counts nothing."""

    async def whole() -> None:
        ends = Ends()
        async with origin(always(OK)) as told, wire(told.port, tls=ends.server, limits=QUICK) as sut:
            await good(sut, ends)
            await story(sut, ends)
            await until(lambda: sut.side.handshakes[reason] > 0)
            await asyncio.sleep(0.4)

            assert sut.side.handshakes == {reason: 1}

    run(whole())


def test_handshakes_are_bounded_as_connections_are() -> None:
    """Whoever connects and says nothing counts from the start; beyond the bound it is cut and counted."""

    async def whole() -> None:
        ends = Ends()
        limits = replace(QUICK, connections_max=1, overflow_max=2, head_seconds=1.0)
        async with origin(always(OK)) as told, wire(told.port, tls=ends.server, limits=limits) as sut:
            opened = [await sut.connect() for _ in range(20)]
            await until(lambda: sut.side.refusals[Reason.CONNECTIONS] == 17)
            assert sut.side.open_connections == 3

            await until(lambda: sut.side.open_connections == 0)
            assert sut.side.handshakes == {Handshake.UNFINISHED: 3}
            await good(sut, ends)
            for _, writer in opened:
                writer.close()

    run(whole())


def test_a_request_right_behind_the_handshake_is_read() -> None:
    """A caller that sends its request in one piece with the end of its handshake is answered."""

    async def whole() -> None:
        ends = Ends()
        async with origin(always(OK)) as told, wire(told.port, tls=ends.server, limits=QUICK) as sut:
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", sut.port), 5) as raw:
                    await asyncio.to_thread(in_one_piece, raw, ends.client)

    run(whole())


@pytest.mark.parametrize("turns", range(4))
def test_a_drain_cuts_nobody_who_has_just_connected(turns: int) -> None:
    """Whenever a takeover comes, a caller is served here or waits for the next sidecar on the socket."""

    async def whole() -> None:
        ends = Ends()
        async with origin(always(OK)) as told, wire(told.port, tls=ends.server) as sut:
            listener = sut.forwarder._doors[0]._listener.dup()  # as the supervisor keeps one
            with listener, socket.create_connection(("127.0.0.1", sut.port), 5) as raw:
                for _ in range(turns):
                    await asyncio.sleep(0)
                drained = spawn(sut.forwarder.drain(5), name="drain")
                await asyncio.sleep(0.05)

                listener.setblocking(False)
                try:
                    listener.accept()[0].close()
                except BlockingIOError:
                    await asyncio.to_thread(in_one_piece, raw, ends.client)
                await drained

    run(whole())


def test_an_accept_that_the_system_refuses_is_tried_again() -> None:
    """Without a free descriptor a caller waits; once there is one it is taken."""

    async def whole() -> None:
        ends = Ends()
        async with origin(always(OK)) as told, wire(told.port, tls=ends.server) as sut:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            with socket.create_connection(("127.0.0.1", sut.port), 5) as raw:
                free = os.dup(raw.fileno())
                os.close(free)
                resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
                try:
                    await asyncio.sleep(0.05)
                    assert sut.side.open_connections == 0
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

                await until(lambda: sut.side.open_connections == 1)
                await asyncio.to_thread(in_one_piece, raw, ends.client)

    run(whole())


def in_one_piece(raw: socket.socket, context: ssl.SSLContext) -> None:
    """Shake hands by hand; the last flight waits for the request, and both go out together."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    while True:
        try:
            caller.do_handshake()
            break
        except ssl.SSLWantReadError:
            raw.sendall(outgoing.read())
            incoming.write(raw.recv(65_536))
    caller.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    raw.sendall(outgoing.read())
    answer = b""
    while b"ok" not in answer:
        try:
            answer += caller.read()
        except ssl.SSLWantReadError:
            incoming.write(raw.recv(65_536))
    assert answer.startswith(b"HTTP/1.1 200 ")

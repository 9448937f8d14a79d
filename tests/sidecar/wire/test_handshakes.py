"""TLS handshakes of callers that come to nothing: each counted once, under its reason."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trustme

from sidecar.wire import Limits
from sidecar.wire.handshakes import PENDING_MAX, Handshake, Handshakes
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


def test_what_waits_is_bounded_and_what_is_forgotten_is_counted() -> None:
    """A flood of connections that say nothing costs no more than the bound; none of them is uncounted."""
    counts: Counter[Handshake] = Counter()
    watch = Handshakes(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), counts)

    for _ in range(PENDING_MAX):
        watch.begun(object(), 1.0)
    assert counts == {}
    watch.begun(object(), 1.0)
    assert counts == {Handshake.UNFINISHED: 1}
    watch.sweep(0.5)
    assert counts == {Handshake.UNFINISHED: 1}
    watch.sweep(1.0)

    assert counts == {Handshake.UNFINISHED: PENDING_MAX + 1}


def test_two_listeners_of_one_direction_do_not_take_each_others_failures() -> None:
    """They count into one counter, each by its own connections."""
    counts: Counter[Handshake] = Counter()
    first, second = (Handshakes(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), counts) for _ in range(2))

    first.begun("a", 1.0)
    second.begun("b", 1.0)
    first.failed(Handshake.NO_TLS)
    first.sweep(1.0)
    second.sweep(1.0)

    assert counts == {Handshake.NO_TLS: 1, Handshake.UNFINISHED: 1}

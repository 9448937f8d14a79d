"""An upstream that cannot be reached: the request is read before it fails, within bounds."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from sidecar.exchange import BodyState, WireError
from sidecar.wire import Limits
from tests.sidecar.wire.peers import Wire, read_answer, run, wire

LIMITS = Limits(sweep_seconds=0.02, linger_seconds=1, linger_bytes_max=100)
HEAD = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%s\r\n"


@pytest.fixture
def nobody() -> Iterator[int]:
    """Give a port that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def failed(sut: Wire) -> None:
    """Wait for the exchange's end by the unreachable upstream."""
    assert (await sut.witness.exchange()).error is WireError.NETWORK_ERROR


def test_a_body_that_comes_behind_its_head_is_read_before_the_failure_is_told(nobody: int) -> None:
    """A callback written in two pieces keeps its facts; the connection takes the provider's retry."""

    async def story() -> None:
        async with wire(nobody, limits=LIMITS) as sut:
            reader, writer = await sut.connect()
            for _ in range(2):
                for piece in (HEAD % (10, b""), b"hel", b"lo worl"):
                    writer.write(piece)
                    await asyncio.sleep(0.03)
                assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 502 ")
            writer.close()

        assert [exchange.request_body for exchange in sut.witness.exchanges] == [
            (b"hello worl", BodyState.WHOLE)
        ] * 2

    run(story())


def test_a_body_that_does_not_come_holds_the_failure_for_its_bound_only(nobody: int) -> None:
    """Who sends a head and no more is told of the failure, as a failure of the upstream."""

    async def story() -> None:
        async with wire(nobody, limits=LIMITS) as sut:
            reader, writer = await sut.connect()
            writer.write(HEAD % (10, b""))
            head = (await read_answer(reader))[0]
            assert b"Sidecar-Error: NETWORK_ERROR\r\n" in head
            await failed(sut)
            writer.close()

    run(story())


def test_a_body_beyond_the_bound_is_not_waited_for(nobody: int) -> None:
    """A long upload to nobody fails as soon as more came than lingering reads; no clock decides that."""

    async def story() -> None:
        limits = Limits(sweep_seconds=0.02, linger_seconds=60, linger_bytes_max=100)
        async with wire(nobody, limits=limits) as sut:
            reader, writer = await sut.connect()
            writer.write(HEAD % (1000, b""))
            await asyncio.sleep(0.03)
            writer.write(b"x" * 500)
            assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 502 ")
            await failed(sut)
            writer.close()

    run(story())


def test_who_waits_to_be_told_to_send_is_told_of_the_failure_at_once(nobody: int) -> None:
    """`Expect: 100-continue` without a 100: its body will never come (RFC 9110 section 10.1.1)."""

    async def story() -> None:
        limits = Limits(sweep_seconds=0.02, linger_seconds=60)
        async with wire(nobody, limits=limits) as sut:
            reader, writer = await sut.connect()
            writer.write(HEAD % (10, b"Expect: 100-continue\r\n"))
            assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 502 ")
            await failed(sut)
            writer.close()

    run(story())

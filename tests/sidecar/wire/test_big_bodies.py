"""Bodies of any size: every byte arrives, and what we hold of them stays small."""

import asyncio
import resource
import sys
import zlib

import pytest

from sidecar.exchange import Body, BodyState, Headers
from tests.sidecar.wire.peers import (
    Origin,
    PlainCopier,
    Reader,
    Witness,
    Writer,
    origin,
    read_head,
    run,
    wire,
)

MIB = 1024 * 1024
PIECE = bytes(range(256)) * 256
RSS_GROWTH_MAX = 24 * MIB
"""Of this whole process, peers included; a body kept anywhere would be 100 MiB."""


class Summing:
    """A body copy that keeps a checksum only."""

    def __init__(self) -> None:
        self._sum = 0
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._sum = zlib.crc32(chunk, self._sum)
        self._size += len(chunk)

    def finish(self, *, complete: bool) -> Body:
        told = b"%d %d" % (self._size, self._sum)
        return Body(told, BodyState.WHOLE if complete else BodyState.CUT)


class SummingWitness(Witness):
    """A witness that does not keep bodies."""

    def copier_of(self, headers: Headers) -> PlainCopier:
        return PlainCopier(Summing)


def expected(pieces: int) -> bytes:
    total = 0
    for _ in range(pieces):
        total = zlib.crc32(PIECE, total)
    return b"%d %d" % (pieces * len(PIECE), total)


def rss_max() -> int:
    """Give the largest resident size so far, in bytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


async def send(writer: Writer, pieces: int, *, chunked: bool) -> None:
    for _ in range(pieces):
        writer.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE)
        await writer.drain()
    if chunked:
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def take(reader: Reader, size: int) -> bytes:
    total = left = 0
    left = size
    while left:
        data = await reader.read(min(left, 262_144))
        assert data, "broke off"
        total = zlib.crc32(data, total)
        left -= len(data)
    return b"%d %d" % (size, total)


def framing(pieces: int, *, chunked: bool) -> bytes:
    return b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (pieces * len(PIECE))


async def both_ways(at_once: int, pieces: int, *, chunked: bool) -> SummingWitness:
    """Echo's shape at scale: a big request, then a big answer, several at once."""

    async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        if chunked:
            await reader.readuntil(b"0\r\n\r\n") if not pieces else await skip_chunks(reader)
        else:
            assert await take(reader, pieces * len(PIECE)) == expected(pieces)
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing(pieces, chunked=chunked))
        await send(writer, pieces, chunked=chunked)

    async def caller(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\n%b\r\n\r\n" % framing(pieces, chunked=chunked))
        await send(writer, pieces, chunked=chunked)
        await read_head(reader)
        if chunked:
            await skip_chunks(reader)
        else:
            assert await take(reader, pieces * len(PIECE)) == expected(pieces)
        writer.close()

    witness = SummingWitness()
    async with origin(handler) as told, wire(told.port, witness=witness) as sut:
        await asyncio.gather(*(caller(sut.port) for _ in range(at_once)))
        await witness.exchange(at_once)
    return witness


async def skip_chunks(reader: Reader) -> None:
    while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
        await reader.readexactly(size + 2)
    await reader.readexactly(2)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_hundred_megabytes_pass_both_ways_in_little_memory(chunked: bool) -> None:
    """Streamed with back-pressure: observed to the last byte, kept nowhere."""
    run(both_ways(1, 4, chunked=chunked))
    before = rss_max()
    pieces = 100 * MIB // len(PIECE) // (4 if chunked else 1)

    witness = run(both_ways(1, pieces, chunked=chunked))

    exchange = witness.exchanges[0]
    assert exchange.request_body == (expected(pieces), BodyState.WHOLE)
    assert exchange.response_body == (expected(pieces), BodyState.WHOLE)
    assert rss_max() - before < RSS_GROWTH_MAX


def test_twenty_big_bodies_at_once_share_the_wire() -> None:
    """None starves or mixes with another."""
    witness = run(both_ways(20, 64, chunked=False))

    assert {exchange.request_body for exchange in witness.exchanges} == {(expected(64), BodyState.WHOLE)}
    assert {exchange.response_body for exchange in witness.exchanges} == {(expected(64), BodyState.WHOLE)}


def test_an_origin_that_does_not_read_stops_its_caller() -> None:
    """Back-pressure reaches the sender of a request; our buffers stay small."""

    async def story() -> None:
        go_on = asyncio.Event()

        async def handler(told: Origin, reader: Reader, writer: Writer) -> None:
            await read_head(reader)
            await go_on.wait()
            assert await take(reader, 512 * len(PIECE)) == expected(512)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

        async with origin(handler, limit=65536) as told, wire(told.port) as sut:
            reader, writer = await sut.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (512 * len(PIECE)))
            sending = asyncio.ensure_future(send(writer, 512, chunked=False))  # noqa: TID251 - a test's own
            done, _ = await asyncio.wait({sending}, timeout=0.3)
            assert not done
            (connection,) = sut.forwarder.pool._open
            assert connection.transport.get_write_buffer_size() <= 512 * 1024
            go_on.set()
            assert (await read_head(reader)).startswith(b"HTTP/1.1 204 ")
            await sending
            writer.close()

    run(story())

"""The wire against its absence: an origin must see the same request, a caller the same answer.

Messages are drawn from a seeded generator over what RFC 9112 lets vary; an independent parser (h11) reads
them on both ends. What may differ is what design section 5 lists: Host, hop-by-hop fields, cuts of chunks.
"""

import asyncio
import random
from typing import NamedTuple

import h11
import pytest

from tests.sidecar.wire.peers import Origin, Reader, Writer, origin, run, wire

CASES = 300
HOPS = {b"host", b"connection", b"keep-alive", b"te", b"upgrade", b"proxy-connection"}
TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
TARGET = bytes(byte for byte in range(0x21, 0x7F) if byte != ord("#"))
VALUE = bytes((0x09, *range(0x20, 0x7F), *range(0x80, 0x100)))


class Case(NamedTuple):
    """One exchange, as bytes."""

    method: bytes
    request: bytes
    answer: bytes


class Seen(NamedTuple):
    """A message as h11 reads it, without what may differ."""

    start: tuple[bytes, ...]
    headers: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]]


def some(draw: random.Random, alphabet: bytes, least: int, most: int) -> bytes:
    return bytes(draw.choices(alphabet, k=draw.randint(least, most)))


def fields(draw: random.Random, most: int) -> list[bytes]:
    lines = []
    for _ in range(draw.randint(0, most)):
        name = b"X" + some(draw, TOKEN, 0, 12)
        space = draw.choice((b"", b" ", b"\t", b"  "))
        lines.append(b"%b:%b%b%b" % (name, space, some(draw, VALUE, 0, 30).strip(b" \t"), space))
    hops = (b"Connection: keep-alive", b"Keep-Alive: timeout=9", b"connection: X-Never, Keep-Alive")
    lines += draw.sample(hops, draw.randint(0, 2))
    draw.shuffle(lines)
    return lines


def body(draw: random.Random, lines: list[bytes], *, chunks: bool = True) -> bytes:
    """Choose a body and add the field that frames it."""
    payload = draw.randbytes(draw.choice((0, 1, 100, 5000, 70_000)))
    if chunks and draw.random() < 0.5:
        lines.insert(draw.randint(0, len(lines)), b"Transfer-Encoding: chunked")
        framed = b""
        while payload:
            piece, payload = payload[: (size := draw.randint(1, 30_000))], payload[size:]
            framed += b"%x%b\r\n%b\r\n" % (len(piece), draw.choice((b"", b";a=b")), piece)
        return (
            framed + b"0\r\n" + b"".join(line + b"\r\n" for line in draw.choice(([], [b"X-T: 1"]))) + b"\r\n"
        )
    lines.insert(draw.randint(0, len(lines)), b"Content-Length: %d" % len(payload))
    return payload


def case(seed: int) -> Case:
    draw = random.Random(seed)
    method = draw.choice((b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"PATCH", b"OPTIONS"))
    lines = fields(draw, 8)
    content = body(draw, lines) if draw.random() < 0.7 else b""
    lines.insert(draw.randint(0, len(lines)), b"Host: h")
    request = b"\r\n".join((b"%b /%b HTTP/1.1" % (method, some(draw, TARGET, 0, 40)), *lines, b"", content))

    status = draw.choice((200, 200, 201, 204, 304, 400, 404, 500, 503))
    lines = fields(draw, 8)
    ends = draw.random() < 0.15
    answer_body = b""
    if method == b"HEAD" or status in {204, 304}:
        if status != 204:
            lines.append(b"Content-Length: 5")
    elif ends:
        answer_body = draw.randbytes(3000)
    else:
        answer_body = body(draw, lines)
    reason = some(draw, VALUE, 0, 10).strip(b" \t")
    interim = b"HTTP/1.1 103 Early\r\nX-Link: a\r\n\r\n" if draw.random() < 0.2 else b""
    answer = b"\r\n".join((b"HTTP/1.1 %d %b" % (status, reason), *lines, b"", answer_body))
    return Case(method, request, interim + answer)


def seen(events: list[object]) -> Seen:
    """Put a message's events together."""
    first, trailers = events[0], events[-1]
    assert isinstance(first, h11.Request | h11.Response)
    assert isinstance(trailers, h11.EndOfMessage)
    if isinstance(first, h11.Request):
        start: tuple[bytes, ...] = (first.method, first.target)
    else:
        start = (b"%d" % first.status_code, first.reason)
    content = b"".join(bytes(event.data) for event in events if isinstance(event, h11.Data))
    headers = [(name, value) for name, value in first.headers.raw_items() if name.lower() not in HOPS]
    return Seen(start, headers, content, list(trailers.headers.raw_items()))


async def read_message(connection: h11.Connection, reader: Reader) -> list[object]:
    events: list[object] = []
    while not (events and isinstance(events[-1], h11.EndOfMessage)):
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif not isinstance(event, h11.InformationalResponse):
            events.append(event)
    return events


class Scripted:
    """An origin that answers the case at hand and remembers what it read."""

    def __init__(self) -> None:
        self.answer = b""
        self.requests: list[Seen] = []

    async def __call__(self, told: Origin, reader: Reader, writer: Writer) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self.requests.append(seen(await read_message(connection, reader)))
        writer.write(self.answer)
        await writer.drain()


async def ask(port: int, what: Case) -> Seen:
    """Send a case's request on a connection of its own; give the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(what.request)
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method=what.method, target="/", headers=[("Host", "h")]))
    connection.send(h11.EndOfMessage())
    answer = await read_message(connection, reader)
    writer.close()
    return seen(answer)


@pytest.mark.parametrize("block", range(4))
def test_origins_and_callers_see_the_same_with_and_without_the_wire(block: int) -> None:
    """For each generated exchange: the same request, the same answer, and the observer saw just that."""

    async def story() -> None:
        scripted = Scripted()
        async with origin(scripted) as told, wire(told.port) as sut:
            for seed in range(block * CASES, (block + 1) * CASES):
                what = case(seed)
                scripted.answer = what.answer
                direct = await ask(told.port, what)
                through = await ask(sut.port, what)
                exchange = await sut.witness.exchange(seed - block * CASES + 1)

                assert through == direct, what
                assert scripted.requests[-1] == scripted.requests[-2], what
                assert exchange.error is None
                assert exchange.request_body.data == scripted.requests[-1].body
                assert exchange.response_body.data == direct.body
                assert exchange.status == int(direct.start[0])
            assert not sut.side.refusals

    run(story())

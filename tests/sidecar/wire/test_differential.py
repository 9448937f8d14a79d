"""The wire against its absence: an origin must see the same request, a caller the same answer.

Messages are drawn from a seeded generator over what RFC 9112 lets vary; an independent parser (h11) reads
them on both ends. What may differ is what design section 5 lists: Host, hop-by-hop fields, cuts of chunks;
and what HTTP/1.0 callers cannot read: interim answers, chunks, trailers.
"""

import asyncio
import random
from typing import NamedTuple

import h11
import pytest

from tests.sidecar.wire.peers import Origin, Reader, Writer, origin, run, wire

CASES = 500
PIPELINES = 60
HOPS = {b"host", b"connection", b"keep-alive", b"te", b"upgrade", b"proxy-connection"}
TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
TARGET = bytes(byte for byte in range(0x21, 0x7F) if byte != ord("#"))
VALUE = bytes((0x09, *range(0x20, 0x7F), *range(0x80, 0x100)))


class Case(NamedTuple):
    """One exchange, as bytes."""

    method: bytes
    request: bytes
    answer: bytes
    http10: bool


class Seen(NamedTuple):
    """A message as h11 reads it, without what may differ."""

    start: tuple[bytes, ...]
    headers: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]]
    interim: list[tuple[int, list[tuple[bytes, bytes]]]]

    def as_http10(self) -> "Seen":
        """Give what a caller of HTTP/1.0 may see of it."""
        headers = [field for field in self.headers if field[0].lower() != b"transfer-encoding"]
        return self._replace(headers=headers, trailers=[], interim=[])


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


def case(seed: int, *, keeps: bool = False) -> Case:
    """Draw an exchange; `keeps`: neither side ends the connection with it."""
    draw = random.Random(seed)
    method = draw.choice((b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"PATCH", b"OPTIONS"))
    http10 = not keeps and draw.random() < 0.1
    lines = fields(draw, 8)
    content = body(draw, lines, chunks=not http10) if draw.random() < 0.7 else b""
    if not http10 or draw.random() < 0.5:
        lines.insert(draw.randint(0, len(lines)), b"Host: h")
    start = b"%b /%b HTTP/1.%d" % (method, some(draw, TARGET, 0, 40), not http10)
    return Case(
        method, b"\r\n".join((start, *lines, b"", content)), answer(draw, method, keeps=keeps), http10
    )


def answer(draw: random.Random, method: bytes, *, keeps: bool) -> bytes:
    """Draw an answer, with interim ones in front at times."""
    status = draw.choice((200, 200, 201, 204, 304, 400, 404, 500, 503))
    lines = fields(draw, 8)
    http10 = not keeps and draw.random() < 0.1
    content = b""
    if method == b"HEAD" or status in {204, 304}:
        if status != 204:
            lines.append(b"Content-Length: 5")
    elif not keeps and draw.random() < 0.15:
        content = draw.randbytes(3000)
    else:
        content = body(draw, lines, chunks=not http10)
    reason = some(draw, VALUE, 0, 10).strip(b" \t")
    interim = b"".join(
        draw.choice((b"HTTP/1.1 103 Early\r\nX-Link: a\r\nX-Link: b\r\n\r\n", b"HTTP/1.1 102 \r\n\r\n"))
        for _ in range(draw.choice((0, 0, 0, 1, 2)))
    )
    start = b"HTTP/1.%d %d %b" % (not http10, status, reason)
    return interim + b"\r\n".join((start, *lines, b"", content))


def seen(events: list[object]) -> Seen:
    """Put a message's events together."""
    interim = [
        (event.status_code, list(event.headers.raw_items()))
        for event in events
        if isinstance(event, h11.InformationalResponse)
    ]
    first, trailers = events[len(interim)], events[-1]
    assert isinstance(first, h11.Request | h11.Response)
    assert isinstance(trailers, h11.EndOfMessage)
    if isinstance(first, h11.Request):
        start: tuple[bytes, ...] = (first.method, first.target)
    else:
        start = (b"%d" % first.status_code, first.reason)
    content = b"".join(bytes(event.data) for event in events if isinstance(event, h11.Data))
    headers = [(name, value) for name, value in first.headers.raw_items() if name.lower() not in HOPS]
    return Seen(start, headers, content, list(trailers.headers.raw_items()), interim)


async def read_message(connection: h11.Connection, reader: Reader) -> list[object]:
    events: list[object] = []
    while not (events and isinstance(events[-1], h11.EndOfMessage)):
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        else:
            events.append(event)
    return events


class Scripted:
    """An origin that gives the answers at hand, in order on each connection, and remembers what it read."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.requests: list[Seen] = []
        self._given = 0

    def begin(self, answers: list[bytes]) -> None:
        """Take the answers of the next exchanges."""
        self.answers, self._given = answers, 0

    async def __call__(self, told: Origin, reader: Reader, writer: Writer) -> None:
        rest = b""
        while self._given < len(self.answers):
            connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
            if rest:
                connection.receive_data(rest)
            request = await read_message(connection, reader)
            rest = connection.trailing_data[0]
            self.requests.append(seen(request))
            self._given += 1
            writer.write(self.answers[self._given - 1])
            await writer.drain()


async def ask(port: int, whats: list[Case]) -> list[Seen]:
    """Send all requests at once on one connection of its own; give the answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(what.request for what in whats))
    answers, rest = [], b""
    for what in whats:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        connection.send(h11.Request(method=what.method, target="/", headers=[("Host", "h")]))
        connection.send(h11.EndOfMessage())
        if rest:
            connection.receive_data(rest)
        answers.append(seen(await read_message(connection, reader)))
        rest = connection.trailing_data[0]
    writer.close()
    assert rest == b""
    return answers


def compare(scripted: Scripted, whats: list[Case], direct: list[Seen], through: list[Seen]) -> None:
    """Compare what both ends saw without and with the wire."""
    count = len(whats)
    expected = [each.as_http10() if what.http10 else each for what, each in zip(whats, direct, strict=True)]
    assert through == expected, whats
    assert scripted.requests[-count:] == scripted.requests[-2 * count : -count], whats


@pytest.mark.parametrize("block", range(4))
def test_origins_and_callers_see_the_same_with_and_without_the_wire(block: int) -> None:
    """For each generated exchange: the same request, the same answer, and the observer saw just that."""

    async def story() -> None:
        scripted = Scripted()
        async with origin(scripted) as told, wire(told.port) as sut:
            for seed in range(block * CASES, (block + 1) * CASES):
                what = case(seed)
                scripted.begin([what.answer])
                (direct,) = await ask(told.port, [what])
                scripted.begin([what.answer])
                (through,) = await ask(sut.port, [what])
                exchange = await sut.witness.exchange(seed - block * CASES + 1)

                compare(scripted, [what], [direct], [through])
                assert exchange.error is None
                assert exchange.request_body.data == scripted.requests[-1].body
                assert exchange.response_body.data == direct.body
                assert exchange.status == int(direct.start[0])
            assert not sut.side.refusals

    run(story())


def test_pipelines_are_the_same_with_and_without_the_wire() -> None:
    """Two to six requests sent at once on one connection: each its answer, in order."""

    async def story() -> None:
        scripted = Scripted()
        async with origin(scripted) as told, wire(told.port) as sut:
            count = 0
            for number in range(PIPELINES):
                whats = [case(10**6 + 10 * number + at, keeps=True) for at in range(2 + number % 5)]
                answers = [what.answer for what in whats]
                scripted.begin(answers)
                direct = await ask(told.port, whats)
                scripted.begin(answers)
                through = await ask(sut.port, whats)
                count += len(whats)
                await sut.witness.exchange(count)

                compare(scripted, whats, direct, through)
            assert not sut.side.refusals
            assert not sut.side.errors

    run(story())

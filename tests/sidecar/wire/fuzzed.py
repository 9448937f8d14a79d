"""What must hold for any bytes at all, said once for the fuzzer and for the tests.

accepted or refused     by one named reason, never another failure
cut anywhere            the verdict is that of the whole
accepted                another parser finds the same messages in what was sent on
"""

import asyncio
import contextlib
from typing import Any, NamedTuple

import h11
import httptools

from sidecar.exchange import WireError
from tests.sidecar.wire.desk import Desk

Message = tuple[bytes, bytes, bytes]
"""Method, target, body."""


class Verdict(NamedTuple):
    """What became of a caller's bytes.

    Attributes:
        messages: those that passed.
        refusals: reasons, each counted.
        waits: the last message is not whole.
    """

    messages: list[Message]
    refusals: dict[str, int]
    waits: bool


def by_llhttp(data: bytes) -> list[Message]:
    """Read requests as Node does."""
    found: list[list[bytes]] = []

    class Callbacks:
        def on_message_begin(self) -> None:
            found.append([b"", b"", b""])

        def on_url(self, url: bytes) -> None:
            found[-1][1] += url

        def on_headers_complete(self) -> None:
            found[-1][0] = parser.get_method()

        def on_body(self, body: bytes) -> None:
            found[-1][2] += body

    parser = httptools.HttpRequestParser(Callbacks())
    with contextlib.suppress(httptools.HttpParserUpgrade):
        parser.feed_data(data)
    return [(method, target, body) for method, target, body in found]


async def ask(data: bytes, size: int) -> tuple[Verdict, bytes]:
    """Let a caller send these bytes in pieces; give the verdict, and what was sent on."""
    desk = Desk()
    for at in range(0, len(data), size):
        await desk.say(data[at : at + size])
        await desk.answer_all()
    messages, waits = [], desk.side.active_requests > 0
    for exchange in desk.witness.exchanges:
        assert exchange.error in {None, WireError.BAD_REQUEST}, exchange.error
        if exchange.error is None:
            messages.append((exchange.method, exchange.target, exchange.request_body.data))
    assert sum(desk.side.refusals.values()) <= 1
    assert not desk.forwarder.counters.observer_crashes
    assert desk.down.half_closed or not desk.side.refusals
    refusals = {reason.value: count for reason, count in desk.side.refusals.items()}
    return Verdict(messages, refusals, waits), bytes(desk.up.written)


async def check_requests(data: bytes, size: int) -> None:
    """Hold a caller's bytes against the rules above."""
    whole, sent = await ask(data, max(1, len(data)))
    cut, _ = await ask(data, size)

    assert cut.messages == whole.messages
    assert bool(cut.refusals) == bool(whole.refusals)
    assert cut.waits == whole.waits
    if not whole.refusals and not whole.waits:
        assert by_llhttp(sent) == whole.messages


async def answered(data: bytes, size: int, method: bytes) -> tuple[Any, ...]:
    """Let an upstream answer with these bytes in pieces, then close; give what became of it."""
    desk = Desk()
    await desk.say(b"%b /x HTTP/1.1\r\nHost: h\r\n\r\n" % method)
    await desk.answer(data, size)
    if not desk.up.closed and desk.upstream.user is not None:
        desk.upstream.eof_received()
        await asyncio.sleep(0)
    (exchange,) = desk.witness.exchanges
    assert sum(desk.side.bad_answers.values()) == (exchange.error is WireError.BAD_RESPONSE)
    assert exchange.error in {
        None,
        WireError.BAD_RESPONSE,
        WireError.NETWORK_ERROR,
        WireError.BROKEN_RESPONSE,
    }
    assert desk.side.active_requests == 0
    if exchange.error is None and exchange.status != 101:
        _read_by_h11(bytes(desk.down.written), method, exchange.response_body.data)
    elif exchange.error is not None and exchange.answered == exchange.status:
        assert desk.down.closed  # an answer that was shown and broke off
    body = exchange.response_body.data if exchange.error is None else None
    return exchange.error is None, exchange.status if exchange.error is None else None, body


def _read_by_h11(data: bytes, method: bytes, body: bytes) -> None:
    """A client must find one whole answer with this body in what it was given, and nothing else."""
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    client.send(h11.Request(method=method, target="/x", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    client.receive_data(b"")
    read = b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        assert not isinstance(event, type)
        if isinstance(event, h11.Data):
            read += bytes(event.data)
    assert read == body
    assert client.trailing_data[0] == b""


async def check_answers(data: bytes, size: int, method: bytes) -> None:
    """Hold an upstream's bytes against the rules above."""
    assert await answered(data, size, method) == await answered(data, max(1, len(data)), method)


async def check(data: bytes) -> None:
    """Hold any bytes against all rules; the first one chooses side, method and cut."""
    if not data:
        return
    choice, data = data[0], data[1:]
    size = 1 + choice // 4 % 8
    if choice % 2:
        await check_requests(data, size)
    else:
        await check_answers(data, size, b"HEAD" if choice & 2 else b"GET")

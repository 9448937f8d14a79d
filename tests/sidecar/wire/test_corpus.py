"""The attack corpus: each case is refused for its own reason, or read by every origin as we read it."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import h11
import pytest

from sidecar.exchange import BodyState, WireError
from sidecar.wire import REFUSALS
from tests.sidecar.wire.corpus import CORPUS, Case, read_case
from tests.sidecar.wire.desk import Desk
from tests.sidecar.wire.fuzzed import by_llhttp
from tests.sidecar.wire.nginx import Message, Nginx, nginx
from tests.sidecar.wire.peers import run


def cases(folder: str, expectation: str) -> list[Any]:
    found = [(path.stem, read_case(path)) for path in sorted((CORPUS / folder).glob("*.txt"))]
    return [pytest.param(case, id=name) for name, case in found if case.expect.startswith(expectation)]


def by_h11(data: bytes) -> list[Message]:
    """Read requests as a Python origin does."""
    found: list[Message] = []
    rest = data
    while rest:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        connection.receive_data(rest)
        body = b""
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            assert not isinstance(event, type), f"h11 finds no whole message in {rest!r}"
            if isinstance(event, h11.Request):
                method, target = event.method, event.target
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
        found.append((bytes(method), bytes(target), body))
        rest = bytes(connection.trailing_data[0])
    return found


@pytest.mark.parametrize("size", [1 << 30, 1], ids=["whole", "by-byte"])
@pytest.mark.parametrize("case", cases("requests", "refused"))
def test_a_request_out_of_form_is_refused_for_its_reason(case: Case, size: int) -> None:
    """It is answered with the reason's status and code, counted once, and its connection ends."""

    async def story() -> None:
        desk = Desk()
        at = 0
        for at in range(0, len(case.data), size):
            await desk.say(case.data[at : at + size])
            await desk.answer_all()

        refusal = REFUSALS[case.reason]
        last = re.split(rb"HTTP/1\.1 (?=\d{3} )", desk.down.written)[-1]
        assert last.startswith(b"%d " % refusal.status)
        assert b"\r\nSidecar-Error: %b\r\n" % case.reason.upper().encode() in last
        assert b"\r\nConnection: close\r\n" in last
        assert desk.down.half_closed
        assert dict(desk.side.refusals) == {case.reason: 1}
        ended = desk.witness.exchanges
        assert len([exchange for exchange in ended if exchange.error is None]) == case.passing
        for exchange in ended[case.passing :]:
            # The head was good and may have been sent on: then it was cut off there.
            assert exchange.error is WireError.BAD_REQUEST
            assert exchange.request_body.state is not BodyState.WHOLE
            assert desk.up.aborted or not desk.up.written

    run(story())


@pytest.mark.parametrize("size", [1 << 30, 1], ids=["whole", "by-byte"])
@pytest.mark.parametrize("case", cases("requests", "forwarded"))
def test_a_request_that_passes_means_the_same_to_every_origin(case: Case, size: int) -> None:
    """What was sent on is the same messages to llhttp, to h11, and to our observer."""

    async def story() -> None:
        desk = Desk()
        for at in range(0, len(case.data), size):
            await desk.say(case.data[at : at + size])
            await desk.answer_all()

        sent = bytes(desk.up.written)
        seen = [
            (exchange.method, exchange.target, exchange.request_body.data)
            for exchange in desk.witness.exchanges
        ]
        assert len(seen) == case.passing
        assert by_llhttp(sent) == seen
        assert by_h11(sent) == seen
        assert not desk.side.refusals
        assert sent.lower().count(b"\r\nhost: origin\r\n") == case.passing

    run(story())


@pytest.fixture(scope="module")
def front() -> Iterator[Nginx]:
    """An nginx for all cases."""
    with nginx() as running:
        yield running


@pytest.mark.parametrize("case", cases("requests", "forwarded"))
def test_nginx_reads_what_passes_as_we_do(front: Nginx, case: Case) -> None:
    """The third origin: what was sent on is the same messages to nginx, or all of it is refused."""

    async def story() -> None:
        desk = Desk()
        await desk.say(case.data)
        await desk.answer_all()

        seen = [
            (exchange.method, exchange.target, exchange.request_body.data)
            for exchange in desk.witness.exchanges
        ]
        if case.nginx_refuses:
            assert await front.refuses(bytes(desk.up.written))
        else:
            assert await front.read(bytes(desk.up.written)) == seen

    run(story())


@pytest.mark.parametrize("size", [1 << 30, 1], ids=["whole", "by-byte"])
@pytest.mark.parametrize("case", cases("answers", "refused"))
def test_an_answer_out_of_form_never_looks_whole(case: Case, size: int) -> None:
    """The caller gets our 502, or an answer that is cut off; the upstream's connection is cut."""

    async def story() -> None:
        desk = Desk()
        await desk.say(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        await desk.answer(case.data, size)

        exchange = desk.witness.exchanges[0]
        assert exchange.error is WireError.BAD_RESPONSE
        assert desk.up.aborted
        assert dict(desk.side.bad_answers) == {case.reason: 1}
        assert desk.side.errors == {WireError.BAD_RESPONSE: 1}
        if exchange.answered == 502:
            assert (
                desk.down.written.startswith(b"HTTP/1.1 502 ")
                or b"\r\n\r\nHTTP/1.1 502 " in desk.down.written
            )
            assert b"Sidecar-Error: BAD_RESPONSE\r\n" in desk.down.written
        else:
            assert exchange.answered == exchange.status == 200
            assert desk.down.closed
            assert not desk.down.written.endswith(b"0\r\n\r\n")

    run(story())


@pytest.mark.parametrize("size", [1 << 30, 1], ids=["whole", "by-byte"])
@pytest.mark.parametrize("case", cases("answers", "passed"))
def test_an_odd_but_sound_answer_passes(case: Case, size: int) -> None:
    """The caller gets a whole answer; the upstream's connection is kept only where that is safe."""

    async def story() -> None:
        desk = Desk()
        await desk.say(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        await desk.answer(case.data, size)
        await asyncio.sleep(0)

        exchange = desk.witness.exchanges[0]
        assert exchange.error is None
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method="GET", target="/x", headers=[("Host", "h")]))
        client.send(h11.EndOfMessage())
        client.receive_data(bytes(desk.down.written))
        events = [client.next_event()]
        while not isinstance(events[-1], h11.EndOfMessage):
            assert not isinstance(events[-1], type)
            events.append(client.next_event())
        assert client.trailing_data[0] == b""
        assert desk.up.closed == case.expect.endswith("closed")

    run(story())

"""Remembered heads: the same as parsed ones, bounded, and never changed by the exchanges that share them."""

import pytest

from sidecar.wire import Limits, Refused
from sidecar.wire.memo import HEAD_BYTES_MAX, HEADS_MAX, AnswerHeads, RequestHeads
from sidecar.wire.request_head import RequestHead, parse_request
from sidecar.wire.response_head import ResponseHead, parse_response
from sidecar.wire.upstream import UpstreamConnection
from tests.sidecar.wire.desk import OK, Desk, Held
from tests.sidecar.wire.peers import run

LIMITS = Limits()
ASK = b"POST /a HTTP/1.1\r\nHost: h\r\nX: %b\r\nContent-Length: 5\r\n\r\n"


def requests() -> RequestHeads:
    return RequestHeads(b"/p", b"up", LIMITS)


def state(head: RequestHead | ResponseHead) -> dict[str, object]:
    names = [name for name in dir(head) if not name.startswith("_") and name != "copier"]
    return {name: getattr(head, name) for name in names if not callable(getattr(head, name))}


def test_a_remembered_request_is_the_parsed_one() -> None:
    """Found or parsed, a head means the same."""
    heads = requests()
    head = ASK % b"1"

    first, second = heads[head], heads[head]

    assert first is second
    assert state(first) == state(parse_request(head, prefix=b"/p", authority=b"up", limits=LIMITS))


@pytest.mark.parametrize("fields", [b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_a_remembered_answer_is_the_parsed_one(fields: bytes) -> None:
    """Found or parsed, a head means the same, as an answer to a method that is not HEAD."""
    heads = AnswerHeads(LIMITS)
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + fields + b"\r\n"

    first, second = heads[head], heads[head]

    assert first is second
    assert state(first) == state(parse_response(head, method=b"POST", to_http10=False, limits=LIMITS))


def test_heads_are_remembered_within_a_bound() -> None:
    """However many heads differ, no more than so many are kept; long ones not at all."""
    heads = requests()
    answers = AnswerHeads(LIMITS)
    for number in range(HEADS_MAX + 1):
        heads[ASK % b"%d" % number]
        answers[b"HTTP/1.1 200 OK\r\nX: %d\r\n\r\n" % number]
        assert len(heads) <= HEADS_MAX
        assert len(answers) <= HEADS_MAX
    kept = len(heads), len(answers)
    heads[ASK % (b"x" * HEAD_BYTES_MAX)]
    answers[b"HTTP/1.1 200 OK\r\nX: %b\r\n\r\n" % (b"x" * HEAD_BYTES_MAX)]

    assert kept == (1, 1)
    assert (len(heads), len(answers)) == kept


def test_a_refused_head_is_refused_again() -> None:
    """Nothing of a head that breaks a rule is remembered."""
    heads = requests()
    for _ in range(2):
        with pytest.raises(Refused):
            heads[b"POST /a HTTP/1.1\r\nHost: h\r\nX : 1\r\n\r\n"]

    assert not heads


def test_an_exchange_changes_nothing_of_a_shared_head() -> None:
    """An answer with surplus bytes spends its own connection only: the next equal head is taken as it is."""

    async def story() -> None:
        desk = Desk()
        request = ASK % b"1" + b"hello"
        await desk.say(request)
        await desk.answer(OK + b"surplus")
        heads: dict[bytes, RequestHead | ResponseHead] = {}
        heads |= desk.forwarder.requests
        heads |= desk.forwarder.answers
        before = {head: state(parsed) for head, parsed in heads.items()}
        fresh = UpstreamConnection(desk.forwarder.pool)
        fresh.connection_made(Held())
        desk.forwarder.pool.put(fresh, (1 << 63) - 1)
        await desk.say(request)
        fresh.data_received(OK)

        assert desk.up.closed
        assert len(heads) == 2
        assert {head: state(parsed) for head, parsed in heads.items()} == before
        assert not fresh.transport.is_closing()
        assert desk.down.written == OK + OK

    run(story())

"""Response heads: what is passed on, what framing they announce, and whether a connection may be kept."""

import pytest

from sidecar.wire import Limits
from sidecar.wire.body import CHUNKED, UNTIL_CLOSE
from sidecar.wire.refusal import Refused
from sidecar.wire.response_head import ResponseHead, parse_response


def parse(
    *lines: bytes, start: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET", to_http10: bool = False
) -> ResponseHead:
    head = b"\r\n".join((start, *lines, b"", b""))
    return parse_response(head, method=method, to_http10=to_http10, limits=Limits())


def lines_of(response: ResponseHead) -> list[bytes]:
    assert response.forwarded.endswith(b"\r\n\r\n")
    return response.forwarded.split(b"\r\n")[:-2]


def test_a_plain_answer_passes_as_it_came() -> None:
    """Reason, names, order, case, duplicates and white space are kept."""
    lines = (b"Set-Cookie: a", b"set-cookie:b ", b"Content-Length: 2", b"X: \xff", b"Trailer: Y")

    response = parse(*lines, start=b"HTTP/1.1 299 \xe9 odd  one")

    assert lines_of(response) == [b"HTTP/1.1 299 \xe9 odd  one", *lines]
    assert response.closing() == response.forwarded[:-2] + b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("fields", "kept", "closes"),
    [
        ([b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"X: 1"], [b"X: 1"], False),
        ([b"Connection: CLOSE"], [], True),
        ([b"Connection: X-Hop, close", b"x-hop: 1", b"Y: 2"], [b"Y: 2"], True),
        ([b"Upgrade: h2c", b"Connection: Upgrade"], [], False),
        ([b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: chunked"], False),
        ([b"TE: x", b"Host: y"], [b"TE: x", b"Host: y"], False),
    ],
)
def test_fields_of_the_upstreams_hop_are_not_passed_on(
    fields: list[bytes], kept: list[bytes], closes: bool
) -> None:
    """RFC 9110 section 7.6.1; chunks are framed anew, so the coding stays."""
    response = parse(*fields)

    assert lines_of(response)[1:] == kept
    assert response.closes == closes


@pytest.mark.parametrize(
    ("status", "kept", "upgrade"),
    [
        (101, [b"Connection: Upgrade", b"Upgrade: x"], True),
        (426, [b"Connection: Upgrade", b"Upgrade: x"], True),
        (200, [], False),
    ],
)
def test_the_protocol_switched_to_is_passed_on(status: int, kept: list[bytes], upgrade: bool) -> None:
    """RFC 9110 sections 15.2.2 and 15.5.22: there it speaks to the caller."""
    response = parse(b"Connection: upgrade", b"Upgrade: x", start=b"HTTP/1.1 %d S" % status)

    assert lines_of(response)[1:] == kept
    assert response.upgrade == upgrade


@pytest.mark.parametrize("fields", [[], [b"Connection: upgrade"], [b"Connection: upgrade", b"Upgrade:"]])
def test_a_switch_to_nothing_is_refused_whatever_came_before(fields: list[bytes]) -> None:
    """Each of its lines was accepted in another answer, which must not add up to a tunnel."""
    parse(b"Upgrade:", b"Connection: upgrade")
    parse(b"Upgrade: x", b"Connection: upgrade", start=b"HTTP/1.1 101 Known")

    with pytest.raises(Refused):
        parse(*fields, start=b"HTTP/1.1 101 Known")


@pytest.mark.parametrize(
    ("method", "status", "field", "framing"),
    [
        (b"GET", 200, b"Content-Length: 5", 5),
        (b"GET", 200, b"Transfer-Encoding: chunked", CHUNKED),
        (b"GET", 200, b"X: y", UNTIL_CLOSE),
        (b"HEAD", 200, b"Content-Length: 5", 0),
        (b"HEAD", 200, b"X: y", 0),
        (b"GET", 204, b"X: y", 0),
        (b"GET", 304, b"Content-Length: 5", 0),
        (b"GET", 103, b"X: y", 0),
        (b"POST", 500, b"Content-Length: 0", 0),
    ],
)
def test_the_framing_of_the_body_follows_the_rules_in_order(
    method: bytes, status: int, field: bytes, framing: int
) -> None:
    """RFC 9112 section 6.3."""
    assert parse(field, method=method, start=b"HTTP/1.1 %d S" % status).framing == framing


def test_an_http10_answer_is_passed_on_as_ours_and_its_connection_not_kept() -> None:
    """RFC 9112 sections 2.3 and 9.3."""
    response = parse(b"Content-Length: 2", b"Connection: keep-alive", start=b"HTTP/1.0 200 Fine")

    assert lines_of(response) == [b"HTTP/1.1 200 Fine", b"Content-Length: 2"]
    assert response.closes


def test_an_http10_caller_is_not_told_of_chunks() -> None:
    """RFC 9112 section 6.1: it gets the payload until the connection closes."""
    assert lines_of(parse(b"Transfer-Encoding: chunked", to_http10=True)) == [b"HTTP/1.1 200 OK"]


@pytest.mark.parametrize("field", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_a_body_promised_where_there_is_none_ends_the_connection(field: bytes) -> None:
    """A sender that means it would send it into the next answer."""
    assert parse(field, start=b"HTTP/1.1 204 No").closes
    assert not parse(b"X: y", start=b"HTTP/1.1 204 No").closes

"""Request heads: what is passed on, and what is taken from them."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire import Limits, Refused
from sidecar.wire import head as heads
from sidecar.wire.body import CHUNKED
from sidecar.wire.request_head import RequestHead, parse_request

LIMITS = Limits()


def parse(*lines: bytes, prefix: bytes = b"", start: bytes = b"GET /a HTTP/1.1") -> RequestHead:
    head = b"\r\n".join((start, *lines, b"", b""))
    return parse_request(head, prefix=prefix, authority=b"up:81", limits=LIMITS)


def lines_of(request: RequestHead) -> list[bytes]:
    assert request.forwarded.endswith(b"\r\n\r\n")
    return request.forwarded.split(b"\r\n")[:-2]


def test_only_host_changes_in_a_plain_request() -> None:
    """Names, order, case, duplicates, white space and 8-bit values of all other fields are kept."""
    fields = (
        b"X-b:2",
        b"x-B: \t3 ",
        b"Content-Type:  text/plain",
        b"X: \xe9",
        b"Cookie: a=1",
        b"Cookie: b=2",
    )

    request = parse(fields[0], b"HOST: me", *fields[1:])

    assert lines_of(request) == [b"GET /a HTTP/1.1", fields[0], b"HOST: up:81", *fields[1:]]
    assert request.headers[:3] == [(b"X-b", b"2"), (b"HOST", b"me"), (b"x-B", b"3")]


@pytest.mark.parametrize(
    ("target", "forwarded"),
    [
        (b"/", b"/p/q/"),
        (b"//a/../%2e%2F;x?y=%zz&z", b"/p/q//a/../%2e%2F;x?y=%zz&z"),
        (b"http://me/", b"/p/q/"),
        (b"http://me", b"/p/q/"),
        (b"HTTPS://ME?x", b"/p/q/?x"),
    ],
)
def test_the_path_prefix_goes_in_front_of_the_untouched_target(target: bytes, forwarded: bytes) -> None:
    """Nothing is normalized; absolute-form becomes origin-form."""
    request = parse(b"Host: me", start=b"GET %b HTTP/1.1" % target, prefix=b"/p/q")

    assert lines_of(request)[0] == b"GET %b HTTP/1.1" % forwarded
    assert b"/p/q" + request.target == forwarded


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ([b"Connection: keep-alive", b"Keep-Alive: 5", b"Proxy-Connection: x"], []),
        ([b"Connection: close, X-Hop", b"X-Hop: 1", b"x-hop: 2", b"X: 3"], [b"X: 3"]),
        ([b"Connection: Content-Length, Host, Content-Type", b"Content-Type: t"], [b"Content-Type: t"]),
        ([b"TE: trailers"], []),
        ([b"TE: trailers", b"Connection: TE, close"], [b"TE: trailers", b"Connection: te"]),
        ([b"TE: gzip", b"Connection: TE"], []),
        ([b"Upgrade: websocket"], []),
        ([b"Connection: upgrade"], []),
        (
            [b"connection: keep-alive, Upgrade", b"Connection: x", b"Upgrade: websocket", b"X: 1"],
            [b"connection: upgrade", b"Upgrade: websocket"],
        ),
        ([b"Expect: 100-continue"], [b"Expect: 100-continue"]),
        ([b"Trailer: X", b"Via: 1.1 a", b"Proxy-Authorization: b"],) * 2,
    ],
)
def test_fields_of_the_callers_hop_are_not_passed_on(fields: list[bytes], kept: list[bytes]) -> None:
    """RFC 9110 section 7.6.1; a wish to switch protocols, and for trailers, is this hop's wish too."""
    request = parse(b"Host: me", *fields)

    assert lines_of(request)[2:] == kept


@pytest.mark.parametrize(
    ("fields", "closes", "expects", "upgrade"),
    [
        ([], False, False, False),
        ([b"Connection: Close"], True, False, False),
        ([b"Connection: a, close"], True, False, False),
        ([b"Expect: 100-Continue"], False, True, False),
        ([b"Expect: other"], False, False, False),
        ([b"Connection: upgrade", b"Upgrade: x"], False, False, True),
        ([b"Upgrade: x"], False, False, False),
    ],
)
def test_what_the_caller_wants_is_known(
    fields: list[bytes], closes: bool, expects: bool, upgrade: bool
) -> None:
    """Whether its connection ends, whether it waits for 100, whether it switches protocols."""
    request = parse(b"Host: me", *fields)

    assert (request.closes, request.expects, request.upgrade) == (closes, expects, upgrade)


def test_an_http10_request_is_passed_on_as_ours() -> None:
    """RFC 9112 section 2.3: our version, a Host; RFC 9110 sections 7.8 and 10.1.1: no upgrade, no waiting."""
    request = parse(
        b"Expect: 100-continue",
        b"Connection: upgrade",
        b"Upgrade: x",
        b"X: y",
        start=b"POST /a HTTP/1.0",
    )

    assert lines_of(request) == [b"POST /a HTTP/1.1", b"X: y", b"Host: up:81"]
    assert request.closes
    assert not request.expects
    assert not request.upgrade


@pytest.mark.parametrize(
    ("field", "framing"),
    [(b"X: y", 0), (b"Content-Length: 012", 12), (b"Transfer-Encoding: Chunked", CHUNKED)],
)
def test_the_framing_of_the_body_is_known(field: bytes, framing: int) -> None:
    """RFC 9112 section 6.3."""
    assert parse(b"Host: me", field).framing == framing


@given(
    st.lists(
        st.sampled_from(
            [
                b"Host: me",
                b"Host: you",
                b"Content-Length: 1",
                b"Content-Length: x",
                b"Transfer-Encoding: chunked",
                b"Connection: close",
                b"X: y",
                b" z",
                b"X : y",
            ]
        )
    )
)
def test_remembered_lines_read_as_they_did_when_new(lines: list[bytes]) -> None:
    """The memo of lines is invisible: the same verdict and the same head, with it empty and with it full."""

    def verdict() -> object:
        try:
            request = parse(*lines)
        except Refused as refused:
            return refused.reason
        return request.forwarded, request.framing, request.headers

    heads._known.clear()
    heads._names.clear()
    fresh = verdict()

    assert verdict() == fresh


def test_the_memo_of_lines_is_bounded() -> None:
    """New lines without end do not grow it without end, and long ones are not kept."""
    for number in range(heads._KNOWN_MAX + 10):
        parse(b"Host: me", b"X: %d" % number)
    parse(b"Host: me", b"Y: " + b"y" * heads._KNOWN_LINE_BYTES_MAX)

    assert len(heads._known) <= heads._KNOWN_MAX
    assert not any(line.startswith(b"Y:") for line in heads._known)


@given(
    name=st.sampled_from([b"traceparent", b"X-Request-Id", b"Cookie", b"Upgrade-Insecure-Requests", b"Date"]),
    value=st.binary(max_size=200),
)
def test_llhttp_has_no_say_in_what_it_is_spared(name: bytes, value: bytes) -> None:
    """Behind a name that means nothing to framing it takes all visible ASCII, in requests and in answers."""
    visible = bytes(0x20 + byte % 0x5F for byte in value)

    for kind, start in (
        (httptools.HttpRequestParser, b"GET / HTTP/1.1\r\nHost: h\r\n"),
        (httptools.HttpResponseParser, b"HTTP/1.1 200 OK\r\n"),
    ):
        heads.second_opinion(kind, start + name + b":" + visible + b"\r\n\r\n", [], {}, None)


def test_a_new_value_behind_a_known_name_is_read_as_strictly_as_ever() -> None:
    """What is not visible ASCII goes to both parties, what breaks a rule is refused, known name or not."""
    parse(b"Host: me", b"X-Id: 1")

    assert b"X-Id" in heads._names
    assert (b"X-Id", b"2") in parse(b"Host: me", b"X-Id: 2").headers
    for broken in (b"X-Id: a\0b", b"X-Id : 3", b"X-Id: a\x7fb", b"X-Id: a\rb"):
        with pytest.raises(Refused):
            parse(b"Host: me", broken)
    parse(b"Host: me", b"Content-Length: 1")
    assert not heads._names & {b"Host", b"Content-Length"}


def test_the_memo_of_names_is_bounded() -> None:
    """New names without end do not grow it without end, and long ones are not kept."""
    for number in range(heads._KNOWN_MAX + 10):
        parse(b"Host: me", b"X-%d: 1" % number)
    parse(b"Host: me", b"Y" * 65 + b": 1")

    assert len(heads._names) <= heads._KNOWN_MAX
    assert b"Y" * 65 not in heads._names

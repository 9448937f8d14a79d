"""Request heads: checked, framed, and rewritten for the upstream (RFC 9112 sections 3 and 6)."""

import re
from typing import Final

import httptools

from sidecar.exchange import Headers
from sidecar.wire.body import CHUNKED
from sidecar.wire.head import SPECIAL, Collected, length_of, parse, tokens, without_nominated
from sidecar.wire.limits import Limits
from sidecar.wire.refusal import Reason, Refused

# RFC 3986 section 3.2, without userinfo (RFC 9110 section 4.2.4): IP literal or registered name, port.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]*)(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)([^#]*)", re.IGNORECASE)
# Wider than RFC 3986 (a bare pipe or quote passes, gateways see them); no fragment, no controls, no 8-bit.
_ORIGIN: Final = re.compile(rb"/[\x21\x22\x24-\x7e]*")


class RequestHead:
    """A request head that may be forwarded.

    Attributes:
        target: origin-form, bytes as they came.
        headers: all fields as they came.
        framing: length of the body, or CHUNKED.
        http10: the caller speaks HTTP/1.0.
        closes: the caller wants no further exchange on its connection.
        upgrade: the caller asks to switch protocols.
        expects: the caller waits for 100 before it sends the body.
        forwarded: the head for the upstream.
    """

    __slots__ = (
        "closes", "expects", "forwarded", "framing", "headers", "http10", "method", "target", "upgrade",
    )  # fmt: skip

    def __init__(self, method: bytes, target: bytes, headers: Headers) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.framing = 0
        self.http10 = False
        self.closes = False
        self.upgrade = False
        self.expects = False
        self.forwarded = b""


def parse_request(head: bytes, *, prefix: bytes, authority: bytes, limits: Limits) -> RequestHead:
    """Read a whole request head and prepare the one for the upstream.

    Args:
        head: from the method to the empty line.
        prefix: the upstream's path prefix, without a slash at its end.
        authority: the upstream's authority, for Host.
        limits: the bounds.

    Raises:
        Refused: it breaks a rule of HTTP/1.1, or a bound.
    """
    collected = Collected()
    parser = httptools.HttpRequestParser(collected)
    parse(head, parser, limits)
    if not collected.complete:
        raise Refused(Reason.BAD_START_LINE)
    headers = collected.fields
    if len(headers) > limits.fields_max:
        raise Refused(Reason.TOO_MANY_FIELDS)
    request = RequestHead(parser.get_method(), collected.target, headers)
    # RFC 9112 section 3: single spaces, nothing else. llhttp would skip more of them.
    start = b"%b %b HTTP/1." % (request.method, request.target)
    version_end = len(start) + 1
    if not head.startswith(start) or head[version_end : version_end + 2] != b"\r\n":
        raise Refused(_start_line_fault(head))
    version = head[len(start)]
    if version not in b"01":
        raise Refused(Reason.BAD_VERSION)
    request.http10 = request.closes = version == 0x30
    _rewrite(request, head[version_end:], prefix, authority)
    return request


def _start_line_fault(head: bytes) -> Reason:
    line = head[: head.find(b"\r\n")]
    return Reason.BAD_START_LINE if re.search(rb" HTTP/1\.[01]$", line) else Reason.BAD_VERSION


def _rewrite(request: RequestHead, fields: bytes, prefix: bytes, authority: bytes) -> None:
    """Check framing, routing and connection fields and build the forwarded head in the same pass."""
    parts = SPECIAL.split(fields)
    out = [parts[0]]
    host: bytes | None = None
    length = coding = False
    connection: list[bytes] = []
    upgrade_line = b""
    for at in range(1, len(parts), 3):
        name, value, text = parts[at], parts[at + 1], parts[at + 2]
        kind = name.lower()
        if kind == b"host":
            if host is not None:
                raise Refused(Reason.SEVERAL_HOSTS)
            host = value.rstrip(b" \t")
            out.append(b"\r\n%b: %b" % (name, authority))
        elif kind == b"content-length":
            if length:
                raise Refused(Reason.SEVERAL_LENGTHS)
            length = True
            request.framing = length_of(value)
            out.append(b"\r\n%b: %b" % (name, value))
        elif kind == b"transfer-encoding":
            # RFC 9112 section 6.1; a coding in HTTP/1.0 means faulty framing.
            if coding or request.http10 or value.rstrip(b" \t").lower() != b"chunked":
                raise Refused(Reason.BAD_CODING)
            coding = True
            request.framing = CHUNKED
            out.append(b"\r\n%b: %b" % (name, value))
        elif kind == b"connection":
            connection += tokens(value)
        elif kind == b"upgrade":
            upgrade_line += b"\r\n%b: %b" % (name, value)
        elif kind == b"expect":
            # RFC 9110 section 10.1.1: HTTP/1.0 callers do not wait, their expectation is ignored.
            request.expects = value.rstrip(b" \t").lower() == b"100-continue" and not request.http10
            if not request.http10:
                out.append(b"\r\n%b: %b" % (name, value))
        elif kind == b"te" and value.rstrip(b" \t").lower() == b"trailers":
            # Trailers are kept from end to end, so the wish for them is passed on, as this hop's own.
            out.append(b"\r\nConnection: %b\r\n%b: %b" % (name, name, value))
        out.append(text)
    if coding and length:
        raise Refused(Reason.LENGTH_WITH_CODING)
    _check_routing(request, host)
    if upgrade_line and b"upgrade" in connection and not request.http10:
        request.upgrade = True
        out.insert(1, b"\r\nConnection: Upgrade" + upgrade_line)
    if host is None:
        out.insert(0, b"\r\nHost: " + authority)
    if b"close" in connection:
        request.closes = True
    forwarded = b"".join(out)
    if connection:
        forwarded = without_nominated(forwarded, connection)
    request.forwarded = b"%b %b%b HTTP/1.1%b" % (request.method, prefix, request.target, forwarded)


def _check_routing(request: RequestHead, host: bytes | None) -> None:
    """Check Host and target (RFC 9112 section 3.2) and bring the target into origin-form."""
    if host is None:
        if not request.http10:
            raise Refused(Reason.NO_HOST)
    elif _HOST.fullmatch(host) is None:
        raise Refused(Reason.BAD_HOST)
    target = request.target
    if _ORIGIN.fullmatch(target) is not None:
        return
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise Refused(Reason.BAD_TARGET)
    if host is None or absolute[1].lower() != host.lower() or not host:
        raise Refused(Reason.AUTHORITY_MISMATCH)
    request.target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    if _ORIGIN.fullmatch(request.target) is None:
        raise Refused(Reason.BAD_TARGET)

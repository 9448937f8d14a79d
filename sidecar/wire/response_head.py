"""Response heads: checked, framed, and rewritten for the caller (RFC 9112 sections 4 and 6)."""

import re
from typing import Final

import httptools

from sidecar.exchange import Headers
from sidecar.wire.body import CHUNKED, UNTIL_CLOSE
from sidecar.wire.head import SPECIAL, Collected, length_of, parse, tokens, without_nominated
from sidecar.wire.limits import Limits
from sidecar.wire.refusal import Reason, Refused

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?=[ \r])")
_KEPT: Final = frozenset((101, 426))
"""Statuses whose Upgrade field speaks to the caller (RFC 9110 sections 15.2.2 and 15.5.22)."""


class ResponseHead:
    """A response head that may be passed on.

    Attributes:
        headers: all fields as they came.
        framing: length of the body, CHUNKED or UNTIL_CLOSE.
        closes: the upstream wants no further exchange on its connection.
        upgrade: it names the protocol switched to.
        forwarded: the head for the caller, but for its empty line and a Connection field.
    """

    __slots__ = ("closes", "forwarded", "framing", "headers", "status", "upgrade")

    def __init__(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        self.framing = UNTIL_CLOSE
        self.closes = False
        self.upgrade = False
        self.forwarded = b""


def parse_response(head: bytes, *, method: bytes, to_http10: bool, limits: Limits) -> ResponseHead:
    """Read a whole response head and prepare the one for the caller.

    Args:
        head: from the status line to the empty line.
        method: the request's, which decides whether a body follows.
        to_http10: the caller speaks HTTP/1.0, which knows no chunks.
        limits: the bounds.

    Raises:
        Refused: it breaks a rule of HTTP/1.1, or a bound.
    """
    collected = Collected()
    parser = httptools.HttpResponseParser(collected)
    parse(head, parser, limits)
    if not collected.complete:
        raise Refused(Reason.BAD_START_LINE)
    if len(collected.fields) > limits.fields_max:
        raise Refused(Reason.TOO_MANY_FIELDS)
    line = _STATUS_LINE.match(head)
    if line is None:
        raise Refused(Reason.BAD_START_LINE)
    http10 = line[1] == b"0"
    response = ResponseHead(int(line[2]), collected.fields)
    response.closes = http10
    _rewrite(response, head[8:-2], http10=http10, to_http10=to_http10)
    status = response.status
    # RFC 9112 section 6.3, rule 1: these never have a body, whatever their fields say.
    if method == b"HEAD" or status < 200 or status in {204, 304}:
        if response.framing == UNTIL_CLOSE or (status != 304 and method != b"HEAD"):
            # A sender that promises a body here may go on and send it: do not use its connection again.
            response.closes = response.closes or response.framing not in {0, UNTIL_CLOSE}
        response.framing = 0
    return response


def _rewrite(response: ResponseHead, text: bytes, *, http10: bool, to_http10: bool) -> None:
    """Check framing and connection fields and build the forwarded head in the same pass."""
    parts = SPECIAL.split(text)
    out = [b"HTTP/1.1", parts[0]]
    length = coding = False
    connection: list[bytes] = []
    upgrade_line = b""
    for at in range(1, len(parts), 3):
        name, value = parts[at], parts[at + 1]
        kind = name.lower()
        if kind == b"content-length":
            if length:
                raise Refused(Reason.SEVERAL_LENGTHS)
            length = True
            response.framing = length_of(value)
            out.append(b"\r\n%b: %b" % (name, value))
        elif kind == b"transfer-encoding":
            if coding or http10 or value.rstrip(b" \t").lower() != b"chunked":
                raise Refused(Reason.BAD_CODING)
            coding = True
            response.framing = CHUNKED
            if not to_http10:
                out.append(b"\r\n%b: %b" % (name, value))
        elif kind == b"connection":
            connection += tokens(value)
        elif kind == b"upgrade":
            upgrade_line += b"\r\n%b: %b" % (name, value)
        elif kind in {b"host", b"te", b"expect"}:
            out.append(b"\r\n%b: %b" % (name, value))
        out.append(parts[at + 2])
    if coding and length:
        raise Refused(Reason.LENGTH_WITH_CODING)
    if upgrade_line and response.status in _KEPT:
        response.upgrade = True
        out[-1] = out[-1].removesuffix(b"\r\n") + b"\r\nConnection: Upgrade" + upgrade_line + b"\r\n"
    if b"close" in connection:
        response.closes = True
    response.forwarded = b"".join(out)
    if connection:
        response.forwarded = without_nominated(response.forwarded, connection)

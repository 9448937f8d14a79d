"""Request heads: checked, framed, and rewritten for the upstream (RFC 9112 sections 3 and 6)."""

import re
from typing import Final, NamedTuple

import httptools

from sidecar.exchange import Copier, Headers
from sidecar.wire.body import CHUNKED
from sidecar.wire.head import (
    CODING,
    CONNECTION,
    EXPECT,
    HOP,
    HOST,
    KEEPING,
    LENGTH,
    TE,
    UPGRADE,
    Special,
    connection_options,
    framing_fault,
    nominated,
    read_head,
    second_opinion,
    start_line_fault,
    without,
)
from sidecar.wire.limits import Limits
from sidecar.wire.refusal import Reason, Refused

# RFC 9112 section 3: single spaces, nothing else.
_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/1\.([01])")
_SLASH: Final = 0x2F
_OWN_HOP: Final = frozenset((CONNECTION, KEEPING, HOP, UPGRADE, TE))
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)([^#]*)", re.IGNORECASE)


class Start(NamedTuple):
    """A request line."""

    method: bytes
    target: bytes
    http10: bool


_starts: Final[dict[bytes, Start]] = {}
"""Request lines that both parties accepted; see `head`."""


class RequestHead:
    """A request head that may be forwarded.

    Attributes:
        target: origin-form, bytes as they came.
        headers: all fields as they came.
        framing: length of the body, or CHUNKED.
        http10: the caller speaks HTTP/1.0.
        closes: the caller wants no further exchange on its connection.
        strips: there are fields that are not for the upstream.
        upgrade: the caller asks to switch protocols.
        expects: the caller waits for 100 before it sends the body.
        plain: its answers are framed by their own fields alone.
        forwarded: the head for the upstream.
        copier: makes the observer's copies of its body; None until one is asked for.

    Equal heads share one object (see `memo`): once parsed, nothing but `copier` is ever set.
    """

    __slots__ = (
        "closes", "copier", "expects", "forwarded", "framing", "headers", "http10", "method", "plain",
        "strips", "target", "upgrade",
    )  # fmt: skip

    def __init__(self, start: Start, headers: Headers) -> None:
        self.method, self.target, self.http10 = start
        self.headers = headers
        self.framing = 0
        self.closes = self.http10
        self.strips = False
        self.upgrade = False
        self.expects = False
        self.plain = not self.http10 and self.method != b"HEAD"
        self.forwarded = b""
        self.copier: Copier | None = None

    def unexpecting(self) -> "RequestHead":
        """Give the same head without the expectation, for an upstream that is not asked to meet it."""
        other = RequestHead(Start(self.method, self.target, self.http10), self.headers)
        other.framing = self.framing
        other.closes = self.closes
        other.strips = self.strips
        other.upgrade = self.upgrade
        other.expects = self.expects
        other.copier = self.copier
        lines = self.forwarded.split(b"\r\n")
        other.forwarded = b"\r\n".join(line for line in lines if not line.lower().startswith(b"expect:"))
        return other


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
    lines, headers, special, fresh = read_head(head, limits)
    start = _starts.get(lines[0])
    known = start is not None and not fresh
    if start is None:
        start = _read_start(lines[0])
    request = RequestHead(start, headers)
    host = _take_fields(request, lines, special, authority)
    target = start.target
    if target[0] != _SLASH or b"#" in target:
        request.target = _origin_form(target, host)
    if not known:
        second_opinion(httptools.HttpRequestParser, head, fresh, _starts, start)
    if prefix or start.http10 or request.target is not target:
        lines[0] = b"%b %b%b HTTP/1.1" % (start.method, prefix, request.target)
    if request.strips:
        lines = _stripped(request, lines, headers, special)
    request.forwarded = b"\r\n".join(lines)
    return request


def _read_start(line: bytes) -> Start:
    match = _LINE.fullmatch(line)
    if match is None:
        raise Refused(start_line_fault(line))
    method, target, minor = match.groups()
    return Start(method, target, minor == b"0")


def _take_fields(
    request: RequestHead, lines: list[bytes], special: Special, authority: bytes
) -> bytes | None:
    """Take framing and Host from the fields, put the upstream's authority into Host; give what it was."""
    host: bytes | None = None
    lengths = codings = 0
    for at, (pair, meaning, number) in special:
        if meaning == HOST:
            if host is not None:
                raise Refused(Reason.SEVERAL_HOSTS)
            if not number:
                raise Refused(Reason.BAD_HOST)
            host = pair[1]
            lines[at] = b"%b: %b" % (pair[0], authority)
        elif meaning == LENGTH:
            lengths += 1
            request.framing = number
        elif meaning == CODING:
            # RFC 9112 section 6.1; a coding in HTTP/1.0 means faulty framing.
            codings += 1 if number and not request.http10 else 2
            request.framing = CHUNKED
        else:
            request.strips = True
    if lengths + codings > 1:
        raise Refused(framing_fault(codings))
    if host is None:
        if not request.http10:
            raise Refused(Reason.NO_HOST)
        lines.insert(len(lines) - 2, b"Host: " + authority)
    return host


def _stripped(request: RequestHead, lines: list[bytes], headers: Headers, special: Special) -> list[bytes]:
    """Remove what is meant for the caller's hop; keep a wish to switch protocols and one for trailers."""
    said = connection_options(special)
    wishes: dict[int, bytes] = {}
    for _, (_, meaning, number) in special:
        if meaning == EXPECT:
            # RFC 9110 section 10.1.1: HTTP/1.0 callers do not wait, their expectation is ignored.
            request.expects = bool(number) and not request.http10
        elif meaning == UPGRADE and not request.http10:
            wishes[UPGRADE] = b"upgrade"
        elif meaning == TE and number:
            wishes[TE] = b"te"
    wishes = {meaning: wish for meaning, wish in wishes.items() if wish in said}
    request.upgrade = UPGRADE in wishes
    request.closes = request.closes or b"close" in said
    dropped = nominated(said, headers)
    spoken = False
    for at, (pair, meaning, _) in special:
        if meaning == CONNECTION and wishes and not spoken:
            spoken = True
            lines[at] = b"%b: %b" % (pair[0], b", ".join(wishes.values()))
        elif (meaning in _OWN_HOP and meaning not in wishes) or (meaning == EXPECT and request.http10):
            dropped.append(at)
    return without(lines, dropped) if dropped else lines


def _origin_form(target: bytes, host: bytes | None) -> bytes:
    """Bring an absolute-form target into origin-form; every other form is refused (RFC 9112 section 3.2)."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise Refused(Reason.BAD_TARGET)
    authority, path = absolute.groups()
    if not host or authority.lower() != host.lower():
        raise Refused(Reason.AUTHORITY_MISMATCH)
    return path if path.startswith(b"/") else b"/" + path

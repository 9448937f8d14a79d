"""Response heads: checked, framed, and rewritten for the caller (RFC 9112 sections 4 and 6)."""

import re
from typing import Final, NamedTuple

import httptools

from sidecar.exchange import Copier, Headers
from sidecar.wire.body import CHUNKED, UNTIL_CLOSE
from sidecar.wire.head import (
    CODING,
    CONNECTION,
    HOP,
    KEEPING,
    LENGTH,
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
from sidecar.wire.refusal import Refused

_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
_SWITCHING: Final = frozenset((101, 426))
"""Statuses whose Upgrade field speaks to the caller (RFC 9110 sections 15.2.2 and 15.5.22)."""


class Start(NamedTuple):
    """A status line, but for its reason phrase."""

    status: int
    http10: bool


_starts: Final[dict[bytes, Start]] = {}
"""Status lines that both parties accepted; see `head`."""


class ResponseHead:
    """A response head that may be passed on.

    Attributes:
        headers: all fields as they came.
        framing: length of the body, CHUNKED or UNTIL_CLOSE.
        closes: the upstream's connection must not be used again.
        switches: its connection fields say more than close or keep-alive.
        upgrade: it names the protocol switched to.
        forwarded: the head for the caller; `closing` adds the end of its connection.
        copier: makes the observer's copies of its body; None until one is asked for.

    Equal heads share one object (see `memo`): once parsed, nothing but `copier` is ever set.
    """

    __slots__ = ("closes", "copier", "forwarded", "framing", "headers", "status", "switches", "upgrade")

    def __init__(self, start: Start, headers: Headers) -> None:
        self.status, self.closes = start
        self.headers = headers
        self.framing = UNTIL_CLOSE
        self.switches = False
        self.upgrade = False
        self.forwarded = b""
        self.copier: Copier | None = None

    def closing(self) -> bytes:
        """Give the head for a caller whose connection ends with this answer (RFC 9112 section 9.6)."""
        return self.forwarded[:-2] + b"Connection: close\r\n\r\n"


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
    lines, headers, special, fresh = read_head(head, limits)
    start = _starts.get(lines[0])
    known = start is not None and start.status != 101 and not fresh  # 101: see `second_opinion`
    if start is None:
        start = _read_start(lines[0])
    response = ResponseHead(start, headers)
    dropped = _take_fields(response, lines, headers, special, to_http10=to_http10) if special else []
    if not known:
        second_opinion(httptools.HttpResponseParser, head, fresh, _starts, start)
    if start.http10:
        lines[0] = b"HTTP/1.1" + lines[0][8:]
    response.forwarded = b"\r\n".join(without(lines, dropped) if dropped else lines)
    code = response.status
    # RFC 9112 section 6.3, rule 1: these never have a body, whatever their fields say. A sender that promises
    # one where HTTP knows none may go on and send it: its connection is not used again.
    if method == b"HEAD" or code == 304:
        response.framing = 0
    elif code < 200 or code == 204:
        response.closes = response.closes or response.framing not in {0, UNTIL_CLOSE}
        response.framing = 0
    return response


def _read_start(line: bytes) -> Start:
    match = _LINE.fullmatch(line)
    if match is None:
        raise Refused(start_line_fault(line))
    return Start(int(match[2]), match[1] == b"0")


def _take_fields(
    response: ResponseHead, lines: list[bytes], headers: Headers, special: Special, *, to_http10: bool
) -> list[int]:
    """Take framing and connection options from the fields; give the lines that are not for the caller."""
    lengths = codings = 0
    dropped: list[int] = []
    http10 = response.closes
    for at, (_, meaning, number) in special:
        if meaning == LENGTH:
            lengths += 1
            response.framing = number
        elif meaning == CODING:
            # RFC 9112 section 6.1; a coding in HTTP/1.0 means faulty framing.
            codings += 1 if number and not http10 else 2
            response.framing = CHUNKED
            if to_http10:
                dropped.append(at)
        elif meaning == KEEPING:
            response.closes = response.closes or number == 1
            dropped.append(at)
        elif meaning == HOP:
            dropped.append(at)
        elif meaning in {CONNECTION, UPGRADE}:
            response.switches = True
    if lengths + codings > 1:
        raise Refused(framing_fault(codings))
    return dropped + _switching(response, lines, headers, special) if response.switches else dropped


def _switching(response: ResponseHead, lines: list[bytes], headers: Headers, special: Special) -> list[int]:
    """Keep the protocol switched to, or asked for; give the lines of what else Connection speaks of."""
    said = connection_options(special)
    response.closes = response.closes or b"close" in said
    upgrades = [at for at, field in special if field.meaning == UPGRADE]
    keeps = bool(upgrades) and response.status in _SWITCHING
    response.upgrade = keeps and b"upgrade" in said
    dropped = nominated(said, headers) + ([] if keeps else upgrades)
    spoken = False
    for at, (pair, meaning, _) in special:
        if meaning == CONNECTION:
            if response.upgrade and not spoken:
                spoken = True
                lines[at] = b"%b: Upgrade" % pair[0]
            else:
                dropped.append(at)
    return dropped

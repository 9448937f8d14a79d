"""Heads: raw bytes in, lines and fields out (RFC 9112 sections 2 to 5).

Theory of operation. A head is read only when it is whole, and then by two parties that must agree:

    1. `head_buffer` finds the empty line that ends a head, within the bounds.
    2. `read_head` takes the lines apart and checks each by RFC 9110 section 5; `request_head` and
       `response_head` check what they mean. They name the rule that is broken.
    3. llhttp (`httptools`, strict) must accept exactly these bytes too, with a parser made for this one
       head; it is spared heads of which it has already accepted each line.

What is passed on is the raw lines, but for those that are hop-by-hop (RFC 9110 section 7.6.1) or replaced: so
order, case, duplicates and white space stay.

Most lines of a head were in an earlier one too. `_known` remembers lines that both parties accepted, and how
they read: a bounded memo of a pure function, which changes no result. A line that is new in its value alone
(`traceparent`, a request's id) is read here as ever; llhttp, which has accepted its name, has no say in
visible ASCII behind a name that means nothing to HTTP's framing, so it is not asked again (`_names`).
"""

import re
from typing import Final, NamedTuple, TypeAlias, TypeVar

import httptools

from sidecar.exchange import Headers
from sidecar.wire.head_buffer import BREAKS
from sidecar.wire.limits import Limits
from sidecar.wire.refusal import Reason, Refused

# What a field means to the wire; 0 means nothing to it.
HOST: Final = 1
LENGTH: Final = 2
CODING: Final = 3
KEEPING: Final = 4
CONNECTION: Final = 5
UPGRADE: Final = 6
TE: Final = 7
EXPECT: Final = 8
HOP: Final = 9

_MEANING: Final = {
    b"host": HOST,
    b"content-length": LENGTH,
    b"transfer-encoding": CODING,
    b"connection": CONNECTION,
    b"upgrade": UPGRADE,
    b"te": TE,
    b"expect": EXPECT,
    b"keep-alive": HOP,
    b"proxy-connection": HOP,
}
_FRAMING: Final = frozenset((LENGTH, CODING))


class Field(NamedTuple):
    """One field's line, read.

    Attributes:
        pair: name and value, outer white space of the value removed.
        meaning: what it means to the wire. KEEPING is a Connection field that says no more than close or
            keep-alive, CONNECTION any other.
        number: LENGTH: the length. CODING: 1 if it is `chunked` alone. KEEPING: 1 for close. EXPECT: 1 if it
            is `100-continue`. TE: 1 if it is `trailers`. HOST: 1 if it is a host with an optional port.
    """

    pair: tuple[bytes, bytes]
    meaning: int
    number: int


Special: TypeAlias = list[tuple[int, Field]]
"""The fields that mean something to the wire, with the index of their line."""

Fresh: TypeAlias = list[tuple[bytes, Field]]
"""Lines that llhttp has not accepted yet."""

_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")
_SPACED: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]+:")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")

# RFC 3986 section 3.2, without userinfo (RFC 9110 section 4.2.4): IP literal or registered name, port.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]*)(?::[0-9]{0,5})?")

_KNOWN_MAX: Final = 4096
_KNOWN_LINE_BYTES_MAX: Final = 512
_KNOWN_NAME_BYTES_MAX: Final = 64
_known: Final[dict[bytes, Field]] = {}
_names: Final[set[bytes]] = set()
"""Names, in exactly these letters, of accepted lines that mean nothing to the wire."""

# Never removed because a Connection field names them: they are not the sender's to declare hop-by-hop.
_NOT_NOMINATED: Final = frozenset(
    (
        b"", b"close", b"keep-alive", b"upgrade", b"te", b"host", b"content-length", b"content-type",
        b"content-encoding", b"transfer-encoding", b"connection", b"proxy-connection", b"expect",
    )
)  # fmt: skip


def read_head(head: bytes, limits: Limits) -> tuple[list[bytes], Headers, Special, Fresh]:
    """Take a whole head apart.

    Returns:
        Its lines (the first, the fields', two empty ones), the fields' names and values, those of them that
        mean something here, and those that llhttp has not seen.

    Raises:
        Refused: it is too large, or a line breaks the syntax of fields.
    """
    lines = head.split(b"\r\n")
    if len(head) > limits.head_bytes_max:
        too_long = len(lines[0]) > limits.head_bytes_max
        raise Refused(Reason.TARGET_TOO_LONG if too_long else Reason.HEAD_TOO_LARGE)
    if len(lines) > limits.fields_max + 3:
        raise Refused(Reason.TOO_MANY_FIELDS)
    headers: Headers = []
    special: Special = []
    fresh: Fresh = []
    known = _known
    for at, line in enumerate(lines[1:-2], 1):
        field = known.get(line)
        if field is None:
            field = _read_line(line)
            if field[0][0] in _names and line.isascii() and b"\t" not in line:
                _remember(line, field)
            else:
                fresh.append((line, field))
        headers.append(field[0])
        if field[1]:
            special.append((at, field))
    return lines, headers, special, fresh


def _remember(line: bytes, field: Field) -> None:
    """Remember a line that both parties accept."""
    if len(line) <= _KNOWN_LINE_BYTES_MAX:
        if len(_known) >= _KNOWN_MAX:
            _known.clear()
        _known[line] = field


def _remember_name(field: Field) -> None:
    """Remember the name of an accepted line, if it means nothing to the wire."""
    name = field.pair[0]
    if not field.meaning and len(name) <= _KNOWN_NAME_BYTES_MAX:
        if len(_names) >= _KNOWN_MAX:
            _names.clear()
        _names.add(name)


def _read_line(line: bytes) -> Field:
    """Read one field's line."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise Refused(_line_fault(line))
    name, value = match[1], match[2].strip(b" \t")
    meaning = _MEANING.get(name.lower(), 0)
    number = 0
    if meaning in _FRAMING and b"\t" in match[2]:
        # RFC 9110 section 5.6.3 allows it around a value, but nginx does not take it for white space.
        raise Refused(Reason.BAD_LENGTH if meaning == LENGTH else Reason.BAD_CODING)
    if meaning == LENGTH:
        number = _length_of(value)
    elif meaning == CONNECTION:
        said = set(options(value))
        if said <= {b"close", b"keep-alive"}:
            meaning = KEEPING
            number = b"close" in said
    elif meaning == HOST:
        number = _HOST.fullmatch(value) is not None
    elif meaning:
        number = value.lower() == {CODING: b"chunked", EXPECT: b"100-continue", TE: b"trailers"}.get(meaning)
    return Field((name, value), meaning, int(number))


def _break_in(line: bytes) -> Reason | None:
    """Name what breaks a line that should have none of it, its CRLF being gone."""
    return next((reason for byte, reason in BREAKS.items() if byte in line), None)


def _line_fault(line: bytes) -> Reason:
    if (broken := _break_in(line)) is not None:
        return broken
    if line[:1] in {b" ", b"\t"}:
        return Reason.FOLDED_FIELD
    return Reason.SPACE_BEFORE_COLON if _SPACED.match(line) is not None else Reason.BAD_FIELD


def start_line_fault(line: bytes) -> Reason:
    """Name what is wrong with a first line."""
    if (broken := _break_in(line)) is not None:
        return broken
    version = line.rpartition(b" ")[2]
    if version.startswith(b"HTTP/") and version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        return Reason.BAD_VERSION
    return Reason.BAD_START_LINE


class _Complete:
    """What llhttp calls back with."""

    __slots__ = ("complete",)

    def __init__(self) -> None:
        self.complete = False

    def on_headers_complete(self) -> None:
        self.complete = True


_Start = TypeVar("_Start")


def second_opinion(
    kind: type[httptools.HttpRequestParser | httptools.HttpResponseParser],
    head: bytes,
    fresh: Fresh,
    starts: dict[bytes, _Start],
    start: _Start,
) -> None:
    """Let llhttp read a head that we found good, and remember its lines.

    A head is spared this when llhttp has already accepted each of its lines: what it sees in their
    combination is less than what we check (framing, versions). But for a 101, which it refuses without
    Connection and Upgrade: that one it is always asked about.

    Raises:
        Refused: it does not find it good, or not complete.
    """
    found = _Complete()
    try:
        kind(found).feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # it has read the head and hands the connection back, which each head's parser does anyway
    except httptools.HttpParserInvalidMethodError as error:
        raise Refused(Reason.BAD_METHOD) from error
    except httptools.HttpParserInvalidURLError as error:
        raise Refused(Reason.BAD_TARGET) from error
    except httptools.HttpParserError as error:
        raise Refused(Reason.BAD_MESSAGE) from error
    if not found.complete:
        raise Refused(Reason.BAD_MESSAGE)
    line = head[: head.find(b"\r\n")]
    if len(line) <= _KNOWN_LINE_BYTES_MAX:
        if len(starts) >= _KNOWN_MAX:
            starts.clear()
        starts[line] = start
    for accepted, field in fresh:
        _remember(accepted, field)
        _remember_name(field)


def _length_of(value: bytes) -> int:
    """Read a Content-Length value (RFC 9110 section 8.6), more strictly: one number, no list, no sign."""
    if _LENGTH.fullmatch(value) is None:
        raise Refused(Reason.BAD_LENGTH)
    return int(value)


def options(value: bytes) -> list[bytes]:
    """Give the lower-case members of a Connection value (RFC 9110 section 7.6.1)."""
    return [option.strip(b" \t") for option in value.lower().split(b",")]


def connection_options(special: Special) -> list[bytes]:
    """Give what all Connection fields together say, in lower case."""
    said: list[bytes] = []
    for _, (pair, meaning, _) in special:
        if meaning in {CONNECTION, KEEPING}:
            said += options(pair[1])
    return said


def framing_fault(codings: int) -> Reason:
    """Name what is wrong where framing fields are not one; a coding not spoken here counts as two."""
    if codings > 1:
        return Reason.BAD_CODING
    return Reason.LENGTH_WITH_CODING if codings else Reason.SEVERAL_LENGTHS


def nominated(connection: list[bytes], headers: Headers) -> list[int]:
    """Give the lines of the fields that Connection names as meant for this hop only."""
    names = set(connection) - _NOT_NOMINATED
    return [at for at, (name, _) in enumerate(headers, 1) if name.lower() in names] if names else []


def without(lines: list[bytes], dropped: list[int]) -> list[bytes]:
    """Give the lines but for those at these indexes."""
    if len(dropped) == 1:
        del lines[dropped[0]]
        return lines
    gone = set(dropped)
    return [line for at, line in enumerate(lines) if at not in gone]

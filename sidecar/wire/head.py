"""Heads: raw bytes in, what the wire needs to know of them out (RFC 9112 sections 2 to 6).

Theory of operation. A head is read only when it is whole, and then by two parties that must agree:

    1. `HeadBuffer` finds the empty line that ends it, within the bounds, refusing at once what can no longer
       become a good head (NUL, bare CR or LF).
    2. llhttp (`httptools`, strict) parses exactly these bytes with a parser made for this one head. It must be
       complete at the last byte and not before.
    3. What llhttp lets pass is checked here: the exact spacing of the first line, HTTP versions, Host, target
       forms, codings other than `chunked`, several lengths, counts.

The bytes passed on are the raw ones, cut only where a field is hop-by-hop (RFC 9110 section 7.6.1) or is
replaced, so names, order, duplicates and white space stay. `SPECIAL.split` cuts a head in one pass into text,
name, value, text, name, value, ..., text; llhttp having accepted it, each CRLF in it ends a line.
"""

import re
from typing import Final

import httptools

from sidecar.exchange import Headers
from sidecar.wire.limits import Limits
from sidecar.wire.refusal import Reason, Refused

END: Final = b"\r\n\r\n"

SPECIAL: Final = re.compile(
    rb"\r\n(host|content-length|transfer-encoding|connection|keep-alive|proxy-connection|upgrade|te|expect):"
    rb"[ \t]*([^\r\n]*)",
    re.IGNORECASE,
)
LENGTH: Final = re.compile(rb"[0-9]{1,18}")

# Never removed because a Connection field names them: they are not the sender's to declare hop-by-hop.
_NOT_NOMINATED: Final = frozenset(
    (
        b"", b"close", b"keep-alive", b"upgrade", b"te", b"host", b"content-length", b"content-type",
        b"content-encoding", b"transfer-encoding", b"connection", b"proxy-connection", b"expect",
    )
)  # fmt: skip


class Collected:
    """What llhttp calls back with while it parses one head."""

    __slots__ = ("complete", "fields", "target")

    def __init__(self) -> None:
        self.target = b""
        self.fields: Headers = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        """Take the request target."""
        self.target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one field."""
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Take note of the empty line."""
        self.complete = True


class HeadBuffer:
    """Collects a head that arrives in several pieces; a whole one never comes here."""

    __slots__ = ("_data", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._data = bytearray()
        self._limits = limits

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Give the head and what follows it, once it is whole; nothing is kept then.

        Raises:
            Refused: it is too large, or can no longer become a good head.
        """
        held = self._data
        searched = max(0, len(held) - 3)
        held += data
        if held[:2] == b"\r\n":
            del held[:2]  # RFC 9112 section 2.2: the empty line before a request, come in two pieces
            searched = 0
        end = held.find(END, searched)
        if end >= 0:
            head, rest = bytes(held[: end + 4]), bytes(held[end + 4 :])
            held.clear()
            return head, rest
        if (broken := _BROKEN_LINE.search(held, searched)) is not None:
            raise Refused(_BROKEN[broken[0][:1]])
        if len(held) >= self._limits.head_bytes_max:
            raise Refused(Reason.HEAD_TOO_LARGE if b"\r\n" in held else Reason.TARGET_TOO_LONG)
        return None


_BROKEN_LINE: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\0")
_BROKEN: Final = {b"\n": Reason.BARE_LF, b"\r": Reason.BARE_CR, b"\0": Reason.NUL}
_FOLDED: Final = re.compile(rb"\r\n[ \t]")
_SPACED: Final = re.compile(rb"\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]+:")


def parse(
    head: bytes, parser: httptools.HttpRequestParser | httptools.HttpResponseParser, limits: Limits
) -> None:
    """Let llhttp read exactly one head; its findings are in the `Collected` the parser was made with.

    Raises:
        Refused: it is too large, or breaks the syntax.
    """
    if len(head) > limits.head_bytes_max:
        line_end = head.find(b"\r\n")
        raise Refused(Reason.TARGET_TOO_LONG if line_end > limits.head_bytes_max else Reason.HEAD_TOO_LARGE)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # it has read the head and gives the connection back, as we asked with each head anyway
    except httptools.HttpParserError as error:
        raise Refused(_diagnose(head, error)) from error


def _diagnose(head: bytes, error: httptools.HttpParserError) -> Reason:
    """Name the rule a head breaks that llhttp did not accept; the order is that of plausibility."""
    if (broken := _BROKEN_LINE.search(head)) is not None:
        return _BROKEN[broken[0][:1]]
    if _FOLDED.search(head) is not None:
        return Reason.FOLDED_FIELD
    if _SPACED.search(head) is not None:
        return Reason.SPACE_BEFORE_COLON
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return Reason.BAD_METHOD
    if isinstance(error, httptools.HttpParserInvalidURLError):
        return Reason.BAD_TARGET
    names = [name.lower() for name in SPECIAL.split(head)[1::3]]
    if b"content-length" in names:
        if b"transfer-encoding" in names:
            return Reason.LENGTH_WITH_CODING
        return Reason.SEVERAL_LENGTHS if names.count(b"content-length") > 1 else _length_fault(head)
    if b"transfer-encoding" in names:
        return Reason.BAD_CODING
    return _line_fault(head)


def _length_fault(head: bytes) -> Reason:
    parts = SPECIAL.split(head)
    for name, value in zip(parts[1::3], parts[2::3], strict=True):
        if name.lower() == b"content-length" and LENGTH.fullmatch(value.rstrip(b" \t")) is None:
            return Reason.BAD_LENGTH
    return _line_fault(head)


_FIELD_LINES: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n")


def _line_fault(head: bytes) -> Reason:
    """Tell a bad first line from a bad field."""
    line, _, fields = head.partition(b"\r\n")
    if _FIELD_LINES.fullmatch(fields) is None:
        return Reason.BAD_FIELD
    return Reason.BAD_START_LINE if b" HTTP/1." in line or line.startswith(b"HTTP/1.") else Reason.BAD_VERSION


def length_of(value: bytes) -> int:
    """Read a Content-Length value (RFC 9110 section 8.6), more strictly: one number, no list, no sign.

    Raises:
        Refused: it is anything else.
    """
    value = value.rstrip(b" \t")
    if LENGTH.fullmatch(value) is None:
        raise Refused(Reason.BAD_LENGTH)
    return int(value)


def tokens(value: bytes) -> list[bytes]:
    """Give the lower-case members of a Connection value."""
    return [token.strip(b" \t") for token in value.lower().split(b",")]


def without_nominated(head: bytes, nominated: list[bytes]) -> bytes:
    """Remove the fields that Connection names as meant for this hop only (RFC 9110 section 7.6.1)."""
    for name in nominated:
        if name not in _NOT_NOMINATED:
            head = re.sub(rb"\r\n%b:[^\r\n]*" % re.escape(name), b"", head, flags=re.IGNORECASE)
    return head

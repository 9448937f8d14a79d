"""Bodies in transit: bytes in, payload out, transfer coding removed (RFC 9112 sections 6 and 7).

Theory of operation. A decoder is fed what follows a head. `feed` gives the payload in these bytes; once the
body has ended `done` is true, and `rest` holds what came after it. It is never fed again then. A decoder
keeps at most one unfinished chunk-size line, or the trailer section, never payload.

    framing of the head           decoder        ends
    CHUNKED                       ChunkedBody    after the trailer section's empty line
    n bytes                       LengthBody     after n bytes
    UNTIL_CLOSE (answers only)    UntilClose     when the sender closes: `done` is never set by bytes

The chunked decoder is ours rather than llhttp's, because llhttp tells neither where a message ended (needed
for pipelining) nor how many bytes the framing took (needed for the bounds on extensions and trailers).
"""

import re
from typing import Final, Protocol

from sidecar.wire.limits import Limits
from sidecar.wire.refusal import Reason, Refused

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

# Chunk extensions (RFC 9112 section 7.1.1) are checked for control characters and dropped: they are
# hop-by-hop, and their content has no meaning here. BWS is allowed only where an extension follows it.
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t\x20-\x7e\x80-\xff]*\r\n")
# What such lines may look like before they are whole; anything else can be refused at once.
_SIZE_LINE_BEGUN: Final = re.compile(
    rb"(?:[0-9A-Fa-f]{1,15}(?:\r|[ \t]*|[ \t]*;[\t\x20-\x7e\x80-\xff]*\r?))?"
)
_TRAILER_FIELD_BEGUN: Final = re.compile(
    rb"(?:\r|[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?::[\t\x20-\x7e\x80-\xff]*\r?)?)?"
)
_TRAILER_NAME_GOES_ON: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]*(?::[\t\x20-\x7e\x80-\xff]*\r?)?")
_TRAILER_VALUE_GOES_ON: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\r?")
_FREE_BYTES_A_CHUNK: Final = 32

# RFC 9110 section 6.5.1: fields of framing, routing, or request control do not belong into trailers.
_NOT_IN_TRAILERS: Final = frozenset(
    (
        b"authorization", b"connection", b"content-encoding", b"content-length", b"content-range",
        b"content-type", b"cookie", b"expect", b"host", b"keep-alive", b"proxy-connection", b"set-cookie",
        b"te", b"trailer", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip


class BodyDecoder(Protocol):
    """Takes a body off the wire."""

    done: bool
    rest: bytes
    trailers: bytes
    """Trailer fields as they came, each line with its CRLF; empty without."""

    def feed(self, data: bytes) -> bytes:
        """Give the payload in these bytes.

        Raises:
            Refused: the framing is broken.
        """
        ...


class LengthBody:
    """A body of known length; zero is done at once."""

    __slots__ = ("_left", "done", "rest", "trailers")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        """Give the payload in these bytes."""
        size = len(data)
        if size < self._left:
            self._left -= size
            return data
        self.done = True
        if size == self._left:
            return data
        self.rest = data[self._left :]
        return data[: self._left]


class UntilClose:
    """A body that ends when its sender closes."""

    __slots__ = ("done", "rest", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        """Give the payload in these bytes: all of them."""
        return data


class ChunkedBody:
    """A chunked body (RFC 9112 section 7.1), read strictly."""

    __slots__ = (
        "_after_chunk",
        "_checked",
        "_fields",
        "_held",
        "_in_trailers",
        "_left",
        "_limits",
        "_overhead",
        "done",
        "rest",
        "trailers",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = 0
        self._after_chunk = False
        self._in_trailers = False
        self._held = b""
        self._checked = 0
        self._fields = 0
        self._overhead = 0
        self.done = False
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        """Give the payload in these bytes, chunks joined."""
        if self._held:
            data = self._held + data
            self._held = b""
        pieces: list[bytes] = []
        position = 0
        while not self.done:
            if self._left:
                piece = data[position : position + self._left]
                if piece:
                    pieces.append(piece)
                    position += len(piece)
                    self._left -= len(piece)
                if self._left:
                    break
            elif self._in_trailers:
                if not self._trailer_section(data, position):
                    break
            else:
                position_then = self._size_line(data, position)
                if position_then < 0:
                    break
                position = position_then
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _size_line(self, data: bytes, position: int) -> int:
        """Read the CRLF that ends a chunk and the next size line; -1 if they are not all here."""
        start = position
        if self._after_chunk:
            if data[position : position + 2] != b"\r\n":
                if len(data) - position >= 2 or data[position : position + 1] not in {b"", b"\r"}:
                    raise Refused(Reason.BAD_CHUNK)
                self._held = data[position:]
                return -1
            position += 2
        match = _SIZE_LINE.match(data, position)
        if match is None:
            self._keep_line(data, start, position)
            return -1
        if match.end() - position > self._limits.chunk_line_bytes_max:
            raise Refused(Reason.CHUNK_OVERHEAD)
        self._overhead += max(0, match.end() - start - _FREE_BYTES_A_CHUNK)
        if self._overhead > self._limits.chunk_overhead_bytes_max:
            raise Refused(Reason.CHUNK_OVERHEAD)
        self._left = int(match[1], 16)
        self._after_chunk = self._left > 0
        self._in_trailers = self._left == 0
        return match.end()

    def _keep_line(self, data: bytes, start: int, line: int) -> None:
        """Keep an unfinished size line, unless no continuation could make it a good one."""
        if len(data) - line > self._limits.chunk_line_bytes_max:
            raise Refused(Reason.CHUNK_OVERHEAD)
        if _SIZE_LINE_BEGUN.fullmatch(data, line) is None:
            raise Refused(Reason.BAD_CHUNK)
        self._held = data[start:]

    def _trailer_section(self, data: bytes, position: int) -> bool:
        """Read fields up to the empty line; false if it is not all here."""
        while data[position : position + 2] != b"\r\n":
            if data.find(b"\r\n", position + self._checked) < 0:
                self._keep_trailer(data, position)
                return False
            match = _TRAILER_FIELD.match(data, position)
            if match is None or match[1].lower() in _NOT_IN_TRAILERS:
                raise Refused(Reason.BAD_TRAILER)
            self._checked = 0
            self._fields += 1
            if self._fields > self._limits.fields_max:
                raise Refused(Reason.TOO_MANY_FIELDS)
            self.trailers += match[0]
            position = match.end()
        if len(self.trailers) > self._limits.head_bytes_max:
            raise Refused(Reason.HEAD_TOO_LARGE)
        self.rest = data[position + 2 :]
        self.done = True
        return True

    def _keep_trailer(self, data: bytes, line: int) -> None:
        """Keep an unfinished field within the section's bound, unless it is already broken.

        Only what is new of it is looked at: a field that comes byte by byte must not cost its length squared.
        """
        checked = self._checked
        if not checked:
            begun = _TRAILER_FIELD_BEGUN
        elif b":" in data[line : line + checked]:
            begun = _TRAILER_VALUE_GOES_ON
        else:
            begun = _TRAILER_NAME_GOES_ON
        if begun.fullmatch(data, line + checked) is None:
            raise Refused(Reason.BAD_TRAILER)
        self._held = data[line:]
        if len(self.trailers) + len(self._held) > self._limits.head_bytes_max:
            raise Refused(Reason.HEAD_TOO_LARGE)
        self._checked = len(self._held) - self._held.endswith(b"\r")


def decoder(framing: int, limits: Limits) -> BodyDecoder:
    """Give the decoder for a head's framing: a length, CHUNKED or UNTIL_CLOSE."""
    if framing >= 0:
        return LengthBody(framing)
    if framing == CHUNKED:
        return ChunkedBody(limits)
    return UntilClose()


def chunk(payload: bytes) -> bytes:
    """Frame payload as one chunk; never call it with nothing, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def last_chunk(trailers: bytes) -> bytes:
    """Frame the end of a chunked body."""
    return b"0\r\n%b\r\n" % trailers

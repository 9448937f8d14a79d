"""Content codings, decoded as a stream in bounded pieces (RFC 9110 section 8.4).

A decoder gives pieces one by one, so that whoever takes them can stop at any moment: a small chunk never
becomes a large amount of memory. Wrong input is `CodingError`, nothing else.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import brotli
import zstandard

PIECE: Final = 64 << 10
"""Most bytes a decoder gives at once (zstd: see there)."""

MEMBERS_MAX: Final = 1000
"""gzip members or zstd frames in one body; honest senders use one."""

WINDOW_MAX: Final = 8 << 20
"""Largest zstd window (RFC 8878 section 3.1.1.1.2 asks decoders for at least this much)."""

_ZSTD_SLICE: Final = 128
"""zstd input goes in by slices: a block of 4 bytes may stand for 128 KiB, so a slice makes at most 4 MiB."""


class CodingError(Exception):
    """The body is not what its content coding says."""


class Decoder(Protocol):
    """One content coding of one body."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes.

        Raises:
            CodingError: they are none of this coding.
        """
        ...

    @property
    def complete(self) -> bool:
        """Whether the coding says that the body may end here."""
        ...


class Zlib:
    """gzip, with any number of members (RFC 1952), and deflate (RFC 1950, or RFC 1951 bare)."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._members = 0
        self._member: zlib._Decompress | None = None
        self._head = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes."""
        try:
            while True:
                if self._member is None:
                    data = self._begin(data) if data else b""
                    if self._member is None:
                        return
                piece = self._member.decompress(data, PIECE)
                if piece:
                    yield piece
                if self._member.eof:
                    data = self._member.unused_data
                    self._member = None
                    continue
                data = self._member.unconsumed_tail
                if not data and len(piece) < PIECE:
                    return
        except zlib.error as error:
            raise CodingError(str(error)) from error

    @property
    def complete(self) -> bool:
        """Whether a member ended here."""
        return self._member is None and self._members > 0 and not self._head

    def _begin(self, data: bytes) -> bytes:
        """Start a member; needs two bytes to tell the form. Zeros may pad between gzip members."""
        data = self._head + data
        if self._gzip and self._members:
            data = data.lstrip(b"\0")
        self._head = b""
        if len(data) < 2:
            self._head = data
            return b""
        if self._members >= (MEMBERS_MAX if self._gzip else 1):
            raise CodingError("bytes behind the end")
        self._members += 1
        self._member = zlib.decompressobj(31 if self._gzip else _deflate_bits(data))
        return data


def _deflate_bits(data: bytes) -> int:
    """Tell zlib's form from the bare one, which never starts so: a stored block with padding bits set."""
    return 15 if data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0 else -15


class Brotli:
    """br (RFC 7932)."""

    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes."""
        if self._decoder.is_finished():
            raise CodingError("bytes behind the end")
        try:
            piece = self._decoder.process(data, output_buffer_limit=PIECE)
            while piece:
                yield piece
                if self._decoder.is_finished():
                    return
                piece = self._decoder.process(b"", output_buffer_limit=PIECE)
        except brotli.error as error:
            raise CodingError(str(error)) from error

    @property
    def complete(self) -> bool:
        """Whether the stream ended."""
        return bool(self._decoder.is_finished())


class Zstd:
    """zstd, with any number of frames (RFC 8878)."""

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._frames = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes; a piece may have 4 MiB where the input is made to explode."""
        at = 0
        try:
            while at < len(data):
                if self._frame is None:
                    if self._frames >= MEMBERS_MAX:
                        raise CodingError("too many frames")
                    self._frame = self._context.decompressobj(write_size=PIECE)
                    self._frames += 1
                given = data[at : at + _ZSTD_SLICE]
                piece = self._frame.decompress(given)
                at += len(given)
                if piece:
                    yield piece
                if self._frame.eof:
                    at -= len(self._frame.unused_data)
                    self._frame = None
        except zstandard.ZstdError as error:
            raise CodingError(str(error)) from error

    @property
    def complete(self) -> bool:
        """Whether a frame ended here."""
        return self._frame is None and self._frames > 0


DECODERS: Final[dict[bytes, Callable[[], Decoder]]] = {
    b"gzip": lambda: Zlib(gzip=True),
    b"x-gzip": lambda: Zlib(gzip=True),
    b"deflate": lambda: Zlib(gzip=False),
    b"br": Brotli,
    b"zstd": Zstd,
}

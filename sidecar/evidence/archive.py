"""The container of a bundle: a ZIP that any tool opens, but of one canonical form only.

Every byte is either packed content, whose SHA-256 stands in the manifest, or follows from names, sizes and
checksums and is compared with what they give. So a changed byte is found wherever it is. Nothing is ever
extracted; content is unpacked in memory within stated bounds.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

ARCHIVE_MAX_BYTES: Final = 512 << 20
MEMBER_MAX_BYTES: Final = 2 << 30
"""Of one file, unpacked; what is being unpacked is read line by line and never held whole."""
MEMBERS_MAX: Final = 32
LINE_MAX_BYTES: Final = 4 << 20
NAME_MAX: Final = 64
PIECE_BYTES: Final = 64 << 10
LEVEL: Final = 6

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_VERSION: Final = 20
_UNIX: Final = 3 << 8
_UTF8: Final = 0x800
_STORED: Final = 0
_DEFLATED: Final = 8
_MIDNIGHT: Final = 0
_1980: Final = (1 << 5) | 1
"""1 January 1980, where ZIP begins: equal content gives an equal file, whenever it was written."""
_MODE: Final = 0o100644 << 16


class BundleBroken(Exception):  # noqa: N818 - says what the bundle is
    """A file that is no sound bundle; the message names the first thing that is wrong."""


class Member(NamedTuple):
    """One file of the archive: deflated, or `stored` as it is."""

    name: str
    packed: bytes
    crc: int
    size: int
    stored: bool = False

    @property
    def packed_sha256(self) -> str:
        """Digest of what the archive holds of it: equal content may be deflated in several ways."""
        return hashlib.sha256(self.packed).hexdigest()


class Packed(NamedTuple):
    """A file that was packed, and the SHA-256 of its content."""

    member: Member
    sha256: str


def pack(name: str, pieces: Iterable[bytes]) -> Packed:
    """Deflate one file; memory holds its packed form only."""
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    digest = hashlib.sha256()
    packed = bytearray()
    crc = size = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
        size += len(piece)
        digest.update(piece)
        packed += deflate.compress(piece)
    packed += deflate.flush()
    return Packed(Member(name, bytes(packed), crc, size), digest.hexdigest())


def stored(name: str, content: bytes) -> Member:
    """Take one file as it is: no second form of it exists."""
    return Member(name, content, zlib.crc32(content), len(content), stored=True)


def assemble(members: Sequence[Member]) -> bytes:
    """Give the archive of these files, in this order."""
    body, directory = bytearray(), bytearray()
    for member in members:
        name = member.name.encode()
        method = _STORED if member.stored else _DEFLATED
        about = (_UTF8, method, _MIDNIGHT, _1980, member.crc, len(member.packed), member.size, len(name))
        directory += _CENTRAL.pack(
            b"PK\1\2", _UNIX | _VERSION, _VERSION, *about, 0, 0, 0, 0, _MODE, len(body)
        )
        directory += name
        body += _LOCAL.pack(b"PK\3\4", _VERSION, *about, 0) + name + member.packed
    count = len(members)
    end = _END.pack(b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def take_apart(archive: bytes) -> list[Member]:
    """Read an archive's files; whatever `assemble` would have written otherwise is refused.

    Raises:
        BundleBroken: it is none of ours, was cut, or a byte outside the packed content was changed.
    """
    members: list[Member] = []
    position = 0
    while archive[position : position + 4] == b"PK\3\4":
        if len(members) >= MEMBERS_MAX:
            raise BundleBroken(f"it holds more than {MEMBERS_MAX} files")
        member, position = _member(archive, position)
        members.append(member)
    if not members or assemble(members) != archive:
        raise BundleBroken("it is not in the form of a bundle: it was cut, added to, or changed")
    return members


def _member(archive: bytes, position: int) -> tuple[Member, int]:
    begin = position + _LOCAL.size
    if begin > len(archive):
        raise BundleBroken("it ends in the middle of a file's head")
    head = _LOCAL.unpack_from(archive, position)
    method, (crc, packed_size, size, name_size, extra_size) = head[3], head[6:]
    content = begin + name_size
    end = content + packed_size
    if name_size > NAME_MAX or extra_size or size > MEMBER_MAX_BYTES or end > len(archive):
        raise BundleBroken("the head of a file in it makes no sense")
    try:
        name = archive[begin:content].decode("ascii")
    except UnicodeDecodeError as error:
        raise BundleBroken("the name of a file in it makes no sense") from error
    return Member(name, archive[content:end], crc, size, stored=method == _STORED), end


def unpacked(member: Member) -> Iterator[bytes]:
    """Give a file's content in pieces of at most 64 KiB.

    Raises:
        BundleBroken: it is not what size and checksum say.
    """
    if member.stored:
        if member.size != len(member.packed) or member.crc != zlib.crc32(member.packed):
            raise BundleBroken(f"{member.name} is not what its checksum says")
        yield member.packed
        return
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    crc = size = 0
    waiting = member.packed
    while not inflate.eof:
        try:
            piece = inflate.decompress(waiting, PIECE_BYTES)
        except zlib.error as error:
            raise BundleBroken(f"{member.name} cannot be unpacked") from error
        waiting = inflate.unconsumed_tail
        size += len(piece)
        if size > member.size or (not piece and not waiting and not inflate.eof):
            raise BundleBroken(f"{member.name} is not of the size it says")
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != member.size or crc != member.crc or inflate.unused_data or waiting:
        raise BundleBroken(f"{member.name} is not what its checksum says")


def lines(member: Member) -> Iterator[bytes]:
    """Give a file's lines without their ends.

    Raises:
        BundleBroken: see `unpacked`; or a line beyond 4 MiB, or an unfinished last one.
    """
    rest = b""
    for piece in unpacked(member):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > LINE_MAX_BYTES:
            raise BundleBroken(f"{member.name} has a line of more than {LINE_MAX_BYTES} bytes")
    if rest:
        raise BundleBroken(f"{member.name} ends in the middle of a line")


def whole(member: Member, most: int = LINE_MAX_BYTES) -> bytes:
    """Give the content of a small file.

    Raises:
        BundleBroken: see `unpacked`; or larger than `most`.
    """
    if member.size > most:
        raise BundleBroken(f"{member.name} is larger than {most} bytes")
    return b"".join(unpacked(member))

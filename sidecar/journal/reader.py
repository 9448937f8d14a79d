"""Reading one segment: record after record, and over damage to the next record that verifies.

Constant memory, whatever the size of the segment or of the damage; the search runs at the speed of
`bytes.find`.
"""

import os
import re
import zlib
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from domain.recorded import BySource
from sidecar.journal.layout import (
    FACTS,
    HEAD,
    RECORD_MAGIC,
    RECORD_MAX,
    SEGMENT_HEAD,
    STATE,
    LossReason,
    Totals,
)

CHUNK: Final = 256 << 10
_KINDS: Final = (FACTS, STATE)
_LIKELY: Final = re.compile(
    re.escape(RECORD_MAGIC) + rb".{4}..[\x00-\x10]\x00[\x01\x02]\x00\x00\x00", re.DOTALL
)
"""A magic with a length and a kind that can be: garbage made of magics must not cost a look each."""
_LIKELY_BYTES: Final = 16


class Found(NamedTuple):
    """A record that verified: its bounds in the segment, the totals it carries, its payload."""

    start: int
    end: int
    kind: int
    totals: Totals
    payload: bytes


class Damage(NamedTuple):
    """Bytes of a segment that are no records."""

    start: int
    end: int
    reason: LossReason


class _Not(Enum):
    """Why no record stands at an offset."""

    SHORT = "short"
    BAD = "bad"


Item: TypeAlias = Found | Damage


class SegmentReader:
    """Reads one segment from its beginning; the file may still grow.

    Attributes:
        offset: behind the last item given.
    """

    def __init__(self, path: Path) -> None:
        """Open the segment.

        Raises:
            FileNotFoundError: there is none.
        """
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._chunk = b""
        self._chunk_at = 0
        self._searched = 0
        self.offset = 0

    @property
    def size(self) -> int:
        """Size of the file now."""
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def next(self, *, final: bool) -> Item | None:
        """Give the next item; None at the end, which for a growing segment may be an unfinished record.

        Args:
            final: nobody appends any more, so an unfinished record stays one.
        """
        if self.offset == 0:
            head = self._read(0, len(SEGMENT_HEAD))
            if head == SEGMENT_HEAD:
                self.offset = len(SEGMENT_HEAD)
            elif not head or (len(head) < len(SEGMENT_HEAD) and not final):
                return None
        found = self._record_at(self.offset) if self.offset else _Not.BAD
        if isinstance(found, Found):
            self.offset = found.end
            return found
        return self._damage(final=final)

    def _damage(self, *, final: bool) -> Item | None:
        """Look for the next record; without one, what remains is damage only if nobody appends."""
        start = self.offset
        after = self._search(max(start + 1, self._searched), final=final)
        if after is None and final:
            after = self.size
        if after is None or after <= start:
            self._chunk = b""  # the next look reads afresh
            return None
        if start and not final:
            # What stood unfinished at `start` may have been completed since, and the next record written.
            self._chunk = b""
            found = self._record_at(start)
            if isinstance(found, Found):
                self.offset, self._searched = found.end, 0
                return found
        reason = LossReason.CORRUPT
        if start == 0 and after >= self.size and self._of_another_version():
            reason = LossReason.UNKNOWN_VERSION
        self.offset = after
        return Damage(start, after, reason)

    def _of_another_version(self) -> bool:
        """Whether the head says so; another version also has another record magic, so nothing verified."""
        head = self._read(0, len(SEGMENT_HEAD))
        return len(head) == len(SEGMENT_HEAD) and head[:4] == SEGMENT_HEAD[:4] and head != SEGMENT_HEAD

    def _search(self, start: int, *, final: bool) -> int | None:
        """Find the next offset where a record verifies; remembers how far it looked."""
        at = start
        while True:
            chunk = self._read(at, CHUNK)
            pos = chunk.find(RECORD_MAGIC)
            while pos >= 0 and (likely := _LIKELY.search(chunk, pos)) is not None:
                pos = likely.start()
                found = self._record_at(at + pos)
                if isinstance(found, Found):
                    return at + pos
                if found is _Not.SHORT and not final:
                    self._searched = at + pos  # perhaps a record being written: look at it again
                    return None
                pos += 1
            self._searched = max(at, at + len(chunk) - _LIKELY_BYTES + 1)
            if len(chunk) < CHUNK:
                return None
            at = self._searched

    def _record_at(self, offset: int) -> "Found | _Not":
        chunk, pos = self._chunk, offset - self._chunk_at
        if pos < 0 or pos + HEAD.size > len(chunk):
            chunk, pos = self._load(offset, HEAD.size), 0
            if len(chunk) < HEAD.size:
                return _Not.SHORT
        magic, crc, length, kind, records, webhook, dispatch, provider = HEAD.unpack_from(chunk, pos)
        if magic != RECORD_MAGIC or length > RECORD_MAX or kind not in _KINDS:
            return _Not.BAD
        stop = pos + HEAD.size + length
        if stop > len(chunk):
            chunk, pos, stop = self._load(offset, stop - pos), 0, stop - pos
            if stop > len(chunk):
                return _Not.SHORT
        if zlib.crc32(memoryview(chunk)[pos + 8 : stop]) != crc:
            return _Not.BAD
        totals = Totals(records, BySource(webhook, dispatch, provider))
        return Found(offset, offset + stop - pos, kind, totals, chunk[pos + HEAD.size : stop])

    def _load(self, offset: int, need: int) -> bytes:
        self._chunk = self._read(offset, max(need, CHUNK))
        self._chunk_at = offset
        return self._chunk

    def _read(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._fd, size, offset)
        except OSError:  # an unreadable block of the disk is damage like any other
            return b"\0" * max(0, min(size, self.size - offset))

"""What a journal looks like on disk: names, record framing, the closed list of losses.

A segment is an 8 byte head (`SEGMENT_HEAD`), then records back to back:

    offset  size
    0       4     RECORD_MAGIC; lets a reader find the next record behind damage
    4       4     zlib.crc32 of everything from offset 8 to the end of the payload
    8       4     length of the payload
    12      4     kind: FACTS or STATE
    16      8     records journaled in this folder so far, this one included
    24      3*8   facts journaled in this folder so far by source, this record included
    48      -     payload, MessagePack

All integers are little-endian. The running totals are what makes a loss exact: whatever was destroyed between
two readable records, the second one tells how many facts were in it.

FACTS carries one `domain.exchange.ExchangeFacts`. STATE opens every segment and follows every loss: it
carries the folder's losses so far (`LossTotals`).
"""

import contextlib
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from domain.exchange import ExchangeFacts, Rejected
from domain.recorded import BySource
from domain.signal import Signal
from domain.words import Millis, Source, Word

VERSION: Final = 1
SEGMENT_HEAD: Final = b"\xabRSJ" + struct.pack("<HH", VERSION, 0)
"""Magic, version, flags. Another version is quarantined, never guessed at."""

RECORD_MAGIC: Final = b"\xf5R\xc1J"
"""0xf5 and 0xc1 appear in no UTF-8 text and 0xc1 in no MessagePack, so a payload hardly ever contains it."""

HEAD: Final = struct.Struct("<4sIIIQQQQ")
_REST: Final = struct.Struct("<IIQQQQ")

# Python 3.11 takes 0.1 microseconds to find a member in its class.
_DISPATCH: Final = Source.DISPATCH
_WEBHOOK: Final = Source.WEBHOOK

FACTS: Final = 1
STATE: Final = 2

RECORD_MAX: Final = 1 << 20
"""Bound of a payload in bytes: a 256 KiB callback of nothing but receipts gives about 800 KiB of facts."""

SEGMENT_MAX: Final = 16 << 20
SEGMENTS_MIN: Final = 8
"""A segment is never larger than this part of `journal_max_bytes`, so that deleting gives room in steps."""

SEGMENT_NAME: Final = re.compile(r"(\d{8})\.seg")
FOLDER_NAME: Final = re.compile(r"w\d{1,6}-\d{1,16}-\d{1,10}")
OWNER: Final = "owner"
PAGE: Final = "page"


class LossReason(Word):
    """Why facts are missing; closed, in the order of the page's table: append only."""

    DISK_FULL = "disk_full"
    JOURNAL_FULL = "journal_full"
    WRITE_FAILED = "write_failed"
    RECORD_TOO_LARGE = "record_too_large"
    UNENCODABLE = "unencodable"
    OBSERVER_CRASH = "observer_crash"
    CORRUPT = "corrupt"
    """Journaled, but no longer readable when the recorder came."""
    UNKNOWN_VERSION = "unknown_version"
    """Journaled by another version of the sidecar, in a form this one does not read."""
    WORKER_KILLED = "worker_killed"
    """Observed by a worker that died before it could journal them; their answers were never released."""


WRITER_REASONS: Final = tuple(LossReason)[:6]
"""What a worker itself counts on its page and in STATE records."""


class LossRow(NamedTuple):
    """Losses of one reason in a folder: the running total, and the bounds of those since the last STATE."""

    reason: str
    total: BySource
    since: Millis
    until: Millis


class LossTotals(NamedTuple):
    """Payload of a STATE record: a row for every reason that ever lost a fact in this folder, and when.

    Written first in each segment, `at` also bounds what damage before it may have hidden.
    """

    rows: tuple[LossRow, ...] = ()
    at: Millis = 0


class Totals(NamedTuple):
    """Running totals of a folder, as a record head carries them."""

    records: int = 0
    journaled: BySource = BySource()


_facts_encoder: Final = msgspec.msgpack.Encoder()
_facts_decoder: Final = msgspec.msgpack.Decoder(ExchangeFacts)
_state_decoder: Final = msgspec.msgpack.Decoder(LossTotals)

encode = _facts_encoder.encode
decode_facts = _facts_decoder.decode
decode_state = _state_decoder.decode


def frame(kind: int, payload: bytes, records: int, webhook: int, dispatch: int, provider: int) -> bytes:
    """Give the head that goes before a payload; the totals include this record."""
    rest = _REST.pack(len(payload), kind, records, webhook, dispatch, provider)
    return RECORD_MAGIC + zlib.crc32(payload, zlib.crc32(rest)).to_bytes(4, "little") + rest


def count_facts(facts: ExchangeFacts) -> tuple[int, int, int]:
    """Count the facts of an exchange by source, refused ones included, in the order of `SOURCES`."""
    webhook = dispatch = provider = 0
    items: Sequence[Signal | Rejected] = facts.signals
    if facts.rejected:
        items = (*items, *facts.rejected)
    for item in items:
        source = item.source
        if source is _DISPATCH:
            dispatch += 1
        elif source is _WEBHOOK:
            webhook += 1
        else:
            provider += 1
    return webhook, dispatch, provider


def journal_dir(data_dir: Path) -> Path:
    """Give the folder of all journal folders."""
    return data_dir / "journal"


def quarantine_dir(data_dir: Path) -> Path:
    """Give where unreadable segments are kept as evidence."""
    return data_dir / "quarantine"


def started_at(name: str) -> Millis:
    """Give when the worker of a folder of this name started."""
    return int(name.split("-")[1])


def segment_path(folder: Path, number: int) -> Path:
    """Give the path of a segment by its number, from 1."""
    return folder / f"{number:08d}.seg"


def segment_numbers(folder: Path) -> list[int]:
    """List a folder's segments in ascending order; empty when the folder is gone."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for name in names if (match := SEGMENT_NAME.fullmatch(name)))


def journal_bytes(data_dir: Path) -> int:
    """Sum the sizes of all segments that can be listed: what `journal_max_bytes` bounds."""
    total = 0
    for segment in journal_dir(data_dir).glob("w*/*.seg"):
        with contextlib.suppress(OSError):  # the recorder deletes while we look
            total += segment.stat().st_size
    return total

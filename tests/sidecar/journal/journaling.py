"""Builders and a recorder's book for the journal's tests."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from domain.exchange import ExchangeFacts
from domain.record_signal import Slice
from domain.recorded import BySource, Gap, Progress, Tally
from domain.words import Source
from sidecar.journal.layout import OWNER, PAGE, journal_dir, segment_path
from sidecar.journal.tail import JournalTail
from sidecar.journal.writer import JournalWriter
from tests.builders import exchange, redacted_signal

STARTED = 1_700_000_000_000
ROOM = 1 << 30
COUNT = 4


def facts(
    number: int, *, count: int = 1, source: Source = Source.DISPATCH, padding: int = 0
) -> ExchangeFacts:
    """Make an exchange with `count` facts; larger by about `padding` bytes."""
    signals = [
        redacted_signal(f"{number}-{one}" + "." * padding, STARTED + number, source=source)
        for one in range(count)
    ]
    return exchange(*signals, exchange_id=f"x-{number}", ended_at=STARTED + number)


def write_journal(
    data_dir: Path, exchanges: Iterable[ExchangeFacts], *, per_turn: int = 4, max_bytes: int = ROOM
) -> Path:
    """Write a journal folder with the real writer, close it, give its path."""

    async def write() -> Path:
        writer = JournalWriter(data_dir, 0, max_bytes=max_bytes)
        folder = writer.folder
        for number, one in enumerate(exchanges, 1):
            writer.append(one, nothing)
            if number % per_turn == 0:
                await asyncio.sleep(0)
        await writer.close()
        assert folder is not None
        return folder

    return asyncio.run(write())


def nothing() -> None:
    """Release no one."""


class Folder(NamedTuple):
    """A journal folder's files by value, to be put anywhere, changed."""

    name: str
    segments: Sequence[bytes]
    page: bytes | None

    @classmethod
    def load(cls, path: Path) -> "Folder":
        """Take a folder from the disk."""
        segments = [segment.read_bytes() for segment in sorted(path.glob("*.seg"))]
        return cls(path.name, segments, (path / PAGE).read_bytes())

    def put(self, data_dir: Path) -> Path:
        """Lay it down as that of a dead worker."""
        path = journal_dir(data_dir) / self.name
        path.mkdir(parents=True)
        for number, data in enumerate(self.segments, 1):
            segment_path(path, number).write_bytes(data)
        if self.page is not None:
            (path / PAGE).write_bytes(self.page)
        (path / OWNER).touch()
        return path


def damaged(folder: Folder, seed: int) -> Folder:
    """Overwrite, zero, cut out and insert stretches of its segments, as this seed has it."""
    dice = random.Random(seed)
    segments = [bytearray(segment) for segment in folder.segments]
    for _ in range(dice.randrange(1, 12)):
        segment = dice.choice(segments)
        at, size = dice.randrange(len(segment)), dice.randrange(1, 3000)
        kind = dice.randrange(4)
        if kind == 0:
            segment[at : at + size] = dice.randbytes(len(segment[at : at + size]))
        elif kind == 1:
            segment[at : at + size] = bytes(len(segment[at : at + size]))
        elif kind == 2:
            del segment[at : at + size]
        else:
            segment[at:at] = dice.randbytes(size)
    return folder._replace(segments=[bytes(segment) for segment in segments])


class Seconds:
    """A monotonic clock on which a second passes whenever it is read: every look is due."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        """Give nanoseconds."""
        self.now += 1_000_000_000
        return self.now


class Book:
    """What a recorder's store would hold; takes each batch as one transaction.

    Attributes:
        ids: of the exchanges, in the order they were recorded.
        gaps: by key.
        progress: by folder.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.gaps: dict[str, Gap] = {}
        self.progress: dict[str, Progress] = {}

    def record(self, batch: Sequence[Slice]) -> list[Progress]:
        """Store a batch; give the new positions."""
        settled = []
        for piece in batch:
            counted = Counter(signal.source for one in piece.exchanges for signal in one.signals)
            tally = piece.progress.tally
            after = Tally(tally.recorded.plus(counted), tally.repeated, tally.lost.plus(piece.lost))
            settled.append(piece.progress._replace(tally=after))
            self.ids += [one.id for one in piece.exchanges]
            for gap in piece.gaps:
                assert gap.key not in self.gaps, "one gap a key"
                self.gaps[gap.key] = gap
        self.progress.update((one.journal, one) for one in settled)
        return settled

    @property
    def lost(self) -> int:
        """Facts lost, by the gaps."""
        return sum(gap.lost for gap in self.gaps.values())

    @property
    def reasons(self) -> dict[str, int]:
        """Facts lost by reason."""
        counts: Counter[str] = Counter()
        for gap in self.gaps.values():
            counts[gap.reason] += gap.lost
        return dict(counts)

    @property
    def settled(self) -> BySource:
        """Facts that were recorded or accounted as lost, by source."""
        total = [0, 0, 0]
        for one in self.progress.values():
            for count in (one.tally.recorded, one.tally.repeated, one.tally.lost):
                total = [a + b for a, b in zip(total, count, strict=True)]
        return BySource(*total)


def open_tail(data_dir: Path, book: Book) -> JournalTail:
    """Open a tail behind what the book holds."""
    return JournalTail(data_dir, book.progress, monotonic=Seconds(), clock=lambda: STARTED)


def drain(tail: JournalTail, book: Book, *, max_facts: int = 500, max_records: int = 2000) -> None:
    """Record and settle until nothing waits."""
    while batch := tail.read(max_facts, max_records):
        tail.settle(book.record(batch))


def recovered(data_dir: Path) -> Book:
    """Drain a journal from the beginning to its end; the folders of dead workers are gone afterwards."""
    book = Book()
    tail = open_tail(data_dir, book)
    drain(tail, book)
    tail.read(1, 1)
    tail.close()
    return book

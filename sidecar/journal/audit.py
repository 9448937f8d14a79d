"""Looking at a journal offline: what is in it, whether it is sound, and setting right what costs nothing.

Reads the same records with the same accounting as the recorder's tail, so what `verify` reports is what a
start will recover and account. `repair` never changes that: damaged segments are linked into quarantine as a
start does it, and stay for the start to read around them.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from domain.recorded import BySource, Gap, Progress, Tally
from sidecar.clock import now_ms
from sidecar.journal.accounting import Accounting, Entry, Unread, plus, settled
from sidecar.journal.evidence import owner_gone, quarantine, remove_unborn
from sidecar.journal.layout import (
    FACTS,
    FOLDER_NAME,
    PAGE,
    journal_dir,
    quarantine_dir,
    segment_numbers,
    segment_path,
    started_at,
)
from sidecar.journal.page import PageReading, read_page
from sidecar.journal.reader import Damage, SegmentReader


class SegmentReport(NamedTuple):
    """One segment: `records` with facts, and the stretches that are no records."""

    number: int
    size_bytes: int
    records: int
    damage: tuple[Damage, ...]


class FolderReport(NamedTuple):
    """One journal folder.

    Attributes:
        living: its worker still runs and writes.
        page: what the worker counted; None when unreadable.
        segments: in order.
        waiting: facts that a start will hand to the store, by source.
        gaps: losses that a start will account.
        lost: facts behind the gaps, by source.
    """

    name: str
    living: bool
    page: PageReading | None
    segments: tuple[SegmentReport, ...]
    waiting: BySource
    gaps: tuple[Gap, ...]
    lost: BySource

    @property
    def records(self) -> int:
        """Records that verify."""
        return sum(segment.records for segment in self.segments)

    @property
    def size_bytes(self) -> int:
        """Size of all segments."""
        return sum(segment.size_bytes for segment in self.segments)

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged and no fact is missing; an unfinished end that cost nothing is sound."""
        return not self.gaps and not any(
            damage.end < segment.size_bytes for segment in self.segments for damage in segment.damage
        )


class QuarantineReport(NamedTuple):
    """What is kept as evidence."""

    files: int
    size_bytes: int


class JournalReport(NamedTuple):
    """A whole journal."""

    folders: tuple[FolderReport, ...]
    quarantine: QuarantineReport

    @property
    def sound(self) -> bool:
        """Whether all folders are."""
        return all(folder.sound for folder in self.folders)


class Repair(NamedTuple):
    """One thing that was set right: `cut_end`, `kept_evidence`, `made_private`, or `removed`."""

    journal: str
    what: str
    detail: str


def verify(data_dir: Path, progress: Mapping[str, Progress] | None = None) -> JournalReport:
    """Read every record; change nothing. May run beside a living sidecar.

    Args:
        data_dir: holds `journal/` and `quarantine/`.
        progress: stored positions, when the store can be asked; without them a journal is judged by itself.
    """
    folders = (_verify(path, _stored(progress, path.name)) for path in _folders(data_dir))
    return JournalReport(tuple(folders), _quarantined(data_dir))


def inspect(data_dir: Path) -> JournalReport:
    """Say what is there without reading records: segments carry sizes, folders what their pages count."""
    folders = []
    for path in _folders(data_dir):
        page = read_page(path / PAGE)
        segments = tuple(SegmentReport(n, _size(segment_path(path, n)), 0, ()) for n in segment_numbers(path))
        waiting = page.journaled if page is not None else BySource()
        lost = page.lost if page is not None else BySource()
        folders.append(FolderReport(path.name, not owner_gone(path), page, segments, waiting, (), lost))
    return JournalReport(tuple(folders), _quarantined(data_dir))


def repair(data_dir: Path, progress: Mapping[str, Progress] | None = None) -> list[Repair]:
    """Set right what can be without touching what a start recovers; leaves living workers' folders alone.

    Unfinished ends that cost nothing are cut, damaged segments are linked into quarantine, files are made
    private again, what a worker left that died while making its folder is removed.
    """
    unborn = remove_unborn(journal_dir(data_dir), now_ms())
    done = [Repair(name, "removed", "a folder that was never finished") for name in unborn]
    for path in _folders(data_dir):
        report = _verify(path, _stored(progress, path.name))
        if report.living:
            continue
        done += _make_private(path)
        for segment in report.segments:
            done += _repair_segment(data_dir, path, segment, cuttable=not report.gaps)
    return done


def _stored(progress: Mapping[str, Progress] | None, name: str) -> Progress | None:
    """Give where a start resumes: at the beginning, where the store knows nothing; None: nobody asked it."""
    return None if progress is None else progress.get(name, Progress(name))


def _repair_segment(data_dir: Path, path: Path, segment: SegmentReport, *, cuttable: bool) -> list[Repair]:
    file = segment_path(path, segment.number)
    done = []
    for damage in segment.damage:
        if cuttable and damage.end == segment.size_bytes:
            os.truncate(file, damage.start)
            done.append(Repair(path.name, "cut_end", f"{file.name} at byte {damage.start}"))
        elif quarantine(data_dir, file):
            done.append(
                Repair(path.name, "kept_evidence", f"{file.name} bytes {damage.start} to {damage.end}")
            )
    return done


def _make_private(path: Path) -> list[Repair]:
    done = []
    for entry in (path, *path.iterdir()):
        wanted = 0o700 if entry.is_dir() else 0o600
        if entry.stat().st_mode & 0o777 != wanted:
            entry.chmod(wanted)
            done.append(Repair(path.name, "made_private", entry.name))
    return done


def _verify(path: Path, stored: Progress | None) -> FolderReport:
    """Read one folder as the tail would from this position, and close its account if its owner is gone."""
    living = not owner_gone(path)
    page = read_page(path / PAGE)
    numbers = segment_numbers(path)
    reading = _Reading(path, stored, resumed=bool(numbers) and numbers[0] != 1)
    reports = [reading.segment(number, final=number != numbers[-1] or not living) for number in numbers]
    if not living:
        reading.close(page)
    return FolderReport(
        path.name, living, page, tuple(reports), reading.waiting, tuple(reading.gaps), reading.lost
    )


class _Reading:
    """One pass over a folder.

    A folder whose first segments are gone, without a stored position, is taken as recorded up to its first
    record: that one's totals stand in for the tally.
    """

    def __init__(self, path: Path, stored: Progress | None, *, resumed: bool) -> None:
        self._path = path
        self._position = stored or Progress(path.name)
        self._tally: Tally | None = self._position.tally
        if stored is None and resumed:
            self._tally = None
        from_start = self._position.segment == 0 and self._tally is not None
        self._resumed = from_start
        self._account = Accounting(path.name, started_at(path.name), from_start=from_start)
        self._at = (self._position.segment, self._position.offset)
        self.waiting = BySource()
        self.lost = BySource()
        self.gaps: list[Gap] = []

    def segment(self, number: int, *, final: bool) -> SegmentReport:
        """Read a segment."""
        path = segment_path(self._path, number)
        if number < self._position.segment:
            return SegmentReport(number, _size(path), 0, ())
        records, damage = 0, []
        with contextlib.closing(SegmentReader(path)) as reader:
            while (item := reader.next(final=final)) is not None:
                ahead = (number, item.end) > self._at
                if ahead and not self._resumed and self._tally is not None:
                    self._resumed = True
                    self._account.resume(settled(self._tally))
                if isinstance(item, Damage):
                    damage.append(item)
                    if ahead:
                        self._account.unread.append(Unread(number, item))
                    continue
                records += item.kind == FACTS
                entry = self._account.take(number, item)
                if self._tally is None:
                    self._tally = Tally(plus(item.totals.journaled, self._account.told))
                elif entry is not None and ahead:
                    self._enter(entry)
            self._at = max(self._at, (number, reader.offset))
            return SegmentReport(number, reader.size, records, tuple(damage))

    def close(self, page: PageReading | None) -> None:
        """Account what is missing at the end of a dead worker's folder."""
        if self._tally is None:
            return
        tally = self._tally._replace(
            recorded=plus(self._tally.recorded, self.waiting), lost=plus(self._tally.lost, self.lost)
        )
        entry = self._account.closing(page, tally, *self._at)
        if entry is not None:
            self._enter(entry)

    def _enter(self, entry: Entry) -> None:
        self.waiting = plus(self.waiting, entry.facts_by_source)
        self.lost = plus(self.lost, entry.lost)
        self.gaps += entry.gaps


def _folders(data_dir: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        paths = (path for path in journal_dir(data_dir).iterdir() if FOLDER_NAME.fullmatch(path.name))
        return sorted(paths, key=lambda path: (started_at(path.name), path.name))
    return []


def _quarantined(data_dir: Path) -> QuarantineReport:
    sizes = [_size(path) for path in quarantine_dir(data_dir).glob("*")]
    return QuarantineReport(len(sizes), sum(sizes))


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0

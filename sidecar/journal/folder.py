"""The recorder's view of one journal folder: where it reads, what it gave, what is stored, when it ends."""

import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from domain.record_signal import Slice
from domain.recorded import BySource, Gap, Progress
from domain.words import Millis
from sidecar.journal.accounting import (
    Entry,
    Unread,
    as_counter,
    facts_of,
    minus,
    most,
    plus,
    settled,
)
from sidecar.journal.evidence import keep_evidence, owner_gone
from sidecar.journal.layout import (
    OWNER,
    PAGE,
    journal_dir,
    quarantine_dir,
    segment_numbers,
    segment_path,
)
from sidecar.journal.page import PageReading, read_page
from sidecar.journal.reader import Damage, Found, Item, SegmentReader
from sidecar.journal.resuming import resume

ENTRIES_MAX: Final = 512
"""Decoded records kept ready in memory for one folder."""

READY_BYTES_MAX: Final = 4 << 20
"""And their size on disk."""

_PROBE_NS: Final = 250_000_000


class JournalFolder:
    """Reads one folder from its stored position to its end.

    Attributes:
        name: of the folder.
        dead: the owner is known to be gone.
        finished: it is, and everything is settled and accounted; to be removed.
    """

    def __init__(self, data_dir: Path, stored: Progress, monotonic: Callable[[], int]) -> None:
        self.name = stored.journal
        self.finished = False
        self._data_dir = data_dir
        self._path = journal_dir(data_dir) / self.name
        self._monotonic = monotonic
        self._stored = stored
        self._kept_behind = False
        self._base = settled(stored.tally)
        self._ready: deque[Entry] = deque()
        self._taken: list[Entry] = []
        self._segment = stored.segment
        self.dead = False
        self._closed = False
        self._probed_ns: int | None = None
        self._account, self._reader = resume(self._path, stored)
        self._settled_records = self._account.totals.records

    # -- reading --------------------------------------------------------------------------------------

    def fill(self) -> bool:
        """Make the next entries ready; tell whether there is one."""
        if not self._ready:
            self._pull()
        return bool(self._ready)

    @property
    def has_next(self) -> bool:
        """Whether an entry is ready."""
        return bool(self._ready)

    @property
    def next_at(self) -> Millis:
        """When the next entry happened."""
        return self._ready[0].at

    @property
    def next_facts(self) -> int:
        """Facts of the next entry."""
        return self._ready[0].facts_by_source.total

    def take(self) -> None:
        """Move the next entry into the batch."""
        self._taken.append(self._ready.popleft())

    def slice(self) -> Slice | None:
        """Give what was taken, None for nothing."""
        if not self._taken:
            return None
        last = self._taken[-1]
        lost = BySource()
        gaps: list[Gap] = []
        for entry in self._taken:
            if entry.gaps:
                gaps += entry.gaps
                lost = plus(lost, entry.lost)
        exchanges = [entry.facts for entry in self._taken if entry.facts is not None]
        progress = Progress(self.name, last.segment, last.end, self._stored.tally)
        return Slice(progress, exchanges, gaps, as_counter(lost))

    def has_behind(self, stored: Progress) -> bool:
        """Tell whether there are segments before this position."""
        return stored.segment > max(1, self._stored.segment) or self._kept_behind

    def settle(self, stored: Progress, *, delete: bool = True) -> None:
        """Take the stored position; delete the segments before it, unless that must wait."""
        self._stored = stored
        self._kept_behind = not delete
        if self._taken:
            self._settled_records = self._taken[-1].records
        self._taken = []
        for number in segment_numbers(self._path) if delete else ():
            if number < stored.segment:
                with contextlib.suppress(OSError):  # tried again with the next batch
                    segment_path(self._path, number).unlink()

    def remove(self) -> bool:
        """Delete the finished folder, strange files go to quarantine; tell whether it is gone."""
        self.close()
        with contextlib.suppress(OSError):
            for number in segment_numbers(self._path):
                segment_path(self._path, number).unlink()
            (self._path / PAGE).unlink(missing_ok=True)
            (self._path / OWNER).unlink(missing_ok=True)
            for stranger in self._path.iterdir():
                quarantine_dir(self._data_dir).mkdir(mode=0o700, exist_ok=True)
                stranger.rename(quarantine_dir(self._data_dir) / f"{self.name}.{stranger.name}")
            self._path.rmdir()
        return not self._path.exists()

    def close(self) -> None:
        """Close the file being read."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # -- what the metrics show ------------------------------------------------------------------------

    def page(self) -> PageReading | None:
        """Read the worker's page."""
        return read_page(self._path / PAGE)

    def observed(self) -> BySource:
        """Facts observed beyond those that were settled when this folder was found."""
        return minus(plus(settled(self._stored.tally), self.pending()), self._base)

    def pending(self) -> BySource:
        """Facts observed and not settled; without a page only those in memory are known."""
        if self.finished:
            return BySource()
        page = self.page()
        observed = page.observed if page is not None else BySource()
        return most(minus(observed, settled(self._stored.tally)), facts_of((*self._taken, *self._ready)))

    @property
    def oldest_at(self) -> Millis | None:
        """End of the oldest exchange that is not stored."""
        first = self._taken[0] if self._taken else self._ready[0] if self._ready else None
        return None if first is None else first.at

    @property
    def unsettled_bytes(self) -> int:
        """Size of what is not stored."""
        total = 0
        for number in segment_numbers(self._path):
            with contextlib.suppress(FileNotFoundError):
                size = segment_path(self._path, number).stat().st_size
                done = size if number < self._stored.segment else 0
                total += size - min(size, self._stored.offset if number == self._stored.segment else done)
        return total

    @property
    def unsettled_records(self) -> int:
        """Records that are not stored; without a page only those in memory are known."""
        page = self.page()
        known = page.records - self._settled_records if page is not None else 0
        return max(known, len(self._taken) + len(self._ready))

    # -- inside -----------------------------------------------------------------------------------------

    def _pull(self) -> None:
        """Read until enough is ready or nothing more is there."""
        size = 0
        while len(self._ready) < ENTRIES_MAX and size < READY_BYTES_MAX:
            item = self._next_item()
            if item is None:
                if self.dead and not self._ready and not self._taken and not self.finished:
                    self._close_account()
                return
            size += item.end - item.start
            if isinstance(item, Damage):
                self._account.unread.append(Unread(self._segment, item))
            else:
                self._enter(item)

    def _next_item(self) -> Item | None:
        """Give the next item over all segments; None when nothing is there, for ever if the owner is gone."""
        while True:
            if (
                self._reader is None
                and not self._open_next()
                and not (self._is_final() and self._open_next())
            ):
                return None
            reader = self._reader
            assert reader is not None
            item = reader.next(final=False)
            if item is not None:
                return item
            # Asked before the last look: what was appended in between is seen by it.
            if not self._is_final():
                return None
            item = reader.next(final=True)
            if item is not None or not self._open_next():
                return item

    def _enter(self, found: Found) -> None:
        unread = self._account.unread
        entry = self._account.take(self._segment, found)
        for item in unread:
            self._keep_evidence(item, entry.lost.total if entry is not None else 0)
        if entry is not None:
            self._ready.append(entry)

    def _close_account(self) -> None:
        """Account the end once; what then is settled finishes the folder."""
        unread = self._account.unread
        end = self._reader.offset if self._reader is not None else self._stored.offset
        entry = None
        if not self._closed:
            entry = self._account.closing(self.page(), self._stored.tally, self._segment, end)
        self._closed = True
        if entry is None:
            self.finished = True
            return
        for item in unread:
            self._keep_evidence(item, entry.lost.total or None)
        self._ready.append(entry)

    def _open(self, number: int) -> bool:
        try:
            reader = SegmentReader(segment_path(self._path, number))
        except FileNotFoundError:
            return False
        self.close()
        self._reader, self._segment = reader, number
        return True

    def _open_next(self) -> bool:
        """Go to the next segment there is; numbers may skip."""
        return any(number > self._segment and self._open(number) for number in segment_numbers(self._path))

    def _is_final(self) -> bool:
        """Whether nothing is appended to this segment any more: there is a later one, or the owner is gone.

        The owner, and whether numbers were skipped, are looked at four times a second.
        """
        if self.dead or segment_path(self._path, self._segment + 1).exists():
            return True
        now = self._monotonic()
        if self._probed_ns is not None and now - self._probed_ns < _PROBE_NS:
            return False
        self._probed_ns = now
        self.dead = owner_gone(self._path)
        return self.dead or segment_numbers(self._path)[-1:] > [self._segment]

    def _keep_evidence(self, unread: Unread, lost: int | None) -> None:
        keep_evidence(self._data_dir, segment_path(self._path, unread.segment), unread.damage, lost)

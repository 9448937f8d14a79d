"""The recorder's end of the journal: discovers folders, drains them in order, clears up what is stored.

Synchronous, one thread at a time. `read` gives a batch, the caller records it, `settle` takes the stored
positions. Everything is derived from the files and the stored positions, so a recorder that dies anywhere
between the two counts nothing twice and misses nothing.
"""

import contextlib
import heapq
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from domain.record_signal import Slice
from domain.recorded import BySource, Progress
from domain.words import Millis
from sidecar.clock import monotonic_ns, now_ms
from sidecar.journal.evidence import remove_unborn
from sidecar.journal.folder import JournalFolder
from sidecar.journal.layout import FOLDER_NAME, journal_dir, started_at
from sidecar.journal.page import PageReading, departed

PAUSE_MIN_SECONDS: Final = 0.002
PAUSE_MAX_SECONDS: Final = 0.025
"""A fact waits for the recorder no longer than this; a look at an idle journal costs 20 microseconds."""

FOLDERS_MAX: Final = 128
"""Folders read at once, oldest first; a worker that cannot stay up may leave more of them behind."""

DEPARTED: Final = "departed"

_LIST_NS: Final = 1_000_000_000
"""Folders are listed at least this often, besides when the folder's own time stamp moves."""
_log: Final = logging.getLogger(__name__)


class JournalTail:
    """Reads every journal folder of a data directory."""

    def __init__(
        self,
        data_dir: Path,
        progress: Mapping[str, Progress],
        *,
        clock: Callable[[], Millis] = now_ms,
        monotonic: Callable[[], int] = monotonic_ns,
        sync: Callable[[], bool] = lambda: True,
    ) -> None:
        """Start behind the stored positions.

        Args:
            data_dir: holds `journal/`; made by whoever writes first.
            progress: stored position of each folder, by its name.
            clock: wall clock.
            monotonic: nanoseconds, paces the looking for dead owners.
            sync: makes what was stored survive a power loss and tells whether that worked; nothing is deleted
                before it did.
        """
        self._sync = sync
        self._data_dir = data_dir
        self._stored = dict(progress)
        self._clock = clock
        self._monotonic = monotonic
        self._folders: dict[str, JournalFolder] = {}
        self._given: list[Slice] = []
        self._listed_ns = 0
        self._listed_stamp = -1
        self._pause = PAUSE_MIN_SECONDS
        self._gone = BySource()
        self._departed: PageReading | None = None
        self._left: set[str] = set()
        self._troubled: set[str] = set()

    @property
    def pause_seconds(self) -> float:
        """How long to wait after a `read` that gave nothing; grows while nothing comes."""
        return self._pause

    def read(self, max_facts: int, max_records: int) -> list[Slice]:
        """Give the next batch, at most one slice a folder; empty when nothing waits.

        Records are in journal order within a folder, and chosen across folders by the time they ended, as
        far as they are buffered. One record may pass `max_facts` alone. Until `settle` is called the same
        batch is given again: a batch that could not be stored is not lost.
        """
        if self._given:
            return self._given
        waiting = self._look()
        queue = [(folder.next_at, number) for number, folder in enumerate(waiting) if folder.has_next]
        heapq.heapify(queue)
        facts = records = 0
        while queue and records < max_records:
            folder = waiting[queue[0][1]]
            if facts and facts + folder.next_facts > max_facts:
                break
            facts += folder.next_facts
            records += 1
            folder.take()
            if folder.has_next or folder.fill():
                heapq.heapreplace(queue, (folder.next_at, queue[0][1]))
            else:
                heapq.heappop(queue)
        self._given = [piece for folder in waiting if (piece := folder.slice()) is not None]
        self._given.sort(key=lambda piece: piece.exchanges[0].ended_at if piece.exchanges else 0)
        self._pause = PAUSE_MIN_SECONDS if self._given else min(self._pause * 2, PAUSE_MAX_SECONDS)
        return self._given

    def settle(self, progress: Iterable[Progress]) -> None:
        """Take the positions that were stored; delete what lies behind them."""
        settled = [(self._folders.get(stored.journal), stored) for stored in progress]
        behind = any(folder is not None and folder.has_behind(stored) for folder, stored in settled)
        safe = not behind or self._sync()
        for folder, stored in settled:
            self._stored[stored.journal] = stored
            if folder is not None:
                folder.settle(stored, delete=safe)
        self._given = []

    # -- what the metrics show ----------------------------------------------------------------------

    def pages(self) -> dict[str, PageReading]:
        """Give the page of every living worker by folder name, and as `departed` the counts of those gone.

        So each counter only ever grows while this tail lives.
        """
        readings = {}
        gone = self._departed
        for name, folder in self._folders.items():
            page = folder.page()
            if page is not None and folder.dead:
                gone = departed(gone, page)
            elif page is not None:
                readings[name] = page
        return readings if gone is None else {**readings, DEPARTED: gone}

    def observed(self) -> BySource:
        """Count facts observed since this tail began, what waited then included.

        A counter: observed equals what was settled by this tail plus `pending`, at any moment.
        """
        return _sum((self._gone, *(folder.observed() for folder in self._folders.values())))

    def pending(self) -> BySource:
        """Count facts that were observed and are neither recorded, repeated nor accounted as lost."""
        return _sum(folder.pending() for folder in self._folders.values())

    @property
    def lag(self) -> Millis:
        """Age of the oldest record that is not stored, in milliseconds; 0 when all are."""
        oldest = [at for folder in self._folders.values() if (at := folder.oldest_at) is not None]
        return max(0, self._clock() - min(oldest)) if oldest else 0

    @property
    def bytes(self) -> int:
        """Size of the journal that is not stored."""
        return sum(folder.unsettled_bytes for folder in self._folders.values())

    @property
    def records(self) -> int:
        """Records that are not stored."""
        return sum(folder.unsettled_records for folder in self._folders.values())

    def close(self) -> None:
        """Close all files; nothing on disk changes."""
        for folder in self._folders.values():
            folder.close()

    # -- folders ------------------------------------------------------------------------------------

    def _discover(self) -> None:
        now = self._monotonic()
        try:
            stamp = journal_dir(self._data_dir).stat().st_mtime_ns
        except OSError:  # nobody wrote yet, or it cannot be read: tried again
            return
        if stamp == self._listed_stamp and now - self._listed_ns < _LIST_NS:
            return
        self._listed_ns, self._listed_stamp = now, stamp
        names = []
        with contextlib.suppress(OSError):
            remove_unborn(journal_dir(self._data_dir), self._clock())
            names = [entry.name for entry in journal_dir(self._data_dir).iterdir() if entry.is_dir()]
        found = set(filter(FOLDER_NAME.fullmatch, names)) - self._folders.keys() - self._left
        for name in sorted(found, key=_age)[: FOLDERS_MAX - len(self._folders)]:
            stored = self._stored.get(name, Progress(name))
            with contextlib.suppress(OSError):
                self._folders[name] = JournalFolder(self._data_dir, stored, self._monotonic)

    def _look(self) -> list[JournalFolder]:
        """Make ready what is there; folders that end on the way make room for the next ones."""
        while True:
            self._discover()
            known = list(self._folders.values())
            waiting = [folder for folder in known if self._alive(folder)]
            if len(waiting) == len(known) or any(folder.has_next for folder in waiting):
                return waiting

    def _alive(self, folder: JournalFolder) -> bool:
        """Look for more in a folder; drop it when it is finished."""
        try:
            folder.fill()
        except OSError:  # no rights, no descriptors left: nothing is skipped, it is tried again
            if folder.name not in self._troubled:
                self._troubled.add(folder.name)
                _log.exception("journal.folder_unreadable", extra={"journal": folder.name})
        if not folder.finished:
            return True
        if not self._sync():
            return (
                True  # its last facts may not be on the store's disk yet: looked at again with the next read
            )
        page = folder.page()
        if page is not None:
            self._departed = departed(self._departed, page)
        self._gone = _sum((self._gone, folder.observed()))
        del self._folders[folder.name]
        if not folder.remove():
            self._left.add(folder.name)
            _log.warning("journal.folder_left", extra={"journal": folder.name})
        self._listed_stamp = -1  # there is room for another
        return False


def _age(name: str) -> tuple[int, str]:
    """Order folders by the start of their worker."""
    return started_at(name), name


def _sum(counts: Iterable[BySource]) -> BySource:
    return BySource(*(sum(column) for column in zip(BySource(), *counts, strict=True)))

"""The worker's end of the journal: one write a loop turn, then the answers of that turn are released.

Appending never fails and never blocks on a sync. Facts that cannot be written are counted on the page by
source and reason, their answers are released all the same, and as soon as a write succeeds again a STATE
record tells the recorder what was lost and when. Nothing else is needed for recovery.
"""

import asyncio
import contextlib
import errno
import logging
import os
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from domain.exchange import ExchangeFacts
from domain.words import Millis, Source
from sidecar.clock import monotonic_ns, now_ms
from sidecar.exchange import Release
from sidecar.journal.layout import (
    FACTS,
    HEAD,
    RECORD_MAX,
    SEGMENT_MAX,
    SEGMENTS_MIN,
    STATE,
    LossReason,
    count_facts,
    encode,
    frame,
    journal_bytes,
    journal_dir,
)
from sidecar.journal.segments import OwnFolder
from sidecar.journal.turn import Mark, between, new_mark, reason_of
from sidecar.journal.worker_page import WorkerPage
from sidecar.tasks import spawn

_log: Final = logging.getLogger(__name__)

TURN_MAX: Final = 1 << 20
"""Bytes that may wait for the end of a loop turn; more are written at once."""

_HEAD_BYTES: Final = HEAD.size
_SCAN_NS: Final = 1_000_000_000
"""How often the other folders are measured, and losses told while the journal is at its bound."""


class JournalWriter:
    """Appends the facts of one worker; lives on its event loop.

    Attributes:
        page: the worker's counters; others may add theirs.
    """

    def __init__(
        self,
        data_dir: Path,
        index: int,
        *,
        max_bytes: int,
        sync_ms: int = 100,
        clock: Callable[[], Millis] = now_ms,
    ) -> None:
        """Prepare; the folder is made here if the disk lets us, else with the first write it does.

        Args:
            data_dir: holds `journal/`.
            index: number of the worker.
            max_bytes: bound of the whole journal, all folders. This writer knows its own bytes exactly and
                measures the rest every second, so several workers may pass the bound by what the others
                write in a second; a sixteenth is kept free for that and for telling losses.
            sync_ms: how often what was written is synced; the most a power loss takes.
            clock: wall clock, bounds the time of losses.
        """
        self._data_dir = data_dir
        self._index = index
        self._max_bytes = max_bytes
        self._facts_max = max_bytes - max_bytes // 16
        self._segment_max = max(1, min(SEGMENT_MAX, max_bytes // SEGMENTS_MIN))
        self._record_max = min(RECORD_MAX, self._segment_max // 2)
        self._turn_max = min(TURN_MAX, self._segment_max // 2)
        self._sync_seconds = sync_ms / 1000
        self._clock = clock
        self._started_at = clock()
        self.page = WorkerPage(index, self._started_at)
        self._folder: OwnFolder | None = None
        self._parts: list[bytes] = []
        self._marks: list[Mark] = []
        self._releases: list[Release] = []
        self._pending_bytes = 0
        self._scheduled = False
        self._totals = self._written = Mark(0, 0, 0, 0, 0)
        self._untold = False
        self._resting: LossReason | None = None
        self._dirty = False
        self._closed = False
        self._live_bytes = journal_bytes(data_dir)
        self._scanned_ns = monotonic_ns()
        self._loop = asyncio.get_running_loop()
        self._sync_thread = ThreadPoolExecutor(1, "journal-sync")
        self._ticking: asyncio.Task[None] | None = None
        with contextlib.suppress(OSError):
            self._open()

    @property
    def folder(self) -> Path | None:
        """Where this writer journals; None while the disk refuses."""
        return self._folder.path if self._folder else None

    def start(self) -> None:
        """Begin to sync."""
        self._ticking = spawn(self._tick_forever(), name=f"journal-{self._index}")

    def append(self, facts: ExchangeFacts, release: Release) -> None:
        """Journal the facts of one exchange; `release` is called next turn whatever becomes of them."""
        webhook, dispatch, provider = counts = count_facts(facts)
        self.page.observed(webhook, dispatch, provider)
        self._releases.append(release)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        try:
            payload = encode(facts)
        except (ValueError, TypeError, OverflowError):  # e.g. a lone surrogate in a name
            self._lose(LossReason.UNENCODABLE, counts)
            return
        if len(payload) > self._record_max:
            self._lose(LossReason.RECORD_TOO_LARGE, counts)
            return
        _, records, webhooks, dispatches, providers = self._totals
        records += 1
        webhooks += webhook
        dispatches += dispatch
        providers += provider
        size = self._pending_bytes = self._pending_bytes + _HEAD_BYTES + len(payload)
        totals = self._totals = new_mark((size, records, webhooks, dispatches, providers))
        self._parts += (frame(FACTS, payload, records, webhooks, dispatches, providers), payload)
        self._marks.append(totals)
        if size >= self._turn_max:
            self._write_turn()

    def lose(self, reason: LossReason, source: Source, count: int = 1) -> None:
        """Count facts that were observed but never came to `append`, such as those of a crashed observer."""
        counts = (
            count if source is Source.WEBHOOK else 0,
            count if source is Source.DISPATCH else 0,
            count if source is Source.PROVIDER else 0,
        )
        self.page.observed(*counts)
        self._lose(reason, counts)

    async def close(self) -> None:
        """Write and sync what is pending, tell the losses, let go of the folder."""
        if self._closed:
            return
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        self._flush()
        self._closed = True
        self._resting = None
        if self._untold:
            self._write_turn()
        self._resting = LossReason.WRITE_FAILED  # whoever still appends is counted
        folder, self._folder = self._folder, None
        if folder is not None:
            try:
                await self._loop.run_in_executor(self._sync_thread, folder.close)
                await self._loop.run_in_executor(self._sync_thread, self.page.flush)
            except OSError as error:
                self._sync_failed(error)
        self._sync_thread.shutdown(wait=False)

    # -- one turn ---------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._scheduled = False
        if self._parts:
            self._write_turn()
        releases, self._releases = self._releases, []
        for release in releases:
            try:
                release()
            except Exception:  # noqa: BLE001 - one broken connection must not hold the answers of the others
                _log.exception("journal.release_failed")

    def _write_turn(self) -> None:
        """Write what is pending, losses first; what does not fit is lost."""
        data, marks = b"".join(self._parts), self._marks
        self._parts, self._marks, self._pending_bytes = [], [], 0
        reason = self._resting or self._full(len(data))
        whole = 0
        if reason is None:
            whole, reason = self._write(data, marks)
        if whole:
            self._written = marks[whole - 1]
        if reason is not None:
            self._resting = reason
            for before, mark in zip([self._written, *marks[whole:]], marks[whole:], strict=False):
                self._lose(reason, between(before, mark))
        self._totals = new_mark((0, *self._written[1:]))  # _replace takes 0.8 microseconds

    def _full(self, size: int) -> LossReason | None:
        """Refuse at the bound. STATE records alone may use the sixteenth kept free."""
        bound = self._facts_max if size else self._max_bytes
        return LossReason.JOURNAL_FULL if self._live_bytes + size > bound else None

    def _write(self, data: bytes, marks: list[Mark]) -> tuple[int, LossReason | None]:
        """Write one turn; give how many whole records went in, and why not all."""
        try:
            folder = self._open()
            if not folder.writable or folder.size + len(data) > self._segment_max:
                folder.rotate()
                self.page.in_segment(folder.number)
                self._untold = True  # every segment opens with a STATE record
        except OSError as error:
            return 0, reason_of(error)
        state = self._state_record() if self._untold else b""
        start = folder.size
        written, failure = folder.write(state + data)
        self._dirty = True
        self._live_bytes += written
        if state and written >= len(state):
            self._untold = False
            self.page.losses_journaled()
        if failure is None:
            if marks:
                self.page.journaled(written, marks[-1])
            return len(marks), None
        # Whole records stay: the recorder may have read them already.
        whole = bisect_right(marks, written - len(state), key=lambda mark: mark.end)
        kept = (marks[whole - 1].end if whole else 0) + len(state) if written >= len(state) else 0
        folder.cut_to(start + kept)
        if failure.errno != errno.ENOSPC:
            folder.abandon()  # a file at its size limit, a bad block: another file may do
        if whole:
            self.page.journaled(kept, marks[whole - 1])
        return whole, reason_of(failure)

    def _state_record(self) -> bytes:
        payload = encode(self.page.losses()._replace(at=self._clock()))
        return frame(STATE, payload, *self._written[1:]) + payload

    def _open(self) -> OwnFolder:
        if self._folder is None:
            while (journal_dir(self._data_dir) / self._name()).exists():
                self._started_at += 1
            self._folder = OwnFolder.make(self._data_dir, self._name(), self.page)
        return self._folder

    def _name(self) -> str:
        return f"w{self._index}-{self._started_at}-{os.getpid()}"

    def _lose(self, reason: LossReason, counts: tuple[int, int, int]) -> None:
        if any(counts):
            self.page.lost(reason, counts, self._clock())
            self._untold = True

    # -- every sync_ms ----------------------------------------------------------------------------

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(self._sync_seconds)
            await self._tick()

    async def _tick(self) -> None:
        """Sync, measure, and let the next turn try again after a failure."""
        self.page.beat(self._clock())
        if self._dirty and self._folder is not None:
            self._dirty = False
            try:
                await self._loop.run_in_executor(self._sync_thread, self._folder.sync)
            except OSError as error:
                self._sync_failed(error)
                self._folder.abandon()  # what a failed fsync left unwritten is not written by a later one
        due = monotonic_ns() - self._scanned_ns >= _SCAN_NS
        if due or self._resting is LossReason.JOURNAL_FULL:
            self._scanned_ns = monotonic_ns()
            before = self._live_bytes
            with contextlib.suppress(OSError):  # e.g. too many open files: what was known holds
                measured = await self._loop.run_in_executor(self._sync_thread, self._measure)
                self._live_bytes = measured + max(0, self._live_bytes - before)
        full = self._resting is LossReason.JOURNAL_FULL
        self._resting = None
        if self._untold and (due or not full):
            self._write_turn()

    def _measure(self) -> int:
        """Measure the journal, in the thread; the page is written through on the way."""
        with contextlib.suppress(OSError):
            self.page.flush()
        return journal_bytes(self._data_dir)

    def _sync_failed(self, error: OSError) -> None:
        self.page.sync_failed()
        _log.error("journal.sync_failed", extra={"error": errno.errorcode.get(error.errno or 0, "unknown")})

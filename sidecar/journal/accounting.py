"""What one folder's records say about its losses: the running totals, turned into gaps.

Pure bookkeeping over what `reader` gives; no files. Used by the recorder's tail and by the offline audit, so
that both tell the same.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from domain.exchange import ExchangeFacts
from domain.recorded import SOURCES, BySource, Gap, Tally
from domain.words import Millis, Source
from sidecar.journal.layout import FACTS, LossReason, Totals, count_facts, decode_facts, decode_state
from sidecar.journal.page import PageReading
from sidecar.journal.reader import Damage, Found

_NONE: Final = BySource()


class Entry(NamedTuple):
    """One step of a folder: a record with its facts, a gap, or both; where it ends; the records so far."""

    segment: int
    end: int
    at: Millis
    facts: ExchangeFacts | None
    facts_by_source: BySource
    records: int
    gaps: tuple[Gap, ...] = ()
    lost: BySource = _NONE


class Unread(NamedTuple):
    """Bytes that were no records, in a segment."""

    segment: int
    damage: Damage


class Accounting:
    """Follows one folder from its beginning, or from the beginning of a segment when it was read before.

    Attributes:
        totals: as of the last record.
        last_at: when the last exchange read had ended; the folder's start before the first.
        unread: damage since the last record; what it cost is known at the next one.
    """

    def __init__(self, name: str, started_at: Millis, *, from_start: bool) -> None:
        self._name = name
        self._aligned = from_start
        self._losses: dict[str, BySource] | None = {} if from_start else None
        self.totals = Totals()
        self.last_at = started_at
        self.unread: list[Unread] = []

    @property
    def told(self) -> BySource:
        """Facts that the worker itself told as lost, up to here."""
        total = BySource()
        for one in (self._losses or {}).values():
            total = plus(total, one)
        return total

    def resume(self, settled: BySource) -> None:
        """Stand where these facts of the folder are settled, whether or not their records can be read."""
        self.totals = self.totals._replace(journaled=most(self.totals.journaled, minus(settled, self.told)))
        self._aligned = True

    def take(self, segment: int, found: Found) -> Entry | None:
        """Take the next record of a segment; None when it says nothing new."""
        try:
            return self._facts(segment, found) if found.kind == FACTS else self._state(segment, found)
        except msgspec.DecodeError:
            # It verifies but makes no sense: another version wrote it. Its totals tell what it held.
            damage = Damage(found.start, found.end, LossReason.UNKNOWN_VERSION)
            self.unread.append(Unread(segment, damage))
            return self._entry(segment, found, found.totals, self.last_at)

    def _facts(self, segment: int, found: Found) -> Entry:
        facts = decode_facts(found.payload)
        webhook, dispatch, provider = count_facts(facts)
        count = BySource(webhook, dispatch, provider)
        records, (webhooks, dispatches, providers) = found.totals
        before = BySource(webhooks - webhook, dispatches - dispatch, providers - provider)
        gaps: tuple[Gap, ...] = ()
        lost = _NONE
        if not self._aligned or self.unread or before != self.totals.journaled:
            entry = self._entry(segment, found, Totals(records - 1, before), facts.ended_at)
            gaps, lost = entry.gaps, entry.lost
        self.totals = found.totals
        self.last_at = facts.ended_at
        return Entry(segment, found.end, facts.ended_at, facts, count, records, gaps, lost)

    def _state(self, segment: int, found: Found) -> Entry | None:
        """Take what the writer lost since the STATE before."""
        state = decode_state(found.payload)
        entry = self._entry(segment, found, found.totals, max(self.last_at, state.at))
        known, self._losses = self._losses, {row.reason: row.total for row in state.rows}
        gaps, lost = list(entry.gaps), entry.lost
        for row in state.rows if known is not None else ():
            new = minus(row.total, (known or {}).get(row.reason, BySource()))
            if new.total:
                since = row.since or self.last_at
                until = max(since, row.until)
                gaps.append(self._gap(segment, found.end, row.reason, since, until, row.reason, new.total))
                lost = plus(lost, new)
        return entry._replace(gaps=tuple(gaps), lost=lost) if gaps else None

    def closing(self, page: PageReading | None, tally: Tally, segment: int, end: int) -> Entry | None:
        """Account the end of a folder whose owner is gone and whose every record is settled.

        What the page had observed and the tally does not know is lost: told reasons first, then what the
        worker had in hand when it died, the rest was journaled and cannot be read.
        """
        if page is None:
            if not self.unread:
                return None
            gap = self._gap(segment, end, "end/unread", self.last_at, self.last_at, self._reason(), 0)
            return self._closed(segment, end, (gap,), BySource())
        missing = minus(page.observed, settled(tally))
        lost = missing
        gaps = []
        since, until = self.last_at, max(self.last_at, page.heartbeat_at)
        for reason, total, first, last in page.losses.rows if self._losses is not None else ():
            share = least(missing, minus(total, (self._losses or {}).get(reason, BySource())))
            missing = minus(missing, share)
            begin = first or since
            gaps.append(
                self._gap(segment, end, f"end/{reason}", begin, max(begin, last), reason, share.total)
            )
        in_hand = minus(page.observed, plus(page.lost, most(page.journaled, self.totals.journaled)))
        share = least(missing, in_hand)
        missing = minus(missing, share)
        killed, corrupt = LossReason.WORKER_KILLED, self._reason()
        gaps.append(self._gap(segment, end, "end/killed", until, until, killed, share.total))
        gaps.append(self._gap(segment, end, "end/unread", since, until, corrupt, missing.total))
        kept = tuple(gap for gap in gaps if gap.lost)
        return self._closed(segment, end, kept, lost) if kept else None

    def _entry(self, segment: int, found: Found, before: Totals, at: Millis) -> Entry:
        """Compare the totals just before a record with what was read; resolve the damage between."""
        missing = minus(before.journaled, self.totals.journaled) if self._aligned else BySource()
        gaps: tuple[Gap, ...] = ()
        if missing.total:
            since, until = min(self.last_at, at), max(self.last_at, at)
            gaps = (self._gap(segment, found.end, "unread", since, until, self._reason(), missing.total),)
        self._aligned = True
        self.totals = found.totals
        self.unread = []
        return Entry(segment, found.end, at, None, BySource(), found.totals.records, gaps, missing)

    def _closed(self, segment: int, end: int, gaps: tuple[Gap, ...], lost: BySource) -> Entry:
        return Entry(segment, end, self.last_at, None, BySource(), self.totals.records, gaps, lost)

    def _gap(
        self, segment: int, end: int, what: str, since: Millis, until: Millis, reason: str, lost: int
    ) -> Gap:
        return Gap(f"{self._name}/{segment}/{end}/{what}", since, until, str(reason), lost)

    def _reason(self) -> LossReason:
        return self.unread[0].damage.reason if self.unread else LossReason.CORRUPT


def as_counter(count: BySource) -> Counter[Source]:
    """Give the same numbers by source."""
    return Counter({source: n for source, n in zip(SOURCES, count, strict=True) if n})


def facts_of(entries: Iterable[Entry]) -> BySource:
    """Count the facts of entries."""
    return BySource(*(sum(column) for column in zip(*(one.facts_by_source for one in entries), strict=True)))


def settled(tally: Tally) -> BySource:
    """Count the facts of a folder that wait no more, by source."""
    return plus(tally.recorded, plus(tally.repeated, tally.lost))


def plus(a: BySource, b: BySource) -> BySource:
    """Add."""
    return BySource(a[0] + b[0], a[1] + b[1], a[2] + b[2])


def minus(a: BySource, b: BySource) -> BySource:
    """Subtract, never below 0: a page that is older than the journal must not make losses negative."""
    return BySource(max(0, a[0] - b[0]), max(0, a[1] - b[1]), max(0, a[2] - b[2]))


def least(a: BySource, b: BySource) -> BySource:
    """Give the smaller numbers."""
    return BySource(min(a[0], b[0]), min(a[1], b[1]), min(a[2], b[2]))


def most(a: BySource, b: BySource) -> BySource:
    """Give the greater numbers."""
    return BySource(max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2]))

"""Answers what a replay asks from the facts of one instance, held in memory. Nothing stored is believed.

But for the state to begin with, every state is folded here, from the facts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from domain.fact import Fact
from domain.fold_on import fold_on
from domain.fold_state import Setting, to_text
from domain.health_ports import (
    Checkpoint,
    DecisionPage,
    DecisionQuery,
    DecisionRow,
    OperatorAction,
    Preview,
    SavedState,
    Span,
)
from domain.resume import start_before
from domain.signal import TIME_MAX
from domain.snapshot import Snapshot, count
from domain.words import Lifecycle, Millis, RiskLevel, SignalType, TemperatureLevel, Trend

_PREVIEW = Preview(
    0, TemperatureLevel.COLD, Trend.STABLE, RiskLevel.LOW, Lifecycle.CREATED, None, None, 0, None, 0
)


class Held(NamedTuple):
    """Facts and actions of one instance, and where its replay begins.

    Attributes:
        seq, actions: the newest arrivals.
    """

    instance_id: str
    facts: Sequence[Fact]
    operator_actions: Sequence[OperatorAction]
    base: Checkpoint | None
    checkpoints: Sequence[Checkpoint]
    seq: int
    actions: int


class Recount:
    """Implements `HealthSource` and `HealthReading` for one instance.

    Attributes:
        start: where its own folds begin.

    Args:
        held: what is known.
        setting: what it is folded with.
        until: how far.
    """

    def __init__(self, held: Held, setting: Setting, until: Millis) -> None:
        self._held = held
        self._facts = sorted(held.facts, key=lambda fact: (fact.occurred_at, fact.seq))
        self._dates = [fact.occurred_at for fact in self._facts]
        self._by_message: dict[str, list[Fact]] = {}
        for fact in self._facts:
            if fact.message_id:
                self._by_message.setdefault(fact.message_id, []).append(fact)
        self._earliest_behind = _earliest_behind(self._facts)
        self._seqs = sorted(fact.seq for fact in self._facts)
        self._points = [point for point in held.checkpoints if point.setting == setting.id][:1]
        self._point_dates = [point.at for point in self._points]
        self.start = start_before(self, held.instance_id, TIME_MAX, setting)
        folded = fold_on(self, self.start.move(held.instance_id, until), setting)
        self._points += [
            Checkpoint(held.instance_id, s.at, False, held.seq, held.actions, setting.id, to_text(s))
            for s in folded.commits
        ]
        self._point_dates = [point.at for point in self._points]

    @contextmanager
    def reading(self) -> Iterator["Recount"]:
        """Give itself: it never changes."""
        yield self

    def saved(self, instance_ids: Sequence[str]) -> dict[str, SavedState]:
        """Give how much is known; the state itself lies behind every time asked for."""
        held = self._held
        row = SavedState(held.instance_id, TIME_MAX, held.seq, held.actions, None, 1, "", "", _PREVIEW)
        return {held.instance_id: row} if held.instance_id in instance_ids else {}

    def last_seqs(self, instance_ids: Sequence[str]) -> dict[str, int]:
        """Give the newest arrival."""
        return {self._held.instance_id: self._held.seq} if self._held.instance_id in instance_ids else {}

    def arrivals(self, after: Mapping[str, int], limit: int) -> list[Fact]:
        """Give facts by arrival."""
        seq = after.get(self._held.instance_id, TIME_MAX)
        behind = sorted((fact for fact in self._facts if fact.seq > seq), key=lambda fact: fact.seq)
        return behind[:limit]

    def facts(self, spans: Sequence[Span], limit: int) -> list[Fact]:
        """Give the facts dated inside each span, by date."""
        found: list[Fact] = []
        for span in sorted(spans):
            found += self._inside(span)[:limit]
        return found

    def reports(self, keys: Iterable[tuple[str, str]]) -> list[Fact]:
        """Give every fact of these messages."""
        return [fact for _, message in keys for fact in self._by_message.get(message, ())]

    def evidence(self, span: Span, types: Sequence[SignalType], limit: int) -> list[str]:
        """Give ids of supporting facts, newest first."""
        return [fact.id for fact in reversed(self._inside(span)) if fact.type in types][:limit]

    def snapshot(self, instance_id: str, since: Millis, until: Millis, *, latency: bool) -> Snapshot:
        """Count a window."""
        return count(self._inside(Span(instance_id, since, until)), since, until, latency=latency)

    def earliest_behind(self, instance_id: str, seq: int) -> Millis | None:
        """Give the earliest date among the facts that arrived behind `seq`."""
        del instance_id
        place = bisect_right(self._seqs, seq)
        return self._earliest_behind[place] if place < len(self._seqs) else None

    def actions(self, spans: Sequence[Span]) -> list[OperatorAction]:
        """Give operator actions by date."""
        found = [
            action
            for span in spans
            for action in self._held.operator_actions
            if span.since <= action.at <= span.until and (span.seq_max is None or action.seq <= span.seq_max)
        ]
        return sorted(found, key=lambda action: (action.instance_id, action.at, action.id))

    def checkpoint(self, instance_id: str, before: Millis, setting: str) -> Checkpoint | None:
        """Give the newest state before a time: folded here, or the one to begin with."""
        del instance_id
        place = bisect_left(self._point_dates, before)
        point = self._points[place - 1] if place else None
        return point if point is not None and point.setting == setting else None

    def base(self, instance_id: str) -> Checkpoint | None:
        """Give the state at the retention edge."""
        del instance_id
        return self._held.base

    def decisions(self, query: DecisionQuery) -> DecisionPage:
        """Give none: decisions are what is examined, not what is known."""
        del query
        return DecisionPage([])

    def decision(self, decision_id: str) -> DecisionRow | None:
        """Give none, as above."""
        del decision_id
        return None

    def _inside(self, span: Span) -> list[Fact]:
        first = bisect_left(self._dates, span.since)
        last = bisect_right(self._dates, span.until)
        part = self._facts[first:last]
        return part if span.seq_max is None else [fact for fact in part if fact.seq <= span.seq_max]


def _earliest_behind(facts: Sequence[Fact]) -> list[Millis]:
    """Give, for each place in order of arrival, the earliest date from there on."""
    dates = [fact.occurred_at for fact in sorted(facts, key=lambda fact: fact.seq)]
    for place in range(len(dates) - 2, -1, -1):
        dates[place] = min(dates[place], dates[place + 1])
    return dates

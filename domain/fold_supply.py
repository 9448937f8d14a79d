"""Fetches a fold's material: what enters and leaves in a span, for many instances with each query.

Never a window's content: the cost follows what moves. A span with more than `FACTS_MAX` facts is supplied in
parts.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from domain.fact import Fact
from domain.fold_material import Material, earliest_sent, entries_of, reports_of
from domain.fold_state import NEVER, FoldState
from domain.health_ports import HealthReading, OperatorAction, Span
from domain.recorded import RecordedSignal
from domain.words import Millis, SignalType

FACTS_MAX: Final = 5_000
"""Facts read a span and query; a longer span is folded in parts of this size."""


class Move(NamedTuple):
    """A fold's way to go.

    Attributes:
        state: where it stands.
        passed: all steps up to here are done, at least `state.at`.
        until: where it should go.
        entering: the facts dated behind `passed`, when they are all at hand; None: read them.
        seq_max, actions_max: arrival bounds, None for all. `actions_max` 0: there are none, do not look.
        horizon, horizon_seq: facts dated up to the horizon that arrived behind this number are not folded.
    """

    instance_id: str
    state: FoldState
    passed: Millis
    until: Millis
    entering: Sequence[Fact] | None = None
    seq_max: int | None = None
    actions_max: int | None = None
    horizon: Millis = NEVER
    horizon_seq: int = 0

    def folds(self, fact: Fact) -> bool:
        """Tell whether this fold knows a fact at all."""
        if self.seq_max is not None and fact.seq > self.seq_max:
            return False
        return fact.occurred_at > self.horizon or fact.seq <= self.horizon_seq


class Supplied(NamedTuple):
    """Material, and how far it reaches: the move's `until`, or less when a bound cut it."""

    material: Material
    until: Millis


def fact_of(row: RecordedSignal) -> Fact:
    """Give as much of a recorded signal as the fold reads."""
    return Fact(
        row.instance_id,
        row.id,
        row.seq,
        row.type,
        row.source,
        row.occurred_at,
        row.message_id,
        row.is_group,
        row.latency_ms,
    )


def supply(
    reading: HealthReading,
    moves: Sequence[Move],
    window_ms: int,
    *,
    latency_rules: bool,
    facts_max: int = FACTS_MAX,
) -> dict[str, Supplied]:
    """Fetch the material of several instances' moves, one move an instance."""
    leaving = [span for move in moves if (span := _leaving(move, window_ms)) is not None]
    entering = [
        Span(m.instance_id, m.passed + 1, m.until, m.seq_max)
        for m in moves
        if m.entering is None and m.until > m.passed
    ]
    found = _by_instance(reading.facts([*leaving, *entering], facts_max)) if leaving or entering else {}
    parts = {move.instance_id: _part(move, found.get(move.instance_id, []), facts_max) for move in moves}
    reports = _by_instance(_reports(reading, moves, parts))
    actions = _actions(reading, moves)
    return {
        move.instance_id: _supplied(
            move,
            parts[move.instance_id],
            reports.get(move.instance_id, []),
            actions.get(move.instance_id, []),
            window_ms,
            latency_rules=latency_rules,
        )
        for move in moves
    }


class _Part(NamedTuple):
    """Facts of one move, and the last instant up to which they are complete."""

    leaving: list[Fact]
    entering: list[Fact]
    leaving_until: Millis | None
    entering_until: Millis | None


def _leaving(move: Move, window_ms: int) -> Span | None:
    """Give the span of the facts inside the rolling window at the start that leave it on the way."""
    if not any(move.state.rolling):
        return None
    since = max(move.passed - window_ms, move.state.floor + 1, 0)
    until = min(move.until - window_ms - 1, move.passed)
    return Span(move.instance_id, since, until, move.seq_max) if since <= until else None


def _part(move: Move, found: Sequence[Fact], facts_max: int) -> _Part:
    leaving = [fact for fact in found if fact.occurred_at <= move.passed]
    leaving_cut = len(leaving) >= facts_max
    entering = [fact for fact in found if fact.occurred_at > move.passed]
    entering_cut = len(entering) >= facts_max
    if move.entering is not None:
        entering = sorted(move.entering, key=lambda fact: fact.occurred_at)
        entering_cut = False
    return _Part(
        [fact for fact in leaving if move.folds(fact)],
        entering,
        leaving[-1].occurred_at if leaving_cut else None,
        entering[-1].occurred_at if entering_cut else None,
    )


def _reports(reading: HealthReading, moves: Sequence[Move], parts: dict[str, _Part]) -> list[Fact]:
    keys = {
        (move.instance_id, fact.message_id)
        for move in moves
        for fact in (*parts[move.instance_id].leaving, *parts[move.instance_id].entering)
        if fact.message_id
    }
    return reading.reports(keys) if keys else []


def _actions(reading: HealthReading, moves: Sequence[Move]) -> dict[str, list[OperatorAction]]:
    spans = [
        Span(m.instance_id, m.passed + 1, m.until, m.actions_max)
        for m in moves
        if m.actions_max != 0 and m.until > m.passed
    ]
    grouped: dict[str, list[OperatorAction]] = {}
    for action in reading.actions(spans) if spans else ():
        grouped.setdefault(action.instance_id, []).append(action)
    return grouped


def _supplied(
    move: Move,
    part: _Part,
    reports: Sequence[Fact],
    actions: Sequence[OperatorAction],
    window_ms: int,
    *,
    latency_rules: bool,
) -> Supplied:
    until = move.until
    if part.entering_until is not None:
        until = min(until, part.entering_until - 1)
    if part.leaving_until is not None:
        until = min(until, part.leaving_until + window_ms)
    known = [fact for fact in reports if move.folds(fact)]
    sent = earliest_sent([*known, *part.entering]) if latency_rules else None
    leaving = entries_of(part.leaving, sent)
    entering = entries_of((f for f in part.entering if f.occurred_at <= until), sent)
    edge = until - window_ms - 1
    passing = [entry for entry in entering if entry.at <= edge]
    return Supplied(
        Material(
            [*leaving, *passing],
            entering,
            reports_of(entries_of(_told_again([*known, *part.entering]), sent)),
            [action for action in actions if action.at <= until],
        ),
        until,
    )


def _told_again(facts: Sequence[Fact]) -> list[Fact]:
    """Give the facts of messages of which one type was told more than once; most were told once."""
    by_key: dict[tuple[str | None, SignalType], Fact] = {}
    several: set[tuple[str | None, SignalType]] = set()
    for fact in facts:
        if fact.message_id:
            key = (fact.message_id, fact.type)
            if by_key.setdefault(key, fact).seq != fact.seq:
                several.add(key)
    return [fact for fact in facts if (fact.message_id, fact.type) in several] if several else []


def _by_instance(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    grouped: dict[str, list[Fact]] = {}
    for fact in facts:
        grouped.setdefault(fact.instance_id, []).append(fact)
    return grouped

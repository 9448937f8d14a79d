"""The fold at any time, as far as it was known at any arrival; reads only."""

from typing import NamedTuple

from domain.errors import PastRetention
from domain.fold_on import fold_on
from domain.fold_state import Change, Folded, FoldState, Setting
from domain.fold_supply import Move
from domain.health_ports import HealthReading, SavedState, Span
from domain.resume import Start, saved_from_text, start_before
from domain.signal import TIME_MAX
from domain.words import Millis


class Known(NamedTuple):
    """Arrival bounds of facts and operator actions; None: all there are."""

    seq: int | None = None
    actions: int | None = None


ALL = Known()


def fold_to(
    reading: HealthReading, instance_id: str, at: Millis, setting: Setting, known: Known = ALL
) -> Folded:
    """Fold an instance to a time, from the newest stored state that knows neither more nor less.

    Raises:
        PastRetention: the time lies before the state at the retention edge.
    """
    saved = reading.saved([instance_id]).get(instance_id)
    bound = _first_difference(reading, instance_id, saved, known)
    before = at + 1 if bound is None else min(at + 1, bound)
    start = _start(reading, instance_id, saved, before, at, setting)
    move = start.move(instance_id, at, seq_max=known.seq, actions_max=known.actions)
    return fold_on(reading, move, setting)


def step_at(
    reading: HealthReading, instance_id: str, at: Millis, setting: Setting, known: Known = ALL
) -> tuple[FoldState, Change | None]:
    """Give the state at a time, and the change its step made, if it is one that changed something.

    Raises:
        PastRetention: see `fold_to`.
    """
    before = fold_to(reading, instance_id, at - 1, setting, known).state
    move = Move(instance_id, before, at - 1, at, None, known.seq, known.actions)
    folded = fold_on(reading, move, setting)
    return folded.state, folded.changes[0] if folded.changes else None


def fold_all(reading: HealthReading, instance_id: str, until: Millis, setting: Setting) -> Folded:
    """Fold from the base, or from the first fact, to a time."""
    start = start_before(reading, instance_id, 0, setting)
    return fold_on(reading, start.move(instance_id, until), setting)


def _start(
    reading: HealthReading,
    instance_id: str,
    saved: SavedState | None,
    before: Millis,
    at: Millis,
    setting: Setting,
) -> Start:
    if saved is not None and saved.setting == setting.id and saved.at < before:
        start = saved_from_text(saved.state).start()
    else:
        start = start_before(reading, instance_id, before, setting)
    if at < start.horizon:
        raise PastRetention(instance_id)
    return start


def _first_difference(
    reading: HealthReading, instance_id: str, saved: SavedState | None, known: Known
) -> Millis | None:
    """Give the earliest date at which the stored states know more or less than is asked for."""
    folded = (0, 0) if saved is None else (saved.seq, saved.actions)
    seq = folded[0] if known.seq is None else min(folded[0], known.seq)
    dates = [reading.earliest_behind(instance_id, seq)]
    if known.actions is not None and known.actions < folded[1]:
        everything = Span(instance_id, 0, TIME_MAX)
        later = [a.at for a in reading.actions([everything]) if a.seq > known.actions]
        dates.append(min(later, default=None))
    return min((date for date in dates if date is not None), default=None)

"""Where a fold goes on from: the newest known state before a time.

Kept in memory, else a stored checkpoint, else the base at the retention edge, else the beginning.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from domain.fold_state import (
    KEPT_MAX,
    NEVER,
    FoldState,
    Setting,
    from_text,
    from_values,
    initial,
    rebased,
    thinned,
    to_text,
)
from domain.fold_supply import Move
from domain.health_ports import HealthReading
from domain.words import Millis

INSTANCES_MAX: Final = 4096
"""Instances whose recent states are kept in memory; the others resume from checkpoints."""

STATES_MAX: Final = 16_384
"""States kept over all instances (about 0.7 kB each)."""

KEPT_MIN: Final = 4

KEPT_AGE_MAX_MS: Final[Millis] = 6 * 3_600_000
"""No kept state is older, so none lies before the retention edge (at least a day back)."""


class Start(NamedTuple):
    """Where to fold from.

    Attributes:
        state: dated before the time asked for, or the base.
        horizon: time of the base, `NEVER` where nothing was dropped yet.
        horizon_seq: facts that arrived behind this number and are dated up to the horizon are not folded.
    """

    state: FoldState
    horizon: Millis = NEVER
    horizon_seq: int = 0

    def move(
        self, instance_id: str, until: Millis, *, seq_max: int | None = None, actions_max: int | None = None
    ) -> Move:
        """Give the way from here."""
        passed = max(self.state.at, self.horizon)
        return Move(
            instance_id, self.state, passed, until, None, seq_max, actions_max, self.horizon, self.horizon_seq
        )


def start_before(reading: HealthReading, instance_id: str, before: Millis, setting: Setting) -> Start:
    """Find the newest stored state dated before a time; the base itself where the time lies before it."""
    base = reading.base(instance_id)
    point = reading.checkpoint(instance_id, before, setting.id)
    if base is None:
        return Start(initial(setting.rules) if point is None else from_text(point.state))
    if point is not None and point.at > base.at:
        return Start(from_text(point.state), base.at, base.seq)
    state = from_text(base.state)
    return Start(state if base.setting == setting.id else rebased(state, base.at), base.at, base.seq)


class SavedFold(NamedTuple):
    """What a saved state's text holds.

    Attributes:
        state: behind its last step.
        future_at: date of the earliest fact that waits in the future (the fold, 13).
        decided_at: newest date a stored decision speaks of; late facts behind it change none.
        horizon, horizon_seq: time and arrival bound of the base; later facts dated up to it are not folded.
    """

    state: FoldState
    future_at: Millis | None = None
    decided_at: Millis = NEVER
    horizon: Millis = NEVER
    horizon_seq: int = 0

    def start(self, state: FoldState | None = None) -> Start:
        """Start from here, or from an earlier state of the same fold."""
        return Start(self.state if state is None else state, self.horizon, self.horizon_seq)


def saved_to_text(saved: SavedFold) -> str:
    """Write it."""
    numbers = json.dumps(saved[1:], separators=(",", ":"))
    return f"[{to_text(saved.state)},{numbers}]"


def saved_from_text(text: str) -> SavedFold:
    """Read it."""
    values, numbers = json.loads(text)
    return SavedFold(from_values(values), *numbers)


class Live(NamedTuple):
    """What is remembered of an instance between two evaluations; valid for one version of its saved state."""

    version: int
    saved: SavedFold
    kept: list[FoldState]


class LiveFolds:
    """Recent states in memory, bounded; losing one costs reading, never a result."""

    def __init__(self) -> None:
        self._lives: OrderedDict[str, Live] = OrderedDict()

    def get(self, instance_id: str, version: int) -> Live | None:
        """Give what is remembered, unless another sidecar evaluated the instance since."""
        live = self._lives.get(instance_id)
        return live if live is not None and live.version == version else None

    def put(self, instance_id: str, version: int, saved: SavedFold, kept: list[FoldState]) -> None:
        """Remember; beyond the bound the instance unused for longest is forgotten."""
        self._lives[instance_id] = Live(version, saved, kept)
        self._lives.move_to_end(instance_id)
        if len(self._lives) > INSTANCES_MAX:
            self._lives.popitem(last=False)

    def forget(self, instance_ids: Sequence[str]) -> None:
        """Drop instances whose evaluation failed half way."""
        for instance_id in instance_ids:
            self._lives.pop(instance_id, None)

    def joined(
        self, kept: Sequence[FoldState], since: Millis, newer: Sequence[FoldState], now: Millis
    ) -> list[FoldState]:
        """Give the states to keep: those before `since`, then the newer ones, thinned to this one's share."""
        oldest = now - KEPT_AGE_MAX_MS
        most = max(KEPT_MIN, min(KEPT_MAX, STATES_MAX // (len(self._lives) + 1)))
        states = [*(state for state in kept if oldest <= state.at < since), *newer]
        return thinned(states, most) if states else []


def before_in(kept: Sequence[FoldState], before: Millis) -> FoldState | None:
    """Give the newest kept state dated before a time."""
    return next((state for state in reversed(kept) if state.at < before), None)

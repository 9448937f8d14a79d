"""DropPastRetention: store where each instance's fold stands at the retention edge, then drop what is older.

The base lies one window behind the edge, so that everything its windows hold is still stored: facts from the
edge on. Facts that arrive later and are dated before the base are recorded, not folded.
"""

from collections.abc import Callable
from typing import Final, Protocol

from domain.fold_state import Setting, to_text
from domain.health_ports import Checkpoint, EvaluationStore
from domain.past import Known, fold_to
from domain.ports import SignalStore
from domain.resume import saved_from_text, saved_to_text
from domain.words import Millis

DAY_MS: Final[Millis] = 86_400_000
PAGE_MAX: Final = 200
"""Instances listed at once."""

DROP_MAX: Final = 5_000
"""Rows dropped in one transaction."""


def _at_once() -> bool:
    return True


class RetainedStore(SignalStore, EvaluationStore, Protocol):
    """A store of signals and evaluations."""


class DropPastRetention:
    """Runs daily and at start; one object a process."""

    def __init__(self, store: RetainedStore, setting: Setting, retention_days: int) -> None:
        self._store = store
        self._setting = setting
        self._kept_ms = retention_days * DAY_MS

    def __call__(self, now: Millis, go_on: Callable[[], bool] = _at_once) -> int:
        """Drop signals older than the retention; exactly that old is kept. Give how many went.

        Args:
            now: wall clock.
            go_on: asked between two transactions; may take its time, False ends it here.

        Raises:
            StoreUnavailable: what was dropped so far stays dropped; safe to try again.
        """
        edge = now - self._kept_ms
        dropped = 0
        if not self._base(edge, go_on):
            return dropped
        while gone := self._store.drop_before(edge, DROP_MAX):
            dropped += gone
            if not go_on():
                return dropped
        while self._store.give_back() and go_on():
            pass
        return dropped

    def _base(self, edge: Millis, go_on: Callable[[], bool]) -> bool:
        """Store a base for every instance, one transaction each; tell whether it came to the end."""
        after: str | None = None
        while page := self._store.instances(after, PAGE_MAX):
            after = page[-1].instance_id
            for summary in page:
                self._base_one(summary.instance_id, edge)
                if not go_on():
                    return False
        return True

    def _base_one(self, instance_id: str, edge: Millis) -> None:
        at = edge + self._setting.window_ms
        with self._store.evaluating([instance_id]) as evaluating:
            saved = evaluating.saved([instance_id]).get(instance_id)
            if saved is None:
                return  # its first evaluation comes first
            held = saved_from_text(saved.state)
            if held.horizon >= at:
                return
            known = Known(saved.seq, saved.actions)
            state = fold_to(evaluating, instance_id, at, self._setting, known).state
            base = Checkpoint(
                instance_id, at, True, saved.seq, saved.actions, self._setting.id, to_text(state)
            )
            evaluating.add_checkpoints([base])
            held = held._replace(horizon=at, horizon_seq=saved.seq)
            evaluating.save([saved._replace(version=saved.version + 1, state=saved_to_text(held))])

"""EvaluateInstanceHealth: bring instances' folds up to now and store what changed.

Called behind each batch for the instances touched, by time for those with a step due, and on request. All
instances of a call share one transaction and each of its queries. Recording happened before, in its own
transaction: a failing evaluation loses no fact, it is made up for by the next one.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Final, NamedTuple

from domain.decision import Decision
from domain.evaluation_run import Run
from domain.fold_state import Setting
from domain.fold_supply import fact_of
from domain.health_ports import EvaluationStore, Fact, Preview
from domain.recorded import RecordedSignal
from domain.resume import LiveFolds
from domain.words import ActionKind, EvaluationReason, Millis

INSTANCES_MAX: Final = 500
"""Instances evaluated in one transaction."""


class Evaluated(NamedTuple):
    """Outcome for one instance: what a list shows, and the decisions that were stored."""

    instance_id: str
    preview: Preview
    decisions: tuple[Decision, ...]


class EvaluateInstanceHealth:
    """Evaluates; one object a process. Safe to call from several threads, one evaluation at a time."""

    def __init__(self, store: EvaluationStore, setting: Setting) -> None:
        self._store = store
        self._setting = setting
        self._lives = LiveFolds()
        self._lock = Lock()

    def touched(self, rows: Sequence[RecordedSignal], now: Millis) -> list[Evaluated]:
        """Evaluate the instances of a batch that was just recorded.

        Args:
            rows: the batch's new signals, in order of arrival.
            now: facts dated later wait.

        Raises:
            StoreUnavailable: nothing was stored; `due` makes up for it.
        """
        arrived: dict[str, list[Fact]] = {}
        for row in rows:
            arrived.setdefault(row.instance_id, []).append(fact_of(row))
        ids = sorted(arrived)
        evaluated = []
        for start in range(0, len(ids), INSTANCES_MAX):
            evaluated += self._evaluate(ids[start : start + INSTANCES_MAX], arrived, now)
        return evaluated

    def due(self, now: Millis) -> list[Evaluated]:
        """Evaluate instances with a step due by time, and those an earlier failure left behind.

        At most `INSTANCES_MAX` of each a call.
        """
        ids = {*self._store.due(now, INSTANCES_MAX), *self._store.unevaluated(INSTANCES_MAX)}
        return self._evaluate(sorted(ids), {}, now) if ids else []

    def requested(self, instance_id: str, reason: EvaluationReason, now: Millis) -> Decision:
        """Evaluate on request, and store the answer as a decision.

        Raises:
            UnknownInstance: nothing was ever recorded of it.
        """
        with self._evaluating([instance_id], now) as run:
            run.check_known(instance_id)
            run.evaluate([instance_id], {})
            asked = run.ask(run.tasks[0], reason)
            run.store()
        return asked

    def acted(self, instance_id: str, kind: ActionKind, now: Millis) -> Decision:
        """Let an operator act, dated now, and give the decision that records it.

        Raises:
            UnknownInstance: nothing was ever recorded of it.
        """
        with self._evaluating([instance_id], now) as run:
            run.check_known(instance_id)
            run.settle(instance_id)
            action = run.add_action(instance_id, kind)
            run.evaluate([instance_id], {}, action)
            run.store()
            made = run.tasks[0].decisions
        return next(decision for decision in made if action.id in decision.action_ids)

    def _evaluate(
        self, ids: Sequence[str], arrived: Mapping[str, Sequence[Fact]], now: Millis
    ) -> list[Evaluated]:
        with self._evaluating(ids, now) as run:
            run.evaluate(ids, arrived)
            saved = run.store()
        return [
            Evaluated(task.instance_id, saved[task.instance_id].preview, tuple(task.decisions))
            for task in run.tasks
        ]

    @contextmanager
    def _evaluating(self, ids: Sequence[str], now: Millis) -> Iterator[Run]:
        """Lock instances, here and in the store; what is remembered of them goes if it fails."""
        with self._lock:
            try:
                with self._store.evaluating(ids) as evaluating:
                    yield Run(evaluating, self._lives, self._setting, now)
            except BaseException:
                self._lives.forget(ids)
                raise

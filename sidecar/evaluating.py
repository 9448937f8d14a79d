"""Has health evaluated behind each batch, by time and on request; announces what was decided."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from domain.decision import Decision
from domain.evaluate_health import Evaluated, EvaluateInstanceHealth
from domain.recorded import RecordedSignal
from domain.words import ActionKind, EvaluationReason, Millis
from sidecar.clock import monotonic_ns

DUE_EVERY_NS: Final = 5_000_000_000
"""How often steps due by time are looked for; the contract allows a minute."""


class EvaluationCounts(Protocol):
    """Counts evaluations (`exporters.prometheus`)."""

    def evaluated(self, result: str, n: int, seconds: float) -> None:
        """Count `n` evaluations that took so long together; result is stored, unchanged or failed."""
        ...


class AnnouncedEvaluation:
    """The one way to `EvaluateInstanceHealth` in this process.

    Args:
        evaluate: the use case.
        announce: told decisions once they are stored; never raises.
        counts: counts evaluations.
    """

    def __init__(
        self,
        evaluate: EvaluateInstanceHealth,
        announce: Callable[[Sequence[Decision]], None],
        counts: EvaluationCounts,
    ) -> None:
        self._evaluate = evaluate
        self._announce = announce
        self._counts = counts
        self._looked_ns: int | None = None

    def touched(self, rows: Sequence[RecordedSignal], now: Millis) -> None:
        """Evaluate the instances of rows that were just recorded, in order of arrival."""
        self._run(lambda: self._evaluate.touched(rows, now))

    def due(self, now: Millis) -> None:
        """Evaluate instances with a step due by time, and those a failure left behind."""
        if self._looked_ns is not None and monotonic_ns() - self._looked_ns < DUE_EVERY_NS:
            return
        self._looked_ns = monotonic_ns()
        self._run(lambda: self._evaluate.due(now))

    def requested(self, instance_id: str, reason: EvaluationReason, now: Millis) -> Decision:
        """Evaluate on request; raises UnknownInstance and StoreUnavailable."""
        return self._asked(lambda: self._evaluate.requested(instance_id, reason, now))

    def acted(self, instance_id: str, kind: ActionKind, now: Millis) -> Decision:
        """Let an operator act; raises UnknownInstance and StoreUnavailable."""
        return self._asked(lambda: self._evaluate.acted(instance_id, kind, now))

    def _asked(self, work: Callable[[], Decision]) -> Decision:
        started = monotonic_ns()
        decision = work()
        self._counts.evaluated("stored", 1, (monotonic_ns() - started) / 1e9)
        self._announce([decision])
        return decision

    def _run(self, work: Callable[[], list[Evaluated]]) -> None:
        started = monotonic_ns()
        try:
            evaluated = work()
        except Exception:
            self._counts.evaluated("failed", 1, (monotonic_ns() - started) / 1e9)
            raise
        seconds = (monotonic_ns() - started) / 1e9
        decisions = [decision for one in evaluated for decision in one.decisions]
        stored = sum(bool(one.decisions) for one in evaluated)
        share = seconds / max(1, len(evaluated))
        self._counts.evaluated("stored", stored, share * stored)
        self._counts.evaluated("unchanged", len(evaluated) - stored, share * (len(evaluated) - stored))
        if decisions:
            self._announce(decisions)

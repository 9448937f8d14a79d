"""What is done with each batch once the store is open: record, announce, evaluate."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from domain.exchange import ExchangeFacts
from domain.ports import SignalSink, SignalStore
from domain.record_signal import Recorded, RecordReputationSignal, Slice
from domain.recorded import Progress, RecordedSignal
from domain.words import Millis, Source
from sidecar.clock import monotonic_ns
from sidecar.telemetry import FactsLost

_log: Final = logging.getLogger(__name__)


class Sink(SignalSink, Protocol):
    """Where batches are announced. Best effort: what raises is logged and passed over."""

    def exchanges(self, exchanges: Sequence[ExchangeFacts]) -> None:
        """Announce exchanges taken from the journal."""
        ...


class Ledger(Protocol):
    """Counts what became of facts (`exporters.prometheus`)."""

    def repeated(self, repeated: Counter[Source]) -> None:
        """Count repeats."""
        ...

    def lost(self, stage: str, reason: str, n: int) -> None:
        """Count losses."""
        ...

    def store_batch(self, seconds: float, rows: int, result: str) -> None:
        """Count an attempt to store a batch."""
        ...


class Evaluator(Protocol):
    """Evaluates instances (`domain.evaluate_health`)."""

    def touched(self, rows: Sequence[RecordedSignal], now: Millis) -> None:
        """Evaluate the instances of new rows."""
        ...

    def due(self, now: Millis) -> None:
        """Evaluate instances with a step due by time; bounded work."""
        ...


class BatchRecording:
    """Implements `sidecar.recorder.Recording`.

    Args:
        store: open.
        sinks: told in this order.
        ledger: counts.
        evaluator: called behind the facts' own transaction.
        clock: wall clock.
    """

    def __init__(
        self,
        store: SignalStore,
        sinks: Sequence[Sink],
        ledger: Ledger,
        evaluator: Evaluator,
        clock: Callable[[], Millis],
    ) -> None:
        self._store = store
        self._record = RecordReputationSignal(store)
        self._sinks = sinks
        self._ledger = ledger
        self._evaluator = evaluator
        self._clock = clock

    def progress(self) -> Mapping[str, Progress]:
        """Give the stored positions."""
        return self._store.progress()

    def record(self, batch: Sequence[Slice], now: Millis) -> Recorded:
        """Store a batch in one transaction; a failed try counts, with the facts it held."""
        started = monotonic_ns()
        stored = False
        try:
            recorded = self._record(batch, now)
            stored = True
        finally:
            if not stored:
                facts = sum(len(exchange.signals) for piece in batch for exchange in piece.exchanges)
                self._ledger.store_batch((monotonic_ns() - started) / 1e9, facts, "failed")
        return recorded

    def announce(self, batch: Sequence[Slice], recorded: Recorded, seconds: float) -> None:
        """Count and announce what was stored."""
        exchanges = [exchange for piece in batch for exchange in piece.exchanges]
        self._ledger.store_batch(seconds, len(recorded.signals), "ok")
        self._ledger.repeated(recorded.repeated)
        losses = Counter[tuple[str, str]]()
        for piece in batch:
            for gap in piece.gaps:
                losses["journal", gap.reason] += gap.lost
        if recorded.refused:
            losses["store", "refused"] = len(recorded.refused)
        for (stage, reason), lost in losses.items():
            self._ledger.lost(stage, reason, lost)
            FactsLost(stage=stage, reason=reason, lost=lost).emit()
        for sink in self._sinks:
            try:
                sink.exchanges(exchanges)
                sink.signals(recorded.signals)
            except Exception:  # noqa: BLE001 - one exporter's fault must not silence the others, nor recording
                _log.exception("recorder.announcement_failed", extra={"sink": type(sink).__name__})

    def evaluate(self, rows: Sequence[RecordedSignal]) -> None:
        """Have the health of the instances these new rows touch evaluated."""
        self._evaluator.touched(rows, self._clock())

    def tidy(self, now: Millis) -> None:
        """Evaluate what is due by time; bounded work a call."""
        self._evaluator.due(now)

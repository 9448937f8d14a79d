"""What is done with each batch once the store is open: record, announce, evaluate, tidy up."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from domain.exchange import ExchangeFacts
from domain.ports import SignalStore
from domain.record_signal import Recorded, RecordReputationSignal, Slice
from domain.recorded import Progress, RecordedSignal
from domain.words import Millis, Source

DAY_MS: Final = 86_400_000
RETENTION_BATCH: Final = 500
"""Rows one call of `tidy` may delete; recording waits for no more than that."""
RETENTION_EVERY_MS: Final = DAY_MS

_log: Final = logging.getLogger(__name__)


class Sink(Protocol):
    """Where batches are announced. Best effort: what raises is logged and passed over."""

    def exchanges(self, exchanges: Sequence[ExchangeFacts]) -> None:
        """Announce exchanges taken from the journal."""
        ...

    def signals(self, signals: Sequence[RecordedSignal]) -> None:
        """Announce signals that were just committed."""
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

    def touched(self, recorded: Recorded, now: Millis) -> None:
        """Evaluate the instances of a batch."""
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
        retention_days: signals older than this are dropped, daily and at start.
    """

    def __init__(
        self,
        store: SignalStore,
        sinks: Sequence[Sink],
        ledger: Ledger,
        evaluator: Evaluator,
        clock: Callable[[], Millis],
        retention_days: int,
    ) -> None:
        self._store = store
        self._record = RecordReputationSignal(store)
        self._sinks = sinks
        self._ledger = ledger
        self._evaluator = evaluator
        self._clock = clock
        self._retention_ms = retention_days * DAY_MS
        self._retain_at: Millis = 0
        self._dropped = 0

    def progress(self) -> Mapping[str, Progress]:
        """Give the stored positions."""
        return self._store.progress()

    def record(self, batch: Sequence[Slice], now: Millis) -> Recorded:
        """Store a batch in one transaction."""
        return self._record(batch, now)

    def announce(self, batch: Sequence[Slice], recorded: Recorded, seconds: float) -> None:
        """Count and announce what was stored."""
        exchanges = [exchange for piece in batch for exchange in piece.exchanges]
        self._ledger.store_batch(seconds, len(recorded.signals), "ok")
        self._ledger.repeated(recorded.repeated)
        for piece in batch:
            for gap in piece.gaps:
                self._ledger.lost("journal", gap.reason, gap.lost)
        for sink in self._sinks:
            try:
                sink.exchanges(exchanges)
                sink.signals(recorded.signals)
            except Exception:  # noqa: BLE001 - one exporter's fault must not silence the others, nor recording
                _log.exception("recorder.announcement_failed", extra={"sink": type(sink).__name__})

    def evaluate(self, recorded: Recorded) -> None:
        """Have the health of the instances touched evaluated."""
        if recorded.signals:
            self._evaluator.touched(recorded, self._clock())

    def tidy(self, now: Millis) -> None:
        """Evaluate what is due, drop what is too old; bounded work a call."""
        self._evaluator.due(now)
        if now < self._retain_at:
            return
        dropped = self._store.drop_before(now - self._retention_ms, RETENTION_BATCH)
        self._dropped += dropped
        if dropped < RETENTION_BATCH:
            self._retain_at = now + RETENTION_EVERY_MS
            if self._dropped:
                _log.info("retention.applied", extra={"dropped": self._dropped})
            self._dropped = 0

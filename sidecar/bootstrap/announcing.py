"""The sinks a batch is announced to, and what they tell the metrics about themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from domain.decision import Decision
from domain.exchange import ExchangeFacts
from domain.recorded import RecordedSignal
from exporters.announced import evaluation_of
from exporters.log import LogSink
from exporters.otel.opening import open_sink
from exporters.prometheus.metrics import Metrics
from sidecar import __version__
from sidecar.api import Hub
from sidecar.bootstrap.gauges import InstanceBoard
from sidecar.clock import monotonic_ns
from sidecar.config import environment
from sidecar.telemetry import AnnouncementFailed, OtlpFailing, OtlpRecovered

if TYPE_CHECKING:
    from exporters.otel.sink import OtlpSink


class HubSink:
    """Feeds the event streams."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def exchanges(self, exchanges: Sequence[ExchangeFacts]) -> None:
        """Streams show signals and decisions only."""

    def signals(self, signals: Sequence[RecordedSignal]) -> None:
        """Send signals to whoever follows."""
        self._hub.publish(signals)


class DecisionSinks:
    """Announces stored decisions: log, OTLP, event streams, and the board of instance states."""

    def __init__(self, log: LogSink, otlp: OtlpSink | None, hub: Hub, board: InstanceBoard) -> None:
        self._log = log
        self._otlp = otlp
        self._hub = hub
        self._board = board

    def __call__(self, decisions: Sequence[Decision]) -> None:
        """Announce; one sink's fault must not silence the others, nor recording."""
        evaluations = [evaluation_of(decision) for decision in decisions]
        works: list[Callable[[], object]] = [
            lambda: self._board.decided(decisions),
            lambda: self._log.evaluations(evaluations),
            lambda: self._hub.publish((), decisions),
        ]
        if self._otlp is not None:
            works.append(partial(self._otlp.evaluations, evaluations))
        for work in works:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - see the docstring
                AnnouncementFailed(sink="decisions").emit(error)


class OtlpListener:
    """Counts what became of OTLP records, and says once an outage that the collector is away."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def outcome(self, outcome: str, n: int) -> None:
        """Count records emitted, exported or failed."""
        self._metrics.otlp(outcome, n)

    def dropped(self, reason: str, n: int) -> None:
        """Count records that were not exported."""
        self._metrics.export_dropped("otlp", reason, n)

    def failing(self, problem: str) -> None:
        """Log the beginning of an outage."""
        OtlpFailing(reason=problem).emit()

    def recovered(self, outage_seconds: float) -> None:
        """Log its end."""
        OtlpRecovered(outage_seconds=round(outage_seconds, 3)).emit()


def open_otlp(metrics: Metrics) -> OtlpSink | None:
    """Open the OTLP sink the environment asks for; None when it names no endpoint.

    Raises:
        ValueError, ImportError, OSError: a variable, an extra or a file cannot be honoured.
    """
    return open_sink(__version__, environment(), OtlpListener(metrics), monotonic_ns=monotonic_ns)

"""The OTLP sink: signals, decisions and exchanges for a collector. Best effort; the store is the truth."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from domain.exchange import ExchangeFacts
from domain.recorded import RecordedSignal
from exporters.announced import Evaluation
from exporters.otel.grpc import GrpcTransport
from exporters.otel.http import HttpTransport
from exporters.otel.log_records import LogRecordEncoder, logs_request
from exporters.otel.pipeline import Listener, Pipeline
from exporters.otel.resource import SERVICE_NAME, encode_resource, encode_scope, resource_attributes
from exporters.otel.settings import OtlpSettings, Protocol, Target, read_settings
from exporters.otel.spans import SpanEncoder, sampler, spans_request
from exporters.otel.transport import Transport

CLOSE_SECONDS: Final = 5.0

Record: TypeAlias = RecordedSignal | Evaluation


class OtlpSink:
    """Exports over OTLP.

    Args:
        settings: what goes where.
        version: ours.
        environ: the environment, for the resource.
        listener: hears what became of records.
        monotonic_ns: clock for durations.

    Raises:
        ValueError: an unknown sampler.
        ImportError: gRPC is asked for and not installed.
        OSError: a certificate file cannot be read.
    """

    def __init__(
        self,
        settings: OtlpSettings,
        version: str,
        environ: Mapping[str, str],
        listener: Listener,
        *,
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._resource = encode_resource(resource_attributes(version, environ))
        self._scope = encode_scope(version)
        self._records = LogRecordEncoder()
        self._spans = SpanEncoder(sampler(settings.sampler, settings.sampler_argument))
        agent = f"{SERVICE_NAME}/{version}"
        self._logs = None
        if settings.logs is not None:
            logs = _transport(settings.logs, "logs", agent)
            self._logs = Pipeline("otlp-logs", self._encode_logs, logs, listener, monotonic_ns=monotonic_ns)
        self._traces = None
        if settings.traces is not None:
            traces = _transport(settings.traces, "traces", agent)
            self._traces = Pipeline(
                "otlp-traces", self._encode_spans, traces, listener, monotonic_ns=monotonic_ns
            )

    @property
    def queues(self) -> dict[str, tuple[int, int]]:
        """Depth and capacity of each queue, by name."""
        pipelines = {"otlp_logs": self._logs, "otlp_traces": self._traces}
        return {name: (p.depth, p.capacity) for name, p in pipelines.items() if p is not None}

    def signals(self, signals: Sequence[RecordedSignal]) -> None:
        """Announce recorded signals."""
        if self._logs is not None:
            self._logs.offer(signals)

    def evaluations(self, evaluations: Sequence[Evaluation]) -> None:
        """Announce stored decisions."""
        if self._logs is not None:
            self._logs.offer(evaluations)

    def exchanges(self, exchanges: Sequence[ExchangeFacts]) -> None:
        """Announce exchanges whose trace is sampled; each becomes its spans."""
        if self._traces is not None:
            wanted = self._spans.sampled
            self._traces.offer([exchange for exchange in exchanges if wanted(exchange)])

    def close(self, budget_seconds: float = CLOSE_SECONDS) -> bool:
        """Export what waits; tells whether everything was settled within the budget."""
        pipelines = [pipeline for pipeline in (self._logs, self._traces) if pipeline is not None]
        for pipeline in pipelines:
            pipeline.stop(budget_seconds)
        settled = [pipeline.close() for pipeline in pipelines]
        return all(settled)

    def _encode_logs(self, batch: Sequence[Record]) -> bytes:
        encoder = self._records
        records = [
            encoder.signal(record) if isinstance(record, RecordedSignal) else encoder.evaluation(record)
            for record in batch
        ]
        return logs_request(self._resource, self._scope, records)

    def _encode_spans(self, batch: Sequence[ExchangeFacts]) -> bytes:
        spans = [span for exchange in batch for span in self._spans.exchange(exchange)]
        return spans_request(self._resource, self._scope, spans)


def open_sink(
    version: str, environ: Mapping[str, str], listener: Listener, *, monotonic_ns: Callable[[], int]
) -> OtlpSink | None:
    """Open the sink the environment asks for; None when it names no endpoint.

    Raises:
        ValueError: a variable cannot be honoured; the message names it.
        ImportError: gRPC is asked for and the extra `otlp-grpc` is not installed.
        OSError: a certificate file cannot be read.
    """
    settings = read_settings(environ)
    if settings is None:
        return None
    return OtlpSink(settings, version, environ, listener, monotonic_ns=monotonic_ns)


def _transport(target: Target, kind: str, agent: str) -> Transport:
    if target.protocol is Protocol.GRPC:
        return GrpcTransport(target, kind, agent)
    return HttpTransport(target, agent)

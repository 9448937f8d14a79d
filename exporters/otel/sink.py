"""The OTLP sink: signals, decisions and exchanges for a collector. Best effort; the store is the truth."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from domain.exchange import ExchangeFacts
from domain.recorded import RecordedSignal
from exporters.announced import Evaluation
from exporters.otel.grpc import GrpcTransport
from exporters.otel.http import HttpTransport
from exporters.otel.log_records import LogRecordEncoder
from exporters.otel.pipeline import Listener, Pipeline
from exporters.otel.resource import NAME, resource, scope
from exporters.otel.sampling import sampler
from exporters.otel.settings import OtlpSettings, Protocol, Target
from exporters.otel.spans import SpanEncoder
from exporters.otel.transport import Kind, Transport

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
        self._resource = resource(version, environ)
        self._scope = scope(version)
        self._records = LogRecordEncoder()
        self._spans = SpanEncoder(sampler(settings.sampler, settings.sampler_argument))
        agent = f"{NAME}/{version}"
        self._logs = None
        if settings.logs is not None:
            logs = _transport(settings.logs, Kind.LOGS, agent)
            self._logs = Pipeline("otlp-logs", self._encode_logs, logs, listener, monotonic_ns=monotonic_ns)
        self._traces = None
        if settings.traces is not None:
            traces = _transport(settings.traces, Kind.TRACES, agent)
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

    def _encode_logs(self, batch: Sequence[Record]) -> ExportLogsServiceRequest:
        request = ExportLogsServiceRequest()
        of_resource = request.resource_logs.add(resource=self._resource)
        add = of_resource.scope_logs.add(scope=self._scope).log_records.add
        encoder = self._records
        for record in batch:
            if isinstance(record, RecordedSignal):
                encoder.signal(add(), record)
            else:
                encoder.evaluation(add(), record)
        return request

    def _encode_spans(self, batch: Sequence[ExchangeFacts]) -> ExportTraceServiceRequest:
        request = ExportTraceServiceRequest()
        of_resource = request.resource_spans.add(resource=self._resource)
        spans = of_resource.scope_spans.add(scope=self._scope).spans
        for exchange in batch:
            self._spans.exchange(spans, exchange)
        return request


def _transport(target: Target, kind: Kind, agent: str) -> Transport:
    if target.protocol is Protocol.GRPC:
        return GrpcTransport(target, kind, agent)
    return HttpTransport(target, kind, agent)

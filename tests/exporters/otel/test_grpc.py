"""OTLP over gRPC against a real server, where the extra `otlp-grpc` is installed."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from exporters.otel.opening import open_sink
from exporters.otel.settings import Protocol, Target
from exporters.otel.transport import Kind
from tests.builders import recorded_signal
from tests.exporters.otel.receiver import Heard, attributes, exchange

grpc = pytest.importorskip("grpc", reason="the extra otlp-grpc is not installed")

AT = 1_790_000_000_000


class Collector:
    """Takes log requests; answers with the status in `fail_with` while it is set."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.response = b""
        self.metadata: list[dict[str, Any]] = []
        self.fail_with: list[Any] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(self._export)
        services = (
            "opentelemetry.proto.collector.logs.v1.LogsService",
            "opentelemetry.proto.collector.trace.v1.TraceService",
        )
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {"Export": handler}) for service in services]
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def _export(self, request: bytes, context: Any) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        if self.fail_with:
            context.abort(self.fail_with.pop(0), "as asked")
        self.requests.append(request)
        return self.response

    def close(self) -> None:
        """Stop serving."""
        self._server.stop(None).wait()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A running collector."""
    running = Collector()
    yield running
    running.close()


def send(port: int, heard: Heard) -> bool:
    """Send one signal and close; tell whether all was settled."""
    environ = {
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a",
    }
    sink = open_sink("1.2.3", environ, heard, monotonic_ns=time.monotonic_ns)
    assert sink is not None
    sink.signals([recorded_signal(1, AT)])
    heard.wait(lambda: bool(heard.outcomes.keys() & {"exported", "failed"}))
    return sink.close(5.0)


def test_records_arrive_over_grpc(collector: Collector) -> None:
    """The same bytes, another way, headers as metadata."""
    heard = Heard()

    assert send(collector.port, heard)

    [request] = map(ExportLogsServiceRequest.FromString, collector.requests)
    [record] = request.resource_logs[0].scope_logs[0].log_records
    assert attributes(record)["reputation.signal.id"] == "sales-1#1"
    assert collector.metadata[0]["x-tenant"] == "a"
    assert heard.outcomes == {"emitted": 1, "exported": 1}


def test_spans_arrive_over_grpc_and_a_partial_success_is_read(collector: Collector) -> None:
    """The trace service gets server and client span; what it rejects is counted."""
    heard = Heard()
    collector.response = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=1)
    ).SerializeToString()
    environ = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    }
    sink = open_sink("1.2.3", environ, heard, monotonic_ns=time.monotonic_ns)
    assert sink is not None

    sink.exchanges([exchange()])

    assert sink.close(10.0)
    [request] = map(ExportTraceServiceRequest.FromString, collector.requests)
    assert [span.name for span in request.resource_spans[0].scope_spans[0].spans] == [
        "POST /send/text",
        "POST",
    ]
    assert heard.drops == {"rejected": 1}


def test_an_unavailable_collector_is_asked_again(collector: Collector) -> None:
    """UNAVAILABLE is retryable."""
    heard = Heard()
    collector.fail_with.append(grpc.StatusCode.UNAVAILABLE)

    assert send(collector.port, heard)

    assert heard.outcomes == {"emitted": 1, "exported": 1}
    assert heard.problems == ["unavailable"]


def test_a_refusal_for_good_is_not_repeated(collector: Collector) -> None:
    """INVALID_ARGUMENT will not get better."""
    heard = Heard()
    collector.fail_with.append(grpc.StatusCode.INVALID_ARGUMENT)

    send(collector.port, heard)

    assert heard.outcomes == {"emitted": 1, "failed": 1}
    assert len(collector.metadata) == 1


def test_a_certificate_that_cannot_be_read_is_told_at_the_start() -> None:
    """A wrong path is a fault of configuration, not of the collector."""
    from exporters.otel.grpc import GrpcTransport  # noqa: PLC0415 - needs the extra

    target = Target("https://127.0.0.1:1", Protocol.GRPC, certificate="/nowhere/ca.pem")

    with pytest.raises(OSError, match="nowhere"):
        GrpcTransport(target, Kind.LOGS, "test")

"""A real OTLP/HTTP receiver for tests: decodes what arrives with the protocol's own classes."""

import gzip
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from domain.exchange import ExchangeFacts, Outcome
from domain.words import Direction

AT = 1_790_000_000_123


def exchange(**changes: Any) -> ExchangeFacts:
    """Make an exchange that went well: 30 ms, 20 of them the provider's."""
    plain = ExchangeFacts(
        id="x1",
        ended_at=AT,
        direction=Direction.DISPATCH,
        provider="turbozap",
        method="POST",
        template="/send/text",
        status=200,
        error=None,
        duration_us=30_000,
        upstream_us=20_000,
        outcome=Outcome.READ,
    )
    return plain._replace(**changes)


class Reply(NamedTuple):
    """What the receiver answers."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that gave up before the answer is what some tests are about."""


class Receiver:
    """Serves on loopback; `reply` decides each answer and may block.

    Attributes:
        requests: path and lower-case headers of each request, in order of arrival.
        connections: of each request, the port it came from.
    """

    def __init__(
        self,
        reply: Callable[[int], Reply | None] = lambda _: Reply(),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.connections: list[int] = []
        self.logs: list[ExportLogsServiceRequest] = []
        self.traces: list[ExportTraceServiceRequest] = []
        self._changed = threading.Condition()
        self.server = _Server(("127.0.0.1", 0), self._handler(reply))
        self.server.daemon_threads = True
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Base URL."""
        return f"{self._scheme}://127.0.0.1:{self.server.server_port}"

    @property
    def records(self) -> list[LogRecord]:
        """All log records that were taken."""
        return [
            record
            for request in self.logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def spans(self) -> list[Span]:
        """All spans that were taken."""
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def wait(self, until: Callable[[], bool], seconds: float = 20.0) -> bool:
        """Wait for something about what arrived."""
        with self._changed:
            return self._changed.wait_for(until, seconds)

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def _handler(self, reply: Callable[[int], Reply | None]) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver._changed:
                    number = len(receiver.requests)
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    receiver.requests.append((self.path, headers))
                    receiver.connections.append(self.client_address[1])
                    receiver._changed.notify_all()
                answer = reply(number)
                if answer is None:  # drop the connection
                    self.close_connection = True
                    return
                if 200 <= answer.status < 300:
                    receiver._take(self.path, headers, body)
                self.send_response_only(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        return Handler

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        with self._changed:
            if path.endswith("/v1/logs"):
                self.logs.append(ExportLogsServiceRequest.FromString(body))
            elif path.endswith("/v1/traces"):
                self.traces.append(ExportTraceServiceRequest.FromString(body))
            self._changed.notify_all()


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.drops: dict[str, int] = {}
        self.problems: list[str] = []
        self.outages: list[float] = []
        self._changed = threading.Condition()

    def outcome(self, outcome: str, n: int) -> None:
        """Add up outcomes."""
        with self._changed:
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + n
            self._changed.notify_all()

    def dropped(self, reason: str, n: int) -> None:
        """Add up drops."""
        with self._changed:
            self.drops[reason] = self.drops.get(reason, 0) + n
            self._changed.notify_all()

    def failing(self, problem: str) -> None:
        """Keep the problem."""
        with self._changed:
            self.problems.append(problem)
            self._changed.notify_all()

    def recovered(self, outage_seconds: float) -> None:
        """Keep the outage."""
        with self._changed:
            self.outages.append(outage_seconds)
            self._changed.notify_all()

    def wait(self, until: Callable[[], bool], seconds: float = 20.0) -> bool:
        """Wait for something that was heard."""
        with self._changed:
            return self._changed.wait_for(until, seconds)


def plain(value: AnyValue) -> Any:
    """Give what an AnyValue holds."""
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return {item.key: plain(item.value) for item in value.kvlist_value.values}
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def attributes(record: Any) -> dict[str, Any]:
    """Give the attributes of a record, span or resource; each key must stand once."""
    found = {item.key: plain(item.value) for item in record.attributes}
    assert len(found) == len(record.attributes)
    return found

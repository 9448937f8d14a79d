"""What came of one request to a collector, whichever way it went."""

from enum import Enum
from typing import Final, NamedTuple, Protocol

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

RETRY_AFTER_MAX_SECONDS: Final = 30.0


class Kind(Enum):
    """What a request carries: its responses differ by the name of one field."""

    LOGS = ("logs", ExportLogsServiceResponse, "rejected_log_records")
    TRACES = ("traces", ExportTraceServiceResponse, "rejected_spans")

    def rejected(self, response: Message) -> int:
        """Tell how many records the collector refused from a request it took."""
        rejected: int = getattr(response.partial_success, self.value[2])
        return max(0, rejected)

    def rejected_in(self, response: bytes) -> int:
        """Read the same from a response's bytes; 0 if they are unreadable."""
        try:
            return self.rejected(self.value[1].FromString(response))
        except DecodeError:
            return 0


class Answer(NamedTuple):
    """Outcome of a request.

    Attributes:
        problem: None when the collector took the request; else a short name of what went wrong.
        retry: trying again may help (OTLP specification, "Retryable").
        retry_after_seconds: what the collector asked for, at most 30.
        rejected: records it refused from a request it took.
    """

    problem: str | None = None
    retry: bool = False
    retry_after_seconds: float | None = None
    rejected: int = 0


class Transport(Protocol):
    """Sends requests, one at a time. Only `close` may be called from another thread."""

    def send(self, request: Message, timeout_seconds: float) -> Answer:
        """Send an export request within the time; a failure of the way or the collector is an answer."""
        ...

    def close(self) -> None:
        """Send nothing more."""
        ...

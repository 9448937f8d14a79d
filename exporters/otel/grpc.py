"""OTLP over gRPC, for collectors that speak nothing else; needs the extra `otlp-grpc`.

The protocol's generated stubs on a channel of our own: the official exporter takes the SDK's records only.
"""

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from google.protobuf.message import Message

from exporters.otel.settings import Target
from exporters.otel.transport import Answer, Kind

RETRYABLE: Final = frozenset(
    {
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNAVAILABLE",
        "DATA_LOSS",
        "RESOURCE_EXHAUSTED",
    }
)


class GrpcTransport:
    """Calls Export of one collector.

    Args:
        target: where, with which headers and certificates.
        kind: what is exported.
        user_agent: who asks.

    Raises:
        ImportError: the extra `otlp-grpc` is not installed.
        OSError: a certificate file cannot be read.
    """

    def __init__(self, target: Target, kind: Kind, user_agent: str) -> None:
        import grpc  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415 - an extra

        parts = urlsplit(target.url)
        address = f"{parts.hostname}:{parts.port or 4317}"
        options = [("grpc.primary_user_agent", user_agent)]
        compression = grpc.Compression.Gzip if target.gzip else grpc.Compression.NoCompression
        if target.insecure:
            self._channel = grpc.insecure_channel(address, options, compression)
        else:
            credentials = grpc.ssl_channel_credentials(
                _read(target.certificate), _read(target.client_key), _read(target.client_certificate)
            )
            self._channel = grpc.secure_channel(address, credentials, options, compression)
        self._kind = kind
        self._export: Any = _stub(kind)(self._channel).Export
        self._metadata = list(target.headers)
        self._failure: type[Exception] = grpc.RpcError

    def send(self, request: Message, timeout_seconds: float) -> Answer:
        """Call; see `transport.Transport`."""
        try:
            response = self._export(request, timeout=timeout_seconds, metadata=self._metadata)
        except self._failure as error:
            status = error.code().name  # type: ignore[attr-defined]  # every RpcError of a call has it
            return Answer(status.lower(), status in RETRYABLE)
        except ValueError:  # the channel was closed
            return Answer("closed")
        return Answer(rejected=self._kind.rejected(response))

    def close(self) -> None:
        """Close the channel; a call under way is cancelled."""
        self._channel.close()


def _stub(kind: Kind) -> Any:
    """Give the protocol's stub; its module needs grpc."""
    if kind is Kind.LOGS:
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (  # noqa: PLC0415
            LogsServiceStub,
        )

        return LogsServiceStub
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (  # noqa: PLC0415
        TraceServiceStub,
    )

    return TraceServiceStub


def _read(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()

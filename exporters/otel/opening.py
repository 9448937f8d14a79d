"""Opening the sink the environment asks for, and paying for OpenTelemetry only then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from exporters.otel.settings import read_settings

if TYPE_CHECKING:
    from exporters.otel.pipeline import Listener
    from exporters.otel.sink import OtlpSink


def open_sink(
    version: str, environ: Mapping[str, str], listener: Listener, *, monotonic_ns: Callable[[], int]
) -> OtlpSink | None:
    """Open the sink; None when the environment names no endpoint.

    Raises:
        ValueError: a variable cannot be honoured; the message names it.
        ImportError: gRPC is asked for and the extra `otlp-grpc` is not installed.
        OSError: a certificate file cannot be read.
    """
    settings = read_settings(environ)
    if settings is None:
        return None
    from exporters.otel.sink import OtlpSink  # noqa: PLC0415 - 9 MiB, paid only where OTLP is on

    return OtlpSink(settings, version, environ, listener, monotonic_ns=monotonic_ns)

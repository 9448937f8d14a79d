"""The OTEL_* variables we honour (OpenTelemetry specification, "OTLP exporter configuration").

OTEL_EXPORTER_OTLP_TIMEOUT is not read: the specification counts it in milliseconds, SDKs in seconds; a
request has three seconds. Where nothing names an endpoint, nothing is exported.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

REQUEST_SECONDS: Final = 3.0


class Protocol(StrEnum):
    """How OTLP travels."""

    HTTP = "http/protobuf"
    GRPC = "grpc"


class Target(NamedTuple):
    """Where one kind of record goes.

    Attributes:
        url: with path for HTTP, `scheme://host:port` for gRPC.
        headers: lower-case names.
        insecure: gRPC without TLS.
        certificate, client_key, client_certificate: PEM files, None for the system's.
    """

    url: str
    protocol: Protocol
    headers: tuple[tuple[str, str], ...] = ()
    gzip: bool = False
    insecure: bool = False
    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None


class OtlpSettings(NamedTuple):
    """What is exported, and where; None: not at all.

    Attributes:
        sampler, sampler_argument: which exchanges are traced, see `spans.sampler`.
    """

    logs: Target | None
    traces: Target | None
    sampler: str
    sampler_argument: str


class OtlpSettingsError(ValueError):
    """A variable that cannot be honoured; the message names it and what it must be."""


def read_settings(environ: Mapping[str, str]) -> OtlpSettings | None:
    """Read the variables; None when nothing is to be exported.

    Raises:
        OtlpSettingsError: a variable cannot be honoured.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    logs = _target(environ, "LOGS", "/v1/logs")
    traces = _target(environ, "TRACES", "/v1/traces")
    if logs is None and traces is None:
        return None
    return OtlpSettings(
        logs, traces, environ.get("OTEL_TRACES_SAMPLER", ""), environ.get("OTEL_TRACES_SAMPLER_ARG", "")
    )


def _target(environ: Mapping[str, str], kind: str, path: str) -> Target | None:
    def read(name: str) -> str:
        own = environ.get(f"OTEL_EXPORTER_OTLP_{kind}_{name}", "").strip()
        return own or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

    if environ.get(f"OTEL_{kind}_EXPORTER", "otlp").strip().lower() == "none":
        return None
    url = read("ENDPOINT")
    if not url:
        return None
    protocol_name = read("PROTOCOL") or Protocol.HTTP
    try:
        protocol = Protocol(protocol_name)
    except ValueError:
        raise OtlpSettingsError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf or grpc, got {protocol_name}"
        ) from None
    if protocol is Protocol.GRPC and "://" not in url:
        url = f"{'http' if read('INSECURE').lower() == 'true' else 'https'}://{url}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = re.sub(r"//[^/]*@", "//...@", url)  # a login, perhaps
        raise OtlpSettingsError(f"OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL, got {shown}")
    names_signal = bool(environ.get(f"OTEL_EXPORTER_OTLP_{kind}_ENDPOINT", "").strip())
    if protocol is Protocol.HTTP and not names_signal:
        url = (
            url.rstrip("/") + path
        )  # a base URL gets the signal's path, a signal's own URL is taken as it is
    compression = read("COMPRESSION") or "none"
    if compression not in ("none", "gzip"):
        raise OtlpSettingsError(f"OTEL_EXPORTER_OTLP_COMPRESSION must be none or gzip, got {compression}")
    return Target(
        url,
        protocol,
        _headers(read("HEADERS")),
        compression == "gzip",
        parts.scheme == "http",
        read("CERTIFICATE") or None,
        read("CLIENT_KEY") or None,
        read("CLIENT_CERTIFICATE") or None,
    )


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    """Read `key=value,key=value`, values percent-encoded."""
    headers = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = item.partition("=")
        name, value = unquote(name).strip().lower(), unquote(value).strip()
        if not equals or not name or not (name + value).isprintable():
            raise OtlpSettingsError(
                "OTEL_EXPORTER_OTLP_HEADERS must be a list of key=value, separated by commas"
            )
        headers.append((name, value))
    return tuple(headers)

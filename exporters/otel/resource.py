"""Who speaks: the OTLP Resource and InstrumentationScope. The only module that imports the SDK."""

from collections.abc import Mapping
from typing import Final

from exporters.otel.wire_format import delimited, key_value, text

SERVICE_NAME: Final = "reputation-sidecar"
SCOPE_NAME: Final = "reputation_sidecar"


def resource_attributes(version: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the resource's attributes: ours, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, and the SDK's own.

    Attributes given in code beat the environment in the SDK, so the service name is given only where the
    environment has none. `service.instance.id` is made by the SDK, one a process.
    """
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - 60 ms, paid only where OTLP is on

    own = {"service.version": version}
    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not named:
        own["service.name"] = SERVICE_NAME
    return {key: str(value) for key, value in Resource.create(dict(own)).attributes.items()}


def encode_resource(attributes: Mapping[str, str]) -> bytes:
    """Encode an opentelemetry.proto.resource.v1.Resource."""
    return b"".join(delimited(1, key_value(key, value)) for key, value in attributes.items())


def encode_scope(version: str) -> bytes:
    """Encode our InstrumentationScope."""
    return delimited(1, text(SCOPE_NAME)) + delimited(2, text(version))

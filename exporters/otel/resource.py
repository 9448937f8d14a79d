"""Who speaks: the OTLP Resource, made by the SDK, and our InstrumentationScope."""

from collections.abc import Mapping
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ProtoResource
from opentelemetry.sdk.resources import Resource
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION

from exporters.otel.attributes import add_attribute

NAME: Final = "reputation-sidecar"
SCOPE_NAME: Final = "reputation_sidecar"


def resource(version: str, environ: Mapping[str, str]) -> ProtoResource:
    """Give the resource: ours, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, and what the SDK detects.

    Attributes given in code beat the environment in the SDK, so the service name is given only where the
    environment has none. `service.instance.id` is made by the SDK, one a process.
    """
    own = {SERVICE_VERSION: version}
    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not named:
        own[SERVICE_NAME] = NAME
    made = ProtoResource()
    for key, value in Resource.create(dict(own)).attributes.items():
        add_attribute(made.attributes, key, value if isinstance(value, str) else str(value))
    return made


def scope(version: str) -> InstrumentationScope:
    """Give our InstrumentationScope."""
    return InstrumentationScope(name=SCOPE_NAME, version=version)

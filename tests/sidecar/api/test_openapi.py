"""The OpenAPI document: it is served, committed, and true."""

import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # no stubs among the locked tools
import pytest

from domain.evaluate_health import EvaluateInstanceHealth
from domain.exchange import ExchangeFacts
from domain.fold_state import setting_of
from domain.ingest_signal import IngestReputationSignal
from domain.read_health import ReadInstanceHealth
from domain.recorded import Gap
from domain.replay import ReplayDecisions
from domain.words import SignalType
from sidecar.api.openapi import document, printed
from sidecar.api.parts import Evaluation, Posting
from sidecar.api.routes import ROUTES
from tests.builders import recorded_signal
from tests.fakes import InMemoryStore
from tests.sidecar.api.serving import NOW, REDACTOR, ListStore, admin, run, summary


async def _append(_: ExchangeFacts) -> None:
    """Take facts and forget them."""


POSTING = Posting(IngestReputationSignal(REDACTOR), _append)
_EMPTY, _SETTING = InMemoryStore(), setting_of(1_800_000)
EVALUATION = Evaluation(
    EvaluateInstanceHealth(_EMPTY, _SETTING),
    ReadInstanceHealth(_EMPTY, _SETTING),
    ReplayDecisions(_EMPTY, _SETTING),
)
COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


def test_the_committed_document_is_the_served_one() -> None:
    """docs/openapi.json is what the routes say; `python -m sidecar.api > docs/openapi.json` renews it."""

    async def story() -> bytes:
        async with admin() as api:
            return (await api.get("/openapi.json")).body

    assert COMMITTED.read_bytes() == printed()
    assert run(story) == printed()


def test_every_reference_in_the_document_leads_somewhere() -> None:
    """No schema or response is named that is not there."""
    text = printed().decode()
    described = document(ROUTES)

    for kind, name in set(re.findall(r'"#/components/(\w+)/([^"]+)"', text)):
        assert name in described["components"][kind], (kind, name)


def test_operations_have_names_of_their_own() -> None:
    """Generated clients need them."""
    names = [
        operation["operationId"] for path in document(ROUTES)["paths"].values() for operation in path.values()
    ]

    assert len(names) == len(set(names))


def test_every_registered_route_is_described_and_every_described_one_is_registered() -> None:
    """The application serves the document, no more, no less."""
    described = {
        (method.upper(), path)
        for path, operations in document(ROUTES)["paths"].items()
        for method in operations
    }

    async def story() -> set[tuple[str, str]]:
        async with admin(posting=POSTING, evaluation=EVALUATION) as api:
            return {
                (route.method, route.resource.canonical)
                for route in api.app.router.routes()
                if route.resource is not None and route.method != "HEAD"
            }

    assert run(story) == described


def conforms(path: str, status: int, body: Any) -> None:
    """Check an answer against its schema in the document, strictly: unknown members fail."""
    described = document(ROUTES)
    answer = described["paths"][path]["get"]["responses"][str(status)]
    if "$ref" in answer:
        answer = described["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    schemas = described["components"]["schemas"]
    for schema in schemas.values():
        if schema.get("type") == "object":
            schema["additionalProperties"] = False
    schema = {**answer["content"]["application/json"]["schema"], "components": {"schemas": schemas}}
    jsonschema.Draft202012Validator(schema).validate(body)


@pytest.mark.parametrize(
    ("path", "target", "status"),
    [
        ("/v1/instances", "/v1/instances", 200),
        ("/v1/instances", "/v1/instances?limit=1", 200),
        ("/v1/instances", "/v1/instances?limit=x", 400),
        ("/v1/instances/{instanceId}/timeline", "/v1/instances/a/timeline", 200),
        ("/v1/instances/{instanceId}/timeline", "/v1/instances/a/timeline?limit=1", 200),
        ("/v1/instances/{instanceId}/timeline", "/v1/instances/a/timeline?foo=1", 400),
        ("/v1/annotations", "/v1/annotations?instanceId=a", 200),
        ("/v1/annotations", "/v1/annotations?since=x", 400),
        ("/healthz", "/healthz", 200),
        ("/readyz", "/readyz", 200),
    ],
)
def test_answers_conform_to_their_schema(path: str, target: str, status: int) -> None:
    """What is served is what the document promises, member by member."""
    store = ListStore(
        [
            recorded_signal(1, NOW - 9, SignalType.CONNECTION_ERROR, instance_id="a"),
            recorded_signal(
                2, NOW, instance_id="a", message_id="m", remote_jid="r", latency_ms=1, context={"code": 1}
            ),
        ],
        [Gap("k", NOW, NOW, "disk_full", 1)],
        [summary("a", last_evaluated_at=NOW), summary("b", last_signal_at=None)],
    )

    async def story() -> tuple[int, Any]:
        async with admin(store) as api:
            reply = await api.get(target)
            return reply.status, reply.json

    found, body = run(story)

    assert found == status
    conforms(path, status, body)

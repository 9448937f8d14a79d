"""The OpenAPI document: it is served, committed, and true."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # no stubs among the locked tools
import pytest

from domain.evaluate_health import EvaluateInstanceHealth
from domain.exchange import ExchangeFacts
from domain.fold_state import setting_of
from domain.forget import ForgetPersonalIds
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
FORGETTING = ForgetPersonalIds(_EMPTY)
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
        async with admin(posting=POSTING, evaluation=EVALUATION, forgetting=FORGETTING) as api:
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


def test_every_body_has_an_example_that_fits_its_schema() -> None:
    """Whoever reads the document sees a real body; it is made of the served types and holds what they say."""
    described = document(ROUTES)
    components = {"components": {"schemas": described["components"]["schemas"]}}
    without = []

    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            bodies += [resolved(described, answer) for answer in operation["responses"].values()]
            for form, media in [pair for body in bodies for pair in body.get("content", {}).items()]:
                schema = {**media["schema"], **components}
                if "example" in media and form == "application/json":
                    jsonschema.Draft202012Validator(schema).validate(media["example"])
                elif "example" not in media and form != "text/html":
                    without.append((method, path, form))

    assert without == [("get", "/openapi.json", "application/json")], "its example is the document itself"


def resolved(described: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Follow the one kind of reference an answer may be."""
    if "$ref" not in answer:
        return answer
    found: dict[str, Any] = described["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    return found


def test_every_parameter_says_what_it_takes_and_its_example_is_taken() -> None:
    """Each has a description, bounds on its text, and an example that its own reader accepts; but cursors."""
    params = {param.name: param for route in ROUTES for param in route.params}

    for param in params.values():
        assert param.description
        assert param.schema, param.name
        if param.name != "cursor":
            param.read(param.example)


def test_streamed_lines_and_rows_conform_to_their_schema() -> None:
    """Each NDJSON line is a signal or a gap as described; a CSV row has exactly the members of a signal."""
    rows = [recorded_signal(n, NOW - n, kind, instance_id="a") for n, kind in enumerate(SignalType)]
    store = ListStore(rows, [Gap("k", NOW, NOW, "disk_full", 1)])

    async def story() -> tuple[bytes, bytes]:
        async with admin(store) as api:
            forms = ("application/x-ndjson", "text/csv")
            target = "/v1/instances/a/timeline"
            bodies = [(await api.get(target, headers={"Accept": form})).body for form in forms]
            return bodies[0], bodies[1]

    lines, table = run(story)

    described = document(ROUTES)
    schemas = described["components"]["schemas"]
    for schema in schemas.values():
        schema.setdefault("additionalProperties", False)
    media = described["paths"]["/v1/instances/{instanceId}/timeline"]["get"]["responses"]["200"]["content"]
    line = {**media["application/x-ndjson"]["schema"], "components": {"schemas": schemas}}
    for text in lines.splitlines():
        jsonschema.Draft202012Validator(line).validate(json.loads(text))
    assert len(lines.splitlines()) == len(rows) + 1
    assert table.split(b"\r\n")[0].decode().split(",") == list(schemas["SignalAnswer"]["properties"])

"""The API against its own description: whatever is asked, the answer is one that the document promises.

Schemathesis makes requests from the OpenAPI document (good ones, bad ones, other methods, missing parts) and
holds each answer against it: status, content type, headers, every member. Each request also runs against an
instance and a decision that are there. `CONFORMANCE_EXAMPLES=500` asks for that many examples an operation.
An event stream would never end, so it is given no time: its head, its refusals and its first line are held
against the document here, its events in `test_stream.py`.
"""

import os
from collections.abc import Iterator
from itertools import count, cycle
from typing import Any, Final
from urllib.parse import quote

import pytest
import schemathesis
from schemathesis import Case
from schemathesis.config import (
    CoveragePhaseConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sidecar.api import stream
from tests.sidecar.api.fleet import FLEET, Fleet, served, stored_fleet, strict_document
from tests.sidecar.api.serving import NOW, Admin

EXAMPLES: Final = int(os.environ.get("CONFORMANCE_EXAMPLES", "6"))
TOKEN: Final = "correct horse battery staple"
BEARER: Final = {"Authorization": f"Bearer {TOKEN}"}
CONFORMS: Final = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ACCEPTS: Final = cycle(
    [None, "application/x-ndjson", "text/csv", "application/json", "text/*;q=0.1", "image/png"]
)


def _schema(*, coverage: bool) -> Any:
    """Give the schema; `coverage` adds requests for each border and each missing or foreign part."""
    generation = GenerationConfig(
        max_examples=EXAMPLES, deterministic=True, no_shrink=True, database="none", unique_inputs=True
    )
    phases = PhasesConfig(coverage=CoveragePhaseConfig(enabled=coverage))
    project = ProjectConfig(base_url="http://127.0.0.1", generation=generation, phases=phases)
    config = SchemathesisConfig(projects=ProjectsConfig(default=project))
    made = schemathesis.openapi.from_dict(strict_document(), config=config)
    made.hook(map_body)
    return made


def map_body(_: Any, body: Any) -> Any:
    """Print whole numbers as JSON writers do: to a schema 3.0 is the integer 3, to our parser it is none."""
    match body:
        case dict():
            return {name: map_body(None, value) for name, value in body.items()}
        case list():
            return [map_body(None, value) for value in body]
        case float() if body.is_integer():
            return int(body)
        case _:
            return body


SCHEMA: Final = _schema(coverage=True)
GUARDED: Final = _schema(coverage=False)
"""Whether the token is asked for is no matter of a parameter's borders, and SCHEMA has been there."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three instances with signals, gaps and decisions in a real store."""
    with stored_fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def _streams_end_at_once() -> Iterator[None]:
    """Let a stream's hour be over when it begins."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stream, "STREAM_SECONDS", 0.0)
        yield


@pytest.fixture(scope="module")
def local(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Admin]:
    """The listener without a token, on loopback."""
    with served(fleet, tmp_path_factory.mktemp("journal")) as api:
        yield api


@pytest.fixture(scope="module")
def guarded(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Admin]:
    """The listener with a token, metrics included."""
    minutes = count(NOW, 61_000)  # a guess a minute: what is tested here is not how guessing is slowed down
    changed: dict[str, Any] = {"token": TOKEN, "metrics_public": False, "clock": lambda: next(minutes)}
    with served(fleet, tmp_path_factory.mktemp("journal"), **changed) as api:
        yield api


def _is_opaque(case: Case[Any]) -> bool:
    """Tell whether a request holds what only an answer can give: a cursor."""
    return "cursor" in (case.query or {})


def _check_known(case: Case[Any], fleet: Fleet, api: Admin, headers: dict[str, str], turn: int) -> None:
    """Send the same request about something that is there, in every form of an answer."""
    known = {
        "instanceId": FLEET[turn % len(FLEET)],
        "decisionId": fleet.decision_ids[turn % len(fleet.decision_ids)],
    }
    case.path_parameters = {name: quote(known[name], safe="") for name in case.path_parameters or {}}
    accept = next(ACCEPTS)
    asked = headers if accept is None else headers | {"Accept": accept}
    response = case.call(base_url=api.base, headers=asked)
    assert response.status_code < 500, response.text
    case.validate_response(response, checks=CONFORMS)


TURN: Final = count()


@SCHEMA.parametrize()  # type: ignore[untyped-decorator]  # made by a schema whose type is not told
def test_every_answer_is_the_described_one(case: Case[Any], fleet: Fleet, local: Admin) -> None:
    """Good requests are taken, bad ones refused, none breaks; each answer is as the document says."""
    excluded = [positive_data_acceptance] if _is_opaque(case) else []
    response = case.call(base_url=local.base)

    case.validate_response(response, excluded_checks=[*excluded, ignored_auth])
    _check_known(case, fleet, local, {}, next(TURN))


@GUARDED.parametrize()  # type: ignore[untyped-decorator]  # made by a schema whose type is not told
def test_with_a_token_nothing_answers_without_it(case: Case[Any], fleet: Fleet, guarded: Admin) -> None:
    """A guarded operation refuses callers with no token or a wrong one; with the token it is as described."""
    response = case.call(base_url=guarded.base, headers=BEARER)
    case.validate_response(response, excluded_checks=[positive_data_acceptance])

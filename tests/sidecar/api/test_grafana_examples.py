"""The Infinity examples of docs/api.md: each asks a route that is there for members that are there."""

import re
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import pytest

from sidecar.api.openapi import document
from sidecar.api.routes import ROUTES

DOCUMENT: Final = document(ROUTES)
SCHEMAS: Final = DOCUMENT["components"]["schemas"]
TEXT: Final = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
NOT_READ: Final = {"/v1/stream", "/openapi.json", "/", "/metrics", "/healthz", "/readyz"}
KINDS: Final = {"string": {"string"}, "number": {"integer", "number"}, "timestamp_epoch": {"integer"}}


class Example(NamedTuple):
    """One row of the table."""

    url: str
    root: str
    columns: list[tuple[str, str]]
    pages: str


def examples() -> list[Example]:
    """Read the table."""
    table = TEXT[TEXT.index("| for | URL | root |") :].splitlines()[2:]
    found = []
    for line in table:
        if not line.startswith("|"):
            break
        _, url, root, columns, _, pages = (cell.strip() for cell in line.strip("|").split("|"))
        named = re.findall(r"`([\w.]+)` (string|number|timestamp_epoch|timestamp)", columns)
        found.append(Example(url.strip("`"), root.strip("`"), named, pages))
    return found


def path_of(url: str) -> str:
    """Give the route's path as the document writes it."""
    path = url.partition("?")[0].replace("$id", "{instanceId}")
    return re.sub(r"\$\{decision\}", "{decisionId}", path)


def member(schema: dict[str, Any], selector: str) -> dict[str, Any]:
    """Follow a selector through objects and references."""
    for name in selector.split("."):
        schema = _resolved(schema)["properties"][name]
    return _resolved(schema)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    choices = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    found: dict[str, Any] = choices[0]
    while "$ref" in found:
        found = SCHEMAS[found["$ref"].rsplit("/", 1)[1]]
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda one: one.url[:60])
def test_an_example_asks_for_what_is_there(example: Example) -> None:
    """Route, parameters, root, columns and their types, and whether there are pages, are the document's."""
    operation = DOCUMENT["paths"][path_of(example.url)]["get"]
    answer = _resolved(operation["responses"]["200"]["content"]["application/json"]["schema"])
    known = {param["name"] for param in operation["parameters"]}

    query = example.url.partition("?")[2].replace("$range", "since=1&until=2")
    rows = _resolved(answer["properties"][example.root]["items"]) if example.root else answer

    assert {name for name, _ in parse_qsl(query)} <= known
    assert example.columns
    for selector, kind in example.columns:
        found = member(rows, selector)
        if kind == "timestamp":
            assert found["description"] == "UTC, milliseconds", selector
        elif selector != "reproduced":
            assert found["type"] in KINDS[kind], selector
    if example.pages == "cursor":
        assert "nextCursor" in answer["required"]
        assert "cursor" in known


def test_every_route_that_grafana_reads_has_an_example() -> None:
    """A new GET route comes with its example, or is named here as none for Grafana."""
    routes = {path for path, methods in DOCUMENT["paths"].items() if "get" in methods}

    assert {path_of(one.url) for one in examples()} == routes - NOT_READ

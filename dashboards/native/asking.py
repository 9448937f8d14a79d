"""What the boards ask Prometheus and the admin API, with values where they have variables."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

BOARDS: Final = Path(__file__).parent.parent / "grafana" / "boards"


def panels(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give all panels of a board that show something."""
    for panel in content["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", ())
        else:
            yield panel


def expressions(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give (panel title, query) of every Prometheus query of a board."""
    for panel in panels(content):
        for target in panel["targets"]:
            if "expr" in target:
                yield panel["title"], target["expr"]


def with_values(expr: str, instance_id: str, window: str = "5m") -> str:
    """Put values where a board has variables."""
    for variable, value in (
        ("$__rate_interval", window),
        ("$__range", "1h"),
        ("$job", ".+"),
        ("$instance_id", instance_id),
        ("$instance", ".+"),
        ("$provider", ".+"),
    ):
        expr = expr.replace(variable, value)
    return expr


def questions(instance_id: str, window: str) -> list[tuple[str, str, str]]:
    """Give (board, panel, query) of all boards."""
    return [
        (path.stem, title, with_values(expr, instance_id, window))
        for path in sorted(BOARDS.glob("*.json"))
        for title, expr in expressions(json.loads(path.read_text("utf-8")))
    ]


class ApiQuestion(NamedTuple):
    """What a panel or an annotation asks of the admin API.

    Attributes:
        target: path and query.
        root: member of the answer that holds the rows.
        columns: selectors of a row.
    """

    board: str
    panel: str
    target: str
    root: str
    columns: tuple[str, ...]


def api_questions(instance_id: str, since: str, until: str) -> list[ApiQuestion]:
    """Give what all boards ask of the admin API, annotations included."""
    return [
        ApiQuestion(
            path.stem,
            title,
            target["url"]
            .replace("${instance_id:percentencode}", quote(instance_id, safe=""))
            .replace("${__timeFrom}", since)
            .replace("${__timeTo}", until),
            target["root_selector"],
            tuple(column["selector"] for column in target["columns"]),
        )
        for path in sorted(BOARDS.glob("*.json"))
        for title, target in infinity(json.loads(path.read_text("utf-8")))
    ]


def infinity(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give (panel title, target) of every query of the admin API on a board, annotations included."""
    for panel in panels(content):
        for target in panel["targets"]:
            if "root_selector" in target:
                yield panel["title"], target
    for annotation in content.get("annotations", {}).get("list", ()):
        if "root_selector" in annotation.get("target", {}):
            yield annotation["name"], annotation["target"]

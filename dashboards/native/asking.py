"""What the boards ask Prometheus, with values where they have variables."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

BOARDS: Final = Path(__file__).parent.parent / "grafana" / "boards"

NEVER_HAPPENS: Final = frozenset({"Schema drift"})
"""Panels of things that no simulator does; their series do not exist before."""


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

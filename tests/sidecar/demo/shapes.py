"""Compares JSON by shape: same keys, same kinds of values; constants named by the caller must be equal."""

import json
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[2] / "fixtures" / "turbozap"


def fixture(name: str) -> dict[str, Any]:
    """Load one recorded exchange."""
    loaded: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return loaded


def shape(value: Any) -> Any:
    """Replace each leaf by the name of its type."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in value.items()}
        case list():
            return [shape(inner) for inner in value[:1]]
    return type(value).__name__

"""Fixtures of the dashboard checks."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def openapi() -> dict[str, Any]:
    """The description of the admin API."""
    content: dict[str, Any] = json.loads(
        (Path(__file__).parent.parent.parent / "docs" / "openapi.json").read_text("utf-8")
    )
    return content

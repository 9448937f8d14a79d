"""A mitmproxy addon that reads each answer, as one would write it to observe traffic."""

import json
from typing import Any


def response(flow: Any) -> None:
    """Parse the answer of a finished flow."""
    json.loads(flow.response.content)

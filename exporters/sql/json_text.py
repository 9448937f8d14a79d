"""JSON as the store writes and reads it."""

from typing import Any

import orjson


def dumps(value: Any) -> str:
    """Give compact JSON text.

    Raises:
        TypeError: a string holds a lone surrogate, or a type is unknown to JSON.
    """
    return orjson.dumps(value).decode()


loads = orjson.loads

"""Values into the protocol's messages (opentelemetry.proto.common.v1): attributes, texts, times.

`container.add(key=...).value.<kind>_value = value` is three times as quick as a KeyValue built first.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

Value: TypeAlias = "str | bool | int | float | Mapping[str, str | int] | tuple[str, ...]"

Attributes: TypeAlias = Any
"""A repeated field of KeyValue; protobuf publishes no types for it."""

NS_PER_MS: Final = 1_000_000
TIME_MAX_NS: Final = (1 << 64) - 1
INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1


def add_attribute(attributes: Attributes, key: str, value: Value) -> None:
    """Add an attribute of any kind; never raises, whatever the value."""
    fill(attributes.add(key=text(key)).value, value)


def fill(target: AnyValue, value: Value) -> None:
    """Give an AnyValue its value; an empty map or tuple stays a map or a list."""
    if isinstance(value, str):
        target.string_value = text(value)
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = min(max(value, INT_MIN), INT_MAX)
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, tuple):
        target.array_value.SetInParent()
        for element in value:
            target.array_value.values.add(string_value=text(element))
    else:
        target.kvlist_value.SetInParent()
        for key, item in value.items():
            add_attribute(target.kvlist_value.values, key, item)


def text(value: str) -> str:
    """Give a text protobuf takes: it refuses a lone surrogate, so one becomes a question mark."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def time_ns(at_ns: int) -> int:
    """Give a time protobuf takes: before 1970 and after 2554 become those ends."""
    return min(max(at_ns, 0), TIME_MAX_NS)

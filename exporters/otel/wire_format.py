"""Protobuf on the wire, as much of it as OTLP needs (protobuf.dev, "Encoding").

A message is its fields one after the other, in any order; so parts that are the same in every record are
encoded once and joined. Unless it says otherwise a function gives a whole field: tag, length, value.
"""

from struct import Struct
from typing import Final, TypeAlias

Value: TypeAlias = "str | bool | int | float | dict[str, str | int] | tuple[str, ...]"

_DOUBLE: Final = Struct("<d")
_FIXED64: Final = Struct("<Q")
_FIXED32: Final = Struct("<I")


def varint(number: int) -> bytes:
    """Encode an integer of at most 64 bits; a negative one as its two's complement."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


TIME_MAX_NS: Final = (1 << 64) - 1

_SMALL: Final = tuple(map(varint, range(4096)))
"""Lengths are nearly always small."""


def length(number: int) -> bytes:
    """Encode a length."""
    return _SMALL[number] if number < len(_SMALL) else varint(number)


def tag(field: int, wire_type: int) -> bytes:
    """Encode what stands before a field's value."""
    return varint(field << 3 | wire_type)


def delimited(field: int, data: bytes) -> bytes:
    """Give a field of bytes, of UTF-8 text, or of a message."""
    return tag(field, 2) + length(len(data)) + data


def number(field: int, value: int) -> bytes:
    """Give a varint field."""
    return tag(field, 0) + varint(value)


def nanoseconds(field: int, value: int) -> bytes:
    """Give a time in nanoseconds as a fixed64 field; times before 1970 or after 2554 become those ends."""
    return tag(field, 1) + _FIXED64.pack(min(max(value, 0), TIME_MAX_NS))


def fixed32(field: int, value: int) -> bytes:
    """Give a field of four bytes."""
    return tag(field, 5) + _FIXED32.pack(value)


def text(value: str) -> bytes:
    """Give UTF-8; protobuf refuses a lone surrogate, so one becomes a question mark."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


def any_value(value: Value) -> bytes:
    """Encode an OTLP AnyValue: text 1, bool 2, int 3, double 4, array 5, map 6."""
    if isinstance(value, str):
        return delimited(1, text(value))
    if isinstance(value, bool):
        return number(2, int(value))
    if isinstance(value, int):
        return number(3, value)
    if isinstance(value, float):
        return tag(4, 1) + _DOUBLE.pack(value)
    if isinstance(value, tuple):
        return delimited(5, b"".join(delimited(1, any_value(item)) for item in value))
    return delimited(6, b"".join(delimited(1, key_value(key, item)) for key, item in value.items()))


def key_value(key: str, value: Value) -> bytes:
    """Encode an OTLP KeyValue."""
    return delimited(1, text(key)) + delimited(2, any_value(value))


class Attribute:
    """One attribute key of a repeated KeyValue field: what does not change is encoded once."""

    __slots__ = ("_key", "_tag")

    def __init__(self, field: int, key: str) -> None:
        self._tag = tag(field, 2)
        self._key = delimited(1, text(key))

    def of(self, value: Value) -> bytes:
        """Give the field for any value."""
        return self._field(any_value(value))

    def of_text(self, value: str) -> bytes:
        """Give the field for a text; the quick way."""
        data = text(value)
        return self._field(b"\x0a" + length(len(data)) + data)

    def _field(self, encoded: bytes) -> bytes:
        body = self._key + b"\x12" + length(len(encoded)) + encoded
        return self._tag + length(len(body)) + body

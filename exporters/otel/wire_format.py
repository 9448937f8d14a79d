"""Protobuf on the wire, as much of it as OTLP needs (protobuf.dev, "Encoding").

A message is its fields one after the other, in any order; so parts that are the same in every record are
encoded once and joined. Unless it says otherwise a function gives a whole field: tag, length, value.
"""

from struct import Struct, error
from typing import Final, TypeAlias

Value: TypeAlias = "str | bool | int | float | dict[str, str | int] | tuple[str, ...]"

_DOUBLE: Final = Struct("<d")
_TWO_TIMES: Final = Struct("<BQBQ")
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


NS_PER_MS: Final = 1_000_000
TIME_MAX_NS: Final = (1 << 64) - 1
PREFIXES: Final = 64
"""Lengths of texts whose prefix is kept for each key; ids are shorter than this."""

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


class TwoTimes:
    """Two fixed64 fields that always come together, packed in one go."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: int, second: int) -> None:
        self._first = first << 3 | 1
        self._second = second << 3 | 1

    def of(self, first_ns: int, second_ns: int) -> bytes:
        """Give both fields; times before 1970 and after 2554 become those ends."""
        try:
            return _TWO_TIMES.pack(self._first, first_ns, self._second, second_ns)
        except error:
            ends = (min(max(time, 0), TIME_MAX_NS) for time in (first_ns, second_ns))
            return _TWO_TIMES.pack(self._first, next(ends), self._second, next(ends))


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
    """One key of a repeated KeyValue field: what stands before a text is made once for each length of it."""

    __slots__ = ("_before_double", "_key", "_prefixes", "_tag")

    def __init__(self, field: int, key: str) -> None:
        self._tag = tag(field, 2)
        self._key = delimited(1, text(key))
        self._before_double = self._before(9) + tag(4, 1)
        self._prefixes = [self._prefix(size) for size in range(PREFIXES)]

    def of(self, value: Value) -> bytes:
        """Give the field for any value."""
        encoded = any_value(value)
        return self._before(len(encoded)) + encoded

    def of_text(self, value: str) -> bytes:
        """Give the field for a text; the quick way."""
        data = text(value)
        size = len(data)
        return (self._prefixes[size] if size < PREFIXES else self._prefix(size)) + data

    def of_double(self, value: float) -> bytes:
        """Give the field for a number; the quick way."""
        return self._before_double + _DOUBLE.pack(value)

    def _prefix(self, size: int) -> bytes:
        inside = tag(1, 2) + length(size)
        return self._before(len(inside) + size) + inside

    def _before(self, value_size: int) -> bytes:
        inside = self._key + tag(2, 2) + length(value_size)
        return self._tag + length(len(inside) + value_size) + inside

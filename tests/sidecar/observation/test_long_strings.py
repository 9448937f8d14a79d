"""Long strings leave, everything else stays, however the stream is split."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.observation.long_strings import LongStrings

MAX = 256
"""Large enough for the regular expression of short strings to take its part, small enough to be passed."""


def reference(text: bytes, string_max: int) -> bytes:
    """Leave long strings out, byte by byte and obviously."""
    out, string, inside, escaped = bytearray(), bytearray(), False, False
    for byte in text:
        char = bytes((byte,))
        if not inside:
            out += char
            inside = char == b'"'
        elif not escaped and char == b'"':
            out += (string if len(string) <= string_max else b"") + b'"'
            string, inside = bytearray(), False
        else:
            escaped = not escaped and char == b"\\"
            string += char
    return bytes(out + (string if len(string) <= string_max else b""))


def split(text: bytes, cuts: list[int]) -> list[bytes]:
    """Split a text at some places."""
    places = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def filtered(chunks: list[bytes], string_max: int) -> tuple[bytes, bool]:
    """Run the filter over chunks."""
    strings = LongStrings(string_max)
    out = [piece for chunk in chunks for piece in strings.feed(chunk)]
    return b"".join(out + strings.finish()), strings.elided


pieces = st.one_of(
    st.sampled_from([b'"', b"\\", b'\\"', b"\\\\", b"{", b"}", b",", b":", b"1", b" ", b"\n", b"\xff"]),
    st.sampled_from([MAX // 2, MAX // 2 + 1, MAX - 1, MAX, MAX + 1, 3 * MAX]).map(lambda n: b"x" * n),
    st.sampled_from([31, 32, 33, MAX // 2, MAX]).map(lambda n: b"\\n" * n),
    st.binary(max_size=6),
)
texts = st.lists(pieces, max_size=40).map(b"".join)
cuts = st.lists(st.integers(0, 1 << 16), max_size=8)


@given(texts, cuts, st.sampled_from([0, 1, 8, MAX, 8192]))
@example(b'{"a":"\\\\"}', [6, 7, 8], 1)
@example(b'"\\', [], 8)
def test_the_result_is_that_of_the_obvious_way_for_every_text_and_split(
    text: bytes, cuts: list[int], string_max: int
) -> None:
    """JSON or not, escapes across chunk borders, strings at the bound: equal to the reference."""
    expected = reference(text, string_max)

    result, elided = filtered(split(text, cuts), string_max)

    assert result == expected
    assert elided == (expected != text)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3 * MAX),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ),
    cuts,
)
def test_json_stays_json_with_its_long_strings_emptied(value: object, cuts: list[int]) -> None:
    """Parsed again, it is the value with each string beyond the bound replaced by an empty one."""
    text = json.dumps(value).encode()

    result, _ = filtered(split(text, cuts), MAX)

    assert json.loads(result) == emptied(value)


def emptied(value: object) -> object:
    """Empty each string whose JSON text is longer than the bound."""
    if isinstance(value, str):
        return "" if len(json.dumps(value)) - 2 > MAX else value
    if isinstance(value, list):
        return [emptied(one) for one in value]
    if isinstance(value, dict):
        return {key: emptied(one) for key, one in value.items()}
    return value


def test_byte_by_byte_equals_at_once() -> None:
    """The smallest chunks there are."""
    text = b'{"a":"' + b"x" * (MAX + 1) + b'","b\\"":"' + b"\\\\" * MAX + b'","c":[1,"y"]}'

    assert filtered([bytes((byte,)) for byte in text], MAX) == filtered([text], MAX)
    assert filtered([text], MAX) == (b'{"a":"","b\\"":"","c":[1,"y"]}', True)

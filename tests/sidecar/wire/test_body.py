"""Bodies in transit: what goes in comes out, however it is cut; what is out of form is refused by name."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire import Limits, Reason, Refused
from sidecar.wire.body import CHUNKED, UNTIL_CLOSE, BodyDecoder, ChunkedBody, chunk, decoder, last_chunk

LIMITS = Limits()
WELL_FORMED = b'3\r\nabc\r\n0A;x="y"\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n'


def feed(body: BodyDecoder, data: bytes, size: int = 1) -> bytes:
    """Feed pieces until the body is done; what was not fed is added to the rest."""
    payload = b""
    for at in range(0, len(data), size):
        payload += body.feed(data[at : at + size])
        if body.done:
            body.rest += data[at + size :]
            break
    return payload


@pytest.mark.parametrize("size", range(1, len(WELL_FORMED) + 6))
def test_a_chunked_body_reads_the_same_in_pieces_of_any_size(size: int) -> None:
    """Payload, trailers and what follows do not depend on how the bytes were cut."""
    body = ChunkedBody(LIMITS)

    payload = feed(body, WELL_FORMED + b"NEXT", size)

    assert payload == b"abc0123456789"
    assert body.done
    assert body.trailers == b"X-Sum: 1\r\nY:\r\n"
    assert body.rest == b"NEXT"


@pytest.mark.parametrize("cut", range(len(WELL_FORMED)))
def test_a_chunked_body_is_not_done_before_its_last_byte(cut: int) -> None:
    """Any prefix is an unfinished body, and its payload a prefix."""
    body = ChunkedBody(LIMITS)

    payload = body.feed(WELL_FORMED[:cut])

    assert not body.done
    assert b"abc0123456789".startswith(payload)


@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(1, 64), st.binary(max_size=9))
def test_what_is_framed_as_chunks_comes_out_again(pieces: list[bytes], size: int, after: bytes) -> None:
    """Framing and reading are each other's inverse, for any payload, cut anywhere."""
    data = b"".join(chunk(piece) for piece in pieces if piece) + last_chunk(b"X: y\r\n")
    body = ChunkedBody(LIMITS)

    assert feed(body, data + after, size) == b"".join(pieces)
    assert (body.done, body.trailers, body.rest) == (True, b"X: y\r\n", after)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_rubbish_is_read_or_refused_by_one_named_error(data: bytes, size: int) -> None:
    """No input makes the decoder fail in another way, or keep more than its bounds."""
    body = ChunkedBody(Limits(chunk_line_bytes_max=32, head_bytes_max=64, chunk_overhead_bytes_max=64))

    refusal: Reason | None = None
    try:
        feed(body, data, size)
    except Refused as refused:
        refusal = refused.reason

    assert refusal in {None, *Reason}


TOKENS = [b"0", b"3", b"a", b"\r", b"\n", b"\r\n", b";", b" ", b":", b"X", b"0\r\n", b"1\r\na\r\n"]


@given(st.lists(st.sampled_from(TOKENS), max_size=24))
def test_how_a_body_is_cut_does_not_change_what_is_refused(tokens: list[bytes]) -> None:
    """Near misses of the syntax get the same verdict whole and byte by byte."""
    data = b"".join(tokens)

    def verdict(size: int) -> tuple[bytes, bool] | bool:
        body = ChunkedBody(LIMITS)
        try:
            payload = feed(body, data, size)
        except Refused:
            return False
        return payload, body.done

    whole, by_byte = verdict(1 << 20), verdict(1)
    assert whole == by_byte


@pytest.mark.parametrize(
    ("excess", "refused"), [(0, False), (1, True)], ids=["at-the-bound", "one-byte-more"]
)
def test_a_size_line_is_bounded(excess: int, refused: bool) -> None:
    """A size line with its extensions may be as long as its bound, not longer."""
    limit = LIMITS.chunk_line_bytes_max
    line = b"1;" + b"x" * (limit - 4 + excess) + b"\r\n"
    body = ChunkedBody(LIMITS)

    if refused:
        with pytest.raises(Refused, match="chunk_overhead"):
            body.feed(line)
    else:
        body.feed(line)
        assert body.feed(b"a") == b"a"


@pytest.mark.parametrize("field", [b"X: " + b"y" * 32_000, b"X" * 32_000], ids=["value", "name"])
def test_a_trailer_dripped_in_costs_no_more_than_its_length(field: bytes) -> None:
    """A caller that sends 32 KiB byte by byte must not hold the loop (once it did, for 14 s)."""
    body = ChunkedBody(LIMITS)
    body.feed(b"0\r\n")
    began = time.process_time()

    feed(body, field)

    assert not body.done
    assert time.process_time() - began < 2.0


@given(st.integers(0, 5000), st.binary(max_size=5000), st.integers(1, 700))
def test_a_body_of_known_length_takes_that_much_and_no_more(length: int, data: bytes, size: int) -> None:
    """Payload is the first bytes, the rest belongs to what follows."""
    body = decoder(length, LIMITS)

    payload = b"" if body.done else feed(body, data, size)

    assert payload == (data[:length] if length else b"")
    assert body.done == (len(data) >= length or length == 0)
    if body.done and length:
        assert body.rest == data[length:]


def test_a_body_until_close_takes_everything() -> None:
    """No bytes end it."""
    body = decoder(UNTIL_CLOSE, LIMITS)

    assert body.feed(b"0\r\n\r\n") == b"0\r\n\r\n"
    assert not body.done
    assert isinstance(decoder(CHUNKED, LIMITS), ChunkedBody)

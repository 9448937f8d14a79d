"""The copy of a body: whole when it fits, decoded, shortened or cut by fixed bounds, never an exception."""

import base64
import bz2
import gzip
import json
import os
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.exchange import NO_BODY, Body, BodyState, Headers
from sidecar.observation import BodyTap, TapCopier, Unseen
from sidecar.observation.tap import COPY_MAX
from tests.sidecar.observation.test_long_strings import cuts, reference, split, texts

COPY, STRING = 1024, 128


def deflated_bare(data: bytes) -> bytes:
    """Compress to deflate without zlib's wrapping, as some servers do."""
    return zlib.compress(data)[2:-4]


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def observe(chunks: list[bytes], *fields: tuple[str, str], complete: bool = True) -> tuple[Body, BodyTap]:
    """Feed a small tap."""
    headers: Headers = [(name.encode(), value.encode()) for name, value in fields]
    tap = BodyTap(headers, copy_max=COPY, string_max=STRING)
    for chunk in chunks:
        tap.feed(chunk)
    return tap.finish(complete=complete), tap


def coded(coding: str) -> tuple[str, str]:
    """Make a content coding field."""
    return ("Content-Encoding", coding)


def expected(data: bytes) -> Body:
    """Say what a copy of these bytes holds."""
    if len(data) <= COPY:
        return Body(data, BodyState.WHOLE) if data else NO_BODY
    if data.lstrip(b" \t\r\n")[:1] not in (b"{", b"[") or not data[:64].strip():
        return Body(b"", BodyState.CUT)
    short = reference(data, STRING)
    return Body(short, BodyState.ELIDED) if len(short) <= COPY else Body(b"", BodyState.CUT)


bodies = st.one_of(
    texts,
    texts.map(lambda text: b'{"a":"' + b"x" * 2000 + b'",' + text),
    st.binary(max_size=64).map(lambda data: data * 40),
)


@given(bodies, cuts)
def test_a_copy_is_the_same_however_the_body_was_split(data: bytes, cuts: list[int]) -> None:
    """Fits: whole. Too large: JSON without its long strings, if that fits; else a prefix, called cut."""
    body, _ = observe(split(data, cuts))

    assert body == expected(data)


@settings(max_examples=60)
@given(bodies, cuts, st.sampled_from(sorted(ENCODERS)))
def test_a_coded_body_gives_the_copy_of_the_plain_one(data: bytes, cuts: list[int], coding: str) -> None:
    """Gzip, deflate, br and zstd, split anywhere, decode to what was sent without them."""
    body, _ = observe(split(ENCODERS[coding](data), cuts), coded(coding))

    assert body == expected(data)


@given(st.binary(max_size=300), cuts, st.sampled_from([*sorted(ENCODERS), "gzip, br", "zstd,deflate"]))
def test_rubbish_never_raises(data: bytes, cuts: list[int], coding: str) -> None:
    """Whatever a peer calls by the name of a coding is a body or undecodable, no exception."""
    body, tap = observe(split(data, cuts), coded(coding))

    assert body.state in BodyState
    assert (body.state is BodyState.UNDECODABLE) == (tap.unseen is Unseen.CORRUPT)


@pytest.mark.parametrize("coding", sorted(ENCODERS))
def test_every_truncation_of_a_coded_body_is_told(coding: str) -> None:
    """Called complete, it is corrupt; broken off, it is cut. Never taken for whole."""
    data = ENCODERS[coding](b'{"key": "value"}' * 8)
    for size in range(1, len(data)):
        as_complete, _ = observe([data[:size]], coded(coding))
        broken_off, tap = observe([data[:size]], coded(coding), complete=False)

        assert as_complete == Body(b"", BodyState.UNDECODABLE)
        assert broken_off.state is BodyState.CUT
        assert tap.unseen is Unseen.CUT


@pytest.mark.parametrize("coding", sorted(ENCODERS))
def test_bytes_behind_a_coded_body_make_it_corrupt(coding: str) -> None:
    """Also when they come in a chunk of their own."""
    data = ENCODERS[coding](b'{"key": "value"}')

    assert observe([data + b"xy"], coded(coding))[0].state is BodyState.UNDECODABLE
    assert observe([data, b"xy"], coded(coding))[0].state is BodyState.UNDECODABLE


def test_bare_deflate_is_read_too() -> None:
    """Some servers send RFC 1951 where RFC 1950 is meant."""
    body, _ = observe([deflated_bare(b'{"a": 1}')], coded("deflate"))

    assert body == Body(b'{"a": 1}', BodyState.WHOLE)


def test_gzip_members_and_zstd_frames_follow_each_other() -> None:
    """Several members are one body; zeros may pad gzip."""
    members = gzip.compress(b"[1,") + gzip.compress(b"2") + b"\0\0" + gzip.compress(b"]") + b"\0"
    frames = ENCODERS["zstd"](b"[1,") + ENCODERS["zstd"](b"2]")

    assert observe(split(members, list(range(len(members)))), coded("gzip"))[0].data == b"[1,2]"
    assert observe([members], coded("gzip"))[0].data == b"[1,2]"
    assert observe([frames], coded("zstd"))[0].data == b"[1,2]"


def test_two_codings_are_undone_in_reverse_order_and_three_are_refused() -> None:
    """As listed, in one field or two; identity counts nothing."""
    data = b'{"a": 1}'
    twice = brotli.compress(gzip.compress(data))

    assert observe([twice], coded("gzip, identity, br"))[0].data == data
    assert observe([twice], coded("GZIP"), coded("Br"))[0].data == data
    body, tap = observe([gzip.compress(twice)], coded("gzip, br, gzip"))
    assert body == Body(b"", BodyState.UNDECODABLE)
    assert tap.unseen is Unseen.CODING_UNKNOWN


def test_an_unknown_coding_is_told_and_costs_nothing() -> None:
    """Nothing of it is kept; an empty body has nothing to decode."""
    body, tap = observe([bz2.compress(b"{}")], coded("bzip2"))

    assert body == Body(b"", BodyState.UNDECODABLE)
    assert tap.unseen is Unseen.CODING_UNKNOWN
    assert observe([], coded("bzip2"))[0] == NO_BODY
    assert observe([], coded("gzip"))[0] == NO_BODY


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_refused_within_bounded_memory(coding: str) -> None:
    """64 MiB of one JSON string in a few kilobytes: refused by its ratio after a few megabytes."""
    bomb = ENCODERS[coding](b'{"a":"' + b"x" * (64 << 20) + b'"}')
    tap = BodyTap([(b"content-encoding", coding.encode())])
    tracemalloc.start()
    tap.feed(bomb)
    body = tap.finish(complete=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert tap.unseen is Unseen.RATIO
    assert body == Body(b"", BodyState.UNDECODABLE)
    assert peak < 24 << 20


def test_a_small_body_may_compress_better_than_the_ratio() -> None:
    """Half a megabyte of blanks is honest."""
    data = b'{"a":1}' + b" " * (500 << 10)
    tap = BodyTap([(b"content-encoding", b"gzip")])
    tap.feed(gzip.compress(data))

    assert tap.finish(complete=True) == Body(b"", BodyState.CUT)


def test_a_large_media_message_keeps_the_fields_around_its_media() -> None:
    """The copy of 20 MB of base64 is the little JSON around it."""
    message = {"number": "1", "base64": base64.b64encode(os.urandom(15 << 20)).decode(), "caption": "hi"}
    data = json.dumps(message).encode()
    tap = BodyTap([(b"Content-Type", b"application/json")])
    for at in range(0, len(data), 65536):
        tap.feed(data[at : at + 65536])
    body = tap.finish(complete=True)

    assert body.state is BodyState.ELIDED
    assert json.loads(body.data) == {**message, "base64": ""}


@pytest.mark.parametrize(
    "media", ["image/jpeg", "VIDEO/mp4", "audio/ogg; codecs=opus", "application/octet-stream"]
)
def test_media_is_not_copied(media: str) -> None:
    """There are no facts in it."""
    assert observe([b"\xff\xd8" * 100], ("content-type", media))[0] is NO_BODY


def test_the_usual_body_is_given_back_as_it_came() -> None:
    """One small chunk: the very same bytes, no copy."""
    chunk = b'{"status": "PENDING"}'

    body, _ = observe([chunk], ("Content-Type", "application/json"), ("Content-Length", "21"))

    assert body.data is chunk
    assert body.state is BodyState.WHOLE


def test_no_body_is_empty_and_a_broken_one_is_cut() -> None:
    """Empty chunks are nothing; a promise not kept is told even before the first byte."""
    assert observe([])[0] is NO_BODY
    assert observe([b"", b""])[0] is NO_BODY
    assert observe([], complete=False)[0] == Body(b"", BodyState.CUT)
    assert observe([b'{"a":'], complete=False)[0] == Body(b'{"a":', BodyState.CUT)


def test_a_body_at_the_bound_is_whole_and_one_byte_more_is_cut() -> None:
    """Limit, and limit plus one."""
    assert observe([b"x" * COPY])[0] == Body(b"x" * COPY, BodyState.WHOLE)
    assert observe([b"x" * COPY, b"x"])[0] == Body(b"", BodyState.CUT)


def test_a_body_that_drips_costs_little_more_memory_than_its_size() -> None:
    """256 KiB in chunks of two bytes."""
    tap = BodyTap([])
    chunks = [bytes((n % 256, n // 256 % 256)) for n in range(COPY_MAX // 2)]
    tracemalloc.start()
    for chunk in chunks:
        tap.feed(chunk)
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert current < 2 * COPY_MAX
    assert tap.finish(complete=True).data == b"".join(chunks)


@given(data=texts, kind=st.sampled_from(["", "gzip", "br", "sdch", "image/png"]))
def test_a_body_in_one_piece_is_copied_as_one_that_streams_by(data: bytes, kind: str) -> None:
    """The short way for whole bodies gives what feeding them to a tap gives, whatever their fields say."""
    fields = [("Content-Type", kind)] if "/" in kind else [coded(kind)]
    sent = ENCODERS[kind](data) if kind in ENCODERS else data
    headers: Headers = [(name.encode(), value.encode()) for name, value in fields]
    copier = TapCopier(headers, copy_max=COPY, string_max=STRING)

    assert copier.whole(sent) == observe([sent], *fields)[0]

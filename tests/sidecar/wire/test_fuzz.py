"""Rubbish from either side: accepted or refused by a named reason, never another failure, never a leak."""

import asyncio
import contextlib
import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.exchange import Exchange, Signature, Verification
from sidecar.wire import Limits, VerifyMode
from tests.sidecar.wire.corpus import CORPUS, read_case
from tests.sidecar.wire.desk import OK, Desk
from tests.sidecar.wire.fuzzed import check
from tests.sidecar.wire.peers import Witness, run

NEAR_MISSES = 12
NEAR_MISSES_OF = 2048
MISSES = (b"", b"\r\n", b"\n", b" ", b":", b"0", b"\t")
SMALL = Limits(
    head_bytes_max=200, fields_max=6, chunk_line_bytes_max=20, chunk_overhead_bytes_max=60, interim_max=3
)
REQUEST_TOKENS = [
    b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.0\r\n", b"PUT http://h/ HTTP/1.1\r\n", b"Host: h\r\n", b"\r\n",
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"\r", b"\n",
    b"Connection: Upgrade\r\nUpgrade: x\r\n", b"Expect: 100-continue\r\n", b"abc", b"3\r\nabc\r\n", b":",
    b"0\r\n\r\n", b"X: y\r\n", b" ", b"\0", b"\xff", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
]  # fmt: skip
ANSWER_TOKENS = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404 No\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 204 N\r\n",
    b"HTTP/1.1 101 S\r\n", b"Connection: Upgrade\r\nUpgrade: x\r\n", b"Content-Length: 3\r\n", b"\r\n",
    b"abc",
    b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"X: y\r\n", b"Connection: close\r\n",
    b"\r", b"\n", b" ", b"\0", OK, b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
]  # fmt: skip

requests = st.lists(st.sampled_from(REQUEST_TOKENS) | st.binary(max_size=6), max_size=14)
answers = st.lists(st.sampled_from(ANSWER_TOKENS) | st.binary(max_size=6), max_size=10)
ends = st.sampled_from(["answer", "caller eof", "caller lost", "upstream eof", "upstream lost", "nothing"])


class Lax:
    """A verification that accepts what has an even length."""

    def __init__(self) -> None:
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)

    def finish(self) -> Signature:
        return Signature.INVALID if self._size % 2 else Signature.VALID


def lax(_: Exchange) -> Verification:
    return Lax()


async def converse(desk: Desk, asked: list[bytes], answered: list[bytes], end: str, size: int) -> None:
    """Let both sides talk in turn, then let one of them end."""
    await desk.say(b"".join(asked), size)
    for token in answered:
        await desk.answer(token)
    if end == "answer":
        await desk.answer_all()
    elif end == "caller eof":
        desk.caller.eof_received()
    elif end == "upstream eof":
        desk.upstream.eof_received()
    if end == "upstream lost":
        desk.upstream.connection_lost(None)
    await asyncio.sleep(0)
    # Whatever happened, the end of both connections must leave nothing behind.
    desk.caller.connection_lost(None)
    if not desk.upstream.lost:
        desk.upstream.connection_lost(None)
    for orphan in tuple(desk.forwarder.orphans):
        orphan.expire()
    await asyncio.sleep(0)


@settings(max_examples=400, deadline=None)
@given(
    requests,
    answers,
    ends,
    st.sampled_from([1, 5, 1 << 20]),
    st.sampled_from(list(VerifyMode)),
)
def test_no_conversation_leaves_anything_behind(
    asked: list[bytes], answered: list[bytes], end: str, size: int, verify: VerifyMode
) -> None:
    """Every exchange begun ends once, is released once, and no connection, task or count remains."""

    async def story() -> None:
        witness = Witness()
        witness.verifier = lax
        desk = Desk(url="http://127.0.0.1:1", limits=SMALL, verify=verify, witness=witness)
        crashes: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: crashes.append(context))
        with contextlib.suppress(asyncio.CancelledError):
            await converse(desk, asked, answered, end, size)

        counters = desk.forwarder.counters
        assert not crashes
        assert desk.side.exchanges == len(witness.exchanges)
        assert desk.side.active_requests == 0
        assert desk.side.open_connections == 0
        assert counters.tunnels == 0
        assert not desk.forwarder.orphans
        assert not counters.observer_crashes
        for exchange in witness.exchanges:
            assert exchange.ended_ns > 0
            assert exchange.error is not None or exchange.status is not None
        assert sum(desk.side.refusals.values()) <= 1

    run(story())


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*.txt")), ids=lambda path: path.stem)
def test_the_corpus_and_its_near_misses_get_one_verdict_however_they_are_cut(path: Path) -> None:
    """Each case with bytes gone, doubled, or changed: accepted or refused by name, whole or in pieces."""
    draw = random.Random(path.stem)
    case = read_case(path).data
    if len(case) > NEAR_MISSES_OF:
        return  # the bounds have tests of their own

    side = path.parent.name == "requests"

    async def story() -> None:
        for _ in range(NEAR_MISSES):
            data = bytearray(case)
            for _ in range(draw.randint(0, 3)):
                at = draw.randrange(len(data) + 1)
                data[at : at + draw.randint(0, 2)] = draw.choice((*MISSES, data[at : at + 9]))
            await check(bytes((draw.randrange(128) * 2 + side,)) + data)

    run(story())


@pytest.mark.slow
def test_a_guided_fuzzer_finds_nothing_in_a_bounded_run(tmp_path: Path) -> None:
    """The same seed and number of inputs each time; `make fuzz` goes on from here."""
    if importlib.util.find_spec("atheris") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("atheris has no wheel for this machine")
    options = ["-runs=1500", "-seed=1", f"-artifact_prefix={tmp_path}/"]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.sidecar.wire.fuzz_wire", *options],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Done 1500 runs" in ended.stderr

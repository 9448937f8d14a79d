"""Content codings through a real sidecar: all bytes pass exactly; what cannot be read is counted."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import brotli
import pytest
import zstandard

from tests.e2e.sidecars import Answer, Seen, World, until, world

JSON = "application/json"


class Coded(NamedTuple):
    """A way to code a body.

    Attributes:
        coding: value of Content-Encoding; empty for none.
        encode: what the sender makes of the text.
        reason: why it is not observed; empty if it is.
    """

    coding: str
    encode: object
    reason: str = ""

    def __call__(self, text: bytes) -> bytes:
        coded: bytes = self.encode(text)  # type: ignore[operator]  # a function of the table below
        return coded


def zipped(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


def members(text: bytes) -> bytes:
    return b"".join(zipped(text[at : at + 20]) for at in range(0, len(text), 20))


def bomb(text: bytes) -> bytes:
    return zipped(text[:-1] + b', "media": "' + b"A" * (8 << 20) + b'"}')


CODINGS = {
    "none": Coded("", bytes),
    "identity": Coded("identity", bytes),
    "gzip": Coded("gzip", zipped),
    "gzip-members": Coded("GZip", members),
    "deflate": Coded("deflate", zlib.compress),
    "br": Coded("br", brotli.compress),
    "zstd": Coded("zstd", zstandard.compress),
    "two-codings": Coded("gzip, br", lambda text: brotli.compress(zipped(text))),
    "corrupt-gzip": Coded("gzip", lambda text: zipped(text)[:-6] + b"......", "undecodable"),
    "cut-gzip": Coded("gzip", lambda text: zipped(text)[:-6], "undecodable"),
    "says-gzip-is-plain": Coded("gzip", bytes, "undecodable"),
    "unknown": Coded("rot13", bytes, "undecodable"),
    "bomb": Coded("gzip", bomb, "undecodable"),
    "too-long": Coded("", lambda text: b"[" + b"1," * (200 << 10) + text + b"]", "cut"),
    "says-plain-is-gzip": Coded("", zipped, "unreadable"),
    "not-json": Coded("", lambda _: b"<html>busy</html>", "unreadable"),
}


def headers(coded: Coded) -> dict[str, str]:
    return {"Content-Type": JSON} | ({"Content-Encoding": coded.coding} if coded.coding else {})


def gateway(seen: Seen) -> Answer:
    """Answer a send in the coding that its instance is called."""
    coded = CODINGS[seen.target.split("/")[3]]
    text = json.dumps({"success": True, "data": {"message_id": "3EB0", "status": "sent"}}).encode()
    return Answer(200, headers(coded), coded(text))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One sidecar for all codings; each is an instance of its own."""
    with world(tmp_path_factory.mktemp("data"), gateway=gateway) as running:
        running.sidecar.with_store()
        yield running


def types(running: World, instance: str) -> set[str]:
    return {signal["type"] for signal in running.sidecar.timeline(instance)}


def unobserved(running: World, direction: str) -> dict[str, float]:
    metrics = running.sidecar.metrics()
    name = 'reputation_bodies_unobserved_total{{direction="{}",reason="{}"}}'
    return {
        reason: metrics[name.format(direction, reason)] for reason in ("cut", "undecodable", "unreadable")
    }


def counted(running: World, direction: str, before: dict[str, float], reason: str) -> bool:
    expected = {name: count + (name == reason) for name, count in before.items()}
    return unobserved(running, direction) == expected


@pytest.mark.parametrize("name", CODINGS)
def test_an_answer_passes_as_it_was_coded_and_is_read_or_counted(both: World, name: str) -> None:
    """The caller gets the gateway's own bytes; the fact is recorded, or the reason counted, never guessed."""
    coded = CODINGS[name]
    before = unobserved(both, "outbound")
    exchanges = both.sidecar.total("reputation_exchanges_total")

    answer = both.sidecar.request("dispatch", "POST", f"/message/{name}/text", b'{"to": "5511900000001"}')

    assert answer.body == gateway(both.gateway.seen[-1]).body
    assert answer.headers.get("Content-Encoding", "") == coded.coding
    both.sidecar.settled(int(exchanges) + 1)
    assert counted(both, "outbound", before, coded.reason)
    assert ("MESSAGE_SENT" in types(both, name)) == (not coded.reason)


@pytest.mark.parametrize("name", CODINGS)
def test_a_callback_passes_as_it_was_coded_and_is_read_or_counted(both: World, name: str) -> None:
    """The dispatcher gets the gateway's own bytes."""
    coded = CODINGS[name]
    before = unobserved(both, "inbound")
    data = {"message_id": "3EB0", "status": "read", "timestamp": "2026-01-15T15:00:03Z"}
    event = {"event": "message.ack", "instance": f"{name}-in", "timestamp": "2026-01-15T15:00:02Z"}
    body = coded(json.dumps({**event, "data": data}).encode())

    both.sidecar.request("webhook", "POST", "/hook", body, headers(coded))

    assert both.dispatcher.seen[-1].body == body
    assert ("Content-Encoding", coded.coding) in both.dispatcher.seen[-1].headers or not coded.coding
    until(lambda: counted(both, "inbound", before, coded.reason) or None)
    if not coded.reason:
        until(lambda: types(both, f"{name}-in") == {"MESSAGE_READ"})
    else:
        assert types(both, f"{name}-in") == set()

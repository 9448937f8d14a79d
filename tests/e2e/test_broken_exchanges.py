"""Sends that break off, at every stage and from both sides: what the caller sees, and what is recorded."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import pytest

from tests.e2e.sidecars import Sidecar, sidecar, until

BODY = b'{"to": "5511900000001", "text": "hello"}'
CONTENT = b'{"success":true,"data":{"message_id":"3EB0","status":"sent"}}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(CONTENT)
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
FIRST_CHUNK = b"5\r\n" + CONTENT[:5] + b"\r\n"
SECONDS = 20.0


def reset(sock: socket.socket) -> None:
    """Close so that the peer sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Stage(NamedTuple):
    """Where a gateway breaks off.

    Attributes:
        reads: bytes of the request it takes before: none, its head, or all of it.
        says: what it answers before it breaks off.
        client: what the caller gets: a whole answer's start, or the beginning of one that never ends.
        code: of the recorded MESSAGE_FAILED.
    """

    reads: str
    says: bytes
    client: bytes
    code: str


STAGES = {
    "before-anything": Stage("nothing", b"", b"502 NETWORK_ERROR", "NETWORK_ERROR"),
    "after-the-requests-head": Stage("head", b"", b"502 NETWORK_ERROR", "NETWORK_ERROR"),
    "after-the-request": Stage("all", b"", b"502 NETWORK_ERROR", "NETWORK_ERROR"),
    "after-an-interim-answer": Stage(
        "all", b"HTTP/1.1 103 Early\r\n\r\n", b"502 NETWORK_ERROR", "NETWORK_ERROR"
    ),
    "in-the-answers-head": Stage("all", PLAIN[:30], b"502 NETWORK_ERROR", "NETWORK_ERROR"),
    "after-the-answers-head": Stage("all", PLAIN, PLAIN, "BROKEN_RESPONSE"),
    "in-the-answers-body": Stage("all", PLAIN + CONTENT[:-1], PLAIN, "BROKEN_RESPONSE"),
    "in-a-chunk": Stage("all", CHUNKED + FIRST_CHUNK[:-4], CHUNKED, "BROKEN_RESPONSE"),
    "between-chunks": Stage("all", CHUNKED + FIRST_CHUNK, CHUNKED, "BROKEN_RESPONSE"),
    "before-the-trailers-end": Stage("all", CHUNKED + FIRST_CHUNK + b"0\r\n", CHUNKED, "BROKEN_RESPONSE"),
    "with-rubbish": Stage("all", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"502 BAD_RESPONSE", "BAD_RESPONSE"),
    "with-rubbish-in-a-chunk": Stage(
        "all", CHUNKED + FIRST_CHUNK + b"zz\r\n", b"502 BAD_RESPONSE", "BAD_RESPONSE"
    ),
}


class Gateway:
    """A raw server: what it does to a connection depends on the instance that its first request names."""

    def __init__(self) -> None:
        self.requests: dict[str, bytes] = {}
        self.go_on: dict[str, threading.Event] = {}
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(SECONDS)
        with sock, suppress(OSError):
            got = sock.recv(64, socket.MSG_PEEK)
            name = got.split(b"/")[2].decode()
            stage, _, how = name.partition("_")
            self.requests[name] = self.requests.get(name, b"") + got[:5]
            self._act(sock, STAGES.get(stage), name)
            if how == "reset":
                reset(sock)

    def _act(self, sock: socket.socket, stage: Stage | None, name: str) -> None:
        if stage is not None and stage.reads == "nothing":
            return
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(1)
        if stage is not None and stage.reads == "head":
            return
        while not data.endswith(BODY) and (piece := sock.recv(4096)):
            data += piece
        self.requests[name] = data
        if stage is not None:
            sock.sendall(stage.says)
            return
        if name in self.go_on:
            self.go_on[name].wait(SECONDS)
        sock.sendall(PLAIN + CONTENT)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)


@contextmanager
def between(data_dir: object, **settings: str) -> Iterator[tuple[Gateway, Sidecar]]:
    """Run a gateway with a sidecar in front of it."""
    gateway = Gateway()
    try:
        with sidecar(data_dir, provider_url=f"http://127.0.0.1:{gateway.port}", **settings) as running:  # type: ignore[arg-type]  # a path
            yield gateway, running.with_store()
    finally:
        gateway.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Sidecar]]:
    """One pair for all stages; each is an instance of its own."""
    with between(tmp_path_factory.mktemp("data"), head_timeout_ms="700") as pair:
        yield pair


def send_of(name: str) -> bytes:
    head = b"POST /message/%b/text HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n" % name.encode()
    return head + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


def connected(running: Sidecar) -> socket.socket:
    host, _, port = running.listeners["dispatch"].rpartition(":")
    sock = socket.create_connection((host, int(port)))
    sock.settimeout(SECONDS)
    return sock


def answer_to(running: Sidecar, request: bytes) -> tuple[bytes, bool]:
    """Send a request on a connection of its own; give all that came, and whether it ended with a reset."""
    with connected(running) as sock:
        sock.sendall(request)
        answer = b""
        try:
            while piece := sock.recv(4096):
                answer += piece
                if b"\r\nSidecar-Error: " in answer and answer.endswith(b"}}"):
                    break
        except ConnectionResetError:
            return answer, True
    return answer, False


def outcomes(running: Sidecar, name: str) -> list[tuple[str, str | None]]:
    """Wait for a send's outcome; give types and codes."""

    def recorded() -> list[tuple[str, str | None]]:
        return [
            (signal["type"], signal["context"].get("code"))
            for signal in running.timeline(name)
            if signal["type"] in {"MESSAGE_SENT", "MESSAGE_FAILED"}
        ]

    return until(recorded)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_gateway_that_breaks_off_is_shown_and_recorded(
    both: tuple[Gateway, Sidecar], stage: str, how: str
) -> None:
    """Never a clean end, one MESSAGE_FAILED with its code, and the gateway saw the message at most once."""
    gateway, running = both
    name = f"{stage}_{how}"
    expected = STAGES[stage]

    answer, _ = answer_to(running, send_of(name))

    final = answer.rpartition(b"HTTP/1.1 ")[2]
    if expected.client.startswith(b"502 "):
        status, code = expected.client.split()
        assert final.startswith(status)
        assert b"\r\nSidecar-Error: %b\r\n" % code in final
        assert b'"code":"%b"' % code in final
    else:
        assert answer.startswith(expected.client)
        assert b"Sidecar-Error" not in answer
        assert not answer.endswith((CONTENT, b"0\r\n\r\n"))
    assert outcomes(running, name) == [("MESSAGE_FAILED", expected.code)]
    assert gateway.requests[name].count(b"POST ") == 1


@pytest.mark.parametrize(("how", "outcome"), [("close", "MESSAGE_SENT"), ("reset", "MESSAGE_FAILED")])
def test_an_answer_until_close_is_whole_at_a_close_and_broken_at_a_reset(
    both: tuple[Gateway, Sidecar], how: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only the end of the connection ends the answer, the caller's must end alike."""
    _, running = both
    monkeypatch.setitem(STAGES, "until", Stage("all", UNTIL_CLOSE + CONTENT, UNTIL_CLOSE, ""))

    answer, was_reset = answer_to(running, send_of(f"until_{how}"))

    assert was_reset == (how == "reset")
    assert how == "reset" or answer.endswith(CONTENT)
    assert [kind for kind, _ in outcomes(running, f"until_{how}")] == [outcome]


def test_a_gateway_that_does_not_answer_in_time_is_a_504_and_a_timeout(
    both: tuple[Gateway, Sidecar],
) -> None:
    """The bound on the answer's head, where the operator set one."""
    gateway, running = both
    gateway.go_on["slow"] = threading.Event()

    answer, _ = answer_to(running, send_of("slow"))
    gateway.go_on["slow"].set()

    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"\r\nSidecar-Error: TIMEOUT\r\n" in answer
    assert outcomes(running, "slow") == [("MESSAGE_FAILED", "TIMEOUT")]


@pytest.mark.parametrize("end", [reset, socket.socket.close], ids=["reset", "close"])
@pytest.mark.parametrize("missing", [1, len(BODY)], ids=["in-the-body", "after-the-head"])
def test_a_caller_that_breaks_off_before_its_request_is_whole_is_told_as_closed(
    both: tuple[Gateway, Sidecar], missing: int, end: Callable[[socket.socket], None]
) -> None:
    """The gateway never gets a whole message, so none can have been sent."""
    gateway, running = both
    name = f"cut-{missing}-{getattr(end, '__name__', '')}"

    with connected(running) as sock:
        sock.sendall(send_of(name)[:-missing])
        until(lambda: name in gateway.requests)
        end(sock)

    assert outcomes(running, name) == [("MESSAGE_FAILED", "CLIENT_CLOSED")]
    assert not gateway.requests[name].endswith(BODY)


@pytest.mark.parametrize("end", [reset, socket.socket.close], ids=["reset", "close"])
def test_a_caller_that_leaves_after_its_request_learns_from_the_timeline(
    both: tuple[Gateway, Sidecar], end: Callable[[socket.socket], None]
) -> None:
    """The message was sent, though nobody took the answer."""
    gateway, running = both
    name = f"left-{getattr(end, '__name__', '')}"
    gateway.go_on[name] = threading.Event()

    with connected(running) as sock:
        sock.sendall(send_of(name))
        until(lambda: gateway.requests.get(name, b"").endswith(BODY))
        end(sock)
    gateway.go_on[name].set()

    assert outcomes(running, name) == [("MESSAGE_SENT", None)]


def test_a_caller_that_resets_in_its_head_leaves_nothing(both: tuple[Gateway, Sidecar]) -> None:
    """No exchange began: nothing is sent, nothing recorded, the connection is gone."""
    gateway, running = both
    before = running.total("reputation_exchanges_total")

    with connected(running) as sock:
        sock.sendall(send_of("in-head")[:40])
        reset(sock)
    answer, _ = answer_to(running, send_of("before-anything_close"))

    assert answer.startswith(b"HTTP/1.1 502 ")
    until(lambda: running.total("reputation_exchanges_total") == before + 1)
    assert "in-head" not in gateway.requests
    assert running.timeline("in-head") == []

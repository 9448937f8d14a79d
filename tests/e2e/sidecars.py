"""Real sidecars as processes, and a real origin, for end-to-end tests."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import psutil

READY_SECONDS = 30.0
T = TypeVar("T")


class Seen(NamedTuple):
    """A request as the origin saw it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


class Answer(NamedTuple):
    """What the origin answers."""

    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - a default; never mutated
    body: bytes = b""


class Origin:
    """An HTTP server on loopback that records requests and answers by a function."""

    def __init__(self, answer: Callable[[Seen], Answer], tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                seen = Seen(self.command, self.path, self.headers.items(), self.whole_body())
                origin.seen.append(seen)
                reply = answer(seen)
                self.send_response_only(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def whole_body(self) -> bytes:
                """Read it to its end: who answers before may find the rest cut off."""
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                pieces = []
                while size := int(self.rfile.readline(), 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def origin(
    answer: Callable[[Seen], Answer] = lambda _: Answer(), tls: ssl.SSLContext | None = None
) -> Iterator[Origin]:
    server = Origin(answer, tls)
    try:
        yield server
    finally:
        server.close()


class Sidecar:
    """One `sidecar run` as a process, on ports of its own."""

    def __init__(self, data_dir: Path, *args: str, env: Any = None, **settings: str) -> None:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "OTEL_"))
        }
        listens = dict.fromkeys(("DISPATCH_LISTEN", "WEBHOOK_LISTEN", "ADMIN_LISTEN"), "127.0.0.1:0")
        given = {
            "DATA_DIR": str(data_dir),
            **listens,
            **{key.upper(): value for key, value in settings.items()},
        }
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "run", *args],
            env={**clean, **(env or {}), **{f"SIDECAR_{name}": value for name, value in given.items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._pumps = [
            threading.Thread(target=_pump, args=(self.process.stdout, self.lines), daemon=True),
            threading.Thread(target=_pump, args=(self.process.stderr, self.errors), daemon=True),
        ]
        for pump in self._pumps:
            pump.start()

    def ready(self) -> "Sidecar":
        """Wait for the ready line."""
        until(lambda: self.lines or self.process.poll() is not None, READY_SECONDS)
        assert self.lines, "".join(self.errors)
        return self

    @property
    def listeners(self) -> dict[str, str]:
        ready: dict[str, Any] = json.loads(self.lines[0])
        assert ready["event"] == "sidecar_ready"
        listeners: dict[str, str] = ready["listeners"]
        return listeners

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, list(self.lines)) if line["event"] == event]

    def request(
        self,
        route: str,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Make one request on a connection of its own."""
        return call(self.listeners[route], method, target, body, headers)

    def get(self, target: str) -> Any:
        """Ask the admin API for JSON."""
        return json.loads(self.request("admin", "GET", target).body)

    def metrics(self) -> dict[str, float]:
        """Give all samples of /metrics by their text."""
        text = self.request("admin", "GET", "/metrics").body.decode()
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    def total(self, name: str) -> float:
        """Sum a metric over its labels."""
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name)

    def timeline(self, instance: str, **query: str) -> list[dict[str, Any]]:
        """Read the first page of a timeline, over all times unless told otherwise."""
        bounds = {"since": "0", "until": "7258118400000", "limit": "5000", **query}
        text = "&".join(f"{key}={value}" for key, value in bounds.items())
        signals: list[dict[str, Any]] = self.get(f"/v1/instances/{instance}/timeline?{text}")["signals"]
        return signals

    def with_store(self) -> "Sidecar":
        """Wait until the store is open: before that the admin API answers 503."""
        until(lambda: self.request("admin", "GET", "/v1/instances").status == 200)
        return self

    def settled(self, exchanges: int = 0) -> None:
        """Wait until at least so many exchanges are recorded and nothing is pending."""
        until(
            lambda: (
                self.total("reputation_exchanges_total") >= exchanges
                and self.metrics().get("reputation_signals_pending") == 0
            )
        )

    def child(self, title: str) -> psutil.Process:
        """Find a child process by its title."""

        def titled(process: psutil.Process) -> bool:
            try:
                return " ".join(process.cmdline()).strip() == title
            except psutil.NoSuchProcess:  # it left since it was listed
                return False

        return until(lambda: next(filter(titled, psutil.Process(self.process.pid).children()), None))

    def stop(self, seconds: float = 30.0) -> int:
        """Send SIGTERM and wait; give the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = 30.0) -> int:
        status = self.process.wait(seconds)
        for pump in self._pumps:
            pump.join(5)
        return status

    def kill(self) -> None:
        """End it and its children now, if it still lives."""
        if self.process.poll() is None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
        self.process.wait(10)
        for pump, pipe in zip(self._pumps, (self.process.stdout, self.process.stderr), strict=True):
            pump.join(5)
            if pipe is not None:
                pipe.close()


@contextmanager
def sidecar(data_dir: Path, *args: str, env: Any = None, **settings: str) -> Iterator[Sidecar]:
    """Run a sidecar and wait until it is ready; it is gone afterwards."""
    running = Sidecar(data_dir, *args, env=env, **settings)
    try:
        yield running.ready()
    finally:
        running.kill()


class World(NamedTuple):
    """A sidecar between two real ends."""

    gateway: Origin
    sidecar: Sidecar
    dispatcher: Origin


@contextmanager
def world(
    data_dir: Path,
    *args: str,
    gateway: Callable[[Seen], Answer] = lambda _: Answer(),
    dispatcher: Callable[[Seen], Answer] = lambda _: Answer(),
    env: Any = None,
    **settings: str,
) -> Iterator[World]:
    """Run a sidecar between a gateway under `/base` and a dispatcher; signals of any age are kept."""
    with origin(gateway) as upstream, origin(dispatcher) as receiver:
        ends = {
            "provider_url": upstream.url + "/base",
            "dispatcher_url": receiver.url,
            "retention_days": "3650",
        }
        with sidecar(data_dir, *args, env=env, **{**ends, **settings}) as running:
            yield World(upstream, running, receiver)


def call(
    address: str, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """Make one HTTP request."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def until(condition: Callable[[], T | None], seconds: float = 20.0) -> T:
    """Wait for a condition; fail when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
    return value


def _pump(stream: Any, lines: list[str]) -> None:
    for line in stream:
        lines.append(line)  # noqa: PERF402 - lines must be seen as they come

"""The two ends of the traffic as bytes on sockets: an origin that answers by script, a rude caller."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

SCRIPT_HEADER: Final = b"x-script: "
CALLER_SECONDS: Final = 20.0


class Then(StrEnum):
    """What an origin does behind its answer."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


class Script(NamedTuple):
    """Bytes an origin writes once it has a request, and what it does then."""

    answer: bytes
    then: Then = Then.KEEP


OK: Final = Script(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class ScriptedOrigin:
    """Answers each request by the script its `X-Script` field names; 200 without one."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.requests = 0
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def add(self, script: Script) -> int:
        """Give the number a request names this script by."""
        self.scripts.append(script)
        return len(self.scripts) - 1

    def close(self) -> None:
        """Stop serving."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while (head := _read_message(connection)) is not None:
                self.requests += 1
                at = head.lower().find(SCRIPT_HEADER)
                number = head[at + len(SCRIPT_HEADER) :].split(b"\r\n", 1)[0] if at >= 0 else b""
                script = self.scripts[int(number)] if number else OK
                connection.sendall(script.answer)
                if script.then is Then.HANG:
                    self._over.wait(3)
                if script.then is Then.RESET:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if script.then is not Then.KEEP:
                    return


def _read_message(connection: socket.socket) -> bytes | None:
    """Read one request, body included; give its head, None at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        while not body.endswith(b"0\r\n\r\n"):
            body += _more(connection)
    elif b"content-length: " in lower:
        length = int(lower.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        received = len(body)
        while received < length:
            received += len(_more(connection))
    return head + b"\r\n"


def _more(connection: socket.socket) -> bytes:
    more = connection.recv(1 << 20)
    if not more:
        raise ConnectionError("the request broke off")
    return more


def ask(address: str, request: bytes, *, hang_up: bool = False) -> bytes:
    """Write one request and read until the end; with `hang_up`, leave without reading."""
    host, port = address.rsplit(":", 1)
    answer = b""
    with socket.create_connection((host, int(port)), CALLER_SECONDS) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        if hang_up:
            return b""
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(1 << 20):
                answer += more
    return answer


@contextlib.contextmanager
def scripted_origin() -> Iterator[ScriptedOrigin]:
    """Serve on loopback."""
    origin = ScriptedOrigin()
    try:
        yield origin
    finally:
        origin.close()


def closed_port() -> int:
    """Give a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

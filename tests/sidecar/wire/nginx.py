"""A real nginx as an origin: what it reads of the bytes on one connection, message by message."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import h11
import pytest

Message = tuple[bytes, bytes, bytes]
"""Method, target, body."""

_START_SECONDS = 10.0
_END = b"/the-end-of-this-connection"
_CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen unix:{folder}/front.sock;
    large_client_header_buffers 4 64k;
    client_max_body_size 0;
    keepalive_requests 100000;
    location / {{ proxy_pass http://unix:{folder}/back.sock; }}
  }}
}}
"""


class Nginx:
    """An nginx that hands on each message it reads, framed anew, on a connection of its own."""

    def __init__(self, folder: Path) -> None:
        self._front = folder / "front.sock"
        self._back = folder / "back.sock"

    async def read(self, data: bytes) -> list[Message]:
        """Give the messages that nginx finds in these bytes, sent on one connection.

        A last request of our own ends the connection; it is missing where nginx took it for part of another.
        """
        found, answers = await self._ask(data)
        assert found[-1:] == [(b"GET", _END, b"")], (found, answers)
        return found[:-1]

    async def refuses(self, data: bytes) -> bool:
        """Tell whether nginx refuses the first of these messages, and reads none of them."""
        found, answers = await self._ask(data)
        return not found and answers.startswith(b"HTTP/1.1 400 ") and answers.count(b"HTTP/1.1 ") == 1

    async def _ask(self, data: bytes) -> tuple[list[Message], bytes]:
        found: list[Message] = []

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.append(await _message(reader))
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        self._back.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(take, self._back)
        self._back.chmod(0o666)  # nginx's worker may run as another user
        reader, writer = await asyncio.open_unix_connection(self._front)
        writer.write(data + b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % _END)
        answers = await reader.read()
        writer.close()
        server.close()
        return found, answers


async def _message(reader: asyncio.StreamReader) -> Message:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    method = target = body = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            method, target = event.method, event.target
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
    return method, target, body


@contextlib.contextmanager
def nginx() -> Iterator[Nginx]:
    """Run nginx. Where it is not installed, skip; in CI that is a failure."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        why = "nginx is not installed: the corpus is read by two origin parsers instead of three"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="sidecar-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        config = folder / "nginx.conf"
        config.write_text(_CONFIG.format(folder=folder))
        with subprocess.Popen(
            [program, "-c", config, "-p", folder, "-e", folder / "error.log"], stderr=subprocess.DEVNULL
        ) as process:
            try:
                _await(folder / "front.sock", process)
                yield Nginx(folder)
            finally:
                process.terminate()


def _await(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not path.exists():
        assert process.poll() is None, "nginx did not start"
        assert time.monotonic() < deadline, "nginx did not start in time"
        time.sleep(0.01)

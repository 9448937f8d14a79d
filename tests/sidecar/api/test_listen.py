"""The listener's own bounds, spoken to in raw bytes."""

import asyncio
import json
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.api import AdminParts, Health, Hub, Listener, make_app, refusals
from tests.sidecar.api.serving import REDACTOR, ListStore, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def listening(**bounds: Any) -> "AsyncIterator[tuple[Listener, int]]":
    """Run a listener with these bounds and give its port."""
    with ThreadPoolExecutor(1) as readers:
        parts = AdminParts(
            store=ListStore(),
            readers=readers,
            render_metrics=lambda _: (b"", "text/plain"),
            health=Health,
            redactor=REDACTOR,
            hub=Hub(),
        )
        listener = Listener(make_app(parts), **bounds)
        sock = socket.create_server(("127.0.0.1", 0))
        await listener.start([sock])
        try:
            yield listener, sock.getsockname()[1]
        finally:
            await listener.stop()


def counted(listener: Listener) -> int:
    """Give how many connections were refused."""
    return refusals(listener.app)["connections"]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00 not http at all\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: 5511987654321\x00\r\n\r\n",
        b"GET /5511987654321" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1,5511987654321\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_in_our_form(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A request that cannot be parsed gives a JSON error without its bytes, and no traceback in the log."""
    caplog.set_level(logging.INFO)

    async def story() -> bytes:
        async with listening() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            answer = await reader.read()
            writer.close()
            return answer

    head, _, body = run(story).partition(b"\r\n\r\n")

    assert head.split()[1].startswith(b"4")
    assert json.loads(body)["error"]["code"] == "bad_request"
    assert b"5511987654321" not in head + body
    assert b"Server: reputation-sidecar" in head
    assert not caplog.records


def test_a_head_that_never_ends_is_given_up() -> None:
    """A connection that sends no whole head within its time is closed without an answer."""

    async def story() -> bytes:
        async with listening(head_seconds=0.05) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: loc")
            answer = await reader.read()
            writer.close()
            return answer

    assert run(story) == b""


def test_a_request_in_time_keeps_its_connection_beyond_the_heads_deadline() -> None:
    """The deadline is for the first head only; the connection serves the next request."""

    async def story() -> list[bytes]:
        async with listening(head_seconds=0.05) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            answers = []
            for _ in range(2):
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answers.append(await reader.readuntil(b'"reasons":[]}'))
                done, _ = await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.1)
                assert not done
            writer.close()
            return answers

    assert all(answer.startswith(b"HTTP/1.1 200") for answer in run(story))


def test_connections_beyond_the_bound_are_closed_and_counted() -> None:
    """The third of at most two connections gets nothing; the two keep working."""

    async def story() -> tuple[bytes, int, bytes]:
        async with listening(connections_max=2) as (listener, port):
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            for reader, writer in held:  # a served request proves that the connection is counted
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await reader.readuntil(b'"reasons":[]}')
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            beyond = await reader.read()
            writer.close()
            held[0][1].write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            again = await held[0][0].readuntil(b"\r\n")
            for _, writer in held:
                writer.close()
            return beyond, counted(listener), again

    assert run(story) == (b"", 1, b"HTTP/1.1 200 OK\r\n")

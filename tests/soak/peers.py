"""Both ends of the traffic on loopback: a gateway and a dispatcher that check every byte they are sent."""

import asyncio
import contextlib
import gzip
import itertools
import json
import random
from typing import Final, NamedTuple

import h11

from tests.soak.seals import Headers, intact, sealed

READ_BYTES: Final = 64 << 10
BOMB: Final = gzip.compress(bytes(64 << 20), 9)
NESTED: Final = b"[" * 100_000 + b"]" * 100_000
JSON_TYPE: Final = (b"Content-Type", b"application/json")


class Received(NamedTuple):
    """One request as an end saw it."""

    method: bytes
    target: bytes
    headers: Headers
    body: bytes


class Reply(NamedTuple):
    """What an end answers; `chunked` chooses the framing, `pause` seconds pass before it."""

    status: int
    headers: Headers
    body: bytes
    chunked: bool = False
    pause: float = 0.0


class End:
    """A server that checks seals. Subclasses decide what is answered.

    Attributes:
        mood: what it does to everybody: `well`, `resets` after the head, `refuses` with 503, `slow`.
        broken_seals: requests that arrived other than they were sent.
    """

    def __init__(self) -> None:
        self.mood = "well"
        self.requests = 0
        self.broken_seals: list[bytes] = []
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> str:
        """Listen; give the address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def close(self) -> None:
        """Stop listening and let go of every connection."""
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._open):
            writer.transport.abort()
        await self._server.wait_closed()

    def reply(self, received: Received) -> Reply:
        """Decide what is answered."""
        raise AssertionError(received)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = h11.Connection(h11.SERVER, max_incomplete_event_size=READ_BYTES)
        self._open.add(writer)
        try:
            await self._talk(peer, reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _talk(
        self, peer: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, h11.RemoteProtocolError, asyncio.IncompleteReadError):
            while (received := await _received(peer, reader)) is not None:
                self.requests += 1
                if self.mood == "resets":
                    writer.transport.abort()
                    return
                first = (received.method, received.target)
                if not intact(first, received.headers, received.body):
                    self.broken_seals.append(b" ".join(first))
                await _answer(peer, writer, self._moody(received))
                if peer.our_state is not h11.DONE:
                    break
                peer.start_next_cycle()

    def _moody(self, received: Received) -> Reply:
        if self.mood == "refuses":
            return Reply(503, [JSON_TYPE], b'{"success": false}')
        given = self.reply(received)
        return given._replace(pause=0.5) if self.mood == "slow" else given


class GatewayEnd(End):
    """A TurboZap-like gateway: numbered sends, refusals, large and odd answers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._numbers = itertools.count()
        self._dice = random.Random(seed)

    def reply(self, received: Received) -> Reply:
        """Answer by path: `/message/{instance}/text` is numbered, `/blob/{n}` gives n bytes."""
        _, kind, *rest = received.target.decode("latin-1").split("?")[0].split("/")
        match kind, rest:
            case "blob", [size]:
                chunked = bool(self._dice.getrandbits(1))
                return Reply(
                    200,
                    [(b"Content-Type", b"application/octet-stream")],
                    self._dice.randbytes(int(size)),
                    chunked,
                )
            case "message", ["bomb", *_]:
                return Reply(200, [JSON_TYPE, (b"Content-Encoding", b"gzip")], BOMB)
            case "message", ["nested", *_]:
                return Reply(200, [JSON_TYPE], NESTED)
            case "message", [instance, *_] if instance.startswith("limited"):
                return Reply(429, [JSON_TYPE], b'{"success": false, "error": {"message": "slow down"}}')
            case _:
                return self._numbered()

    def _numbered(self) -> Reply:
        number = f"3EB0{next(self._numbers):012X}"
        body = json.dumps({"success": True, "data": {"message_id": number, "status": "sent"}}).encode()
        if self._dice.random() < 0.2:
            return Reply(
                200, [JSON_TYPE, (b"Content-Encoding", b"gzip")], gzip.compress(body, 1), chunked=True
            )
        return Reply(200, [JSON_TYPE, (b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")], body)


class DispatcherEnd(End):
    """Takes callbacks."""

    def reply(self, received: Received) -> Reply:
        """Accept."""
        return Reply(200, [JSON_TYPE], b'{"received": true, "bytes": %d}' % len(received.body))


async def _received(peer: h11.Connection, reader: asyncio.StreamReader) -> Received | None:
    """Read one request; None where the peer is gone."""
    head: h11.Request | None = None
    body: list[bytes] = []
    while True:
        event = peer.next_event()
        if event is h11.NEED_DATA:
            peer.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return Received(bytes(head.method), bytes(head.target), head.headers.raw_items(), b"".join(body))
        else:
            return None


async def _answer(peer: h11.Connection, writer: asyncio.StreamWriter, reply: Reply) -> None:
    if reply.pause:
        await asyncio.sleep(reply.pause)
    status = str(reply.status).encode()
    length = [] if reply.chunked else [(b"Content-Length", str(len(reply.body)).encode())]
    headers = sealed((status,), [*reply.headers, *length], reply.body)
    if reply.chunked:
        headers.append((b"Transfer-Encoding", b"chunked"))
    head = h11.Response(status_code=reply.status, headers=headers)
    writer.write(peer.send(head) or b"")
    for start in range(0, len(reply.body), READ_BYTES):
        writer.write(peer.send(h11.Data(data=reply.body[start : start + READ_BYTES])) or b"")
        await writer.drain()
    writer.write(peer.send(h11.EndOfMessage()) or b"")
    await writer.drain()

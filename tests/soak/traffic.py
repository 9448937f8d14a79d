"""Well-behaved callers: a dispatcher's sends, uploads and downloads, a gateway's callbacks."""

import asyncio
import gzip
import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import h11

from sidecar.tasks import spawn
from tests.soak.peers import JSON_TYPE, READ_BYTES
from tests.soak.seals import Headers, intact, sealed

ANSWER_SECONDS: Final = 30.0
INSTANCES: Final = ("sales", "support", "store", "limited")
Planned = tuple[bytes, bytes, Headers, bytes, bool]


class Book:
    """What callers saw.

    Attributes:
        answers: by kind and status; a broken exchange is `broken`.
        ids: message ids the gateway's answers gave, by instance.
        broken_seals: answers that arrived other than they were sent.
    """

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str]] = Counter()
        self.ids: dict[str, set[str]] = {}
        self.broken_seals: list[str] = []

    def failures(self) -> int:
        """Count exchanges without an answer of the end's own."""
        return sum(
            count for (_, what), count in self.answers.items() if what in {"broken", "502", "503", "504"}
        )


class Callers:
    """Keeps a number of connections busy until told to stop.

    Args:
        targets: current addresses of both listeners; asked again for each connection.
    """

    def __init__(
        self, targets: Callable[[], dict[str, str]], book: Book, *, connections: int, seed: int
    ) -> None:
        self._targets = targets
        self._book = book
        self._running = True
        self._working = asyncio.Event()
        self._working.set()
        self._callbacks = itertools.count()
        self._tasks = [
            spawn(self._work(random.Random(seed + n), n % 3 == 2), name=f"caller {n}")
            for n in range(connections)
        ]

    async def stop(self) -> None:
        """Let exchanges in flight finish."""
        self._running = False
        self._working.set()
        await asyncio.gather(*self._tasks)

    @asynccontextmanager
    async def resting(self) -> AsyncIterator[None]:
        """Send nothing meanwhile; connections stay open."""
        self._working.clear()
        try:
            yield
        finally:
            self._working.set()

    async def _work(self, dice: random.Random, calls_back: bool) -> None:
        route = "webhook" if calls_back else "dispatch"
        while self._running:
            plan = self._callback if calls_back else _call
            try:
                host, _, port = self._targets()[route].rpartition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                self._book.answers[route, "broken"] += 1
                await asyncio.sleep(0.1)
                continue
            try:
                await self._talk(reader, writer, dice, plan, route)
            finally:
                writer.transport.abort()

    async def _talk(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        dice: random.Random,
        plan: Callable[[random.Random], tuple[str, Planned]],
        route: str,
    ) -> None:
        peer = h11.Connection(h11.CLIENT, max_incomplete_event_size=READ_BYTES)
        while self._running:
            instance, planned = plan(dice)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    head, body = await _exchange(peer, reader, writer, planned)
            except (OSError, TimeoutError, h11.RemoteProtocolError, EOFError):
                self._book.answers[route, "broken"] += 1
                return
            self._note(route, instance, head, body)
            if peer.our_state is not h11.DONE or peer.their_state is not h11.DONE:
                return
            peer.start_next_cycle()
            await asyncio.sleep(dice.random() * 0.02)
            await self._working.wait()

    def _note(self, route: str, instance: str, head: h11.Response, body: bytes) -> None:
        status = str(head.status_code)
        self._book.answers[route, status] += 1
        raw = head.headers.raw_items()
        if any(name.lower() == b"sidecar-error" for name, _ in raw):
            return  # the sidecar's own answer: nobody sealed it
        if not intact((status.encode(),), raw, body):
            self._book.broken_seals.append(f"{route} {status}")
        if instance and head.status_code == 200:
            plain = (
                gzip.decompress(body) if b"gzip" in dict(head.headers).get(b"content-encoding", b"") else body
            )
            self._book.ids.setdefault(instance, set()).add(json.loads(plain)["data"]["message_id"])

    def _callback(self, dice: random.Random) -> tuple[str, Planned]:
        number = next(self._callbacks)
        kind = dice.choice(("delivered", "read", "reply"))
        name = dice.choice(INSTANCES[:3])
        if kind == "reply":
            data = {"message_id": f"3A{number:014X}", "from": "5511900000001@s.whatsapp.net", "type": "text"}
            envelope = {"event": "message.received", "instance": name, "data": data}
        else:
            data = {"message_id": f"3EB0{dice.randrange(1 << 16):012X}", "status": kind}
            envelope = {"event": "messages.update", "instance": name, "data": data}
        return "", _planned(b"POST", b"/webhooks/turbozap", json.dumps(envelope).encode(), dice)


def _call(dice: random.Random) -> tuple[str, Planned]:
    roll = dice.random()
    if roll < 0.03:
        return "", _planned(b"GET", b"/blob/%d" % dice.randrange(1, 2 << 20), b"", dice)
    name = dice.choice(INSTANCES)
    if roll < 0.06:
        media = json.dumps({"to": "5511900000001", "media": "A" * dice.randrange(1 << 18, 2 << 20)}).encode()
        return name, _planned(b"POST", f"/message/{name}/media".encode(), media, dice)
    text = json.dumps({"to": "5511900000001", "text": "x" * dice.randrange(1, 400)}).encode()
    return name, _planned(b"POST", f"/message/{name}/text?t=%7E{dice.randrange(99)}".encode(), text, dice)


def _planned(method: bytes, target: bytes, body: bytes, dice: random.Random) -> Planned:
    chunked = bool(body) and dice.random() < 0.3
    headers: Headers = [JSON_TYPE, (b"X-Api-Key", b"k-%08x" % dice.getrandbits(32)), (b"x-twice", b"1")]
    headers += [(b"X-Twice", b" 2".strip())]
    if body and not chunked:
        headers.append((b"Content-Length", str(len(body)).encode()))
    return method, target, sealed((method, target), headers, body), body, chunked


async def _exchange(
    peer: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, planned: Planned
) -> tuple[h11.Response, bytes]:
    method, target, headers, body, chunked = planned
    framing = [(b"Transfer-Encoding", b"chunked")] if chunked else []
    head = h11.Request(method=method, target=target, headers=[(b"Host", b"sidecar"), *headers, *framing])
    writer.write(peer.send(head) or b"")
    for start in range(0, len(body), READ_BYTES):
        writer.write(peer.send(h11.Data(data=body[start : start + READ_BYTES])) or b"")
        await writer.drain()
    writer.write(peer.send(h11.EndOfMessage()) or b"")
    answer: h11.Response | None = None
    parts: list[bytes] = []
    while True:
        event = peer.next_event()
        if event is h11.NEED_DATA:
            peer.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Response):
            answer = event
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            assert answer is not None
            return answer, b"".join(parts)
        elif isinstance(event, h11.ConnectionClosed):
            raise EOFError

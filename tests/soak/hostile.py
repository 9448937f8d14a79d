"""Peers that mean harm; each is bounded in count and time and ends by itself."""

import asyncio
import contextlib
import gzip
import json
import random
import resource
from typing import Final

from tests.soak.peers import BOMB, JSON_TYPE, NESTED, READ_BYTES
from tests.soak.seals import Headers, sealed

LINGER_SECONDS: Final = 15.0
"""Longer than a head may take to arrive (10 s): until then the sidecar must have closed them itself."""
_BATCH: Final = 50


async def slow_heads(address: str, count: int) -> int:
    """Open connections that send a byte of a head each second; tell how many were closed on them."""
    return await _hold(address, count, b"POST /message/slow/text HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 60)


async def left_open(address: str, count: int) -> int:
    """Open connections, send nothing and leave them; tell how many were closed."""
    return await _hold(address, count, b"")


async def bombs(dispatch: str, webhook: str, count: int) -> str:
    """Make both ends send bodies that explode when decoded or parsed; tell the statuses that came back."""
    send = json.dumps({"to": "5511900000001", "text": "x"}).encode()
    plans = [
        (dispatch, b"/message/bomb/text", send, []),
        (dispatch, b"/message/nested/text", send, []),
        (dispatch, b"/message/sales/text", NESTED, []),
        (webhook, b"/webhooks/turbozap", NESTED, []),
        (webhook, b"/webhooks/turbozap", BOMB, [(b"Content-Encoding", b"gzip")]),
        (webhook, b"/webhooks/turbozap", gzip.compress(BOMB), [(b"Content-Encoding", b"gzip, gzip")]),
    ]
    seen = [await _status(*plans[n % len(plans)]) for n in range(count)]
    return ", ".join(f"{status}: {seen.count(status)}" for status in sorted(set(seen)))


async def many_instances(address: str, count: int, dice: random.Random) -> int:
    """Send for instances that nobody ever heard of, each once; tell how many were answered."""
    return sum(await asyncio.gather(*(_invented(address, count // 8, dice) for _ in range(8))))


async def _invented(address: str, count: int, dice: random.Random) -> int:
    body = b'{"to":"5511900000001","text":"x"}'
    reader, writer = await _open(address)
    answered = 0
    try:
        for _ in range(count):
            target = b"/message/i%016x/text" % dice.getrandbits(64)
            writer.write(_request(target, body, []))
            head = await reader.readuntil(b"\r\n\r\n")
            await _skip_body(reader, head)
            answered += head.startswith(b"HTTP/1.1 200")
    except (OSError, asyncio.IncompleteReadError):
        pass  # the rest of this connection's share is not sent: a fault was injected meanwhile
    finally:
        writer.transport.abort()
    return answered


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    lower = head.lower()
    if b"chunked" in lower:
        await reader.readuntil(b"0\r\n\r\n")
        return
    length = int(lower.partition(b"content-length:")[2].split(b"\r\n")[0])
    await reader.readexactly(length)


async def _hold(address: str, count: int, drip: bytes) -> int:
    """Keep connections open until the other side closes them; give how many it closed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    opened = []
    for start in range(0, count, _BATCH):
        batch = (_open(address) for _ in range(min(_BATCH, count - start)))
        opened += [
            one for one in await asyncio.gather(*batch, return_exceptions=True) if isinstance(one, tuple)
        ]
    try:
        return sum(await asyncio.gather(*(_drip(*one, drip) for one in opened)))
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, drip: bytes) -> bool:
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(LINGER_SECONDS):
            closing = asyncio.gather(reader.read(READ_BYTES))
            for n in range(len(drip)):
                if closing.done():
                    break
                writer.write(drip[n : n + 1])
                await asyncio.wait((closing,), timeout=1.0)
            await closing
            while await reader.read(READ_BYTES):
                pass
            return True
    return writer.transport.is_closing()


async def _status(address: str, target: bytes, body: bytes, headers: Headers) -> str:
    reader, writer = await _open(address)
    try:
        async with asyncio.timeout(30):
            writer.write(_request(target, body, headers))
            return (await reader.readline())[9:12].decode() or "closed"
    except (OSError, TimeoutError):
        return "broken"
    finally:
        writer.transport.abort()


def _request(target: bytes, body: bytes, headers: Headers) -> bytes:
    fields: Headers = [JSON_TYPE, *headers, (b"Content-Length", str(len(body)).encode())]
    lines = b"".join(
        name + b": " + value + b"\r\n" for name, value in sealed((b"POST", target), fields, body)
    )
    return b"POST " + target + b" HTTP/1.1\r\nHost: sidecar\r\n" + lines + b"\r\n" + body


async def _open(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port), limit=READ_BYTES)

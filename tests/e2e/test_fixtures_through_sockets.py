"""Every provider fixture, each against a fresh sidecar, over real sockets."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import uvloop

from domain.signal import Signal
from domain.words import SignalType, Source
from sidecar.bootstrap.recorder import build_recorder
from sidecar.bootstrap.worker import build_worker
from sidecar.listening import shown
from sidecar.settings import Settings
from sidecar.supervisor import addresses, open_sockets
from tests import fixtures

CASES = [
    pytest.param(provider, name, fixture, id=f"{provider}-{name}")
    for provider in fixtures.providers()
    for name, fixture in fixtures.load(provider)
]
INSTANCE_OF_ALL_TIMES = "since=0&until=7258118400000&limit=5000"


def head(first: str, part: dict[str, Any], body: bytes) -> bytes:
    fields = {**part["headers"], "Content-Length": str(len(body)), "Connection": "close"}
    return (first + "\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n").encode() + body


async def ask(address: str, request: bytes) -> bytes:
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def admin(address: str, target: str) -> bytes:
    answer = await ask(
        address, f"GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()
    )
    return answer.partition(b"\r\n\r\n")[2]


async def settled(address: str) -> None:
    """Wait until the one exchange is recorded and nothing is pending."""
    async with asyncio.timeout(20):
        while True:
            text = (await admin(address, "/metrics")).decode()
            rows = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
            exchanges = sum(float(v) for k, v in rows.items() if k.startswith("reputation_exchanges_total"))
            if exchanges and float(rows["reputation_signals_pending"]) == 0:
                return
            await asyncio.sleep(0.01)


async def through_sockets(
    provider: str, fixture: dict[str, Any], data_dir: Path
) -> tuple[bytes, list[Signal]]:
    """Send the request through a fresh sidecar; give the caller's answer and the recorded signals."""
    response = fixture.get("response", {"status": 200, "headers": {}})
    answer = head(f"HTTP/1.1 {response['status']} Told", response, fixtures.body_bytes(response) or b"")

    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()  # until the sidecar closes: an early close could cut the answer
        writer.close()

    server = await asyncio.start_server(origin, "127.0.0.1", 0)
    url = "http://" + ":".join(map(str, server.sockets[0].getsockname()[:2]))
    settings = Settings(
        provider=provider, provider_url=url, dispatcher_url=url, dispatch_listen="127.0.0.1:0",
        webhook_listen="127.0.0.1:0", admin_listen="127.0.0.1:0", data_dir=str(data_dir), remote_jid="plain",
        retention_days=3650,
    )  # fmt: skip
    sockets = open_sockets(addresses(settings), None)
    listeners = {name: shown(sock) for name, sock in sockets.items()}
    recorder = build_recorder(settings, sockets.pop("admin"))
    worker = build_worker(settings, sockets, 0)
    await recorder.start()
    await worker.start()
    try:
        request = fixture["request"]
        body = fixtures.body_bytes(request) or b""
        first = f"{request['method']} {request['path']} HTTP/1.1\r\nHost: gateway"
        got = await ask(listeners[fixture["direction"]], head(first, request, body))
        await settled(listeners["admin"])
        instances = json.loads(await admin(listeners["admin"], "/v1/instances"))["instances"]
        signals = []
        for instance in instances:
            target = f"/v1/instances/{instance['instanceId']}/timeline?{INSTANCE_OF_ALL_TIMES}"
            signals += json.loads(await admin(listeners["admin"], target))["signals"]
    finally:
        await worker.stop(1)
        await recorder.stop()
        server.close()
    return got, [as_signal(signal) for signal in signals]


def as_signal(shown_as: dict[str, Any]) -> Signal:
    """Read a signal back from the API's words."""
    from datetime import datetime  # noqa: PLC0415 - used here only

    return Signal(
        SignalType(shown_as["type"]),
        Source(shown_as["source"]),
        shown_as["instanceId"],
        round(datetime.fromisoformat(shown_as["occurredAt"]).timestamp() * 1000),
        shown_as.get("messageId"),
        shown_as.get("remoteJid"),
        shown_as["isGroup"],
        shown_as.get("latencyMs"),
        shown_as["context"],
    )


@pytest.mark.parametrize(("provider", "name", "fixture"), CASES)
def test_a_fixture_gives_its_signals_through_sockets(
    provider: str, name: str, fixture: dict[str, Any], tmp_path: Path
) -> None:
    """What a gateway sends becomes exactly the expected signals, and the caller gets the answer whole."""
    del name
    got, signals = uvloop.run(through_sockets(provider, fixture, tmp_path))

    response = fixture.get("response", {"status": 200, "headers": {}})
    assert got.startswith(f"HTTP/1.1 {response['status']} ".encode())
    assert got.endswith(fixtures.body_bytes(response) or b"")
    assert fixtures.diff(fixture["expected"]["signals"], signals) == []

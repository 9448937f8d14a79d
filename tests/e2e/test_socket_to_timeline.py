"""The drawing of docs/architecture.md, walked on real sockets and real processes."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sidecars import Answer, Seen, Sidecar, world

SEND = json.dumps({"to": "5511900000001", "text": "Pedido confirmado"}).encode()
JSON = {"Content-Type": "application/json", "X-API-Key": "tz-secret-key"}
MODES = pytest.mark.parametrize("mode", [(), ("--single-process",)], ids=["processes", "single"])


def sent(message_id: str) -> Answer:
    data = {
        "id": "0b8f",
        "message_id": message_id,
        "status": "sent",
        "timestamp": "2026-01-15T12:00:01-03:00",
    }
    body = json.dumps({"success": True, "data": data}).encode()
    return Answer(200, {"Content-Type": "application/json", "Server": "TurboZap"}, body)


def provider(seen: Seen) -> Answer:
    if seen.target.startswith("/base/message/"):
        return sent("3EB0A1")
    return Answer(404, {"Content-Type": "text/plain"}, b"no such route")


def callback(event: str, **data: Any) -> bytes:
    return json.dumps(
        {
            "event": event,
            "instance_id": "6f1c2f1e-0a4b-4c7d-9a51-3d2b8c7e1001",
            "instance": "vendas-01",
            "timestamp": "2026-01-15T15:00:02Z",
            "data": data,
        }
    ).encode()


@cache
def delivered() -> bytes:
    """A receipt of the message, dated an hour from now, as a gateway's clock may well be."""
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()  # noqa: TID251 - the gateway's own clock
    chat = "5511900000001@s.whatsapp.net"
    return callback("message.ack", message_id="3EB0A1", status="delivered", timestamp=at, **{"from": chat})


def walk(running: Sidecar) -> None:
    answer = running.request("dispatch", "POST", "/message/vendas-01/text", SEND, JSON)
    assert (answer.status, answer.headers["Server"]) == (200, "TurboZap")
    assert json.loads(answer.body)["data"]["message_id"] == "3EB0A1"
    for _ in range(2):  # the provider delivers the receipt twice, as its retries do
        assert running.request("webhook", "POST", "/hook", delivered(), JSON).status == 202
    running.settled(exchanges=3)


@MODES
def test_traffic_becomes_a_timeline_and_neither_end_notices(mode: tuple[str, ...], tmp_path: Path) -> None:
    """A send and its receipt pass untouched, and the audit tells both, once each."""
    with world(tmp_path, *mode, gateway=provider, dispatcher=lambda _: Answer(202)) as (
        gateway,
        running,
        dispatcher,
    ):
        walk(running)
        signals = running.timeline("vendas-01")
        instances = running.get("/v1/instances")["instances"]
        assert running.stop() == 0

    request = gateway.seen[0]
    assert (request.method, request.target, request.body) == ("POST", "/base/message/vendas-01/text", SEND)
    assert ("X-API-Key", "tz-secret-key") in request.headers
    assert [seen.body for seen in dispatcher.seen] == [delivered()] * 2
    assert [(s["type"], s["source"]) for s in signals] == [
        ("MESSAGE_SENT", "DISPATCH"),
        ("SEND_LATENCY_OBSERVED", "DISPATCH"),
        ("MESSAGE_DELIVERED", "WEBHOOK"),
    ]
    assert signals[2]["latencyMs"] == signals_gap(signals)
    assert [(i["instanceId"], i["connection"]) for i in instances] == [("vendas-01", "CONNECTED")]


def signals_gap(signals: list[dict[str, Any]]) -> int:
    sent_at, delivered_at = (datetime.fromisoformat(s["occurredAt"]) for s in (signals[0], signals[2]))
    return round((delivered_at - sent_at).total_seconds() * 1000)


@MODES
def test_the_ledger_balances_and_each_signal_is_one_log_line(mode: tuple[str, ...], tmp_path: Path) -> None:
    """Observed = recorded + repeated + lost + pending, and the log says what the audit says."""
    with world(tmp_path, *mode, gateway=provider) as (_, running, _):
        running.request("dispatch", "POST", "/message/vendas-01/text", SEND, JSON)
        running.request("dispatch", "POST", "/message//text", SEND, JSON)
        for _ in range(3):
            running.request("webhook", "POST", "/hook", delivered(), JSON)
        running.settled(exchanges=5)
        observed = running.total("reputation_signals_observed_total")
        recorded = running.total("reputation_signals_total")
        repeated = running.total("reputation_signals_duplicate_total")
        dropped = running.total("reputation_signals_dropped_total")
        ids = {signal["id"] for signal in running.timeline("vendas-01")}
        assert running.stop() == 0

    assert observed == recorded + repeated + dropped
    assert (recorded, repeated) == (3, 2)
    assert {line["signal_id"] for line in running.logged("reputation.signal")} == ids


@MODES
def test_nothing_sensitive_leaves(mode: tuple[str, ...], tmp_path: Path) -> None:
    """Phone number, text and key appear in no output and no file."""
    with world(tmp_path, *mode, gateway=provider) as (_, running, _):
        for target in ("/message/vendas-01/text", "/message/vendas-01/nothing"):
            running.request("dispatch", "POST", target, SEND, JSON)
        running.request("webhook", "POST", "/hook", delivered(), JSON)
        running.settled(exchanges=3)
        shown = [
            running.request("admin", "GET", target).body
            for target in ("/metrics", "/v1/instances", "/v1/instances/vendas-01/timeline?since=0")
        ]
        written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        assert running.stop() == 0

    everything = b"\n".join([*shown, *written, "".join(running.lines + running.errors).encode()])
    for secret in (b"5511900000001", b"Pedido confirmado", b"tz-secret-key"):
        assert secret not in everything


def test_files_of_the_data_directory_are_private(tmp_path: Path) -> None:
    """Nobody else on the machine reads journal, key or database."""
    data = tmp_path / "data"
    with world(data, gateway=provider) as (_, running, _):
        running.request("dispatch", "POST", "/message/vendas-01/text", SEND, JSON)
        running.settled(exchanges=1)
        open_modes = {
            path.name: path.stat().st_mode & 0o077
            for path in [data, *data.rglob("*")]
            if not path.is_socket()
        }

    assert set(open_modes.values()) == {0}, open_modes


BAD_BODIES = {
    "malformed": b'{"to": "551190',
    "not json": b"\x00\xff\x00",
    "null": b"null",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_bodies_nobody_can_read_are_forwarded_untouched_and_counted(body: bytes, tmp_path: Path) -> None:
    """Bad input costs facts at most, never traffic, and the process stays up."""
    with world(tmp_path, dispatcher=lambda _: Answer(200, {}, b"fine")) as (_, running, dispatcher):
        answer = running.request("webhook", "POST", "/hook", body, JSON)
        running.settled(exchanges=1)
        unreadable = running.total("reputation_parse_failures_total")
        assert running.stop() == 0

    assert answer.body == b"fine"
    assert dispatcher.seen[0].body == body
    assert unreadable == 1


def test_an_unknown_event_is_forwarded_and_counted_by_name(tmp_path: Path) -> None:
    """Schema drift is seen before it hurts."""
    with world(tmp_path) as (_, running, dispatcher):
        running.request("webhook", "POST", "/hook", callback("brand.new"), JSON)
        running.settled(exchanges=1)
        names = [key for key in running.metrics() if key.startswith("reputation_unknown_names_total")]
        assert running.stop() == 0

    assert len(dispatcher.seen) == 1
    assert any('name="brand.new"' in name for name in names)

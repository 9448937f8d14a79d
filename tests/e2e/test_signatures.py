"""Signed callbacks on real sockets: raw bytes whatever their framing and coding, in both modes."""

import gzip
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.sidecars import Answer, World, call, world

SECRET: Final = "app-secret-of-the-test"
NUMBER: Final = "106540352242922"
JSON: Final = {"Content-Type": "application/json"}


def receipt(message_id: str) -> bytes:
    """A receipt whose text Meta would escape; written anew it would be other bytes."""
    status = {"id": message_id, "status": "read", "timestamp": "1768489204", "recipient_id": "5511900000001"}
    value = {"metadata": {"phone_number_id": NUMBER}, "statuses": [status], "note": "ol\u00e1"}
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def signed(data: bytes, secret: str = SECRET) -> dict[str, str]:
    return {**JSON, "x-HUB-signature-256": "sha256=" + hmac.digest(secret.encode(), data, "sha256").hex()}


def chunked(world_: World, data: bytes, headers: dict[str, str]) -> Answer:
    """Post in chunks of three bytes."""
    import http.client  # noqa: PLC0415 - used here only

    connection = http.client.HTTPConnection(world_.sidecar.listeners["webhook"], timeout=30)
    pieces = (data[at : at + 3] for at in range(0, len(data), 3))
    connection.request("POST", "/hook", pieces, headers, encode_chunked=True)
    answer = connection.getresponse()
    found = Answer(answer.status, dict(answer.getheaders()), answer.read())
    connection.close()
    return found


def dispatcher(seen: Any) -> Answer:
    return Answer(200, {}, b"challenge-7" if seen.method == "GET" else b"taken")


@pytest.mark.parametrize("mode", ["observe", "reject"])
def test_signatures_are_checked_over_the_raw_bytes(mode: str, tmp_path: Path) -> None:
    """Plain, chunked, compressed and empty bodies verify; a forged one is refused or just not recorded."""
    with world(
        tmp_path, dispatcher=dispatcher, provider="cloud_api", webhook_secret=SECRET, webhook_verify=mode
    ) as ends:
        hook = ends.sidecar.listeners["webhook"]
        packed = gzip.compress(receipt("wamid.gz"))
        forged = receipt("wamid.forged")
        answers = [
            call(hook, "POST", "/hook", receipt("wamid.plain"), signed(receipt("wamid.plain"))),
            chunked(ends, receipt("wamid.chunked"), signed(receipt("wamid.chunked"))),
            call(hook, "POST", "/hook", packed, {**signed(packed), "Content-Encoding": "gzip"}),
            call(hook, "POST", "/hook", b"", signed(b"")),
            call(hook, "GET", "/hook?hub.mode=subscribe&hub.challenge=challenge-7&hub.verify_token=t"),
        ]
        bad = [
            call(hook, "POST", "/hook", forged, signed(forged, "another")),
            call(hook, "POST", "/hook", forged, JSON),
            call(
                hook, "POST", "/hook", packed, {**signed(gzip.decompress(packed)), "Content-Encoding": "gzip"}
            ),
        ]
        ends.sidecar.settled(exchanges=8)
        signals = ends.sidecar.timeline(NUMBER)
        by_original_id = ends.sidecar.timeline(NUMBER, messageId="wamid.gz")
        counted = {
            outcome: sum(
                value
                for name, value in ends.sidecar.metrics().items()
                if name.startswith("reputation_webhook_signatures_total{") and f'outcome="{outcome}"' in name
            )
            for outcome in ("valid", "invalid", "missing")
        }

    assert [answer.status for answer in answers] == [200] * 5
    assert answers[-1].body == b"challenge-7"
    assert [answer.status for answer in bad] == ([200] * 3 if mode == "observe" else [401] * 3)
    assert len(ends.dispatcher.seen) == (8 if mode == "observe" else 5)
    assert {packed, receipt("wamid.chunked")} <= {seen.body for seen in ends.dispatcher.seen}
    assert [signal["type"] for signal in signals] == ["MESSAGE_READ"] * 3, (signals, counted)
    assert [signal["messageId"][:6] for signal in by_original_id] == ["wamid:"]
    assert counted == {"valid": 4, "invalid": 2, "missing": 1}


def test_a_forged_callback_leaves_as_little_as_none(tmp_path: Path) -> None:
    """WAHA's second version: an old body under a new time is forged, and nothing of it is recorded."""
    body = json.dumps({"event": "session.status", "session": "s1", "payload": {"status": "FAILED"}}).encode()
    stamp = b"1768489205120"
    good = hmac.new(SECRET.encode(), stamp + b"." + body, hashlib.sha512).hexdigest()
    headers = {
        **JSON,
        "X-Webhook-Hmac": good,
        "X-Webhook-Hmac-Version": "2",
        "X-Webhook-Timestamp": stamp.decode(),
    }
    with world(tmp_path, provider="waha", webhook_secret=SECRET) as ends:
        hook = ends.sidecar.listeners["webhook"]
        call(hook, "POST", "/hook", body, {**headers, "X-Webhook-Timestamp": "1768489299999"})
        ends.sidecar.settled(exchanges=1)
        before = ends.sidecar.get("/v1/instances")["instances"]
        call(hook, "POST", "/hook", body, headers)
        ends.sidecar.settled(exchanges=2)
        signals = ends.sidecar.timeline("s1")

    assert before == []
    assert [signal["type"] for signal in signals] == ["CONNECTION_ERROR"]

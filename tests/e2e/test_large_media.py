"""Media sends of 20 MB in base64, through real sockets: the facts around the media are still read."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.sidecars import Answer, Seen, world

MEDIA: Final = "QUJD" * (5 << 20)
"""20 MiB of base64."""
JSON: Final = {"Content-Type": "application/json"}
CHAT: Final = "5511900000001@s.whatsapp.net"

TURBOZAP: Final = {"success": True, "data": {"message_id": "M1", "status": "sent"}}
EVOLUTION: Final = {"key": {"remoteJid": CHAT, "fromMe": True, "id": "M1"}, "status": "PENDING"}
WAHA: Final = {"id": "true_5511900000001@c.us_M1"}

# What is read stands behind the media in each body.
SENDS: Final[dict[str, tuple[str, str, dict[str, Any], Any, str, str]]] = {
    "turbozap media": (
        "turbozap", "/message/i1/media", {"base64": MEDIA, "mime_type": "video/mp4", "to": "5511900000001"},
        TURBOZAP, "SEND_MEDIA", "video",
    ),
    "turbozap audio": (
        "turbozap", "/api/message/i1/audio", {"base64": MEDIA, "ptt": True, "to": CHAT},
        TURBOZAP, "SEND_AUDIO", "audio",
    ),
    "evolution media": (
        "evolution", "/message/sendMedia/i1",
        {"media": MEDIA, "mediatype": "document", "number": "5511900000001"},
        EVOLUTION, "SEND_MEDIA", "document",
    ),
    "evolution audio": (
        "evolution", "/message/sendWhatsAppAudio/i1", {"audio": MEDIA, "number": "5511900000001"},
        EVOLUTION, "SEND_AUDIO", "audio",
    ),
    "waha file": (
        "waha", "/api/sendFile",
        {"file": {"data": MEDIA, "mimetype": "image/png"}, "chatId": "5511900000001@c.us", "session": "i1"},
        WAHA, "SEND_MEDIA", "image",
    ),
    "waha voice": (
        "waha", "/api/sendVoice", {"file": {"data": MEDIA}, "chatId": "5511900000001@c.us", "session": "i1"},
        WAHA, "SEND_AUDIO", "audio",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["turbozap", "evolution", "waha"])
def test_a_send_of_twenty_megabytes_gives_its_facts(provider: str, tmp_path: Path) -> None:
    """Instance, chat, message, kind and latency; the gateway gets every byte. Sent and refused."""
    cases = [case for case in SENDS.values() if case[0] == provider]

    def gateway(seen: Seen) -> Answer:
        if "x-refuse" in dict(seen.headers):
            return Answer(500, JSON, b'{"exception":{"message":"server returned error 463"}}')
        number, answer = next(
            (n, case[3]) for n, case in enumerate(cases) if seen.target == "/base" + case[1]
        )
        return Answer(201, JSON, json.dumps(answer).replace("M1", f"MSG{number}").encode())

    bodies = [json.dumps(case[2]).encode() for case in cases]
    with world(tmp_path, gateway=gateway, provider=provider, remote_jid="plain") as ends:
        for case, body in zip(cases, bodies, strict=True):
            ends.sidecar.request("dispatch", "POST", case[1], body, JSON)
        ends.sidecar.request("dispatch", "POST", cases[0][1], bodies[0], {**JSON, "x-refuse": "1"})
        ends.sidecar.settled(exchanges=len(cases) + 1)
        signals = ends.sidecar.timeline("i1")
        unobserved = ends.sidecar.total("reputation_bodies_unobserved_total")

    assert [hashlib.sha256(seen.body).digest() for seen in ends.gateway.seen] == [
        hashlib.sha256(body).digest() for body in [*bodies, bodies[0]]
    ]
    sent = [signal for signal in signals if signal["type"] == "MESSAGE_SENT"]
    failed = [signal for signal in signals if signal["type"] == "MESSAGE_FAILED"]
    told = [(s["messageId"], s["context"]["action"], s["context"]["messageType"]) for s in sent]
    assert told == [(f"MSG{number}", *case[4:]) for number, case in enumerate(cases)]
    assert [s["remoteJid"] for s in [*sent, *failed]] == [CHAT] * 3
    assert failed[0]["context"]["messageType"] == cases[0][5]
    assert unobserved == 0


def test_a_callback_with_its_media_inlined_gives_its_fact(tmp_path: Path) -> None:
    """Evolution puts media into `data.message.base64`, in front of what is read."""
    data = {
        "message": {"base64": MEDIA[: 8 << 20], "imageMessage": {}},
        "key": {"remoteJid": CHAT, "fromMe": False, "id": "M9"},
        "messageType": "imageMessage",
        "messageTimestamp": 1768489204,
    }
    body = json.dumps({"data": data, "event": "messages.upsert", "instance": "i1"}).encode()
    with world(tmp_path, provider="evolution", remote_jid="plain") as ends:
        ends.sidecar.request("webhook", "POST", "/hook", body, JSON)
        ends.sidecar.settled(exchanges=1)
        [signal] = ends.sidecar.timeline("i1")

    assert ends.dispatcher.seen[0].body == body
    assert (signal["type"], signal["messageId"], signal["remoteJid"]) == ("MESSAGE_REPLIED", "M9", CHAT)

"""How TurboZap spells its answers and callbacks: pure shapes, as read in its source at commit 7c79ca2.

Every shape here is compared with the recorded traffic in tests/fixtures/turbozap.
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, NamedTuple

from domain.words import Millis

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL: Final = timezone(timedelta(hours=-3))  # the gateway stamps its local time, here São Paulo's

HTML_429: Final = (
    "<html><head><title>429 Too Many Requests</title></head><body>429 Too Many Requests</body></html>"
)
PANIC: Final = "runtime error: invalid memory address or nil pointer dereference"
TIMELOCK: Final = "Failed to send button message: failed to send message: server returned error 463"
RETRY_AFTER_SECONDS: Final = 30

SENDS: Final = frozenset(
    {"text", "media", "audio", "sticker", "carousel", "location", "contact", "poll", "button", "list"}
    | {"reaction", "story"}
)
PRESENCES: Final = {
    "available": "available",
    "unavailable": "unavailable",
    "composing": "composing",
    "recording": "recording",
    "clear": "paused",
}
"""Path segment to the presence that is really set."""


class Callback(NamedTuple):
    """One callback as it is posted, at each attempt the same bytes."""

    event: str
    headers: Mapping[str, str]
    body: bytes


def rfc3339(at: Millis, extra_ns: int = 0) -> str:
    """Spell a time as Go does: local offset, up to nine fractional digits, no trailing zeros.

    `extra_ns` (below a million) adds what milliseconds cannot say.
    """
    local = (_EPOCH + timedelta(milliseconds=at)).astimezone(_LOCAL)
    fraction = f"{at % 1000:03d}{extra_ns:06d}".rstrip("0")
    return f"{local:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}-03:00"


def whole_second(at: Millis) -> str:
    """Spell the time of a receipt: WhatsApp gives whole seconds."""
    return rfc3339(at - at % 1000)


def instance_uuid(instance: str) -> str:
    """Give the id behind an instance's name, the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{instance}.turbozap.demo"))


def message_id(prefix: str, *basis: object) -> str:
    """Make a WhatsApp message id from what makes the message unique: 4 and 16 upper-case hex digits."""
    return prefix + _digest(*basis)[:16].upper()


def _digest(*basis: object) -> str:
    return hashlib.sha256("/".join(map(str, basis)).encode()).hexdigest()


def success(data: Mapping[str, Any]) -> dict[str, Any]:
    """Shape a good answer."""
    return {"success": True, "data": dict(data)}


def error(message: str) -> dict[str, Any]:
    """Shape a refusal; no handler of the gateway sets a code."""
    return {"success": False, "error": {"message": message}}


def sent(message: str, at: Millis) -> dict[str, Any]:
    """Shape the answer to an accepted send; `id` is the gateway's own and means nothing to WhatsApp."""
    own = str(uuid.UUID(_digest("answer", message)[:32]))
    return success({"id": own, "message_id": message, "status": "sent", "timestamp": rfc3339(at, 233_000)})


def status(instance: str, state: str) -> dict[str, Any]:
    """Shape the answer to a status poll; the profile is known once the instance is connected."""
    data = {"name": instance, "status": state}
    if state == "connected":
        data |= {
            "phone_number": own_number(instance),
            "profile_name": "Loja Exemplo",
            "profile_pic": "https://pps.example.test/p.jpg",
        }
    return success(data)


def qr_code(instance: str, number: int) -> dict[str, str]:
    """Make an instance's n-th QR code: secrets that must never leave the sidecar."""
    secret = _digest("qr", instance, number)
    return {
        "qr_code": "data:image/png;base64," + base64.b64encode(secret.encode() * 20).decode(),
        "code": f"2@{secret[:12]},{secret[12:24]},{secret[24:36]},{secret[36:48]}",
    }


def own_number(instance: str) -> str:
    """Give the invented phone number of an instance."""
    return "55119" + f"{int(_digest('own', instance)[:8], 16) % 10**8:08d}"


def chat_of(recipient: str) -> str:
    """Give the chat of a recipient as the gateway's validator does."""
    if "@" in recipient:
        return recipient
    return "".join(filter(str.isdigit, recipient)) + "@s.whatsapp.net"


def callback(
    event: str, instance: str, data: Mapping[str, Any], at: Millis, *, as_base64: bool = False
) -> Callback:
    """Shape one callback: one event a body, in base64 mode the whole envelope as text."""
    owner = instance_uuid(instance)
    envelope = {
        "event": event,
        "instance_id": owner,
        "instance": instance,
        "timestamp": rfc3339(at, 120_934),
        "data": dict(data),
    }
    body = json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "TurboZap-Webhook/1.0",
        "X-Webhook-Event": event,
        "X-Instance-ID": owner,
    }
    if as_base64:
        body = base64.b64encode(body)
        headers |= {"Content-Type": "text/plain", "X-Content-Transfer-Encoding": "base64"}
    return Callback(event, headers, body)


def echo(instance: str, message: str, chat: str, kind: str, at: Millis) -> dict[str, Any]:
    """Shape `send.message`: `to` is the bare user part, so a group loses its server."""
    return {
        "message_id": message,
        "from": own_number(instance),
        "to": chat.partition("@")[0],
        "fromMe": True,
        "type": kind,
        "content": "texto de teste",
        "status": "sent",
        "timestamp": rfc3339(at, 498_871),
    }


def receipt(message: str, chat: str, state: str, at: Millis) -> dict[str, Any]:
    """Shape `message.ack` and `messages.update`; `from` is the chat."""
    return {"message_id": message, "from": chat, "status": state, "timestamp": whole_second(at)}


def reply(message: str, chat: str, quoted: str, at: Millis) -> dict[str, Any]:
    """Shape `messages.upsert` of someone else's message; in a group a participant writes."""
    in_group = chat.endswith("@g.us")
    sender = "5521900000002@s.whatsapp.net" if in_group else chat.replace("@", ":12@", 1)
    return {
        "message_id": message,
        "from": sender,
        "from_name": "Ana Exemplo",
        "to": chat,
        "fromMe": False,
        "is_group": in_group,
        "type": "text",
        "content": "Oi, tudo bem? (teste)",
        "quoted_msg_id": quoted,
        "timestamp": whole_second(at),
    }

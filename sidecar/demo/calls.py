"""What the simulated dispatcher calls: a pure function of the seed, the instance and the number of the call.

Both spellings are used: with and without `/api`, and the client's own fields (`reaction` for `emoji`, a
presence in the body) beside the server's.
"""

from random import Random
from typing import Any, Final, NamedTuple

_CHATS: Final = 40
_GROUP_SHARE: Final = 0.06
_API_SHARE: Final = 0.5


class Call(NamedTuple):
    """One request to the provider's API; `json` None sends no body."""

    method: str
    path: str
    json: dict[str, Any] | None = None


_KINDS: Final = {
    "text": 58,
    "media": 9,
    "audio": 5,
    "button": 9,
    "location": 3,
    "reaction": 6,
    "presence": 10,
}
"""How often each kind of call is made, in a hundred."""


def work(seed: int, instance: str, number: int) -> Call:
    """Give an instance's n-th piece of work, counted from 0."""
    draw = Random(f"{seed}/{instance}/call/{number}")
    kind = draw.choices(list(_KINDS), list(_KINDS.values()))[0]
    to = recipient(draw)
    prefix = "/api" if draw.random() < _API_SHARE else ""
    if kind == "presence":
        return _presence(draw, instance, to)
    return Call("POST", f"{prefix}/message/{instance}/{kind}", {"to": to, **_content(draw, kind)})


def recipient(draw: Random) -> str:
    """Draw a chat: mostly a number, in one of two spellings, sometimes a group."""
    chat = draw.randrange(_CHATS)
    if draw.random() < _GROUP_SHARE:
        return f"1203630000000000{chat:02d}@g.us"
    number = f"55119{chat:08d}"
    return number if draw.random() < 0.5 else f"{number}@s.whatsapp.net"


def status(instance: str) -> Call:
    """Ask how an instance is connected."""
    return Call("GET", f"/instance/{instance}/status")


def connect(instance: str) -> Call:
    """Ask for a connection."""
    return Call("POST", f"/instance/{instance}/connect")


def qr_code(instance: str) -> Call:
    """Ask for the QR code to show."""
    return Call("GET", f"/instance/{instance}/qrcode")


def _presence(draw: Random, instance: str, to: str) -> Call:
    if draw.random() < 0.5:  # as the client does: always /available, the presence it wants in the body
        return Call("POST", f"/api/presence/{instance}/available", {"to": to, "presence": "composing"})
    return Call("POST", f"/api/presence/{instance}/composing", {"to": to})


def _content(draw: Random, kind: str) -> dict[str, Any]:
    match kind:
        case "media":
            return {
                "media_url": "https://files.example.test/catalogo.jpg",
                "caption": "Legenda de teste",
                "mime_type": "image/jpeg",
            }
        case "audio":
            return {"base64": "T2dnUwACAAAAAAAAAAB0ZXN0ZQ==", "ptt": True}
        case "button":
            return {"text": "Escolha", "buttons": [{"id": "b1", "text": "Sim"}]}
        case "location":
            return {"latitude": -23.55, "longitude": -46.63, "name": "Loja"}
        case "reaction":
            return {"message_id": "3AF0000000000000AAAA", draw.choice(("emoji", "reaction")): "👍"}
    return {"text": "Pedido confirmado (texto de teste)"}

"""Marked secrets, and how they are found again in whatever form they may have taken."""

import base64
import json
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

PHONE: Final = "5599123498761"
LID: Final = "98127364501928"
GROUP: Final = "120363987612345098"
WAMID: Final = "wamid." + base64.b64encode(f"\x1d\x18\x12{PHONE}\x15\x02\x00\x11".encode("latin-1")).decode()

CANARIES: Final = {
    "phone": PHONE,
    "lid": LID,
    "group": GROUP,
    "wamid": WAMID,
    "api_key": "CanApiKey-83f61d27a94e",
    "bearer": "CanBearer.41d8c2f70b96.zQ",
    "webhook_secret": "CanWebhookSecret-7730b1e2",
    "hmac_key": "CanHmacKey-59c1e80a7d31",
    "admin_token": "CanAdminToken-2f9a6610c4",
    "otlp_token": "CanOtlpToken-90cc17e5a1",
    "pseudonym_key": "CanPseudonymKey-64e0d11f7b",
    "push_name": 'Canário "Zé" Pçvqx',
    "text": "Canário diz: o pedido xqzvw/7 está <pronto>",
    "caption": "Legenda do canário wqzpv",
    "media_url": "https://mmg.canary-cdn.example/v/t62/8841-zzq.enc?oh=91cc&oe=7f",
    "media": "Q2FuYXJ5TWVkaWFCeXRlcw8xXk3zV9aUq",
    "qr": "2@CanQrPayload7Zk41,aB93xQ/+==,canRef",
    "pairing_code": "CNRY-7QX4",
    "session_blob": "CanSessionBlob:noiseKey=b64/9f27:adv=11",
    "vcard": "BEGIN:VCARD\nFN:Canária Vcardina\nTEL:+5599123498761\nEND:VCARD",
    "verify_token": "CanVerifyToken-5f20ab",
    "proxy_password": "CanProxyPassword-a17b90",
}
"""What must come out nowhere, by what it is. Values of that shape, and nothing that occurs by chance."""


class Hit(NamedTuple):
    """A canary that was found."""

    canary: str
    form: str
    sink: str


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """Give every spelling in which a value may hide, each once."""
    raw = value.encode()
    yield "raw", raw
    yield "lower", value.lower().encode()
    yield "upper", value.upper().encode()
    quoted = urllib.parse.quote(value, safe="")
    yield "url", quoted.encode()
    yield "url lower", quoted.lower().encode()
    yield "url plus", urllib.parse.quote_plus(value).encode()
    yield "url all", b"".join(b"%%%02X" % byte for byte in raw)
    yield "url all lower", b"".join(b"%%%02x" % byte for byte in raw)
    yield "hex", raw.hex().encode()
    yield "hex upper", raw.hex().upper().encode()
    yield "latin-1", value.encode("latin-1")
    for offset in range(3):
        yield f"base64 +{offset}", _aligned(raw, offset)
        yield f"base64 url +{offset}", _aligned(raw, offset).translate(bytes.maketrans(b"+/", b"-_"))
    yield "json", json.dumps(value)[1:-1].encode()
    yield "json slashes", json.dumps(value)[1:-1].replace("/", "\\/").encode()
    yield "json all", "".join(f"\\u{ord(one):04x}" for one in value).encode()
    yield "json all upper", "".join(f"\\u{ord(one):04X}" for one in value).encode()
    yield "twice json", json.dumps(json.dumps(value)[1:-1])[1:-1].encode()
    if value.isdigit():
        number = int(value)
        yield "number", number.to_bytes(8, "big").lstrip(b"\0")
        yield "number little", number.to_bytes(8, "little").rstrip(b"\0")


def _aligned(raw: bytes, offset: int) -> bytes:
    """Encode behind `offset` unknown bytes and keep the characters the value alone decides."""
    text = base64.b64encode(b"\0" * offset + raw)
    first = (offset * 8 + 5) // 6
    last = (offset + len(raw)) * 8 // 6
    return text[first:last]


def _needles() -> list[tuple[str, str, bytes]]:
    first: dict[bytes, tuple[str, str]] = {}
    for canary, value in CANARIES.items():
        for form, needle in forms(value):
            first.setdefault(needle, (canary, form))
    return [(canary, form, needle) for needle, (canary, form) in first.items()]


NEEDLES: Final = _needles()


def hits(sinks: Iterable[tuple[str, bytes]]) -> list[Hit]:
    """Search all sinks for all canaries in all forms: all at once, one by one where something was found."""
    named = list(sinks)
    everything = b"\n".join(data for _, data in named)
    return [
        Hit(canary, form, sink)
        for canary, form, needle in NEEDLES
        if needle in everything
        for sink, data in named
        if needle in data
    ]

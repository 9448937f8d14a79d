"""Marked secrets in every place the provider notes say they occur: none comes out of a reader."""

import base64
import copy
import json
import re
import urllib.parse
from typing import Any, Final

import pytest

from domain.errors import SignalRejected
from domain.redaction import Redactor, RemoteJidMode
from domain.signal import Signal, to_signal
from sidecar.exchange import Body, BodyState, Exchange
from sidecar.providers import names, reader
from sidecar.providers.codes import load as load_codes
from sidecar.providers.contract import Reader, UnreadableExchange
from tests.fixtures import OBSERVED_AT, Fixture, build_exchange, load

SENSITIVE: Final = {
    "turbozap": {
        "to", "phone", "text", "caption", "base64", "media_url", "contacts", "question", "options", "cards",
        "api_key", "qr_code", "code", "phone_number", "profile_name", "profile_pic", "content", "from",
        "from_name", "chat", "jid", "message", "buttons", "mention_jids", "emoji",
    },
    "evolution": {
        "number", "text", "caption", "media", "audio", "quoted", "token", "hash", "apikey", "api_key", "code",
        "base64", "pairingCode", "ownerJid", "message", "destination", "sender", "pushName", "wuid",
        "remoteJid", "participant", "fileName", "server_url", "profileName", "jid", "reaction",
    },
    "waha": {
        "chatId", "text", "caption", "data", "url", "vcard", "value", "hmac", "password", "pushName", "stack",
        "body", "from", "to", "metadata", "_data", "phone", "reply_to", "reaction", "username", "details",
    },
    "cloud_api": {
        "to", "body", "caption", "link", "biz_opaque_callback_data", "input", "wa_id", "from", "recipient_id",
        "name", "display_phone_number", "title", "message", "details", "emoji", "fbtrace_id", "href",
    },
}  # fmt: skip
"""Fields to redact, by provider (last lines of notes 1.3, 2.3, 3.3 and 4.3)."""

HEADERS: Final = re.compile(r"(?i)key|authorization|secret|hmac$|signature|token")
NUMBER: Final = "5599987654321"
WORD: Final = "CanaryWord"
FORMS: Final = [
    form
    for marker in (NUMBER, WORD)
    for form in (
        marker,
        urllib.parse.quote(marker + "@"),
        base64.b64encode(marker.encode()).decode().rstrip("=")[:-1],
        marker.encode().hex(),
        marker.lower(),
    )
]


def marked(node: Any, sensitive: set[str], *, inside: bool = False) -> Any:
    """Put a marker into every text below a sensitive field; numbers and JIDs keep their form."""
    if isinstance(node, dict):
        return {
            key: marked(value, sensitive, inside=inside or key in sensitive) for key, value in node.items()
        }
    if isinstance(node, list):
        return [marked(value, sensitive, inside=inside) for value in node]
    if not inside or not isinstance(node, str):
        return node
    if re.fullmatch(r"[0-9]{8,}", node):
        return NUMBER
    if "@" in node and not node.startswith("2@"):
        return f"{NUMBER}@{node.partition('@')[2]}"
    return WORD + node


def marked_exchanges(provider: str, fixture: Fixture) -> list[Exchange]:
    """Give a fixture's exchange with its secrets marked: as it is, refused, and echoed by the gateway."""
    fixture = copy.deepcopy(fixture)
    for part in (fixture["request"], fixture.get("response", {})):
        if "body" in part:
            part["body"] = marked(part["body"], SENSITIVE[provider])
        for name in part.get("headers", {}):
            if HEADERS.search(name):
                part["headers"][name] = WORD
    query = f"session=s&phone={NUMBER}&text={WORD}&token={WORD}"
    fixture["request"]["path"] += ("&" if "?" in fixture["request"]["path"] else "?") + query
    exchanges = [build_exchange(fixture)]
    asked = json.dumps(fixture["request"].get("body", {}))
    for status in (200, 400, 422, 429, 500):
        echo = build_exchange(fixture)
        echo.status = status
        message = f"server returned error 463 for {NUMBER} {WORD}: {asked}"
        answer = {"error": {"message": message}, "request": {"body": asked}, "message": message}
        echo.response_body = Body(json.dumps(answer).encode(), BodyState.WHOLE)
        exchanges.append(echo)
    return exchanges


def came_out(read: Reader, exchange: Exchange, redactor: Redactor, known: frozenset[str]) -> list[object]:
    """Give all that leaves the worker of an exchange: signals, names of drift, template and reasons."""
    try:
        reading = read.read(exchange)
    except UnreadableExchange as unreadable:
        return [unreadable, unreadable.reason, unreadable.template]
    out: list[object] = [reading.template, reading.unknown, reading.fault]
    for event in reading.events:
        try:
            out.append(
                to_signal(
                    event, redactor=redactor, exchange_id="x", observed_at=OBSERVED_AT, known_codes=known
                )
            )
        except SignalRejected as rejected:
            out.append(rejected.reason)
    return out


@pytest.mark.parametrize("provider", names())
def test_no_marked_secret_comes_out_of_a_reader(provider: str) -> None:
    """In no form: raw, URL-encoded, base64 or hex, on success, on refusals, and where a gateway echoes."""
    read = reader(provider)
    redactor = Redactor(RemoteJidMode.HASH, b"0123456789abcdef")
    known = load_codes().known
    signals = 0

    for name, fixture in load(provider):
        for exchange in marked_exchanges(provider, fixture):
            out = came_out(read, exchange, redactor, known)
            signals += sum(isinstance(item, Signal) for item in out)

            assert not [form for form in FORMS if form in repr(out)], (name, out)

    assert signals > 100

"""Every exchange of the canary suite: what the caller writes, what the origin answers, how it goes wrong."""

import base64
import copy
import gzip
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from tests import fixtures
from tests.canary.ends import Script, Then
from tests.canary.markers import CANARIES, GROUP, LID, PHONE, WAMID
from tests.canary.payloads import CALLBACKS, CALLS, ENGINE_ERROR, HOSTILE_NAMES, NAMED, Json

C: Final = CANARIES
SECRET: Final = C["webhook_secret"].encode()
OVERSIZE: Final = 400 << 10
WRONG_SECRET: Final = C["hmac_key"].encode()

Headers: TypeAlias = list[tuple[str, str]]


class Shot(NamedTuple):
    """One exchange.

    Attributes:
        route: `dispatch`, `webhook`, or one of them with `-dead` behind it, whose upstream is not there.
        request: all bytes the caller writes.
        script: what the origin does.
        hang_up: the caller leaves without reading.
    """

    route: str
    request: bytes
    script: Script | None = None
    hang_up: bool = False


CREDENTIALS: Final[Headers] = [
    ("X-API-Key", C["api_key"]),
    ("apikey", C["api_key"]),
    ("Authorization", f"Bearer {C['bearer']}"),
    ("Cookie", f"session={C['session_blob']}"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("tracestate", f"v={C['api_key']}"),
    ("baggage", f"phone={PHONE}"),
    ("X-Forwarded-For", PHONE),
    ("User-Agent", f"dispatcher ({C['push_name'].encode('ascii', 'ignore').decode()})"),
]


def head(first: str, headers: Headers, *more: str) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers), *more, "", ""]
    return "\r\n".join(lines).encode()


def request(method: str, path: str, body: bytes | None, headers: Headers, *more: str) -> bytes:
    """Give a whole request on a connection of its own."""
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    kind = (
        []
        if any(name.lower() == "content-type" for name, _ in headers)
        else ["Content-Type: application/json"]
    )
    first = f"{method} {path} HTTP/1.1"
    return head(first, [("Host", "gateway"), ("Connection", "close"), *headers], *kind, *length, *more) + (
        body or b""
    )


def answer(status: int, body: bytes, *headers: str, kind: str = "application/json") -> Script:
    fields = [
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        f"X-Echo-Key: {C['api_key']}",
        *headers,
    ]
    return Script(head(f"HTTP/1.1 {status} {PHONE}", [], *fields) + body)


def dump(content: Json) -> bytes | None:
    return None if content is None else json.dumps(content, ensure_ascii=False).encode()


def echo_of(request_body: bytes | None) -> bytes:
    """What a gateway that echoes its request answers, error text included."""
    asked = (request_body or b"").decode("utf-8", "replace")
    message = f"{ENGINE_ERROR}: {asked}"
    return json.dumps(
        {
            "success": False,
            "status": 400,
            "error": {"message": message, "code": C["text"], "details": asked, "key": C["api_key"]},
            "message": [message],
            "response": {"message": [message, {"number": PHONE}]},
            "exception": {"message": message, "stack": message, "data": C["bearer"]},
            "request": {"body": asked, "headers": {"apikey": C["api_key"]}},
        },
        ensure_ascii=False,
    ).encode()


def misfortunes(body: bytes | None) -> Iterator[Script]:
    """Every way a gateway's answer goes wrong, each with its request in it."""
    echo = echo_of(body)
    for status in (400, 401, 422, 429, 500, 503):
        yield answer(status, echo)
    yield answer(200, echo[: len(echo) // 2])
    yield answer(500, f"<html><h1>{C['text']}</h1>{PHONE}</html>".encode(), kind="text/html")
    yield answer(200, gzip.compress(echo), "Content-Encoding: gzip")
    yield answer(200, b"\x1f\x8b" + echo, "Content-Encoding: gzip")
    yield answer(200, echo, "Content-Encoding: x-canary")
    yield answer(500, echo + C["text"].encode() * (OVERSIZE // 40))
    yield answer(500, b'{"a":[' + b",".join([json.dumps(C["text"]).encode()] * 9000) + b"]}")
    chunks = head(f"HTTP/1.1 400 {C['api_key']}", [], "Transfer-Encoding: chunked")
    yield Script(chunks + b"%x\r\n%s\r\n0\r\nX-Trailer: %s\r\n\r\n" % (len(echo), echo, PHONE.encode()))
    long = head("HTTP/1.1 200 OK", [], f"Content-Length: {len(echo) + 999}")
    yield Script(long + echo, Then.RESET)
    yield Script(long + echo, Then.CLOSE)
    yield Script(b"", Then.RESET)
    yield Script(b"", Then.CLOSE)
    yield Script(f"{C['text']} {PHONE}\r\n\r\n".encode(), Then.CLOSE)
    yield Script(f"HTTP/1.1 200 OK\r\n{C['api_key']} : {PHONE}\r\n\r\n".encode(), Then.CLOSE)
    yield Script(chunks + b"zz" + echo, Then.CLOSE)
    yield Script(b"", Then.HANG)


def broken_requests(method: str, path: str, body: bytes, headers: Headers) -> Iterator[tuple[bytes, bool]]:
    """Every way a caller's request goes wrong: the bytes, and whether the caller hangs up."""
    text = C["text"].encode()
    yield request(method, path, body[: len(body) // 2], headers), False
    yield request(method, path, text * (OVERSIZE // len(text)), headers), False
    yield request(method, path, b"\x1f\x8b" + body, [*headers, ("Content-Encoding", "gzip")]), False
    yield request(method, path, body, [*headers, ("Content-Encoding", C["api_key"])]), False
    yield request(method, path, body, headers)[: -len(body) // 2], True
    yield request(method, path, None, headers, "Transfer-Encoding: chunked") + b"5\r\n" + body, False
    yield request(method, path, body, [*headers, (f"X-{PHONE} ", C["text"])]), False
    yield request(method, path, body, headers).replace(b"HTTP/1.1", text + b" HTTP/9", 1), False
    yield request(method, path, body, [*headers, ("X-Long", C["api_key"] * 2000)]), False
    yield request("GET", f"http://{PHONE}.example{path}", None, headers), False
    yield b"\x16\x03\x01" + text + PHONE.encode() + b"\r\n\r\n", False


# -- fixtures, their personal values replaced --------------------------------------------------------------


def planted(node: Any, key: str = "") -> Any:
    """Replace what is personal in a fixture's JSON by the canary of its kind."""
    if isinstance(node, dict):
        return {name: planted(value, name) for name, value in node.items()}
    if isinstance(node, list):
        return [planted(value, key) for value in node]
    return _planted_text(node, key) if isinstance(node, str) else node


_BY_KEY: Final = {
    **dict.fromkeys(
        ("pushName", "from_name", "name", "notifyName", "profileName", "profile_name"), "push_name"
    ),
    **dict.fromkeys(("text", "conversation", "content", "title", "details", "emoji", "reaction"), "text"),
    **dict.fromkeys(("caption", "fileName"), "caption"),
    **dict.fromkeys(("apikey", "api_key", "token", "hash"), "api_key"),
    **dict.fromkeys(("base64", "data", "mediaKey"), "media"),
    **dict.fromkeys(("qr_code", "value"), "qr"),
    **dict.fromkeys(("url", "media_url", "link", "server_url", "destination"), "media_url"),
    "pairingCode": "pairing_code",
}


def _planted_text(text: str, key: str) -> str:
    if text.startswith("2@"):
        return C["qr"]
    if text.startswith("wamid."):
        return WAMID
    if key in _BY_KEY and not text.isdigit():
        return C[_BY_KEY[key]]
    text = re.sub(r"\d{14,}(?=@lid)", LID, text)
    text = re.sub(r"\d{15,}(?=@g\.us)|120363\d{8,}", GROUP, text)
    return re.sub(r"(?<!\d)55\d{10,11}(?!\d)", PHONE, text)


def _fixture_calls(provider: str) -> Iterator[tuple[str, str, bytes | None, Headers, Script]]:
    for _, fixture in fixtures.load(provider):
        if fixture["direction"] != "dispatch":
            continue
        asked, answered = _planted_part(fixture["request"]), _planted_part(fixture["response"])
        script = answer(answered["status"], fixtures.body_bytes(answered) or b"", kind=_kind(answered))
        path = asked["path"] + ("&" if "?" in asked["path"] else "?") + f"token={C['api_key']}&who={PHONE}"
        headers = [("Content-Type", _kind(asked)), *CREDENTIALS]
        yield asked["method"], path, fixtures.body_bytes(asked), headers, script


def _planted_part(part: fixtures.Fixture) -> fixtures.Fixture:
    part = copy.deepcopy(part)
    if "body" in part:
        part["body"] = planted(part["body"])
    return part


def _kind(part: fixtures.Fixture) -> str:
    return next((v for k, v in part["headers"].items() if k.lower() == "content-type"), "application/json")


def calls(provider: str) -> Iterator[Shot]:
    """All calls of a dispatcher: as they should be, and some in every way that can go wrong."""
    plain = [
        *_fixture_calls(provider),
        *(
            (c.method, c.path, dump(c.request), CREDENTIALS, answer(c.status, dump(c.answer) or b""))
            for c in CALLS[provider]
        ),
    ]
    for method, path, body, headers, script in plain:
        yield Shot("dispatch", request(method, path, body, headers), script)
        for status in (200, 429, 500):
            yield Shot("dispatch", request(method, path, body, headers), answer(status, echo_of(body)))
    sends = [one for one in plain if one[2] and b"text" in one[2] and one[0] == "POST"]
    method, path, body, headers, script = sends[0]
    assert body is not None
    for misfortune in misfortunes(body):
        yield Shot("dispatch", request(method, path, body, headers), misfortune)
    for broken, hang_up in broken_requests(method, path, body, headers):
        yield Shot("dispatch", broken, script, hang_up)
    yield Shot("dispatch-dead", request(method, path, body, headers))


# -- callbacks ----------------------------------------------------------------------------------------------


def signature(provider: str, body: bytes, secret: bytes) -> Headers:
    """Sign a callback by its provider's scheme."""
    if provider == "waha":
        return [
            ("X-Webhook-Hmac", hmac.digest(secret, body, hashlib.sha512).hex()),
            ("X-Webhook-Hmac-Algorithm", "sha512"),
        ]
    if provider == "cloud_api":
        return [("X-Hub-Signature-256", "sha256=" + hmac.digest(secret, body, hashlib.sha256).hex())]
    return [("X-Webhook-Secret", secret.decode())]


def _bodies(provider: str) -> Iterator[bytes]:
    for _, fixture in fixtures.load(provider):
        if fixture["direction"] == "webhook" and fixture["request"]["method"] == "POST":
            yield fixtures.body_bytes(_planted_part(fixture["request"])) or b""
    for content in CALLBACKS[provider]:
        yield dump(content) or b""
    yield from (dump(NAMED[provider](name)) or b"" for name in HOSTILE_NAMES)
    if provider == "turbozap":
        yield from (base64.b64encode(dump(content) or b"") for content in CALLBACKS[provider])


def callbacks(provider: str) -> Iterator[Shot]:
    """All callbacks: signed, then some unsigned, forged and broken, and with the dispatcher away."""
    path = f"/hooks/{C['verify_token']}/messages-upsert?hub.verify_token={C['verify_token']}&phone={PHONE}"
    bodies = list(_bodies(provider))
    for body in bodies:
        signed = [*CREDENTIALS[:2], *signature(provider, body, SECRET)]
        yield Shot("webhook", request("POST", path, body, signed))
    for body in bodies[:: max(1, len(bodies) // 6)]:
        signed = [*CREDENTIALS[:2], *signature(provider, body, SECRET)]
        forged = [*CREDENTIALS, *signature(provider, body, WRONG_SECRET)]
        yield Shot("webhook", request("POST", path, body, forged))
        yield Shot("webhook", request("POST", path, body, CREDENTIALS[:2]))
        yield Shot("webhook-dead", request("POST", path, body, signed))
        yield Shot("webhook", request("POST", path, body, signed), answer(500, echo_of(body)))
        cut = body[: len(body) // 2]
        yield Shot("webhook", request("POST", path, cut, signature(provider, cut, SECRET)))
    body = bodies[0]
    for misfortune in misfortunes(body):
        yield Shot("webhook", request("POST", path, body, signature(provider, body, SECRET)), misfortune)
    for broken, hang_up in broken_requests(
        "POST", path, body, [*CREDENTIALS[:2], *signature(provider, body, SECRET)]
    ):
        yield Shot("webhook", broken, None, hang_up)
    yield Shot("webhook", request("GET", f"{path}&hub.mode=subscribe&hub.challenge={PHONE}", None, []))
    yield Shot("webhook", request("POST", path, b"x" * (2 << 20) + C["text"].encode(), []))

"""Verification of callbacks by each provider's scheme: over raw bytes, however they are split."""

import base64
import hashlib
import hmac
import json

import pytest

from sidecar.exchange import Signature
from sidecar.providers.contract import Reader
from tests.fixtures import OBSERVED_AT
from tests.sidecar.providers.exchanges import callback

SECRET = b"segredo-teste"
BODY = '{"event":"message","text":"olá"}'.encode()


def outcome(reader: Reader, headers: dict[str, str], body: bytes = BODY, step: int = 7) -> Signature:
    verification = reader.verification(callback(body, headers), SECRET)
    assert verification is not None
    for start in range(0, len(body), step):
        verification.feed(body[start : start + step])
    return verification.finish()


def sha(algorithm: str, data: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, data, algorithm).hexdigest()


@pytest.mark.parametrize("name", ["turbozap", "evolution"])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Webhook-Secret": "segredo-teste"}, Signature.VALID),
        ({"x-webhook-secret": "segredo-teste"}, Signature.VALID),
        ({"Authorization": "Bearer segredo-teste"}, Signature.VALID),
        ({"Authorization": "bearer  segredo-teste"}, Signature.VALID),
        ({"Authorization": "segredo-teste"}, Signature.VALID),
        ({"X-Webhook-Secret": "wrong", "Authorization": "segredo-teste"}, Signature.INVALID),
        ({"X-Webhook-Secret": "segredo-test"}, Signature.INVALID),
        ({"X-Webhook-Secret": ""}, Signature.INVALID),
        ({"X-Webhook-Secret": "segrédo"}, Signature.INVALID),
        ({}, Signature.MISSING),
    ],
)
def test_a_shared_secret(
    request: pytest.FixtureRequest, name: str, headers: dict[str, str], expected: Signature
) -> None:
    """The first header that is there decides."""
    assert outcome(request.getfixturevalue(name), headers) is expected


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_waha_signs_the_body(waha: Reader, step: int) -> None:
    """HMAC-SHA512 in hex, whatever the chunks and the letter case."""
    good = sha("sha512", BODY)

    assert outcome(waha, {"X-Webhook-Hmac": good}, step=step) is Signature.VALID
    assert outcome(waha, {"X-Webhook-Hmac": good.upper()}, step=step) is Signature.VALID
    assert outcome(waha, {"X-Webhook-Hmac": good}, BODY + b" ", step=step) is Signature.INVALID


def test_waha_version_2_signs_the_time_too(waha: Reader) -> None:
    """`<timestamp>.<body>`, so that an old body under a new time fails."""
    headers = {
        "X-Webhook-Hmac": sha("sha512", b"1768489205120." + BODY),
        "X-Webhook-Hmac-Algorithm": "SHA512",
        "X-Webhook-Hmac-Version": "2",
        "X-Webhook-Timestamp": "1768489205120",
    }

    assert outcome(waha, headers) is Signature.VALID
    assert outcome(waha, {**headers, "X-Webhook-Timestamp": "1768489205121"}) is Signature.INVALID
    assert outcome(waha, {k: v for k, v in headers.items() if "Time" not in k}) is Signature.INVALID
    assert outcome(waha, {**headers, "X-Webhook-Hmac-Version": "1"}) is Signature.INVALID
    assert outcome(waha, {**headers, "X-Webhook-Hmac-Version": "3"}) is Signature.INVALID
    assert outcome(waha, {**headers, "X-Webhook-Hmac-Algorithm": "sha1"}) is Signature.INVALID
    assert outcome(waha, {}) is Signature.MISSING


def test_meta_signs_the_body(cloud_api: Reader) -> None:
    """`sha256=<hex>` over the raw bytes: the same JSON written anew fails."""
    escaped = json.dumps(json.loads(BODY)).encode()
    headers = {"X-Hub-Signature-256": "sha256=" + sha("sha256", escaped)}

    assert outcome(cloud_api, headers, escaped) is Signature.VALID
    assert outcome(cloud_api, headers, BODY) is Signature.INVALID
    assert outcome(cloud_api, {"X-Hub-Signature-256": sha("sha256", escaped)}, escaped) is Signature.INVALID
    assert outcome(cloud_api, {"X-Hub-Signature-256": "sha256="}, escaped) is Signature.INVALID
    assert outcome(cloud_api, {"X-Hub-Signature-256": "sha256=é"}, escaped) is Signature.INVALID
    assert outcome(cloud_api, {}, escaped) is Signature.MISSING


@pytest.mark.parametrize(
    ("name", "field", "good"),
    [
        ("waha", b"X-Webhook-Hmac", sha("sha512", BODY)),
        ("cloud_api", b"X-Hub-Signature-256", "sha256=" + sha("sha256", BODY)),
        ("turbozap", b"X-Webhook-Secret", SECRET.decode()),
        ("evolution", b"Authorization", "Bearer " + SECRET.decode()),
    ],
)
def test_headers_of_every_kind(request: pytest.FixtureRequest, name: str, field: bytes, good: str) -> None:
    """Letter case of the name does not matter; of two fields none counts, nor one of a wrong length."""
    reader: Reader = request.getfixturevalue(name)

    def judged(*fields: tuple[bytes, str]) -> Signature:
        exchange = callback(BODY)
        exchange.request_headers = [(key, value.encode()) for key, value in fields]
        verification = reader.verification(exchange, SECRET)
        assert verification is not None
        verification.feed(BODY)
        return verification.finish()

    assert judged((field.upper(), good)) is judged((field.lower(), good)) is Signature.VALID
    assert judged((field, good), (field, "other")) is Signature.INVALID
    assert judged((field, "other"), (field.lower(), good)) is Signature.INVALID
    assert judged((field, good), (field, good)) is Signature.INVALID
    for bad in (good[:-1], good + "0", good[1:], "z" * len(good), "", " ", "\xff" * 8, good * 2):
        assert judged((field, bad)) is Signature.INVALID, bad
    assert judged((b"X-Other", good)) is Signature.MISSING


@pytest.mark.parametrize("name", ["waha", "cloud_api"])
def test_an_empty_body_is_signed_too(request: pytest.FixtureRequest, name: str) -> None:
    """A digest of nothing is a digest."""
    headers = {
        "waha": {"X-Webhook-Hmac": sha("sha512", b"")},
        "cloud_api": {"X-Hub-Signature-256": "sha256=" + sha("sha256", b"")},
    }[name]

    assert outcome(request.getfixturevalue(name), headers, b"") is Signature.VALID
    assert outcome(request.getfixturevalue(name), headers, b" ") is Signature.INVALID


def test_the_handshake_is_not_signed(cloud_api: Reader) -> None:
    """The dispatcher checks its token."""
    assert cloud_api.verification(callback(None, method="GET"), SECRET) is None


def token(claims: object, secret: bytes = SECRET, alg: str = "HS256") -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": alg}, claims)
    ]
    signed = b".".join(parts)
    signature = base64.urlsafe_b64encode(hmac.digest(secret, signed, hashlib.sha256)).rstrip(b"=")
    return "Bearer " + (signed + b"." + signature).decode()


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (token({"exp": OBSERVED_AT // 1000 + 600}), Signature.VALID),
        (token({"app": "evolution"}), Signature.VALID),
        (token({"exp": OBSERVED_AT // 1000 - 600}), Signature.INVALID),
        (token({"exp": OBSERVED_AT // 1000 + 600}, b"another"), Signature.INVALID),
        (token({}, alg="none"), Signature.INVALID),
        ("Bearer a.b.c", Signature.INVALID),
        ("Bearer é.b.c", Signature.INVALID),
        ("Bearer a.b", Signature.INVALID),
        ("Bearer " + "a" * 5000 + ".b.c", Signature.INVALID),
    ],
)
def test_evolution_signs_a_token(evolution: Reader, authorization: str, expected: Signature) -> None:
    """HS256 with the `jwt_key`, not expired; anything else in that header is a wrong secret."""
    assert outcome(evolution, {"Authorization": authorization}) is expected

"""Checks of a callback's signature: over the raw payload as it streams by, compared in constant time."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

import msgspec

from sidecar.exchange import Exchange, Signature

BEARER: Final = b"bearer "
AMBIGUOUS: Final = b"?"
"""Stands for a field that came twice: whichever the dispatcher reads, it must not be one we did not check."""


def sole_header(exchange: Exchange, name: bytes) -> bytes | None:
    """Give the one field of this lower-case name; AMBIGUOUS where there are several, None without one."""
    found = [value for key, value in exchange.request_headers if key.lower() == name]
    if len(found) > 1:
        return AMBIGUOUS
    return found[0] if found else None


class SharedSecret:
    """A secret the provider repeats in a header.

    Args:
        exchange: the callback; only its head is looked at.
        names: lower-case header names; the first that is present decides.
        secret: what it must hold, with or without `Bearer` in front.
    """

    def __init__(self, exchange: Exchange, names: Sequence[bytes], secret: bytes) -> None:
        given = next((v for name in names if (v := sole_header(exchange, name)) is not None), None)
        if given is not None and given[: len(BEARER)].lower() == BEARER:
            given = given[len(BEARER) :].strip()
        if given is None:
            self._outcome = Signature.MISSING
        else:
            self._outcome = Signature.VALID if hmac.compare_digest(given, secret) else Signature.INVALID

    def feed(self, chunk: bytes) -> None:
        """Take the next raw bytes, which are not signed."""

    def finish(self) -> Signature:
        """Tell the outcome."""
        return self._outcome


class BodyHmac:
    """A keyed hash over the raw payload, in hex, in a header.

    Args:
        secret: the key.
        algorithm: a name `hashlib` knows.
        given: the hex digest the header holds.
        before: bytes the sender hashed in front of the body.
    """

    def __init__(self, secret: bytes, algorithm: str, given: bytes, before: bytes = b"") -> None:
        self._given = given
        self._mac = hmac.new(secret, before, getattr(hashlib, algorithm))

    def feed(self, chunk: bytes) -> None:
        """Take the next raw bytes."""
        self._mac.update(chunk)

    def finish(self) -> Signature:
        """Tell the outcome."""
        expected = self._mac.hexdigest().encode()
        return (
            Signature.VALID
            if hmac.compare_digest(self._given.strip().lower(), expected)
            else Signature.INVALID
        )


class Fixed:
    """An outcome the head alone decides, whatever the body holds."""

    def __init__(self, outcome: Signature) -> None:
        self._outcome = outcome

    def feed(self, chunk: bytes) -> None:
        """Take the next raw bytes, which change nothing."""

    def finish(self) -> Signature:
        """Tell the outcome."""
        return self._outcome


class _Claims(msgspec.Struct, frozen=True):
    alg: str | None = None
    exp: float | None = None


_CLAIMS: Final = msgspec.json.Decoder(_Claims)
TOKEN_MAX: Final = 4096


def signed_token(exchange: Exchange, secret: bytes) -> Fixed | None:
    """Check an `Authorization: Bearer` JSON Web Token signed with HS256 (RFC 7515, RFC 7519).

    Returns:
        None where the head holds no token of three parts.
    """
    given = sole_header(exchange, b"authorization") or b""
    parts = given[len(BEARER) :].strip().split(b".")
    if given[: len(BEARER)].lower() != BEARER or len(parts) != 3 or len(given) > TOKEN_MAX:
        return None
    try:
        head, claims, signature = (base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)) for part in parts)
        alg, exp = _CLAIMS.decode(head).alg, _CLAIMS.decode(claims).exp
    except (ValueError, RecursionError):
        return None
    right = hmac.compare_digest(signature, hmac.digest(secret, parts[0] + b"." + parts[1], hashlib.sha256))
    fresh = exp is None or exp * 1000 >= exchange.started_at
    return Fixed(Signature.VALID if right and alg == "HS256" and fresh else Signature.INVALID)

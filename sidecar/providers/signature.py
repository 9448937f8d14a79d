"""Checks of a callback's signature: over the raw payload as it streams by, compared in constant time."""

import hashlib
import hmac
from collections.abc import Sequence

from sidecar.exchange import Exchange, Signature

BEARER = b"bearer "


class SharedSecret:
    """A secret the provider repeats in a header.

    Args:
        exchange: the callback; only its head is looked at.
        names: lower-case header names; the first that is present decides.
        secret: what it must hold, with or without `Bearer` in front.
    """

    def __init__(self, exchange: Exchange, names: Sequence[bytes], secret: bytes) -> None:
        given = next((v for name in names if (v := exchange.request_header(name)) is not None), None)
        if given is not None and given[: len(BEARER)].lower() == BEARER:
            given = given[len(BEARER) :].strip()
        if given is None:
            self._outcome = Signature.MISSING
        else:
            self._outcome = Signature.VALID if hmac.compare_digest(given, secret) else Signature.INVALID

    def feed(self, chunk: bytes) -> None:
        """Nothing of the body is signed."""

    def finish(self) -> Signature:
        """Tell the outcome."""
        return self._outcome


class BodyHmac:
    """A keyed hash over the raw payload, in hex, in a header.

    Args:
        secret: the key.
        algorithm: a name `hashlib` knows.
        given: the hex digest the header holds; None when it is missing.
        before: bytes the sender hashed in front of the body.
    """

    def __init__(self, secret: bytes, algorithm: str, given: bytes | None, before: bytes = b"") -> None:
        self._given = given
        self._mac = hmac.new(secret, before, getattr(hashlib, algorithm))

    def feed(self, chunk: bytes) -> None:
        """Take the next raw bytes."""
        self._mac.update(chunk)

    def finish(self) -> Signature:
        """Tell the outcome."""
        if self._given is None:
            return Signature.MISSING
        expected = self._mac.hexdigest().encode()
        return (
            Signature.VALID
            if hmac.compare_digest(self._given.strip().lower(), expected)
            else Signature.INVALID
        )


class Refused:
    """A signature that cannot be right whatever the body: wrong algorithm or form."""

    def __init__(self, outcome: Signature = Signature.INVALID) -> None:
        self._outcome = outcome

    def feed(self, chunk: bytes) -> None:
        """Nothing can change the outcome."""

    def finish(self) -> Signature:
        """Tell the outcome."""
        return self._outcome

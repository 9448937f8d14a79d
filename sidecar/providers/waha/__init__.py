"""WAHA: a Node gateway over four engines (WEBJS, WPP, NOWEB, GOWS), whose answers differ.

Read in source: tree of 2024-10, single files up to about 2026.8; release notes 2026.8.1; documentation pages
"Events", "Sessions", "Send messages". Provider notes, section 3. `calls.py` reads what the dispatcher asks
by the paths of `table.py`, `callbacks.py` what the gateway tells, `ids.py` has the serialized message id and
the states of both.
"""

from typing import Final

from domain.words import Direction
from sidecar.exchange import Exchange, Signature, Verification
from sidecar.providers.codes import CodeTable
from sidecar.providers.contract import Reader, Reading
from sidecar.providers.signature import BodyHmac, Fixed, sole_header
from sidecar.providers.waha.callbacks import read_callback
from sidecar.providers.waha.calls import read_call

NAME: Final = "waha"


class Waha:
    """Reader of WAHA's traffic."""

    name = NAME

    def __init__(self, codes: CodeTable) -> None:
        self._codes = codes.of(NAME)

    def read(self, exchange: Exchange) -> Reading:
        """State the facts of an exchange; see `Reader.read`."""
        if exchange.direction is Direction.DISPATCH:
            return read_call(exchange, self._codes)
        return read_callback(exchange, self._codes)

    def verification(self, exchange: Exchange, secret: bytes) -> Verification | None:
        """Check `X-Webhook-Hmac`, hex HMAC-SHA512 of the body (documentation page "Events").

        Version 2 signs `<X-Webhook-Timestamp>.<body>`, so that an old callback cannot be sent again as new.
        """
        given = sole_header(exchange, b"x-webhook-hmac")
        algorithm = sole_header(exchange, b"x-webhook-hmac-algorithm") or b"sha512"
        version = sole_header(exchange, b"x-webhook-hmac-version") or b"1"
        stamp = sole_header(exchange, b"x-webhook-timestamp")
        if given is None:
            return Fixed(Signature.MISSING)
        if algorithm.lower() != b"sha512" or version not in (b"1", b"2") or (version == b"2" and not stamp):
            return Fixed(Signature.INVALID)
        before = (stamp or b"") + b"." if version == b"2" else b""
        return BodyHmac(secret, "sha512", given, before)


def build(codes: CodeTable) -> Reader:
    """Make the reader."""
    return Waha(codes)

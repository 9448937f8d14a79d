"""Evolution API v2: a Node gateway on Baileys or in front of the Cloud API (2.3.6, 2.3.7, read in source).

Provider notes, section 2. `calls.py` reads what the dispatcher asks, `callbacks.py` what the gateway
tells, `types.py` has the words of both.
"""

from typing import Final

from domain.words import Direction
from sidecar.exchange import Exchange, Verification
from sidecar.providers.codes import CodeTable
from sidecar.providers.contract import Reader, Reading
from sidecar.providers.evolution.callbacks import read_callback
from sidecar.providers.evolution.calls import read_call
from sidecar.providers.signature import SharedSecret, signed_token

NAME: Final = "evolution"


class Evolution:
    """Reader of Evolution API's traffic."""

    name = NAME

    def __init__(self, codes: CodeTable) -> None:
        self._codes = codes.of(NAME)

    def read(self, exchange: Exchange) -> Reading:
        """State the facts of an exchange; see `Reader.read`."""
        if exchange.direction is Direction.DISPATCH:
            return read_call(exchange, self._codes)
        return read_callback(exchange)

    def verification(self, exchange: Exchange, secret: bytes) -> Verification | None:
        """Compare the secret of a custom header, or check the token Evolution signs with its `jwt_key`."""
        return signed_token(exchange, secret) or SharedSecret(
            exchange, (b"x-webhook-secret", b"authorization"), secret
        )


def build(codes: CodeTable) -> Reader:
    """Make the reader."""
    return Evolution(codes)

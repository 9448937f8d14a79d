"""TurboZap: a Go gateway on whatsmeow (commit 7c79ca2 of 2025-12-11, read in source).

Also the spellings its client WhatLead uses or expects (commit 61667cc of 2026-02-02), where the two disagree.
Provider notes, section 1. `calls.py` reads what the dispatcher asks, `callbacks.py` what the gateway
tells, in the envelope of `envelope.py`.
"""

from typing import Final

from domain.words import Direction
from sidecar.exchange import Exchange, Verification
from sidecar.providers.codes import CodeTable
from sidecar.providers.contract import Reader, Reading
from sidecar.providers.signature import SharedSecret
from sidecar.providers.turbozap.callbacks import read_callback
from sidecar.providers.turbozap.calls import read_call

NAME: Final = "turbozap"
_DISPATCH: Final = Direction.DISPATCH


class TurboZap:
    """Reader of TurboZap's traffic."""

    name = NAME

    def __init__(self, codes: CodeTable) -> None:
        self._codes = codes.of(NAME)

    def read(self, exchange: Exchange) -> Reading:
        """State the facts of an exchange; see `Reader.read`."""
        if exchange.direction is _DISPATCH:
            return read_call(exchange, self._codes)
        return read_callback(exchange, self._codes)

    def verification(self, exchange: Exchange, secret: bytes) -> Verification | None:
        """Compare the secret an operator configured as a custom header; TurboZap itself signs nothing.

        WhatLead requires `X-Webhook-Secret`; `Authorization` is accepted for gateways set up with that.
        """
        return SharedSecret(exchange, (b"x-webhook-secret", b"authorization"), secret)


def build(codes: CodeTable) -> Reader:
    """Make the reader."""
    return TurboZap(codes)

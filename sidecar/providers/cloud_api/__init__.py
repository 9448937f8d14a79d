"""WhatsApp Business Cloud API: Meta's own gateway at graph.facebook.com.

Read in Meta's pages under `business-messaging/whatsapp` (dated 2026-05 and 2026-06) and resellers' copies.
Provider notes, section 4. `calls.py` reads what is asked, `callbacks.py` what Meta tells, in
the forms of `parts.py`; `words.py` has the message types and the chat form of both.
"""

from typing import Final

from domain.words import Direction
from sidecar.exchange import Exchange, Signature, Verification
from sidecar.providers.cloud_api.callbacks import read_callback
from sidecar.providers.cloud_api.calls import read_call
from sidecar.providers.codes import CodeTable
from sidecar.providers.contract import Reader, Reading
from sidecar.providers.signature import BodyHmac, Fixed, sole_header

NAME: Final = "cloud_api"
_SCHEME: Final = b"sha256="


class CloudApi:
    """Reader of the Cloud API's traffic."""

    name = NAME

    def __init__(self, codes: CodeTable) -> None:
        self._codes = codes.of(NAME)

    def read(self, exchange: Exchange) -> Reading:
        """State the facts of an exchange; see `Reader.read`."""
        if exchange.direction is Direction.DISPATCH:
            return read_call(exchange, self._codes)
        return read_callback(exchange, self._codes)

    def verification(self, exchange: Exchange, secret: bytes) -> Verification | None:
        """Check `X-Hub-Signature-256`: HMAC-SHA256 with the app secret over the raw bytes.

        The GET handshake carries none: it is the dispatcher that checks its token.
        """
        if exchange.method == b"GET":
            return None
        given = sole_header(exchange, b"x-hub-signature-256")
        if given is None:
            return Fixed(Signature.MISSING)
        if not given.startswith(_SCHEME):
            return Fixed(Signature.INVALID)
        return BodyHmac(secret, "sha256", given[len(_SCHEME) :])


def build(codes: CodeTable) -> Reader:
    """Make the reader."""
    return CloudApi(codes)

"""The envelope of TurboZap's callbacks: JSON, or base64 of JSON, around one event (notes 1.3)."""

import base64
import binascii
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec

from domain.words import Millis
from sidecar.exchange import Body, BodyState, Exchange
from sidecar.providers import basis
from sidecar.providers.codes import Code
from sidecar.providers.contract import CALLBACK, Fault, UnreadableExchange, decoded, narrowed
from sidecar.providers.times import from_rfc3339

Json: TypeAlias = msgspec.Raw | bytes
"""JSON that waits for the decoder of its event."""

_ABSENT: Final = msgspec.Raw(b"null")


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    event: str | None = None
    instance: str | None = None
    instance_name: str | None = None
    instance_id: str | None = None
    timestamp: str | float | None = None
    data: msgspec.Raw = _ABSENT
    data_value: msgspec.Raw = _ABSENT


class Callback(NamedTuple):
    """One event, opened.

    Attributes:
        instance_id: the instance's name where the callback shows it, else its uuid.
        alias: its uuid where the callback shows both.
        timestamp: the envelope's.
        data: None when there is none.
    """

    event: str
    instance_id: str
    alias: str | None
    timestamp: str | float | None
    data: Json | None
    codes: Mapping[str, Code]

    def when(self, stamped: str | float | None) -> tuple[Millis | None, str | None]:
        """Give the time of a fact and its basis: the payload's time, else the envelope's."""
        for text in (stamped, self.timestamp):
            if not isinstance(text, str):
                continue
            moment = from_rfc3339(text)
            if moment is not None:
                return moment, basis.of_time(text)
        return None, None


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_TEXT: Final = msgspec.json.Decoder(str)


def opened(exchange: Exchange, codes: Mapping[str, Code]) -> Callback:
    """Open a callback.

    Raises:
        UnreadableExchange: the body is neither JSON nor base64 of JSON, or was cut.
    """
    envelope = decoded(_ENVELOPE, _unpacked(exchange.request_body))
    if isinstance(envelope, Fault):
        raise UnreadableExchange(envelope, CALLBACK)
    instance_id, alias = _instance(envelope, exchange)
    return Callback(envelope.event or "", instance_id, alias, envelope.timestamp, _data(envelope), codes)


def _unpacked(body: Body) -> Body:
    """Undo base64 mode, told by content: a middlebox may drop the header that announces it."""
    if body.state is not BodyState.WHOLE or body.data.lstrip()[:1] == b"{":
        return body
    try:
        plain = base64.b64decode(b"".join(body.data.split()), validate=True)
    except (binascii.Error, ValueError):
        return body
    return Body(plain, body.state)


def _instance(envelope: _Envelope, exchange: Exchange) -> tuple[str, str | None]:
    """Give the instance's name and, where both are shown, its uuid as an alias (notes 0.2)."""
    uuid = envelope.instance_id or (exchange.request_header(b"x-instance-id") or b"").decode("latin-1")
    name = envelope.instance or envelope.instance_name
    return (name, uuid or None) if name else (uuid, None)


def _data(envelope: _Envelope) -> Json | None:
    """Give `data_value` or, without it, `data` (rules.md section 4); JSON in a text is unpacked."""
    for raw in (envelope.data_value, envelope.data):
        head = bytes(memoryview(raw)[:1])
        if head == b"n":  # null
            continue
        if head != b'"':
            return raw
        text = narrowed(_TEXT, raw)
        if not isinstance(text, Fault):
            return text.encode("utf-8", "replace")
    return None

"""What Evolution API tells by callback (notes 2.3).

`date_time` is the server's local time written with a `Z`: wrong by its offset from UTC, so never a time here.
It still makes a redelivered body equal to itself and to no other, which is what a basis needs.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import msgspec

from domain.event import Context, Event
from domain.words import EventType, Source
from sidecar.exchange import BodyState, Exchange
from sidecar.providers import basis, media
from sidecar.providers.chat import phone_first
from sidecar.providers.contract import (
    CALLBACK,
    Fault,
    Reading,
    UnreadableExchange,
    decoded,
    drift,
    narrowed,
)
from sidecar.providers.evolution.types import QUIET_STATES, STATE_OF, STATUS_NAMES, Key, Long, message_type
from sidecar.providers.times import from_seconds

_OWN_RECEIPTS: Final = {
    "ERROR": EventType.MESSAGE_FAILED,
    "SERVER_ACK": EventType.MESSAGE_SENT,
    "DELIVERY_ACK": EventType.MESSAGE_DELIVERED,
    "READ": EventType.MESSAGE_READ,
    "PLAYED": EventType.MESSAGE_READ,
}
"""Only where `fromMe` is true; otherwise it is we who read, or received."""
_META_RECEIPTS: Final = {
    "SENT": EventType.MESSAGE_SENT,
    "DELIVERED": EventType.MESSAGE_DELIVERED,
    "FAILED": EventType.MESSAGE_FAILED,
}
"""Channel WHATSAPP-BUSINESS says `fromMe` false of our own messages."""
_QUIET_STATUSES: Final = frozenset({"PENDING", "DELETED", "EDITED"})
_NO_MESSAGES: Final = frozenset({"protocolMessage", "editedMessage"})
"""Edits and deletes inside `messages.upsert` (R13)."""


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    event: str | None = None
    instance: str | None = None
    date_time: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Message(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    key: Key | None = None
    status: str | int | None = None
    message_type: str | None = None
    message_timestamp: int | float | str | Long | None = None


class _Receipt(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A status change. `messageId` is a database id and therefore not read."""

    key_id: str | None = None
    id: str | None = None
    key: Key | None = None
    remote_jid: str | None = None
    remote_jid_alt: str | None = None
    from_me: bool | None = None
    status: str | int | None = None
    message: msgspec.Raw = msgspec.Raw(b"null")


class _Connection(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    state: str | None = None
    status: str | None = None
    status_reason: int | str | None = None
    disconnection_reason_code: int | str | None = None


class _Code(msgspec.Struct, frozen=True, gc=False):
    code: str | None = None
    base64: str | None = None


class _Qr(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    qrcode: _Code | None = None
    status_code: int | str | None = None


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_MESSAGES: Final = msgspec.json.Decoder(_Message | list[_Message])
_RECEIPTS: Final = msgspec.json.Decoder(_Receipt | list[_Receipt])
_CONNECTION: Final = msgspec.json.Decoder(_Connection)
_QR: Final = msgspec.json.Decoder(_Qr)


class _Callback(NamedTuple):
    event: str
    instance_id: str
    data: msgspec.Raw
    stamp: str | None


def read_callback(exchange: Exchange) -> Reading:
    """Read one callback.

    Raises:
        UnreadableExchange: the body is not JSON, or was cut.
    """
    if exchange.request_body.state is BodyState.EMPTY:
        return Reading([], CALLBACK)
    envelope = decoded(_ENVELOPE, exchange.request_body)
    if isinstance(envelope, Fault):
        raise UnreadableExchange(envelope, CALLBACK)
    event = envelope.event or ""
    read = _READERS.get(event)
    if read is None:
        quiet = event in _QUIET_EVENTS or event.partition(".")[0] in _QUIET_FAMILIES
        return Reading([], CALLBACK, () if quiet else drift("event", event))
    stamp = basis.of_body(exchange.request_body.data) if envelope.date_time else None
    return read(_Callback(event, envelope.instance or "", envelope.data, stamp))


def _read_messages(callback: _Callback) -> Reading:
    """`messages.upsert` and `send.message`: someone's message, or the echo of one of ours."""
    messages = narrowed(_MESSAGES, callback.data)
    if isinstance(messages, Fault):
        return Reading([], CALLBACK, (), _named(messages, callback))
    events: list[Event] = []
    fault: Fault | None = None
    for message in messages if isinstance(messages, list) else [messages]:
        key = message.key
        if key is None:
            fault = Fault.DATA_MISSING
            continue
        place = phone_first(key.remote_jid, key.remote_jid_alt)
        if place.unheard or message.message_type in _NO_MESSAGES:
            continue
        kind = message_type(message.message_type) or media.OTHER
        ours = bool(key.from_me) or callback.event == "send.message"
        context: Context = {"event": callback.event, "messageType": kind}
        if ours and message.status is not None:
            status = _status_name(message.status)
            context["status"] = status if status in STATUS_NAMES else "other"
        if not ours:
            what = EventType.MESSAGE_RECEIVED
        else:
            what = EventType.REACTION_SENT if kind == media.REACTION else EventType.MESSAGE_SENT
        stamp = message.message_timestamp
        sent_at = from_seconds(stamp.value if isinstance(stamp, Long) else stamp)
        events.append(
            Event(
                what,
                Source.WEBHOOK,
                callback.instance_id,
                sent_at,
                key.id or None,
                place.jid,
                place.is_group,
                None,
                context,
                basis.of_time(sent_at) or callback.stamp,
            )
        )
    return Reading(events, CALLBACK, (), fault)


def _read_receipts(callback: _Callback) -> Reading:
    """`messages.update`: a receipt of ours, or an edit that looks like one."""
    receipts = narrowed(_RECEIPTS, callback.data)
    if isinstance(receipts, Fault):
        return Reading([], CALLBACK, (), _named(receipts, callback))
    events: list[Event] = []
    strange: list[object] = []
    for receipt in receipts if isinstance(receipts, list) else [receipts]:
        status = _status_name(receipt.status)
        key = receipt.key or Key()
        from_me = receipt.from_me if receipt.from_me is not None else key.from_me
        kind = _META_RECEIPTS.get(status) or (_OWN_RECEIPTS.get(status) if from_me else None)
        place = phone_first(
            receipt.remote_jid or key.remote_jid, receipt.remote_jid_alt or key.remote_jid_alt
        )
        edited = status == "SERVER_ACK" and bytes(receipt.message) != b"null"
        if kind is None or edited or place.unheard:
            known = not status or status in _OWN_RECEIPTS or status in _QUIET_STATUSES or kind is not None
            strange.extend([] if known else [status])
            continue
        events.append(
            Event(
                kind,
                Source.WEBHOOK,
                callback.instance_id,
                None,
                receipt.key_id or key.id or receipt.id or None,
                place.jid,
                place.is_group,
                None,
                {"event": callback.event, "status": status},
                callback.stamp,
            )
        )
    return Reading(events, CALLBACK, drift("status", strange[0]) if strange else ())


def _status_name(status: str | int | None) -> str:
    if isinstance(status, int):
        return STATUS_NAMES[status] if 0 <= status < len(STATUS_NAMES) else str(status)
    return status or ""


def _read_connection(callback: _Callback) -> Reading:
    connection = narrowed(_CONNECTION, callback.data)
    if isinstance(connection, Fault):
        return Reading([], CALLBACK, (), _named(connection, callback))
    status = connection.state
    kind = STATE_OF.get(status) if status else None
    if status is None or kind is None:
        quiet = status is None or status in QUIET_STATES
        return Reading([], CALLBACK, () if quiet else drift("state", status))
    reason = None if kind is EventType.CONNECTION_CONNECTED else connection.status_reason
    return _state_event(callback, kind, status, reason)


def _read_closed(callback: _Callback) -> Reading:
    """`status.instance`: repeats the `connection.update` of a lost connection."""
    connection = narrowed(_CONNECTION, callback.data)
    if isinstance(connection, Fault):
        return Reading([], CALLBACK, (), _named(connection, callback))
    if connection.status != "closed":
        return Reading([], CALLBACK, drift("status", connection.status) if connection.status else ())
    reason = connection.disconnection_reason_code
    return _state_event(callback, EventType.CONNECTION_DISCONNECTED, "closed", reason)


def _read_logout(callback: _Callback) -> Reading:
    return _state_event(callback, EventType.CONNECTION_DISCONNECTED)


def _read_qrcode(callback: _Callback) -> Reading:
    """`qrcode.updated`: a new code, or the end of the codes."""
    qr = narrowed(_QR, callback.data)
    if isinstance(qr, Fault):
        return Reading([], CALLBACK, (), _named(qr, callback))
    if qr.qrcode is not None:
        identity = basis.of_qr(qr.qrcode.code or qr.qrcode.base64)
        return _state_event(callback, EventType.CONNECTION_QRCODE, identity=identity)
    if qr.status_code is None:
        return Reading([], CALLBACK, (), Fault.DATA_MISSING)
    return _state_event(callback, EventType.CONNECTION_ERROR, None, qr.status_code)


def _state_event(
    callback: _Callback,
    kind: EventType,
    status: str | None = None,
    reason: str | int | None = None,
    identity: str | None = None,
) -> Reading:
    context: Context = {"event": callback.event}
    if status is not None:
        context["status"] = status
    if reason is not None:
        context["reasonCode"] = str(reason)
    event = Event(
        kind,
        Source.PROVIDER,
        callback.instance_id,
        context=context,
        basis=identity or callback.stamp,
    )
    return Reading([event], CALLBACK)


def _named(fault: Fault, callback: _Callback) -> Fault:
    return Fault.DATA_MISSING if bytes(callback.data) == b"null" else fault


_Read: TypeAlias = Callable[[_Callback], Reading]
_READERS: Final[dict[str, _Read]] = {
    "messages.upsert": _read_messages,
    "send.message": _read_messages,
    "messages.update": _read_receipts,
    "connection.update": _read_connection,
    "status.instance": _read_closed,
    "logout.instance": _read_logout,
    "qrcode.updated": _read_qrcode,
}
_QUIET_EVENTS: Final = frozenset(
    {
        "messages.set", "messages.edited", "messages.delete", "send.message.update", "presence.update",
        "call", "group-participants.update", "instance.create", "instance.delete", "remove.instance",
        "application.startup", "error",
    }
)  # fmt: skip
"""Known, and no fact about an instance; `error` is the errors webhook, which names none."""
_QUIET_FAMILIES: Final = frozenset({"contacts", "chats", "groups", "labels", "typebot"})

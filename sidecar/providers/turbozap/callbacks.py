"""What TurboZap tells by callback (notes 1.3 and 1.4): one event a body, JSON or base64 of JSON."""

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from domain.event import Context, Event
from domain.words import EventType, Source
from sidecar.exchange import BodyState, Exchange
from sidecar.providers import basis, media
from sidecar.providers.chat import GROUP_SERVER, Chat, chat, first_chat
from sidecar.providers.codes import Code, engine_code
from sidecar.providers.contract import CALLBACK, Fault, Reading, drift, narrowed
from sidecar.providers.outcome import add_code
from sidecar.providers.turbozap.envelope import Callback, Json, opened

_BARE_GROUP: Final = re.compile(r"[0-9]{16,}|[0-9]+-[0-9]+")
"""`send.message` drops the server: more than 15 digits, or digits-dash-digits, is a group (notes 1.3)."""
_STORY: Final = "status"

_RECEIPT_OF: Final = {
    "sent": EventType.MESSAGE_SENT,
    "delivered": EventType.MESSAGE_DELIVERED,
    "read": EventType.MESSAGE_READ,
    "played": EventType.MESSAGE_READ,
    "failed": EventType.MESSAGE_FAILED,
}
_CONNECTION_OF: Final = {
    "connected": EventType.CONNECTION_CONNECTED,
    "disconnected": EventType.CONNECTION_DISCONNECTED,
    "logged_out": EventType.CONNECTION_DISCONNECTED,
    "qrcode": EventType.CONNECTION_QRCODE,
    "error": EventType.CONNECTION_ERROR,
}
_QUIET_STATUSES: Final = frozenset({"unknown", "pending", "connecting"})
_TYPE_OF: Final = {
    "text": media.TEXT,
    "image": media.IMAGE,
    "video": media.VIDEO,
    "audio": media.AUDIO,
    "ptt": media.AUDIO,
    "document": media.DOCUMENT,
    "sticker": media.STICKER,
    "reaction": media.REACTION,
    **dict.fromkeys(("location", "contact", "contacts", "poll", "button", "buttons"), media.OTHER),
    **dict.fromkeys(("list", "carousel", "template", "unknown", "other"), media.OTHER),
}


class _Message(msgspec.Struct, frozen=True, gc=False):
    message_id: str | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    chat: str | None = None
    from_me: bool | None = msgspec.field(name="fromMe", default=None)
    is_group: bool | None = None
    type: str | None = None
    status: str | None = None
    timestamp: str | float | None = None
    code: str | int | None = None
    error: object = None


class _State(msgspec.Struct, frozen=True, gc=False):
    status: str | None = None
    qr_code: str | None = None
    code: str | None = None


_MESSAGE: Final = msgspec.json.Decoder(_Message)
_STATE: Final = msgspec.json.Decoder(_State)


def read_callback(exchange: Exchange, codes: Mapping[str, Code]) -> Reading:
    """Read one callback.

    Raises:
        UnreadableExchange: the body is neither JSON nor base64 of JSON, or was cut.
    """
    if exchange.request_body.state is BodyState.EMPTY:
        return Reading([], CALLBACK)
    callback = opened(exchange, codes)
    read = _READERS.get(callback.event)
    if read is None:
        event = callback.event
        quiet = event in _QUIET_EVENTS or event.partition(".")[0] in _QUIET_FAMILIES
        return Reading([], CALLBACK, () if quiet else drift("event", event))
    if callback.data is None:
        return Reading([], CALLBACK, (), Fault.DATA_MISSING)
    return read(callback, callback.data)


def _read_message(callback: Callback, data: Json) -> Reading:
    """`messages.upsert`: a message of someone else, or one of ours typed on the phone."""
    message = narrowed(_MESSAGE, data)
    if isinstance(message, Fault):
        return Reading([], CALLBACK, (), message)
    is_group = bool(message.is_group)
    ours = bool(message.from_me)
    place = (
        first_chat(message.to, message.chat) if ours or is_group else first_chat(message.sender, message.chat)
    )
    if place.unheard or chat(message.to).unheard:
        return Reading([], CALLBACK)
    message_type = _TYPE_OF.get(message.type or "", media.OTHER)
    if not ours:
        kind = EventType.MESSAGE_RECEIVED
    elif message_type == media.REACTION:
        kind = EventType.REACTION_SENT
    else:
        kind = EventType.MESSAGE_SENT
    place = place._replace(is_group=is_group or place.is_group)
    return _one(callback, message, kind, place, {"event": callback.event, "messageType": message_type})


def _read_echo(callback: Callback, data: Json) -> Reading:
    """`send.message`: the echo of a send made through the API; the chat has lost its server."""
    message = narrowed(_MESSAGE, data)
    if isinstance(message, Fault):
        return Reading([], CALLBACK, (), message)
    place = _bare_chat(message.to)
    if message.to == _STORY or place.unheard:
        return Reading([], CALLBACK)
    message_type = _TYPE_OF.get(message.type or "", media.OTHER)
    kind = EventType.REACTION_SENT if message_type == media.REACTION else EventType.MESSAGE_SENT
    context: Context = {"event": callback.event, "messageType": message_type}
    if message.status:
        context["status"] = _shown(message.status)
    return _one(callback, message, kind, place, context)


def _bare_chat(to: str | None) -> Chat:
    if to and "@" not in to:
        return chat(f"{to}@{GROUP_SERVER}" if _BARE_GROUP.fullmatch(to) else to)
    return chat(to)


def _read_receipt(callback: Callback, data: Json) -> Reading:
    """`message.ack` and `messages.update`: a receipt; without a status it is an edit, and says nothing."""
    message = narrowed(_MESSAGE, data)
    if isinstance(message, Fault):
        return Reading([], CALLBACK, (), message)
    status = message.status
    kind = _RECEIPT_OF.get(status) if status else None
    if kind is None:
        known = status is None or status in _QUIET_STATUSES
        return Reading([], CALLBACK, () if known else drift("status", status))
    place = first_chat(message.sender, message.chat)
    if place.unheard:
        return Reading([], CALLBACK)
    context: Context = {"event": callback.event, "status": status or ""}
    if kind is not EventType.MESSAGE_FAILED:
        return _one(callback, message, kind, place, context)
    text = message.error if isinstance(message.error, str) else None
    code = engine_code(text) or (None if message.code is None else str(message.code))
    if code is not None:
        add_code(context, code, callback.codes)
    failed = _one(callback, message, kind, place, context)
    entry = callback.codes.get(code) if code is not None else None
    if entry is None or not entry.is_rate_limit:
        return failed
    limited = failed.events[0]._replace(type=EventType.RATE_LIMIT_HIT, source=Source.PROVIDER)
    return failed._replace(events=[*failed.events, limited])


def _one(callback: Callback, message: _Message, kind: EventType, place: Chat, context: Context) -> Reading:
    occurred_at, identity = callback.when(message.timestamp)
    event = Event(
        kind,
        Source.WEBHOOK,
        callback.instance_id,
        occurred_at,
        message.message_id or None,
        place.jid,
        place.is_group,
        None,
        context,
        identity,
        callback.alias,
    )
    strange = message.type if message.type and message.type not in _TYPE_OF else None
    return Reading([event], CALLBACK, drift("messageType", strange) if strange else ())


def _read_connection(callback: Callback, data: Json) -> Reading:
    state = narrowed(_STATE, data)
    if isinstance(state, Fault):
        return Reading([], CALLBACK, (), state)
    if not state.status:
        return Reading([], CALLBACK, (), Fault.DATA_MISSING)
    kind = _CONNECTION_OF.get(state.status)
    if kind is None:
        known = state.status in _QUIET_STATUSES
        return Reading([], CALLBACK, () if known else drift("status", state.status))
    return _state_event(callback, kind, {"event": callback.event, "status": state.status}, state)


def _read_qrcode(callback: Callback, data: Json) -> Reading:
    state = narrowed(_STATE, data)
    if isinstance(state, Fault):
        return Reading([], CALLBACK, (), state)
    return _state_event(callback, EventType.CONNECTION_QRCODE, {"event": callback.event}, state)


def _state_event(callback: Callback, kind: EventType, context: Context, state: _State) -> Reading:
    occurred_at, identity = callback.when(None)
    if kind is EventType.CONNECTION_QRCODE:
        identity = basis.of_qr(state.code or state.qr_code) or identity
    event = Event(
        kind,
        Source.PROVIDER,
        callback.instance_id,
        occurred_at,
        context=context,
        basis=identity,
        alias=callback.alias,
    )
    return Reading([event], CALLBACK)


def _shown(status: str) -> str:
    return status if status in _RECEIPT_OF or status in _QUIET_STATUSES else "other"


_Read: TypeAlias = Callable[[Callback, Json], Reading]
_READERS: Final[dict[str, _Read]] = {
    "messages.upsert": _read_message,
    "message.received": _read_message,
    "send.message": _read_echo,
    "send-message": _read_echo,
    "message.sent": _read_echo,
    "message.ack": _read_receipt,
    "messages.update": _read_receipt,
    "connection.update": _read_connection,
    "qrcode.updated": _read_qrcode,
}
_QUIET_EVENTS: Final = frozenset(
    {
        "messages.delete", "message.revoked", "messages.set", "group.participants.update", "presence.update",
        "poll.vote", "button.response", "list.response", "application.startup", "new.jwt", "errors",
    }
)  # fmt: skip
"""Known, and no fact about our instance; responses come with a `messages.upsert` of their own."""
_QUIET_FAMILIES: Final = frozenset({"contacts", "chats", "groups", "call", "typebot"})
"""First words of event names the notes list with a star."""

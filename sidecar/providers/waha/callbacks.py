"""What WAHA tells by callback (notes 3.3): one event a body, envelope times in ms, message times in s."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec

from domain.event import Context, Event
from domain.words import EventType, Millis, Source
from sidecar.exchange import BodyState, Exchange
from sidecar.providers import basis, media
from sidecar.providers.chat import Chat, chat
from sidecar.providers.codes import Code
from sidecar.providers.contract import (
    CALLBACK,
    Fault,
    Reading,
    UnreadableExchange,
    decoded,
    drift,
    narrowed,
)
from sidecar.providers.outcome import add_code
from sidecar.providers.times import from_millis, from_seconds
from sidecar.providers.waha.ids import QUIET_STATES, STATE_OF, SerializedId, message_id

_ACKS: Final = {
    -1: ("ERROR", EventType.MESSAGE_FAILED),
    0: ("PENDING", None),
    1: ("SERVER", EventType.MESSAGE_SENT),
    2: ("DEVICE", EventType.MESSAGE_DELIVERED),
    3: ("READ", EventType.MESSAGE_READ),
    4: ("PLAYED", EventType.MESSAGE_READ),
}
TIMELOCK: Final = "REACHOUT_TIMELOCK"
CAPPING: Final = "MESSAGE_CAPPING"

_WEBJS_TYPES: Final = {
    "chat": media.TEXT,
    "image": media.IMAGE,
    "video": media.VIDEO,
    "audio": media.AUDIO,
    "ptt": media.AUDIO,
    "document": media.DOCUMENT,
    "sticker": media.STICKER,
    # A location's body is its picture, a contact's its card: neither is a text.
    **dict.fromkeys(("location", "vcard", "multi_vcard", "poll_creation", "list", "product"), media.OTHER),
    **dict.fromkeys(("list_response", "buttons_response", "template_button_reply", "order"), media.OTHER),
}


class _Timelock(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    is_active: bool | None = None


class _Capping(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    capping_status: str | None = None


class _Me(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    reachout_timelock: _Timelock | None = None
    message_capping: _Capping | None = None


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    id: str | None = None
    timestamp: int | float | str | None = None
    event: str | None = None
    session: str | None = None
    me: msgspec.Raw = msgspec.Raw(b"null")
    payload: msgspec.Raw = msgspec.Raw(b"null")


class _File(msgspec.Struct, frozen=True, gc=False):
    mimetype: str | None = None


class _Error(msgspec.Struct, frozen=True, gc=False):
    code: str | int | None = None


class _Message(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A message or a receipt; on WEBJS a receipt is the whole message with its new `ack`."""

    id: SerializedId | str | None = None
    timestamp: int | float | str | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    from_me: bool | None = None
    has_media: bool | None = None
    media: msgspec.Raw = msgspec.Raw(b"null")
    body: msgspec.Raw = msgspec.Raw(b"null")
    ack: int | None = None
    ack_name: str | None = None
    error: _Error | str | None = None
    engine: msgspec.Raw = msgspec.field(name="_data", default=msgspec.Raw(b"null"))


class _Session(msgspec.Struct, frozen=True, gc=False):
    status: str | None = None


class _Webjs(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_SESSION: Final = msgspec.json.Decoder(_Session)
_FILE: Final = msgspec.json.Decoder(_File | None)
_EMPTY: Final = frozenset({b"null", b'""'})
_ME: Final = msgspec.json.Decoder(_Me | None)
_WEBJS: Final = msgspec.json.Decoder(_Webjs)


class _Callback(NamedTuple):
    event: str
    instance_id: str
    occurred_at: Millis | None
    identity: str | None
    envelope: _Envelope
    codes: Mapping[str, Code]


def read_callback(exchange: Exchange, codes: Mapping[str, Code]) -> Reading:
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
    if bytes(envelope.payload) == b"null":
        return Reading([], CALLBACK, (), Fault.DATA_MISSING)
    request_id = (exchange.request_header(b"x-webhook-request-id") or b"").decode("latin-1")
    occurred_at = from_millis(envelope.timestamp)
    identity = basis.of_event(envelope.id or request_id) or basis.of_time(occurred_at)
    return read(_Callback(event, envelope.session or "", occurred_at, identity, envelope, codes))


def _read_message(callback: _Callback) -> Reading:
    """`message`, `message.any`, `message.reaction`: someone's message, or one of ours typed on the phone."""
    message = narrowed(_MESSAGE, callback.envelope.payload)
    if isinstance(message, Fault):
        return Reading([], CALLBACK, (), message)
    bare, ours, place = _named(message)
    if place.unheard:
        return Reading([], CALLBACK)
    reaction = callback.event == "message.reaction"
    context: Context = {
        "event": callback.event,
        "messageType": media.REACTION if reaction else _message_type(message),
    }
    if not ours:
        kind = EventType.MESSAGE_RECEIVED
    else:
        kind = EventType.REACTION_SENT if reaction else EventType.MESSAGE_SENT
    sent_at = from_seconds(message.timestamp)
    event = Event(
        kind,
        Source.WEBHOOK,
        callback.instance_id,
        callback.occurred_at if sent_at is None else sent_at,
        bare,
        place.jid,
        place.is_group,
        None,
        context,
        callback.identity,
    )
    return Reading([event], CALLBACK)


def _named(message: _Message) -> tuple[str | None, bool, Chat]:
    """Give bare id, direction and chat; the serialized id is surer than `from` and `to` (notes 3.2)."""
    named = message_id(message.id)
    ours = named.from_me if named.from_me is not None else bool(message.from_me)
    place = named.chat if named.chat.jid else chat(message.to if ours else message.sender)
    return named.id, ours, place


def _message_type(message: _Message) -> str:
    webjs = narrowed(_WEBJS, message.engine)
    if not isinstance(webjs, Fault) and webjs.type in _WEBJS_TYPES:
        return _WEBJS_TYPES[webjs.type]
    file = narrowed(_FILE, message.media)
    if isinstance(file, _File) or message.has_media:
        return media.of_mime(file.mimetype if isinstance(file, _File) else None)
    return media.OTHER if bytes(message.body) in _EMPTY else media.TEXT


def _read_ack(callback: _Callback) -> Reading:
    """`message.ack`, `message.ack.group`: a receipt; it has no time of its own, so the envelope's counts."""
    message = narrowed(_MESSAGE, callback.envelope.payload)
    if isinstance(message, Fault):
        return Reading([], CALLBACK, (), message)
    if message.ack is None:
        return Reading([], CALLBACK, (), Fault.DATA_MISSING)
    if message.ack not in _ACKS:
        return Reading([], CALLBACK, drift("ack", message.ack))
    status, kind = _ACKS[message.ack]
    bare, ours, place = _named(message)
    if kind is None or not ours or place.unheard:
        return Reading([], CALLBACK)
    context: Context = {"event": callback.event, "status": status}
    code = message.error.code if isinstance(message.error, _Error) else None
    if code is not None and kind is EventType.MESSAGE_FAILED:
        add_code(context, str(code), callback.codes)
    receipt = Event(
        kind,
        Source.WEBHOOK,
        callback.instance_id,
        callback.occurred_at,
        bare,
        place.jid,
        place.is_group,
        None,
        context,
        callback.identity,
    )
    known = callback.codes.get(str(context.get("code")))
    if known is None or not known.is_rate_limit:
        return Reading([receipt], CALLBACK)
    limited = receipt._replace(type=EventType.RATE_LIMIT_HIT, source=Source.PROVIDER)
    return Reading([receipt, limited], CALLBACK)


def _read_session(callback: _Callback) -> Reading:
    """`session.status`: the session's state and, beside it, restrictions of the account (`me`)."""
    session = narrowed(_SESSION, callback.envelope.payload)
    if isinstance(session, Fault):
        return Reading([], CALLBACK, (), session)
    events: list[Event] = []
    status = session.status or ""
    kind = STATE_OF.get(status)
    if kind is not None:
        events.append(_provider_event(callback, kind, {"event": callback.event, "status": status}))
    for code in _restrictions(callback.envelope):
        context: Context = {"event": callback.event}
        add_code(context, code, callback.codes)
        events.append(_provider_event(callback, EventType.RATE_LIMIT_HIT, context))
    known = kind is not None or status in QUIET_STATES
    return Reading(events, CALLBACK, () if known else drift("status", status))


def _restrictions(envelope: _Envelope) -> list[str]:
    me = narrowed(_ME, envelope.me)
    if isinstance(me, Fault) or me is None:
        return []
    codes = []
    if me.reachout_timelock is not None and me.reachout_timelock.is_active:
        codes.append(TIMELOCK)
    if me.message_capping is not None and me.message_capping.capping_status == "CAPPED":
        codes.append(CAPPING)
    return codes


def _provider_event(callback: _Callback, kind: EventType, context: Context) -> Event:
    return Event(
        kind,
        Source.PROVIDER,
        callback.instance_id,
        callback.occurred_at,
        context=context,
        basis=callback.identity,
    )


_Read: TypeAlias = Callable[[_Callback], Reading]
_READERS: Final[dict[str, _Read]] = {
    "message": _read_message,
    "message.any": _read_message,
    "message.reaction": _read_message,
    "message.ack": _read_ack,
    "message.ack.group": _read_ack,
    "session.status": _read_session,
}
_QUIET_EVENTS: Final = frozenset(
    {
        "message.waiting", "message.revoked", "message.edited", "presence.update", "chat.archive",
        "state.change", "engine.event",
    }
)  # fmt: skip
"""Known, and no fact about our session."""
_QUIET_FAMILIES: Final = frozenset({"poll", "group", "call", "label", "event"})

"""What a dispatcher asks of Evolution API and what it answers (notes 2.1 and 2.2)."""

from collections.abc import Mapping
from typing import Final

import msgspec

from domain.words import EventType
from sidecar.exchange import Exchange
from sidecar.providers import basis, media, outcome
from sidecar.providers.chat import NO_CHAT, Chat, chat, phone_first
from sidecar.providers.codes import Code, engine_code
from sidecar.providers.contract import CONNECTS, SENDS, Action, Fault, Reading, decoded, drift
from sidecar.providers.evolution.types import QUIET_STATES, STATE_OF, STATUS_NAMES, Key, message_type
from sidecar.providers.outcome import Call
from sidecar.providers.routes import Routes, Row, any_method, unknown_call

_GROUPS: Final = (
    "business", "call", "chat", "chatwoot", "dify", "event", "flowise", "group", "instance", "label",
    "message", "n8n", "openai", "proxy", "rabbitmq", "settings", "sqs", "template", "typebot", "webhook",
    "websocket",
)  # fmt: skip
"""Groups whose calls end in the instance's name: any of them may meet a rate limit (R3)."""

ROUTES: Final = Routes(
    (
        Row("POST", "/message/sendText/{instance}", Action.SEND_TEXT, media.TEXT),
        Row("POST", "/message/sendMedia/{instance}", Action.SEND_MEDIA),
        Row("POST", "/message/sendPtv/{instance}", Action.SEND_MEDIA, media.VIDEO),
        Row("POST", "/message/sendSticker/{instance}", Action.SEND_MEDIA, media.STICKER),
        Row("POST", "/message/sendWhatsAppAudio/{instance}", Action.SEND_AUDIO, media.AUDIO),
        Row("POST", "/message/sendReaction/{instance}", Action.SEND_REACTION, media.REACTION),
        Row("POST", "/message/sendLocation/{instance}", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/message/sendContact/{instance}", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/message/sendPoll/{instance}", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/message/sendList/{instance}", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/message/sendButtons/{instance}", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/message/sendTemplate/{instance}", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/message/sendStatus/{instance}", Action.OTHER),
        Row("POST", "/chat/sendPresence/{instance}", Action.SET_PRESENCE),
        Row("POST", "/instance/setPresence/{instance}", Action.SET_PRESENCE),
        Row("POST", "/chat/markMessageAsRead/{instance}", Action.MARK_AS_READ),
        Row("GET", "/instance/connect/{instance}", Action.CONNECT),
        Row("POST", "/instance/restart/{instance}", Action.CONNECT),
        Row("GET", "/instance/connectionState/{instance}", Action.GET_STATUS),
        Row("DELETE", "/instance/logout/{instance}", Action.LOGOUT),
        Row("POST", "/instance/create", Action.OTHER),
        Row("GET", "/instance/fetchInstances", Action.OTHER),
        *any_method(*(f"/{group}/{{call}}/{{instance}}" for group in _GROUPS)),
        Row("POST", "/message/{kind}/{instance}", Action.OTHER),
    ),
    ignore_case=True,  # Express
)

_PRESENCES: Final = frozenset({"available", "unavailable", "composing", "recording", "paused"})
_TEXTS_MAX: Final = 16
"""Texts of an error list that are searched for a code."""


class _Request(msgspec.Struct, frozen=True, gc=False):
    number: str | int | None = None
    key: Key | None = None
    mediatype: str | None = None
    mimetype: str | None = None
    presence: str | None = None


class _ReadRequest(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    read_messages: list[Key] | None = None
    number: str | int | None = None


class _Inner(msgspec.Struct, frozen=True, gc=False):
    message: object = None


class _Meta(msgspec.Struct, frozen=True, gc=False):
    code: int | str | None = None
    message: object = None


class _Refusal(msgspec.Struct, frozen=True, gc=False):
    """Evolution's own error, or Meta's error object at top level (notes 2.2)."""

    code: int | str | None = None
    message: object = None
    error: _Meta | str | bool | None = None
    response: _Inner | str | None = None


class _Sent(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    key: Key | None = None
    status: str | int | None = None
    message_type: str | None = None


class _State(msgspec.Struct, frozen=True, gc=False):
    state: str | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    error: bool | str | None = None
    presence: str | None = None
    instance: _State | None = None
    code: str | int | None = None
    base64: str | None = None


_REQUEST: Final = msgspec.json.Decoder(_Request)
_READ_REQUEST: Final = msgspec.json.Decoder(_ReadRequest)
_REFUSAL: Final = msgspec.json.Decoder(_Refusal)
_SENT: Final = msgspec.json.Decoder(_Sent)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_NO_REQUEST: Final = _Request()
_NO_ANSWER: Final = _Answer()


def read_call(exchange: Exchange, codes: Mapping[str, Code]) -> Reading:
    """Read one call of the dispatcher."""
    match = ROUTES.match(exchange.method, exchange.target)
    if match is None:
        return Reading([])
    route = match.route
    call = Call(exchange, route, match.value("instance"), codes)
    if route.action in SENDS:
        return _read_send(exchange, call)
    if not call.answered_ok:
        return Reading(outcome.not_done(call, _refusal_code(exchange)), route.template)
    if route.action is Action.OTHER:
        return Reading([], route.template, unknown_call(match, "kind"))
    return _read_answer(exchange, call)


def _read_answer(exchange: Exchange, call: Call) -> Reading:
    """Read a 2xx answer to a call that is no send."""
    route = call.route
    answer = decoded(_ANSWER, exchange.response_body)
    fault = answer if isinstance(answer, Fault) else None
    if isinstance(answer, Fault):
        answer = _NO_ANSWER  # R4, R5 and R8 ask for a 2xx and no more
    if answer.error is not None and answer.error is not False:
        code = _refusal_code(exchange)
        failed = outcome.connection_failed if route.action in CONNECTS else outcome.refused
        return Reading(failed(call, code), route.template)
    if route.action is Action.SET_PRESENCE:
        return _read_presence(exchange, call, answer)
    if route.action is Action.MARK_AS_READ:
        return _read_mark(exchange, call)
    if route.action is Action.LOGOUT:
        return Reading(outcome.logged_out(call), route.template, (), fault)
    return _read_state(call, answer)._replace(fault=fault)


def _read_send(exchange: Exchange, call: Call) -> Reading:
    request, fault = _asked(exchange)
    target = _addressed(request)
    template = call.route.template
    kind = call.route.message_type
    call = call._replace(
        chat=target, message_type=kind or message_type(request.mediatype) or media.of_mime(request.mimetype)
    )
    if target.unheard:
        return Reading(outcome.refused(call, _refusal_code(exchange)), template)
    if not call.answered_ok:
        return Reading(outcome.not_sent(call, _refusal_code(exchange)), template, (), fault)
    answer = decoded(_SENT, exchange.response_body)
    if isinstance(answer, Fault):
        return Reading([], template, (), answer)  # R1 wants the body's word
    key = answer.key
    if key is None or not key.id:
        return Reading(outcome.not_sent(call, _refusal_code(exchange)), template, (), fault)
    place = phone_first(key.remote_jid, key.remote_jid_alt)  # the corrected JID: ninth digit, LID
    if place.unheard:
        return Reading([], template, (), fault)
    call = call._replace(
        chat=place if place.jid else target,
        message_type=kind or message_type(answer.message_type) or call.message_type,
    )
    status = answer.status if isinstance(answer.status, str) else None
    shown = status if status is None or status in STATUS_NAMES else "other"
    return Reading(outcome.sent(call, key.id, shown), template, (), fault)


def _asked(exchange: Exchange) -> tuple[_Request, Fault | None]:
    """Read a request; a multipart upload holds nothing we need, the answer names the chat."""
    if (exchange.request_header(b"content-type") or b"")[:10].lower() == b"multipart/":
        return _NO_REQUEST, None
    request = decoded(_REQUEST, exchange.request_body)
    return (_NO_REQUEST, request) if isinstance(request, Fault) else (request, None)


def _addressed(request: _Request) -> Chat:
    """Give the chat of a request: a number, or the key of the message reacted to."""
    if request.key is not None:
        return phone_first(request.key.remote_jid, request.key.remote_jid_alt)
    return NO_CHAT if request.number is None else chat(str(request.number))


def _read_presence(exchange: Exchange, call: Call, answer: _Answer) -> Reading:
    request, fault = _asked(exchange)
    presence = answer.presence or request.presence
    shown = presence if presence is None or presence in _PRESENCES else "other"
    call = call._replace(chat=_addressed(request))
    unknown = drift("presence", presence) if shown == "other" else ()
    return Reading(outcome.presence_set(call, shown), call.route.template, unknown, fault)


def _read_mark(exchange: Exchange, call: Call) -> Reading:
    request = decoded(_READ_REQUEST, exchange.request_body)
    template = call.route.template
    if isinstance(request, Fault):
        return Reading([outcome.marked_read(call, None)], template, (), request)
    named = request.read_messages or []
    if not named:
        place = NO_CHAT if request.number is None else chat(str(request.number))
        return Reading([outcome.marked_read(call._replace(chat=place), None)], template)
    read = [(phone_first(key.remote_jid, key.remote_jid_alt), key.id) for key in named]
    events = [outcome.marked_read(call._replace(chat=p), id_ or None) for p, id_ in read if not p.unheard]
    return Reading(events, template)


def _read_state(call: Call, answer: _Answer) -> Reading:
    template = call.route.template
    if answer.instance is not None:
        status = answer.instance.state
        state = STATE_OF.get(status) if status else None
        if state is None:
            quiet = status is None or status in QUIET_STATES
            return Reading([], template, () if quiet else drift("state", status))
        return Reading([outcome.state_read(call, state, status=status)], template)
    if answer.code is None and answer.base64 is None:
        return Reading([], template)
    code = str(answer.code) if answer.code is not None else answer.base64
    event = outcome.state_read(call, EventType.CONNECTION_QRCODE, basis=basis.of_qr(code))
    return Reading([event], template)


def _refusal_code(exchange: Exchange) -> str | None:
    """Give Meta's code, or the one an engine's error text holds (R15)."""
    refusal = decoded(_REFUSAL, exchange.response_body)
    if isinstance(refusal, Fault):
        return None
    meta = refusal.error if isinstance(refusal.error, _Meta) else None
    for code in (refusal.code, meta.code if meta else None):
        if isinstance(code, int):
            return str(code)
    inner = refusal.response.message if isinstance(refusal.response, _Inner) else refusal.response
    return engine_code(*_texts(inner), *_texts(refusal.message), *_texts(meta.message if meta else None))


def _texts(message: object) -> list[str]:
    """Give the texts of a message that is a text, a list of texts, or a list of objects."""
    if isinstance(message, str):
        return [message]
    if isinstance(message, list):
        return [text for text in message[:_TEXTS_MAX] if isinstance(text, str)]
    return []

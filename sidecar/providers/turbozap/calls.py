"""What a dispatcher asks of TurboZap and what it answers (notes 1.1, 1.2 and 1.4)."""

from collections.abc import Mapping
from typing import Final

import msgspec

from domain.event import Event
from domain.exchange import Unknown
from domain.words import EventType
from sidecar.exchange import Exchange
from sidecar.providers import basis, media, outcome
from sidecar.providers.chat import NO_CHAT, Chat, chat
from sidecar.providers.codes import Code, engine_code
from sidecar.providers.contract import CONNECTS, SENDS, Action, Fault, Reading, decoded, drift
from sidecar.providers.outcome import Call, new_call
from sidecar.providers.routes import Route, Routes, Row, any_method, unknown_call

_SEND = "/message/{instance}/"
_PRESENCE = "/presence/{instance}/"
_INSTANCE = "/instance/{instance}"
_GROUPS: Final = (
    "call", "contact", "group", "instance", "message", "presence", "profile", "stats", "webhook",
)  # fmt: skip
"""Groups whose calls name an instance: any of them may meet a rate limit (R3)."""

ROUTES: Final = Routes(
    (
        Row("POST", _SEND + "text", Action.SEND_TEXT, media.TEXT),
        Row("POST", _SEND + "media", Action.SEND_MEDIA),
        Row("POST", _SEND + "audio", Action.SEND_AUDIO, media.AUDIO),
        Row("POST", _SEND + "sticker", Action.SEND_MEDIA, media.STICKER),
        Row("POST", _SEND + "carousel", Action.SEND_MEDIA, media.IMAGE),
        Row("POST", _SEND + "location", Action.SEND_TEXT, media.OTHER),
        Row("POST", _SEND + "contact", Action.SEND_TEXT, media.OTHER),
        Row("POST", _SEND + "poll", Action.SEND_TEXT, media.OTHER),
        Row("POST", _SEND + "button", Action.SEND_TEXT, media.OTHER),
        Row("POST", _SEND + "list", Action.SEND_TEXT, media.OTHER),
        Row("POST", _SEND + "reaction", Action.SEND_REACTION, media.REACTION),
        Row("POST", _SEND + "story", Action.OTHER),
        Row("POST", _PRESENCE + "available", Action.SET_PRESENCE, presence="available"),
        Row("POST", _PRESENCE + "unavailable", Action.SET_PRESENCE, presence="unavailable"),
        Row("POST", _PRESENCE + "composing", Action.SET_PRESENCE, presence="composing"),
        Row("POST", _PRESENCE + "recording", Action.SET_PRESENCE, presence="recording"),
        Row("POST", _PRESENCE + "clear", Action.SET_PRESENCE, presence="paused"),
        Row("POST", _INSTANCE + "/connect", Action.CONNECT),
        Row("PUT", _INSTANCE + "/restart", Action.CONNECT),
        Row("GET", _INSTANCE + "/qrcode", Action.GET_QRCODE),
        Row("GET", _INSTANCE + "/status", Action.GET_STATUS),
        Row("POST", _INSTANCE + "/logout", Action.LOGOUT),
        Row("POST", _SEND + "{kind}", Action.OTHER),
        Row("POST", "/instance/create", Action.OTHER),
        Row("GET", "/instance/list", Action.OTHER),
        *any_method(_INSTANCE, *(f"/{group}/{{instance}}/{{...}}" for group in _GROUPS)),
    ),
    # The server has `presence` only under /api; its client leaves /api to the base URL (notes 1.4).
    prefixes=("", "/api"),
)

STATE_OF: Final = {
    "connected": EventType.CONNECTION_CONNECTED,
    "disconnected": EventType.CONNECTION_DISCONNECTED,
    "qrcode": EventType.CONNECTION_QRCODE,
    "error": EventType.CONNECTION_ERROR,
}
_QUIET_STATES: Final = frozenset({"connecting", "restarting", "pending", "created"})
_PRESENCES: Final = frozenset({"available", "unavailable", "composing", "recording", "paused"})
_SENT_STATUSES: Final = frozenset({"sent", "pending", "queued"})


class _Request(msgspec.Struct, frozen=True, gc=False):
    to: str | int | None = None
    phone: str | int | None = None
    mime_type: str | None = None


class _Error(msgspec.Struct, frozen=True, gc=False):
    message: str | None = None
    code: str | int | None = None


class _Data(msgspec.Struct, frozen=True, gc=False):
    message_id: str | None = None
    status: str | None = None
    presence: str | None = None
    chat: str | None = None
    qr_code: str | None = None
    code: str | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    success: bool | None = None
    data: _Data | None = None
    error: _Error | str | None = None


class _Refusal(msgspec.Struct, frozen=True, gc=False):
    """An error answer, whatever stands in `data`."""

    success: bool | None = None
    error: _Error | str | None = None


_REQUEST: Final = msgspec.json.Decoder(_Request)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_REFUSAL: Final = msgspec.json.Decoder(_Refusal)
_NO_DATA: Final = _Data()


def read_call(exchange: Exchange, codes: Mapping[str, Code]) -> Reading:
    """Read one call of the dispatcher."""
    match = ROUTES.match(exchange.method, exchange.target)
    if match is None:
        return Reading([])
    route = match.route
    instance_id = match.value("instance")
    if route.action in SENDS:
        return _read_send(exchange, route, instance_id, codes)
    call = Call(exchange, route, instance_id, codes)
    if not call.answered_ok:
        return Reading(outcome.not_done(call, _refusal_code(exchange)), route.template)
    if route.action is Action.OTHER:
        return Reading([], route.template, unknown_call(match, "kind"))
    return _read_answer(exchange, call)


def _read_send(exchange: Exchange, route: Route, instance_id: str, codes: Mapping[str, Code]) -> Reading:
    request = decoded(_REQUEST, exchange.request_body)
    fault = request if isinstance(request, Fault) else None
    target, message_type = _asked(request, route)
    template = route.template
    call = new_call((exchange, route, instance_id, codes, target, message_type))
    if target.unheard:
        return Reading(outcome.refused(call, _refusal_code(exchange)), template)
    if not call.answered_ok:
        return Reading(outcome.not_sent(call, _refusal_code(exchange)), template, (), fault)
    answer = decoded(_ANSWER, exchange.response_body)
    if isinstance(answer, Fault):
        refusal = decoded(_REFUSAL, exchange.response_body)
        if isinstance(refusal, Fault) or refusal.success is not False:
            # 2xx proves nothing here: R1 wants the body's word, R13 keeps silent about what cannot be read.
            return Reading([], template, (), answer)
        answer = _Answer(False, None, refusal.error)
    data = answer.data or _NO_DATA
    if answer.success is False or not data.message_id:
        told = answer.success is False or answer.error is not None
        return Reading(
            outcome.not_sent(call, _code(answer.error) if told else "NO_MESSAGE_ID"), template, (), fault
        )
    status = data.status if data.status is None or data.status in _SENT_STATUSES else "other"
    return Reading(outcome.sent(call, data.message_id, status), template, (), fault)


def _asked(request: _Request | Fault, route: Route) -> tuple[Chat, str | None]:
    message_type = route.message_type
    if isinstance(request, Fault):
        return NO_CHAT, message_type or media.OTHER
    return _chat(request), message_type or media.of_mime(request.mime_type)


def _chat(request: _Request) -> Chat:
    named = request.to or request.phone
    return chat(named if isinstance(named, str) else str(named)) if named else NO_CHAT


def _read_answer(exchange: Exchange, call: Call) -> Reading:
    """Read a 2xx answer to a presence, connection or logout call."""
    route = call.route
    answer = decoded(_ANSWER, exchange.response_body)
    if isinstance(answer, Fault):
        return Reading(_proven_by_status(call), route.template, (), answer)
    data = answer.data or _NO_DATA
    if answer.success is False:
        code = _code(answer.error)
        if route.action in CONNECTS:
            return Reading(outcome.connection_failed(call, code), route.template)
        return Reading(outcome.refused(call, code), route.template)
    if route.action is Action.SET_PRESENCE:
        set_to = data.presence or route.presence
        shown = set_to if set_to in _PRESENCES else "other"
        call = call._replace(chat=_presence_chat(exchange, data))
        return Reading(
            outcome.presence_set(call, shown), route.template, _drifted("presence", shown, data.presence)
        )
    if route.action is Action.LOGOUT:
        status = data.status if data.status in STATE_OF or data.status in _QUIET_STATES else None
        return Reading(outcome.logged_out(call, status), route.template)
    return _read_state(call, data)


def _presence_chat(exchange: Exchange, data: _Data) -> Chat:
    """Give the chat the answer names, else the one that was asked for."""
    place = chat(data.chat)
    if place.jid is not None:
        return place
    request = decoded(_REQUEST, exchange.request_body)
    return NO_CHAT if isinstance(request, Fault) else _chat(request)


def _read_state(call: Call, data: _Data) -> Reading:
    template = call.route.template
    status = data.status
    state = STATE_OF.get(status) if status else None
    qr_code = data.code or data.qr_code
    if state is None and qr_code:
        state = EventType.CONNECTION_QRCODE  # the client expects a code in the answer to connect (notes 1.4)
    if state is None:
        if status is None or status in _QUIET_STATES:
            return Reading([], template)
        return Reading([], template, drift("state", status))
    known = status if status in STATE_OF or status in _QUIET_STATES else None
    identity = basis.of_qr(qr_code) if state is EventType.CONNECTION_QRCODE else None
    return Reading([outcome.state_read(call, state, status=known, basis=identity)], template)


def _proven_by_status(call: Call) -> list[Event]:
    """What a 2xx proves although its body cannot be read: R4 and R8 ask for no more."""
    if call.route.action is Action.SET_PRESENCE:
        return outcome.presence_set(call, call.route.presence)
    if call.route.action is Action.LOGOUT:
        return outcome.logged_out(call)
    return []


def _refusal_code(exchange: Exchange) -> str | None:
    refusal = decoded(_REFUSAL, exchange.response_body)
    return None if isinstance(refusal, Fault) else _code(refusal.error)


def _code(error: _Error | str | None) -> str | None:
    """Give the engine's code if the text holds one (R15), else the gateway's own."""
    if error is None:
        return None
    if isinstance(error, str):
        return engine_code(error)
    found = engine_code(error.message)
    if found is not None or error.code is None:
        return found
    return str(error.code)


def _drifted(kind: str, shown: str, given: str | None) -> tuple[Unknown, ...]:
    return drift(kind, given) if shown == "other" else ()

"""What a dispatcher asks of WAHA and what it answers (notes 3.1 and 3.2)."""

from collections.abc import Mapping
from typing import Final

import msgspec

from domain.event import Event
from domain.words import EventType
from sidecar.exchange import BodyState, Exchange
from sidecar.providers import basis, media, outcome
from sidecar.providers.chat import Chat, chat, first_chat, phone_first
from sidecar.providers.codes import Code, engine_code
from sidecar.providers.contract import CONNECTS, SENDS, Action, Fault, Reading, decoded, drift
from sidecar.providers.outcome import Call
from sidecar.providers.routes import Match, query, unknown_call
from sidecar.providers.waha.ids import QUIET_STATES, STATE_OF, SerializedId, message_id
from sidecar.providers.waha.table import ROUTES

DEFAULT_SESSION: Final = "default"
_PRESENCES: Final = frozenset({"online", "offline", "typing", "recording", "paused"})
_ASK_BY_BODY: Final = SENDS | {Action.SET_PRESENCE, Action.MARK_AS_READ}
_KIND: Final = "kind"
_UNREADY_STATES: Final = frozenset({"WORKING", "FAILED", "STOPPED"})
"""States a 422 states as a fact; SCAN_QR_CODE and STARTING there give none (notes 3.2)."""
_TEXTS_MAX: Final = 16


class _File(msgspec.Struct, frozen=True, gc=False):
    mimetype: str | None = None


class _Request(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    session: str | None = None
    chat_id: str | None = None
    phone: str | int | None = None
    message_id: str | None = None
    message_ids: list[str] | None = None
    presence: str | None = None
    file: _File | None = None


class _Exception(msgspec.Struct, frozen=True, gc=False):
    message: str | None = None
    details: str | None = None
    data: object = None


class _Refusal(msgspec.Struct, frozen=True, gc=False):
    """Three forms: session not ready, NestJS, engine error; its `request` repeats what was sent, unread."""

    session: str | None = None
    status: str | int | None = None
    message: object = None
    error: object = None
    exception: _Exception | None = None


class _Key(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    id: str | None = None
    remote_jid: str | None = None
    remote_jid_alt: str | None = None


class _Sent(msgspec.Struct, frozen=True, gc=False):
    """WEBJS and GOWS give `id`, NOWEB gives Baileys' `key`."""

    id: SerializedId | str | None = None
    key: _Key | None = None
    error: object = None


class _Session(msgspec.Struct, frozen=True, gc=False):
    status: str | int | None = None
    value: str | None = None
    data: str | None = None
    error: object = None


_REQUEST: Final = msgspec.json.Decoder(_Request)
_REFUSAL: Final = msgspec.json.Decoder(_Refusal)
_SENT: Final = msgspec.json.Decoder(_Sent | None)
_SESSION: Final = msgspec.json.Decoder(_Session)
_NO_REQUEST: Final = _Request()
_NO_REFUSAL: Final = _Refusal()
_NO_EXCEPTION: Final = _Exception()
_NO_ANSWER: Final = _Sent()


def read_call(exchange: Exchange, codes: Mapping[str, Code]) -> Reading:
    """Read one call of the dispatcher."""
    match = ROUTES.match(exchange.method, exchange.target)
    if match is None:
        return Reading([])
    request, fault = _asked(exchange, match)
    call = Call(exchange, match.route, _session(match, request), codes)
    read = request or _NO_REQUEST
    reading = _read_done(call, match, read) if call.answered_ok else _read_refusal(call, read)
    return reading if fault is None or reading.fault is not None else reading._replace(fault=fault)


def _asked(exchange: Exchange, match: Match) -> tuple[_Request | None, Fault | None]:
    """Read a request whose body names session or chat; the old GET send has them in its query.

    Returns:
        None for a request that names neither, and for one that cannot be read, with its fault.
    """
    if match.route.action not in _ASK_BY_BODY:
        if _KIND not in match.route.names:
            return None, None
        other = decoded(_REQUEST, exchange.request_body)
        return (None, None) if isinstance(other, Fault) else (other, None)
    if exchange.method == b"GET":
        fields = query(exchange.target)
        return _Request(session=fields.get("session"), phone=fields.get("phone")), None
    request = decoded(_REQUEST, exchange.request_body)
    return (None, request) if isinstance(request, Fault) else (request, None)


def _session(match: Match, request: _Request | None) -> str:
    """Name the session: one absent from a request means `default`, from one that was not read none."""
    named = match.value("session") or (request.session if request else None)
    return named or (DEFAULT_SESSION if request else "")


def _read_done(call: Call, match: Match, request: _Request) -> Reading:
    action = call.route.action
    if action in SENDS:
        return _read_send(call, request)
    if action in CONNECTS:
        return _read_session(call)
    if action is Action.SET_PRESENCE:
        return _read_presence(call, request)
    if action is Action.MARK_AS_READ:
        return _read_mark(call, match, request)
    if action is Action.LOGOUT:
        return Reading(outcome.logged_out(call), call.route.template)
    # `/api/{kind}` holds the sends: another name among them may be a new one.
    sends = match.value("kind")[:4].lower() == "send"
    return Reading([], call.route.template, unknown_call(match, "kind") if sends else ())


def _read_refusal(call: Call, request: _Request) -> Reading:
    """Read an answer that is no 2xx, or none at all."""
    action, template = call.route.action, call.route.template
    refusal = decoded(_REFUSAL, call.exchange.response_body)
    if isinstance(refusal, Fault):
        refusal = _NO_REFUSAL
    code = _code(refusal)
    if not call.instance_id and refusal.session:
        call = call._replace(instance_id=refusal.session)
    if action in SENDS:
        call = _addressed(call, request)
        events = outcome.refused(call, code) if call.chat.unheard else outcome.not_sent(call, code)
        return Reading([*events, *_unready(call, refusal)], template)
    unready = _unready(call, refusal) if action in CONNECTS else []
    return Reading([*outcome.not_done(call, code), *unready], template)


def _unready(call: Call, refusal: _Refusal) -> list[Event]:
    """State the session's state that a 422 holds (notes 3.2)."""
    status = refusal.status
    if call.exchange.status != 422 or not isinstance(status, str) or status not in _UNREADY_STATES:
        return []
    return [outcome.state_read(call, STATE_OF[status], status=status)]


def _code(refusal: _Refusal) -> str | None:
    """Give the engine's code (R15): gRPC's own `exception.code` says nothing about WhatsApp."""
    exception = refusal.exception or _NO_EXCEPTION
    texts = refusal.message if isinstance(refusal.message, list) else [refusal.message, refusal.error]
    named = [text for text in texts[:_TEXTS_MAX] if isinstance(text, str)]
    found = engine_code(exception.message, exception.details, *named)
    return "429" if found is None and exception.data == 429 else found


def _addressed(call: Call, request: _Request) -> Call:
    """Add chat and message type as the request tells them; a reaction names its chat in the message id."""
    named = message_id(request.message_id).chat if call.route.action is Action.SEND_REACTION else None
    place = (
        named if named is not None and named.jid else first_chat(request.chat_id, str(request.phone or ""))
    )
    kind = call.route.message_type or (media.of_mime(request.file.mimetype) if request.file else media.OTHER)
    return call._replace(chat=place, message_type=kind)


def _read_send(call: Call, request: _Request) -> Reading:
    template = call.route.template
    call = _addressed(call, request)
    if call.chat.unheard:
        return Reading([], template)
    body = call.exchange.response_body
    answer = None if body.state is BodyState.EMPTY else decoded(_SENT, body)
    if isinstance(answer, Fault):
        return Reading([], template, (), answer)  # R1 wants the body's word
    place, found = _sent_where(answer or _NO_ANSWER)
    if found is None and answer is not None and answer.error:
        text = answer.error if isinstance(answer.error, str) else None
        return Reading(outcome.not_sent(call, engine_code(text)), template)
    if found is None and call.route.action is not Action.SEND_REACTION:
        return Reading([], template, (), Fault.BODY_EMPTY if answer is None else Fault.DATA_MISSING)
    # Engine WEBJS may answer a reaction with nothing: there 2xx is success without an id (notes 3.2).
    if place.unheard:
        return Reading([], template)
    return Reading(outcome.sent(call._replace(chat=place) if place.jid else call, found), template)


def _sent_where(answer: _Sent) -> tuple[Chat, str | None]:
    if answer.key is not None:
        return phone_first(answer.key.remote_jid, answer.key.remote_jid_alt), answer.key.id or None
    found = message_id(answer.id)
    return found.chat, found.id


def _read_presence(call: Call, request: _Request) -> Reading:
    template = call.route.template
    presence = call.route.presence or request.presence
    place = chat(request.chat_id)
    if place.unheard:
        return Reading([], template)
    shown = presence if presence is None or presence in _PRESENCES else "other"
    unknown = drift("presence", presence) if shown == "other" else ()
    return Reading(outcome.presence_set(call._replace(chat=place), shown), template, unknown)


def _read_mark(call: Call, match: Match, request: _Request) -> Reading:
    """Read a mark-as-read: one fact a message named, one without message where only the chat is."""
    place = first_chat(match.value("chatId"), request.chat_id)
    if place.unheard:
        return Reading([], call.route.template)
    named = [request.message_id] if request.message_id else request.message_ids
    read = [message_id(given) for given in named or (None,)]
    events = [
        outcome.marked_read(call._replace(chat=place if place.jid else one.chat), one.id)
        for one in read
        if not one.chat.unheard
    ]
    return Reading(events, call.route.template)


def _read_session(call: Call) -> Reading:
    """Read a session's state or its QR code: JSON, or the picture itself."""
    template, body = call.route.template, call.exchange.response_body
    if (call.exchange.response_header(b"content-type") or b"")[:6].lower() == b"image/":
        identity = basis.of_qr(body.data) if body.state is BodyState.WHOLE else None
        return Reading([outcome.state_read(call, EventType.CONNECTION_QRCODE, basis=identity)], template)
    answer = decoded(_SESSION, body)
    if isinstance(answer, Fault):
        return Reading([], template, (), answer)
    if call.route.action is Action.GET_QRCODE and (answer.value is not None or answer.data is not None):
        identity = basis.of_qr(answer.value or answer.data)
        return Reading([outcome.state_read(call, EventType.CONNECTION_QRCODE, basis=identity)], template)
    status = answer.status if isinstance(answer.status, str) else None
    if status is None:
        failed = outcome.connection_failed(call) if answer.error else []
        return Reading(failed, template)
    state = STATE_OF.get(status)
    if state is None:
        return Reading([], template, () if status in QUIET_STATES else drift("state", status))
    return Reading([outcome.state_read(call, state, status=status)], template)

"""What a dispatcher asks of the Cloud API and what it answers (notes 4.1 and 4.2): one URL, many actions."""

from collections.abc import Mapping
from typing import Final

import msgspec

from domain.exchange import Unknown
from domain.words import EventType
from sidecar.exchange import Exchange
from sidecar.providers import media, outcome
from sidecar.providers.cloud_api.words import GROUP, TYPE_OF, place
from sidecar.providers.codes import Code
from sidecar.providers.contract import CONNECTS, SENDS, Action, Fault, Reading, decoded, drift
from sidecar.providers.outcome import Call
from sidecar.providers.routes import Routes, Row, any_method, query

_NUMBER: Final = "/{phone_number_id}"

_ROWS: Final = (
    Row("POST", _NUMBER + "/messages", Action.OTHER),  # the body decides, see `_asked`
    Row("POST", _NUMBER + "/register", Action.CONNECT),
    Row("POST", _NUMBER + "/deregister", Action.LOGOUT),
    Row("POST", _NUMBER + "/media", Action.OTHER),
    Row("GET", _NUMBER, Action.GET_STATUS),
)
ROUTES: Final = Routes(
    (
        *any_method("/{version}/{phone_number_id}/{edge}"),
        *_ROWS,
        *(row._replace(template="/{version}" + row.template) for row in _ROWS),
    )
)
_MESSAGES: Final = "/messages"

_ACTION_OF: Final = {
    "image": Action.SEND_MEDIA,
    "video": Action.SEND_MEDIA,
    "document": Action.SEND_MEDIA,
    "sticker": Action.SEND_MEDIA,
    "audio": Action.SEND_AUDIO,
    "reaction": Action.SEND_REACTION,
}
"""The rest are SEND_TEXT (R14)."""

_STATE_OF: Final = {
    "CONNECTED": EventType.CONNECTION_CONNECTED,
    "DISCONNECTED": EventType.CONNECTION_DISCONNECTED,
    "BANNED": EventType.CONNECTION_ERROR,
    "RESTRICTED": EventType.CONNECTION_ERROR,
}
_RATE_LIMITED: Final = "RATE_LIMITED"
_QUIET_STATES: Final = frozenset({"PENDING", "DELETED", "MIGRATED", "FLAGGED", "UNKNOWN", "UNVERIFIED"})
_SENT_STATUSES: Final = frozenset({"accepted", "held_for_quality_assessment"})


class _Request(msgspec.Struct, frozen=True, gc=False):
    to: str | int | None = None
    type: str | None = None
    status: str | None = None
    message_id: str | None = None
    recipient_type: str | None = None
    typing_indicator: msgspec.Raw = msgspec.Raw(b"null")


class _Error(msgspec.Struct, frozen=True, gc=False):
    """`error_subcode` is not read: deprecated, and its 463 means an expired token (notes 4.2)."""

    code: int | str | None = None


class _Contact(msgspec.Struct, frozen=True, gc=False):
    wa_id: str | None = None


class _Message(msgspec.Struct, frozen=True, gc=False):
    id: str | None = None
    message_status: str | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    success: bool | None = None
    contacts: list[_Contact] | None = None
    messages: list[_Message] | None = None
    status: str | None = None
    error: _Error | None = None


class _Refusal(msgspec.Struct, frozen=True, gc=False):
    error: _Error | None = None


_REQUEST: Final = msgspec.json.Decoder(_Request)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_REFUSAL: Final = msgspec.json.Decoder(_Refusal)


def read_call(exchange: Exchange, codes: Mapping[str, Code]) -> Reading:
    """Read one call of the dispatcher."""
    match = ROUTES.match(exchange.method, exchange.target)
    if match is None:
        return Reading([])
    call = Call(exchange, match.route, match.value("phone_number_id"), codes)
    if match.route.template.endswith(_MESSAGES):
        return _read_messages(call)
    if match.route.action is Action.GET_STATUS and "fields" not in query(exchange.target):
        # Any object of the Graph may be fetched by its id; only a number is asked for fields (notes 4.1).
        call = call._replace(route=match.route._replace(action=Action.OTHER))
    return _read_other(call)


def _read_messages(call: Call) -> Reading:
    request = decoded(_REQUEST, call.exchange.request_body)
    template = call.route.template
    if isinstance(request, Fault):
        # Send, reading or typing: without the body nobody knows. A rate limit is one whatever was asked.
        return Reading(outcome.refused(call, _refusal_code(call.exchange)), template, (), request)
    call = _asked(call, request)
    if call.route.action in SENDS:
        return _read_send(call, request)
    if not call.answered_ok:
        return Reading(outcome.refused(call, _refusal_code(call.exchange)), template)
    answer = decoded(_ANSWER, call.exchange.response_body)
    fault = answer if isinstance(answer, Fault) else None  # R4 and R5 ask for a 2xx and no more
    if not isinstance(answer, Fault) and (answer.success is False or answer.error is not None):
        return Reading(outcome.refused(call, _code(answer.error)), template)
    read = outcome.marked_read(call, request.message_id or None)
    if call.route.action is Action.MARK_AS_READ:
        return Reading([read], template, (), fault)
    return Reading([*outcome.presence_set(call, "composing"), read], template, (), fault)


def _asked(call: Call, request: _Request) -> Call:
    """Tell by the body what is asked."""
    if request.status == "read":
        typing = bytes(request.typing_indicator) != b"null"
        action = Action.SET_PRESENCE if typing else Action.MARK_AS_READ
        return call._replace(route=call.route._replace(action=action))
    kind = request.type or "text"
    return call._replace(
        route=call.route._replace(action=_ACTION_OF.get(kind, Action.SEND_TEXT)),
        chat=place(str(request.to or ""), is_group=request.recipient_type == GROUP),
        message_type=TYPE_OF.get(kind, media.OTHER),
    )


def _read_send(call: Call, request: _Request) -> Reading:
    template, kind = call.route.template, request.type or "text"
    unknown: tuple[Unknown, ...] = () if kind in TYPE_OF else drift("messageType", kind)
    if not call.answered_ok:
        return Reading(outcome.not_sent(call, _refusal_code(call.exchange)), template, unknown)
    answer = decoded(_ANSWER, call.exchange.response_body)
    if isinstance(answer, Fault):
        return Reading([], template, unknown, answer)  # R1 wants the body's word
    if answer.error is not None or answer.success is False:
        return Reading(outcome.not_sent(call, _code(answer.error)), template, unknown)
    message = answer.messages[0] if answer.messages else None
    if message is None or not message.id:
        return Reading([], template, unknown, Fault.DATA_MISSING)
    wa_id = answer.contacts[0].wa_id if answer.contacts and not call.chat.is_group else None
    if wa_id:
        call = call._replace(chat=place(wa_id))  # may differ from what was asked for
    status = message.message_status
    shown = status if status is None or status in _SENT_STATUSES else "other"
    if shown == "other":
        unknown = (*unknown, *drift("status", status))
    return Reading(outcome.sent(call, message.id, shown), template, unknown)


def _read_other(call: Call) -> Reading:
    template = call.route.template
    if not call.answered_ok:
        return Reading(outcome.not_done(call, _refusal_code(call.exchange)), template)
    if call.route.action is Action.OTHER:
        return Reading([], template)
    answer = decoded(_ANSWER, call.exchange.response_body)
    if isinstance(answer, Fault):
        events = outcome.logged_out(call) if call.route.action is Action.LOGOUT else []
        return Reading(events, template, (), answer)
    if answer.error is not None or answer.success is False:
        failed = outcome.connection_failed if call.route.action in CONNECTS else outcome.refused
        return Reading(failed(call, _code(answer.error)), template)
    if call.route.action is Action.LOGOUT:
        return Reading(outcome.logged_out(call), template)
    return _read_state(call, answer.status)


def _read_state(call: Call, status: str | None) -> Reading:
    template = call.route.template
    if status == _RATE_LIMITED:
        return Reading([outcome.rate_limited(call, _RATE_LIMITED)], template)
    state = _STATE_OF.get(status) if status else None
    if status is None or state is None:
        quiet = status is None or status in _QUIET_STATES
        return Reading([], template, () if quiet else drift("state", status))
    return Reading([outcome.state_read(call, state, status=status)], template)


def _refusal_code(exchange: Exchange) -> str | None:
    refusal = decoded(_REFUSAL, exchange.response_body)
    return None if isinstance(refusal, Fault) else _code(refusal.error)


def _code(error: _Error | None) -> str | None:
    return None if error is None or error.code is None else str(error.code)

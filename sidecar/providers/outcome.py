"""Facts a dispatcher's call gives whatever the provider: rules R1 to R8 of notes 0.3, in one place.

A reader finds out what was asked and what was answered; these functions say which events that makes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from domain.event import Context, Event, new_event
from domain.words import EventType, Source
from sidecar.exchange import Exchange, WireError
from sidecar.providers.chat import NO_CHAT, Chat
from sidecar.providers.codes import Code
from sidecar.providers.contract import CONNECTS, SENDS, Action
from sidecar.providers.routes import Route

NS_PER_MS: Final = 1_000_000

_WIRE_CODE: Final = {error: error.value for error in WireError} | {WireError.CONNECT_TIMEOUT: "TIMEOUT"}
"""Code of a MESSAGE_FAILED that the wire itself explains; both timeouts are one to the dispatcher."""

# Python 3.11 takes 0.1 microseconds to find a member in its class, and 0.15 to give its value.
_ACTION_NAME: Final = {action: action.value for action in Action}
_DISPATCH: Final = Source.DISPATCH
_MESSAGE_SENT: Final = EventType.MESSAGE_SENT
_REACTION_SENT: Final = EventType.REACTION_SENT
_SEND_LATENCY_OBSERVED: Final = EventType.SEND_LATENCY_OBSERVED
_SEND_REACTION: Final = Action.SEND_REACTION


class Call(NamedTuple):
    """One call of the dispatcher.

    Attributes:
        codes: the provider's part of the code table.
        chat: where it goes; NO_CHAT where nothing names one.
        message_type: normal form of what is sent, sends only.
    """

    exchange: Exchange
    route: Route
    instance_id: str
    codes: Mapping[str, Code]
    chat: Chat = NO_CHAT
    message_type: str | None = None

    @property
    def answered_ok(self) -> bool:
        """Whether the provider answered 2xx, completely."""
        exchange = self.exchange
        status = exchange.status
        return status is not None and 200 <= status < 300 and exchange.error is None

    def context(self, code: str | None = None) -> Context:
        """Give the context every fact of this call shares."""
        route = self.route
        context: Context = {"action": _ACTION_NAME[route.action], "endpoint": route.endpoint}
        status = self.exchange.status
        if status is not None:
            context["httpStatus"] = status
        if self.message_type is not None:
            context["messageType"] = self.message_type
        if code is not None:
            add_code(context, code, self.codes)
        return context


new_call: Final[Callable[[tuple[Any, ...]], Call]] = partial(tuple.__new__, Call)
"""Makes a call of all its values in order, in half the time."""


def add_code(context: Context, code: str, codes: Mapping[str, Code]) -> None:
    """Put a code and, where the table knows it, its meaning into a context."""
    context["code"] = code
    known = codes.get(code)
    if known is not None:
        context["codeMeaning"] = known.meaning


def sent(call: Call, message_id: str | None, status: str | None = None) -> list[Event]:
    """R1: the provider took the message. `status` as the reader's table knows it."""
    exchange, route, instance_id, _, (jid, is_group, _), _ = call
    context = call.context()
    if status is not None:
        context["status"] = status
    done = _REACTION_SENT if route.action is _SEND_REACTION else _MESSAGE_SENT
    fact = (_DISPATCH, instance_id, None, message_id, jid, is_group)
    events = [new_event((done, *fact, None, context, None, None, False))]
    sent_ns, received_ns = exchange.sent_ns, exchange.received_ns
    if 0 < sent_ns <= received_ns:
        latency_ms = (received_ns - sent_ns + NS_PER_MS // 2) // NS_PER_MS
        events.append(new_event((_SEND_LATENCY_OBSERVED, *fact, latency_ms, context, None, None, False)))
    return events


def not_sent(call: Call, code: str | None = None) -> list[Event]:
    """R2 and R3: a send that was refused, or that the wire could not bring there or back."""
    error = call.exchange.error
    shown = code if code is not None or error is None else _WIRE_CODE[error]
    chat = call.chat
    failed = Event(
        EventType.MESSAGE_FAILED,
        Source.DISPATCH,
        call.instance_id,
        None,
        None,
        chat.jid,
        chat.is_group,
        None,
        call.context(shown),
    )
    return [failed, *refused(call, code)]


def refused(call: Call, code: str | None = None) -> list[Event]:
    """R3, for any call: the rate limit (or the account block, on a send) that an answer states."""
    known = call.codes.get(code) if code is not None else None
    if call.exchange.status == 429 or (known is not None and known.is_rate_limit):
        return [rate_limited(call, code or "429")]
    if known is not None and known.is_account_block and call.route.action in SENDS:
        return [_provider_event(call, EventType.CONNECTION_ERROR, code)]
    return []


def rate_limited(call: Call, code: str) -> Event:
    """R3: the provider limits the rate. Provider code first, else `429`."""
    return _provider_event(call, EventType.RATE_LIMIT_HIT, code)


def _provider_event(call: Call, kind: EventType, code: str | None) -> Event:
    chat = call.chat
    return Event(
        kind,
        Source.PROVIDER,
        call.instance_id,
        None,
        None,
        chat.jid,
        chat.is_group,
        None,
        call.context(code),
    )


def presence_set(call: Call, presence: str | None) -> list[Event]:
    """R4: presence set. `presence` as the reader's table knows it."""
    context = call.context()
    if presence is not None:
        context["presence"] = presence
    chat = call.chat
    return [
        Event(
            EventType.PRESENCE_SET,
            Source.DISPATCH,
            call.instance_id,
            None,
            None,
            chat.jid,
            chat.is_group,
            None,
            context,
        )
    ]


def marked_read(call: Call, message_id: str | None) -> Event:
    """R5: our own reading of a message, or of a chat when the request names no message."""
    chat = call.chat
    return Event(
        EventType.MESSAGE_READ,
        Source.DISPATCH,
        call.instance_id,
        None,
        message_id,
        chat.jid,
        chat.is_group,
        None,
        call.context(),
    )


def state_read(call: Call, state: EventType, *, status: str | None = None, basis: str | None = None) -> Event:
    """R6: a connection state, or a QR code, that an answer holds. Recorded only if it is news."""
    context = call.context()
    if status is not None:
        context["status"] = status
    return Event(
        state, Source.PROVIDER, call.instance_id, None, None, None, False, None, context, basis, None, True
    )


def connection_failed(call: Call, code: str | None = None) -> list[Event]:
    """R7: connecting or asking for the state failed at the provider (5xx, or an error under 2xx)."""
    event = Event(EventType.CONNECTION_ERROR, Source.PROVIDER, call.instance_id, context=call.context(code))
    return [event, *refused(call, code)]


def logged_out(call: Call, status: str | None = None) -> list[Event]:
    """R8: the instance was logged out."""
    context = call.context()
    if status is not None:
        context["status"] = status
    return [Event(EventType.CONNECTION_DISCONNECTED, Source.PROVIDER, call.instance_id, context=context)]


def not_done(call: Call, code: str | None = None) -> list[Event]:
    """What a call that is no send gives when it failed: R7 for connection calls at 5xx, R3, else nothing."""
    status = call.exchange.status
    if call.route.action in CONNECTS and status is not None and status >= 500:
        return connection_failed(call, code)
    return refused(call, code)

"""The forms of Meta's callbacks, and the events a part of one makes (notes 4.3)."""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeVar

import msgspec

from domain.event import Context, Event
from domain.exchange import Unknown
from domain.words import EventType, Millis, Source
from sidecar.providers import basis
from sidecar.providers.chat import Chat
from sidecar.providers.codes import Code
from sidecar.providers.contract import Fault, narrowed
from sidecar.providers.outcome import add_code

T = TypeVar("T")


class Error(msgspec.Struct, frozen=True, gc=False):
    """An error of a message, or of the account."""

    code: int | str | None = None


class Status(msgspec.Struct, frozen=True, gc=False):
    """A receipt."""

    id: str | None = None
    status: str | None = None
    timestamp: str | int | None = None
    recipient_id: str | None = None
    recipient_type: str | None = None
    errors: list[Error] | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message of someone else, or the echo of one of ours."""

    id: str | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    group_id: str | None = None
    timestamp: str | int | None = None
    type: str | None = None


class Metadata(msgspec.Struct, frozen=True, gc=False):
    """Which number a change is about."""

    phone_number_id: str | None = None


class Ban(msgspec.Struct, frozen=True, gc=False):
    """What became of the account."""

    waba_ban_state: str | None = None


class Value(msgspec.Struct, frozen=True, gc=False):
    """What changed; which fields are there depends on the subscription field."""

    metadata: Metadata | None = None
    statuses: list[Status] | None = None
    messages: list[Message] | None = None
    message_echoes: list[Message] | None = None
    errors: list[Error] | None = None
    event: str | None = None
    ban_info: Ban | None = None


class _Loose(msgspec.Struct, frozen=True, gc=False):
    """The same, its lists unread: one of their members could not be."""

    metadata: Metadata | None = None
    statuses: list[msgspec.Raw] | None = None
    messages: list[msgspec.Raw] | None = None
    message_echoes: list[msgspec.Raw] | None = None
    errors: list[msgspec.Raw] | None = None
    event: str | None = None
    ban_info: Ban | None = None


_VALUE: Final = msgspec.json.Decoder(Value)
_LOOSE: Final = msgspec.json.Decoder(_Loose)
_STATUS: Final = msgspec.json.Decoder(Status)
_MESSAGE: Final = msgspec.json.Decoder(Message)
_ERROR: Final = msgspec.json.Decoder(Error)


def value_of(change: msgspec.Raw) -> tuple[Value | None, Fault | None]:
    """Give what can be read of a change, and why something could not be.

    A status, message or error that is not in its form costs itself only.
    """
    value = narrowed(_VALUE, change)
    if not isinstance(value, Fault):
        return value, None
    loose = narrowed(_LOOSE, change)
    if isinstance(loose, Fault):
        return None, Fault.DATA_MISSING if bytes(change) == b"null" else value
    rest = Value(
        loose.metadata,
        _readable(_STATUS, loose.statuses),
        _readable(_MESSAGE, loose.messages),
        _readable(_MESSAGE, loose.message_echoes),
        _readable(_ERROR, loose.errors),
        loose.event,
        loose.ban_info,
    )
    return rest, value


def _readable(decoder: msgspec.json.Decoder[T], parts: list[msgspec.Raw] | None) -> list[T]:
    return [part for raw in parts or () if not isinstance(part := narrowed(decoder, raw), Fault)]


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change; its value waits until the field is known to matter."""

    field: str | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Changes of one account (WABA)."""

    id: str | None = None
    time: int | float | str | None = None
    changes: list[Change] | None = None


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """One callback."""

    object: str | None = None
    entry: list[Entry] | None = None


class Part(NamedTuple):
    """One change of one entry, and where its facts go."""

    field: str
    instance_id: str
    time: Millis | None
    value: Value
    codes: Mapping[str, Code]
    events: list[Event]
    unknown: list[Unknown]


def message_event(
    part: Part,
    kind: EventType,
    message_id: str | None,
    occurred_at: Millis | None,
    chat: Chat,
    context: Context,
) -> Event:
    """Make the event of a message; without a time of its own the entry's counts."""
    return Event(
        kind,
        Source.WEBHOOK,
        part.instance_id,
        part.time if occurred_at is None else occurred_at,
        message_id or None,
        chat.jid,
        chat.is_group,
        None,
        context,
        basis.of_time(occurred_at or part.time),
    )


def limit_kind(part: Part, code: str | None) -> EventType | None:
    """Tell what a code is besides a failure: a rate limit, an account block, or nothing."""
    known = part.codes.get(code) if code is not None else None
    if known is None:
        return None
    if known.is_rate_limit:
        return EventType.RATE_LIMIT_HIT
    return EventType.CONNECTION_ERROR if known.is_account_block else None


def provider_event(part: Part, kind: EventType, context: Context, *, code: str | None = None) -> Event:
    """Make the event of a number or an account."""
    if code is not None:
        add_code(context, code, part.codes)
    # Whole seconds may hold two different facts, so what it says joins the time.
    said = code or context.get("status")
    identity = basis.of_time(f"{part.time}:{said}") if part.time is not None else None
    return Event(kind, Source.PROVIDER, part.instance_id, part.time, context=context, basis=identity)

"""What Meta tells by callback (notes 4.3).

Several entries, changes and statuses come in one body, of several numbers. What cannot be read costs its own
facts only, be it a change or one of its statuses; the reading's `fault` says that there was one.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from domain.event import Context, Event
from domain.exchange import Unknown
from domain.words import EventType, Source
from sidecar.exchange import BodyState, Exchange
from sidecar.providers import media
from sidecar.providers.cloud_api.parts import (
    Envelope,
    Message,
    Part,
    Status,
    limit_kind,
    message_event,
    provider_event,
    value_of,
)
from sidecar.providers.cloud_api.words import GROUP, TYPE_OF, place
from sidecar.providers.codes import Code
from sidecar.providers.contract import (
    CALLBACK,
    UNKNOWN_MAX,
    Fault,
    Reading,
    UnreadableExchange,
    decoded,
    drift,
)
from sidecar.providers.outcome import add_code
from sidecar.providers.times import from_seconds

OBJECT: Final = "whatsapp_business_account"

_RECEIPT_OF: Final = {
    "sent": EventType.MESSAGE_SENT,
    "delivered": EventType.MESSAGE_DELIVERED,
    "read": EventType.MESSAGE_READ,
    "played": EventType.MESSAGE_READ,
    "failed": EventType.MESSAGE_FAILED,
}
_QUIET_STATUSES: Final = frozenset({"deleted", "warning", "pending", "accepted"})
_NO_MESSAGES: Final = frozenset({"system", "edit", "revoke"})

_BAN_STATE_OF: Final = {
    "DISABLE": EventType.CONNECTION_DISCONNECTED,
    "SCHEDULE_FOR_DISABLE": EventType.CONNECTION_ERROR,
    "REINSTATE": EventType.CONNECTION_CONNECTED,
}
_ACCOUNT_EVENT_OF: Final = {
    "ACCOUNT_RESTRICTION": EventType.CONNECTION_ERROR,
    "ACCOUNT_VIOLATION": EventType.CONNECTION_ERROR,
    "ACCOUNT_DELETED": EventType.CONNECTION_DISCONNECTED,
}
_LIMIT_EVENTS: Final = frozenset({"DOWNGRADE", "FLAGGED"})
_QUALITY_EVENTS: Final = frozenset({"UPGRADE", "UNFLAGGED", "ONBOARDING", "THROUGHPUT_UPGRADE"})


_ENVELOPE: Final = msgspec.json.Decoder(Envelope)


def read_callback(exchange: Exchange, codes: Mapping[str, Code]) -> Reading:
    """Read one callback; the GET handshake has no body and says nothing.

    Raises:
        UnreadableExchange: the body is not JSON, or was cut.
    """
    if exchange.request_body.state is BodyState.EMPTY:
        return Reading([], CALLBACK)
    envelope = decoded(_ENVELOPE, exchange.request_body)
    if isinstance(envelope, Fault):
        raise UnreadableExchange(envelope, CALLBACK)
    if envelope.object != OBJECT:
        return Reading([], CALLBACK, drift("object", envelope.object or ""))
    events: list[Event] = []
    unknown: list[Unknown] = []
    fault: Fault | None = None if envelope.entry else Fault.DATA_MISSING
    for entry in envelope.entry or ():
        for change in entry.changes or ():
            field = change.field or ""
            read = _READERS.get(field)
            if read is None:
                if field not in _QUIET_FIELDS and not field.startswith(_QUIET_PREFIXES):
                    unknown.extend(drift("event", field))
                continue
            value, missed = value_of(change.value)
            fault = missed or fault
            if value is None:
                continue
            number = value.metadata.phone_number_id if value.metadata else None
            instance_id = number or entry.id or ""
            read(Part(field, instance_id, from_seconds(entry.time), value, codes, events, unknown))
    return Reading(events, CALLBACK, tuple(unknown[:UNKNOWN_MAX]), fault)


def _read_messages(part: Part) -> None:
    for status in part.value.statuses or ():
        _read_status(part, status)
    for message in part.value.messages or ():
        _read_message(part, message)
    for error in part.value.errors or ():
        code = None if error.code is None else str(error.code)
        kind = limit_kind(part, code)
        if kind is not None and code is not None:
            part.events.append(provider_event(part, kind, {"event": part.field}, code=code))


def _read_status(part: Part, status: Status) -> None:
    """Read one receipt; a failure names its code, and that may be a limit as well."""
    name = status.status or ""
    kind = _RECEIPT_OF.get(name)
    if kind is None:
        if name not in _QUIET_STATUSES:
            part.unknown.extend(drift("status", name))
        return
    context: Context = {"event": part.field, "status": name}
    codes = [str(error.code) for error in status.errors or () if error.code is not None]
    code = codes[0] if codes and kind is EventType.MESSAGE_FAILED else None
    if code is not None:
        add_code(context, code, part.codes)
    chat = place(status.recipient_id, is_group=status.recipient_type == GROUP)
    occurred_at = from_seconds(status.timestamp)
    receipt = message_event(part, kind, status.id, occurred_at, chat, context)
    part.events.append(receipt)
    limit = limit_kind(part, code)
    if limit is not None:
        part.events.append(receipt._replace(type=limit, source=Source.PROVIDER))


def _read_message(part: Part, message: Message) -> None:
    """Read someone's message or reaction."""
    if message.type in _NO_MESSAGES:
        return
    context: Context = {"event": part.field, "messageType": _message_type(part, message)}
    chat = place(message.group_id, is_group=True) if message.group_id else place(message.sender)
    occurred_at = from_seconds(message.timestamp)
    part.events.append(
        message_event(part, EventType.MESSAGE_RECEIVED, message.id, occurred_at, chat, context)
    )


def _read_echoes(part: Part) -> None:
    """`smb_message_echoes`: what was sent from the business app of a shared number."""
    for message in part.value.message_echoes or ():
        if message.type in _NO_MESSAGES:
            continue
        message_type = _message_type(part, message)
        kind = EventType.REACTION_SENT if message_type == media.REACTION else EventType.MESSAGE_SENT
        context: Context = {"event": part.field, "messageType": message_type}
        chat = place(message.group_id, is_group=True) if message.group_id else place(message.to)
        occurred_at = from_seconds(message.timestamp)
        part.events.append(message_event(part, kind, message.id, occurred_at, chat, context))


def _message_type(part: Part, message: Message) -> str:
    if message.type is not None and message.type not in TYPE_OF:
        part.unknown.extend(drift("messageType", message.type))
    return TYPE_OF.get(message.type or "", media.OTHER)


def _read_account(part: Part) -> None:
    event = part.value.event or ""
    if event == "DISABLED_UPDATE":
        status = (part.value.ban_info.waba_ban_state if part.value.ban_info else None) or ""
        kind = _BAN_STATE_OF.get(status)
    else:
        status, kind = event, _ACCOUNT_EVENT_OF.get(event)
    if kind is not None:
        context: Context = {"event": part.field, "status": status}
        part.events.append(provider_event(part, kind, context))
    elif event not in _QUIET_ACCOUNT_EVENTS:
        part.unknown.extend(drift("status", status))


def _read_quality(part: Part) -> None:
    event = part.value.event or ""
    if event in _LIMIT_EVENTS:
        part.events.append(provider_event(part, EventType.RATE_LIMIT_HIT, {"event": part.field}, code=event))
    elif event not in _QUALITY_EVENTS:
        part.unknown.extend(drift("status", event))


_Read: TypeAlias = Callable[[Part], None]
_READERS: Final[dict[str, _Read]] = {
    "messages": _read_messages,
    "smb_message_echoes": _read_echoes,
    "account_update": _read_account,
    "phone_number_quality_update": _read_quality,
}
_QUIET_FIELDS: Final = frozenset(
    {
        "business_capability_update", "account_alerts", "account_review_update", "account_settings_update",
        "business_status_update", "security", "flows", "phone_number_name_update", "template_category_update",
        "template_correct_category_detection", "calls", "history", "smb_app_state_sync", "user_preferences",
        "tracking_events", "messaging_handovers", "partner_solutions", "payment_configuration_update",
        "automatic_events", "standby",
    }
)  # fmt: skip
_QUIET_PREFIXES: Final = ("message_template_", "group_")
_QUIET_ACCOUNT_EVENTS: Final = frozenset(
    {
        "VERIFIED_ACCOUNT", "PARTNER_ADDED", "PARTNER_REMOVED", "PARTNER_APP_INSTALLED",
        "PARTNER_APP_UNINSTALLED", "ACCOUNT_OFFBOARDED", "ACCOUNT_RECONNECTED", "AD_ACCOUNT_LINKED",
        "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE", "MM_LITE_TERMS_SIGNED", "ACCOUNT_UPDATE",
    }
)  # fmt: skip

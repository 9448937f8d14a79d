"""WAHA's serialized message id, the reliable source of chat, direction and id, and its session states."""

from typing import Final, NamedTuple

import msgspec

from domain.words import EventType
from sidecar.providers.chat import NO_CHAT, Chat, chat

STATE_OF: Final = {
    "WORKING": EventType.CONNECTION_CONNECTED,
    "SCAN_QR_CODE": EventType.CONNECTION_QRCODE,
    "FAILED": EventType.CONNECTION_ERROR,
    "STOPPED": EventType.CONNECTION_DISCONNECTED,
}
QUIET_STATES: Final = frozenset({"STARTING"})

_DIRECTIONS: Final = {"true": True, "false": False}


class MessageId(NamedTuple):
    """What a serialized id `<true|false>_<chat>_<id>[_<participant>]` says."""

    from_me: bool | None = None
    chat: Chat = NO_CHAT
    id: str | None = None


class SerializedId(msgspec.Struct, frozen=True, gc=False):
    """The id as engine WEBJS gives it."""

    id: str | None = None
    serialized: str | None = msgspec.field(name="_serialized", default=None)


def message_id(value: SerializedId | str | None) -> MessageId:
    """Take a message id apart; a text that is not serialized is the bare id, unless it names a chat."""
    if isinstance(value, SerializedId):
        found = message_id(value.serialized)
        return found if found.id else MessageId(id=value.id or None)
    if not value:
        return MessageId()
    parts = value.split("_", 3)
    if len(parts) < 3 or parts[0] not in _DIRECTIONS:
        return MessageId(id=None if "@" in value else value)
    return MessageId(_DIRECTIONS[parts[0]], chat(parts[1]), parts[2] or None)

"""Words both directions of Evolution API share: message types, states, the message key."""

from typing import Final

import msgspec

from domain.words import EventType
from sidecar.providers import media

STATE_OF: Final = {
    "open": EventType.CONNECTION_CONNECTED,
    "close": EventType.CONNECTION_DISCONNECTED,
    "refused": EventType.CONNECTION_ERROR,
}
QUIET_STATES: Final = frozenset({"connecting"})

STATUS_NAMES: Final = ("ERROR", "PENDING", "SERVER_ACK", "DELIVERY_ACK", "READ", "PLAYED")
"""Names by number (WAMessageStatus of Baileys)."""

_TYPE_OF: Final = {
    "conversation": media.TEXT,
    "extendedTextMessage": media.TEXT,
    "imageMessage": media.IMAGE,
    "videoMessage": media.VIDEO,
    "ptvMessage": media.VIDEO,
    "audioMessage": media.AUDIO,
    "documentMessage": media.DOCUMENT,
    "documentWithCaptionMessage": media.DOCUMENT,
    "stickerMessage": media.STICKER,
    "reactionMessage": media.REACTION,
    # The Cloud API channel uses Meta's own words.
    "text": media.TEXT,
    "image": media.IMAGE,
    "video": media.VIDEO,
    "audio": media.AUDIO,
    "document": media.DOCUMENT,
    "sticker": media.STICKER,
    "reaction": media.REACTION,
}


class Key(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What names a message in Baileys; `remote_jid_alt` holds the phone JID where the chat is a LID."""

    id: str | None = None
    remote_jid: str | None = None
    remote_jid_alt: str | None = None
    from_me: bool | None = None


class Long(msgspec.Struct, frozen=True, gc=False):
    """A 64-bit number as protobuf.js writes it."""

    low: int
    high: int = 0

    @property
    def value(self) -> int:
        """The number."""
        return (self.high << 32) | (self.low & 0xFFFF_FFFF)


def message_type(name: str | None) -> str | None:
    """Normalize a message type; None without one. Baileys has dozens of kinds we call `other`."""
    return _TYPE_OF.get(name, media.OTHER) if name else None

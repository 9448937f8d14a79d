"""Words both directions of the Cloud API share: message types and the form of a chat."""

import re
from typing import Final

from sidecar.providers import media
from sidecar.providers.chat import JID_MAX, NO_CHAT, Chat, chat

TYPE_OF: Final = {
    "text": media.TEXT,
    "image": media.IMAGE,
    "video": media.VIDEO,
    "audio": media.AUDIO,
    "document": media.DOCUMENT,
    "sticker": media.STICKER,
    "reaction": media.REACTION,
    **dict.fromkeys(("template", "interactive", "location", "contacts", "button", "order"), media.OTHER),
    **dict.fromkeys(("unsupported", "unknown", "request_welcome"), media.OTHER),
}
GROUP: Final = "group"

_LETTER: Final = re.compile(r"[A-Za-z]")


def place(raw: str | None, *, is_group: bool = False) -> Chat:
    """Normalize a recipient: digits become a user's JID, an opaque id (a group's, a scoped user's) stays."""
    if not raw or len(raw) > JID_MAX:
        return NO_CHAT
    if "@" not in raw and (is_group or _LETTER.search(raw)):
        return Chat(raw, is_group)
    found = chat(raw)
    return found._replace(is_group=found.is_group or is_group)

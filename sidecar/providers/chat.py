"""The normal form of a chat, the same for every provider (notes 0.2, `remoteJid` and `isGroup`)."""

import re
from typing import Final, NamedTuple

USER_SERVER: Final = "s.whatsapp.net"
GROUP_SERVER: Final = "g.us"
JID_MAX: Final = 128
"""Longest chat id kept; the longest seen is a group of 31 characters."""

KNOWN_MAX: Final = 4096
"""Chats remembered; then all are forgotten at once. As many as the redactor remembers."""

_known: Final[dict[str, "Chat"]] = {}
_NOT_DIGIT: Final = re.compile(r"[^0-9]+")
_UNHEARD: Final = frozenset({"broadcast", "newsletter"})


class Chat(NamedTuple):
    """A chat in normal form; `jid` None when the traffic names none.

    Attributes:
        unheard: a story, broadcast list or channel: R13, nothing is recorded of it.
    """

    jid: str | None = None
    is_group: bool = False
    unheard: bool = False


NO_CHAT: Final = Chat()


def chat(raw: str | None) -> Chat:
    """Normalize a chat id or a phone number.

    With `@` the device part goes and `@c.us` becomes `@s.whatsapp.net`; without it only the digits stay.
    A chat comes several times (typing, a message, its receipts): it is remembered, 0.1 instead of 0.6 us.
    """
    if not raw or len(raw) > JID_MAX:
        return NO_CHAT
    found = _known.get(raw)
    if found is None:
        found = _normalized(raw)
        if len(_known) >= KNOWN_MAX:
            _known.clear()
        _known[raw] = found
    return found


def _normalized(raw: str) -> Chat:
    user, at, server = raw.rpartition("@")
    if not at:
        digits = raw if raw.isascii() and raw.isdigit() else _NOT_DIGIT.sub("", raw)
        return Chat(f"{digits}@{USER_SERVER}") if digits else NO_CHAT
    server = server.lower()
    user = user.partition(":")[0]
    if not user:
        return NO_CHAT
    if server == "c.us":
        server = USER_SERVER
    return Chat(f"{user}@{server}", server == GROUP_SERVER, server in _UNHEARD)


def first_chat(*raws: str | None) -> Chat:
    """Give the first of several spellings that names a chat."""
    for raw in raws:
        found = chat(raw)
        if found.jid is not None:
            return found
    return NO_CHAT


def phone_first(jid: str | None, alternative: str | None) -> Chat:
    """Normalize a chat that may be a LID: the phone JID beside it wins (notes 0.2)."""
    found = chat(jid)
    if found.jid is not None and found.jid.endswith("@lid"):
        other = chat(alternative)
        if other.jid is not None and other.jid.endswith(USER_SERVER):
            return other
    return found

"""What remains of personal ids: a keyed digest, nothing, or (on request) the id itself.

Applied once, by `to_signal`, before anything is journaled. The same number gives the same digest on all
providers and on all sidecars that share the key. Bounded caches keep the cost of a receipt storm low.
"""

import hashlib
import hmac
import re
from typing import Final

from domain.words import Word

JID_DIGEST_HEX: Final = 16
MESSAGE_DIGEST_HEX: Final = 32
CACHE_MAX: Final = 4096

JID_MAX: Final = 128

_DIGEST: Final = re.compile(r"[0-9a-f]{16}")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_WAMID: Final = "wamid."
_NUMBER_MIN: Final = 8
"""Digits from which an id of nothing else may be a phone number; WhatsApp's own ids hold letters."""


def is_digest(jid: str) -> bool:
    """Tell whether a chat id is a digest already; a phone number has at most 15 digits."""
    return _DIGEST.fullmatch(jid) is not None


class RemoteJidMode(Word):
    """What `SIDECAR_REMOTE_JID` may say."""

    HASH = "hash"
    DROP = "drop"
    PLAIN = "plain"


class Redactor:
    """Blanks chat ids and message ids that carry a phone number.

    Args:
        mode: what happens to a chat id.
        key: secret of the keyed digest, at least 16 bytes.

    Raises:
        ValueError: the key is too short to protect eleven-digit numbers.
    """

    def __init__(self, mode: RemoteJidMode, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the pseudonym key must have at least 16 bytes")
        self._hashes = mode is RemoteJidMode.HASH
        self._plain = mode is RemoteJidMode.PLAIN
        self._key = key
        self._jids: dict[str, str] = {}

    def remote_jid(self, jid: str) -> str | None:
        """Give what may be kept of a chat id: HMAC-SHA-256, first 16 hex digits, by default.

        A digest stays itself, so that an exported fact can be recorded again; no phone number has 16 digits.
        On request the id itself, unless it is longer than 128 characters or holds control characters.
        """
        if self._hashes:
            digest = self._jids.get(jid)
            if digest is None:
                digest = jid if is_digest(jid) else self._digest(jid)[:JID_DIGEST_HEX]
                if len(self._jids) >= CACHE_MAX:
                    self._jids.clear()
                self._jids[jid] = digest
            return digest
        if not self._plain or len(jid) > JID_MAX or _UNPRINTABLE.search(jid):
            return None
        return jid

    def message_id(self, message_id: str) -> str:
        """Give what may be kept of a message id.

        A `wamid.` carries the phone number in base64; a serialized id (`true_<chat>_<id>`) holds the chat,
        and an id of digits alone may be a number: of these a digest is kept, which the original finds again.
        """
        if self._plain:
            return message_id
        if message_id.startswith(_WAMID):
            return "wamid:" + self._digest(message_id)[:MESSAGE_DIGEST_HEX]
        if "@" in message_id or (len(message_id) >= _NUMBER_MIN and message_id.isdecimal()):
            return "id:" + self._digest(message_id)[:MESSAGE_DIGEST_HEX]
        return message_id

    def _digest(self, text: str) -> str:
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()

"""Which reports of a message came first: one message told by answer, echo and receipt counts once a type.

The memory is bounded, so it forgets: two generations of 65 536 messages (about 15 MB), the older one goes
when the younger is full. A report that comes later than that counts again; the audit trail is exact, this is
a rate. Keys are 64-bit hashes: that two of 131 072 messages share one is a chance of one in 2 000 million.
"""

from typing import Final

from domain.words import SignalType

GENERATION_MAX: Final = 65_536

BIT_OF: Final[dict[SignalType, int]] = {
    SignalType.MESSAGE_SENT: 1,
    SignalType.MESSAGE_DELIVERED: 2,
    SignalType.MESSAGE_READ: 4,
    SignalType.MESSAGE_REPLIED: 8,
    SignalType.MESSAGE_FAILED: 16,
}
"""The message types, each a bit."""

_SENT: Final = 1
_SETTLED: Final = 2 | 4 | 16


class MessageMemory:
    """Remembers what was reported of recent messages.

    Attributes:
        pending: remembered messages that were sent and have no receipt, read or failure yet.
    """

    def __init__(self, generation_max: int = GENERATION_MAX) -> None:
        self._generation_max = generation_max
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self.pending = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def first(self, instance_id: str, message_id: str, bit: int) -> bool:
        """Tell whether nobody reported this of the message before, and remember it."""
        key = hash((instance_id, message_id))
        young = self._young
        known = young.get(key)
        if known is None:
            known = self._old.pop(key, 0)
            if len(young) >= self._generation_max:
                self._forget()
                young = self._young
        elif known & bit:
            return False
        now = known | bit
        young[key] = now
        self.pending += _waits(now) - _waits(known)
        return not known & bit

    def _forget(self) -> None:
        self.pending -= sum(map(_waits, self._old.values()))
        self._old, self._young = self._young, {}


def _waits(bits: int) -> int:
    return 1 if bits & _SENT and not bits & _SETTLED else 0

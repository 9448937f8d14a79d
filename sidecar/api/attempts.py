"""Guessing the token: ten different wrong ones a minute from one peer, whichever way they are shown.

A program with an old token shows the same wrong one again and again, which guesses nothing: only different
ones count. A peer that used up its ten waits, even with the right one, or every guess would be answered.
Sessions that are open go on, and so do open routes. Behind a proxy all callers are one peer.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

from domain.words import Millis
from sidecar.api.errors import ApiError

ATTEMPTS_MAX: Final = 10
ATTEMPTS_MS: Final[Millis] = 60_000
PEERS_MAX: Final = 1024
_HOST_BITS: Final = 64
"""One household or machine holds a whole /64 of IPv6."""


def digest_of(text: str) -> bytes:
    """Give a digest to compare: of one length, whatever was sent."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


class Attempts:
    """Remembers wrong tokens by peer; bounded in peers and in attempts each."""

    def __init__(self, clock: Callable[[], Millis]) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, dict[bytes, Millis]] = OrderedDict()

    def is_right(self, given: bytes, token: bytes, peer: str) -> bool:
        """Compare digests in constant time, and remember a wrong one.

        Raises:
            ApiError: 429, this peer guessed too often; nothing was compared.
        """
        now, place = self._clock(), _place(peer)
        recent = {one: at for one, at in self._wrong.get(place, {}).items() if at > now - ATTEMPTS_MS}
        if len(recent) >= ATTEMPTS_MAX:
            wait_ms = min(recent.values()) + ATTEMPTS_MS - now
            headers = {"Retry-After": str(-(-wait_ms // 1000))}
            raise ApiError(429, "too_many_attempts", "too many wrong tokens; wait a minute", None, headers)
        if hmac.compare_digest(given, token):
            return True
        self._wrong[place] = {given: now} | recent  # an old one keeps its time
        self._wrong.move_to_end(place)
        while len(self._wrong) > PEERS_MAX:
            self._wrong.popitem(last=False)
        return False


def _place(peer: str) -> str:
    """Give what counts as one peer: an address, of IPv6 its network."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, IPv6Address) and not address.is_loopback:
        return str(int(address) >> _HOST_BITS)
    return peer

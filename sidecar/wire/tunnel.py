"""A connection whose protocol was switched (101): bytes go through both ways, unobserved, with back-pressure.

Each side may end its sending side first; the tunnel closes when both have, or when either is lost.
"""

import math
from typing import TYPE_CHECKING

from sidecar.wire.upstream import UpstreamConnection

if TYPE_CHECKING:
    from sidecar.wire.caller import CallerConnection
    from sidecar.wire.forwarder import Forwarder


class Tunnel:
    """Both ends of a switched connection."""

    __slots__ = (
        "_caller",
        "_caller_ended",
        "_forwarder",
        "_opened",
        "_upstream",
        "_upstream_ended",
        "deadline",
    )

    def __init__(
        self, forwarder: "Forwarder", caller: "CallerConnection", upstream: UpstreamConnection
    ) -> None:
        self._forwarder = forwarder
        self._caller = caller
        self._upstream = upstream
        self._caller_ended = False
        self._upstream_ended = False
        self._opened = False
        self.deadline = math.inf

    def expire(self) -> None:
        """Tunnels have no bound in time: WebSockets may be quiet, and the kernel probes for dead peers."""

    def open(self, head: bytes) -> None:
        """Write the 101 with what followed it, send up what the caller sent ahead, and let go."""
        caller, upstream = self._caller, self._upstream
        self._opened = True
        self._forwarder.counters.tunnels += 1
        caller.switch(self)
        upstream.user = self
        caller.write(head)
        if upstream.lost:
            self.upstream_lost()
            return
        if caller.ahead:
            upstream.write(caller.ahead)
            caller.ahead = b""
        if not upstream.blocked:
            caller.resume()
        if not caller.blocked:
            upstream.resume()
        if caller.eof:
            self.caller_eof()

    def caller_data(self, data: bytes) -> None:
        """Pass on."""
        self._upstream.write(data)

    def upstream_data(self, data: bytes) -> None:
        """Pass on."""
        self._caller.write(data)

    def caller_stalled(self) -> None:
        """Tunnels may be quiet."""

    def shut(self) -> None:
        """Cut both ends."""
        self._caller.transport.abort()
        self._upstream.transport.abort()

    def caller_eof(self) -> bool:
        """Pass on the end of one direction."""
        self._caller_ended = True
        return self._half_closed(self._upstream)

    def upstream_eof(self) -> bool:
        """Pass on the end of one direction."""
        self._upstream_ended = True
        return self._half_closed(self._caller)

    def _half_closed(self, other: "UpstreamConnection | CallerConnection") -> bool:
        both = self._caller_ended and self._upstream_ended
        if not both and not other.transport.is_closing() and other.transport.can_write_eof():
            other.transport.write_eof()
            return True
        self._caller.transport.close()
        self._upstream.transport.close()
        return False

    def caller_lost(self) -> None:
        """Close the other end."""
        self._close()
        self._upstream.transport.close()

    def upstream_lost(self) -> None:
        """Close the other end."""
        self._close()
        self._caller.transport.close()

    def _close(self) -> None:
        if self._opened:
            self._opened = False
            self._forwarder.counters.tunnels -= 1
        self._caller.deadline = math.inf

    def caller_blocked(self, *, blocked: bool) -> None:
        """Pass back-pressure on."""
        if blocked:
            self._caller.deadline = math.inf  # WebSockets may be quiet; the kernel probes dead peers
            self._upstream.pause()
        else:
            self._upstream.resume()

    def upstream_blocked(self, *, blocked: bool) -> None:
        """Pass back-pressure on."""
        if blocked:
            self._caller.pause()
        else:
            self._caller.resume()

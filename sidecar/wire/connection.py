"""What connections of both kinds have in common, and what they tell whoever uses them."""

import asyncio
import socket
from typing import Any, Protocol, cast


class CallerUser(Protocol):
    """Who uses a caller's connection between two heads: an exchange in flight, or a tunnel."""

    deadline: float
    """Loop time at which `expire` is called."""

    def expire(self) -> None:
        """End what took too long."""
        ...

    def caller_data(self, data: bytes) -> None:
        """Take bytes of the request's body, or of the tunnel."""
        ...

    def caller_eof(self) -> bool:
        """Take note that the caller sends no more; true keeps the connection open for the answer."""
        ...

    def caller_lost(self) -> None:
        """Take note that the connection is gone."""
        ...

    def caller_stalled(self) -> None:
        """Take note that the rest of the request does not come."""
        ...

    def shut(self) -> None:
        """End now: the sidecar stops."""
        ...

    def caller_blocked(self, *, blocked: bool) -> None:
        """Take note that the caller takes no more bytes for now, or does again."""
        ...


class UpstreamUser(Protocol):
    """Who uses an upstream connection: an exchange in flight, or a tunnel."""

    def upstream_data(self, data: bytes) -> None:
        """Take bytes from the upstream."""
        ...

    def upstream_eof(self) -> bool:
        """Take note that the upstream sends no more; true keeps the sending side open."""
        ...

    def upstream_lost(self) -> None:
        """Take note that the connection is gone."""
        ...

    def upstream_blocked(self, *, blocked: bool) -> None:
        """Take note that the upstream takes no more bytes for now, or does again."""
        ...


def _tune(transport: asyncio.Transport, high_water_bytes: int) -> None:
    """Let the kernel probe peers that went quiet, and hold little that it could not send.

    A peer that vanished without a word is found after 60 s and 4 probes of 15 s. Without a bound the kernel
    takes megabytes for a peer that does not read, and slow progress could not be told from none.
    """
    raw: Any = transport.get_extra_info("socket")
    if raw is None or raw.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 60),
        ("TCP_KEEPINTVL", 15),
        ("TCP_KEEPCNT", 4),
        ("TCP_NOTSENT_LOWAT", high_water_bytes),
    ):
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Connection(asyncio.Protocol):
    """A transport with its bounds, whose reading can be paused as often as one likes.

    Attributes:
        blocked: the peer takes no more bytes for now.
        lost: the transport is gone.
        paused: what the peer sends is not read for now.
        write: the transport's own method; it never blocks.
    """

    __slots__ = ("blocked", "lost", "paused", "transport", "write")

    def __init__(self) -> None:
        self.paused = False
        self.blocked = False
        self.lost = False

    def take(self, transport: asyncio.BaseTransport, high_water_bytes: int) -> None:
        """Set bounds and keep-alive probes."""
        self.transport = cast("asyncio.Transport", transport)
        self.write = self.transport.write
        self.transport.set_write_buffer_limits(high=high_water_bytes)
        _tune(self.transport, high_water_bytes)

    def pause(self) -> None:
        """Stop reading; may be called again."""
        if not self.paused and not self.lost:
            self.paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Go on reading; may be called again."""
        if self.paused and not self.lost:
            self.paused = False
            self.transport.resume_reading()

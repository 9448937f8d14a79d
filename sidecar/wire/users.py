"""What both kinds of connections tell whoever uses them, and what they ask of the kernel."""

import asyncio
import socket
from typing import Any, Protocol


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


def keep_alive(transport: asyncio.Transport) -> None:
    """Let the kernel find out about peers that vanished without a word: after 60 s, then 4 probes of 15 s."""
    raw: Any = transport.get_extra_info("socket")
    if raw is None or raw.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

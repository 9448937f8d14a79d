"""The wire on a desk: its real connections between transports held in memory, fed byte by byte at will."""

import asyncio
import socket
from typing import Any, cast

from domain.words import Direction
from sidecar.wire import Counters, Forwarder, Limits, Route, Upstream, VerifyMode
from sidecar.wire.caller import CallerConnection
from sidecar.wire.upstream import UpstreamConnection
from tests.sidecar.wire.peers import Witness

_PAIR = socket.socketpair()
"""What a pooled connection looks at to tell that its peer is there, and quiet."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Held(asyncio.Transport):
    """A transport whose peer is the test: what was written stays here."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False
        self.aborted = False
        self.half_closed = False
        self.reading = True

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written += data

    def write_eof(self) -> None:
        self.half_closed = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_reading(self) -> bool:
        return self.reading

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return _PAIR[0] if name == "socket" else default


class Desk:
    """One caller and one upstream connection of a forwarder that is not served.

    Attributes:
        up: what the upstream received.
        down: what the caller received.
    """

    def __init__(
        self,
        *,
        url: str = "http://origin",
        limits: Limits | None = None,
        verify: VerifyMode = VerifyMode.OFF,
        witness: Witness | None = None,
    ) -> None:
        route = Route(
            name="desk", direction=Direction.DISPATCH, upstream=Upstream.parse(url), verify_mode=verify
        )
        self.witness = witness or Witness()
        self.forwarder = Forwarder(route, limits or Limits(), self.witness, Counters())
        self.side = self.forwarder.side
        self.caller = CallerConnection(self.forwarder)
        self.down = Held()
        self.caller.connection_made(self.down)
        self.upstream = UpstreamConnection(self.forwarder.pool)
        self.up = Held()
        self.upstream.connection_made(self.up)
        self.forwarder.pool.put(self.upstream, (1 << 63) - 1)

    def another_caller(self) -> tuple[CallerConnection, Held]:
        """Give a second caller of the same forwarder, and what it receives."""
        caller, down = CallerConnection(self.forwarder), Held()
        caller.connection_made(down)
        return caller, down

    async def say(self, data: bytes, size: int = 1 << 30) -> None:
        """Let the caller send bytes in pieces of a size, as long as it is read and not cut off."""
        for at in range(0, len(data), size):
            if self.down.closed or self.down.half_closed:
                return
            self.caller.data_received(data[at : at + size])
            await asyncio.sleep(0)

    async def answer(self, data: bytes = OK, size: int = 1 << 30) -> None:
        """Let the upstream send bytes in pieces of a size."""
        for at in range(0, len(data), size):
            if self.up.closed:
                return
            self.upstream.data_received(data[at : at + size])
            await asyncio.sleep(0)

    async def answer_all(self) -> None:
        """Answer every whole request, one after the other, until none is left."""
        while not self.up.closed:
            user = cast("Any", self.caller.user)
            if user is None or not user.whole or user.ended:
                return
            await self.answer()
            await asyncio.sleep(0)

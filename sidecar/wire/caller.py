"""Connections from callers: one protocol that reads heads and hands bodies to the exchange in flight.

Theory of operation. A connection is in one mode:

    HEAD     between requests, or collecting a head that came in pieces
    BODY     the exchange in flight takes what arrives
    ANSWER   the request is whole; what arrives now belongs to later requests: it is kept, reading pauses
    TUNNEL   the protocol was switched; bytes go through
    LINGER   the last answer is written; what arrives is discarded, so that the answer is read, not a reset
    CLOSED   gone

    HEAD -> BODY -> ANSWER -> HEAD         an exchange on a kept connection
    HEAD -> ANSWER -> TUNNEL               101
    HEAD, BODY, ANSWER -> LINGER -> CLOSED a refusal, an early answer, the end of a kept connection

Requests are answered one at a time, in order (RFC 9112 section 9.3.2): at most one read's worth of later
bytes is kept.
"""

import asyncio
import math
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Final

from sidecar.clock import monotonic_ns
from sidecar.wire.answer import error_answer
from sidecar.wire.connection import CallerUser, Connection
from sidecar.wire.head_buffer import END, A, HeadBuffer, Z, skip_empty_line
from sidecar.wire.refusal import REFUSALS, Reason, Refused
from sidecar.wire.request_head import RequestHead

if TYPE_CHECKING:
    from sidecar.wire.forwarder import Forwarder

HEAD: Final = 0
BODY: Final = 1
ANSWER: Final = 2
TUNNEL: Final = 3
LINGER: Final = 4
CLOSED: Final = 5


class CallerConnection(Connection):
    """One connection from a caller.

    Attributes:
        over: it came beyond the bound on connections; its requests are answered 503.
        ahead: bytes that came after the request in flight.
        deadline: loop time at which `expire` is called.
    """

    __slots__ = (
        "_buffer", "_empty_line", "_first_byte_ns", "_lingered", "_unsent", "ahead", "deadline", "eof",
        "forwarder", "mode", "over", "user",
    )  # fmt: skip

    def __init__(self, forwarder: "Forwarder") -> None:
        super().__init__()
        self.forwarder = forwarder
        self.mode = HEAD
        self.over = False
        self.ahead = b""
        self.eof = False
        self.deadline = math.inf
        self.user: CallerUser | None = None
        self._buffer: HeadBuffer | None = None
        self._first_byte_ns = 0
        self._lingered = 0
        self._unsent = 0
        self._empty_line = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in."""
        self.take(transport, self.forwarder.limits.high_water_bytes)
        if not self.forwarder.caller_opened(self):
            self.mode = CLOSED
            self.transport.abort()
            return
        self.deadline = self.forwarder.after(self.forwarder.limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Take what the caller sent."""
        mode = self.mode
        if mode == HEAD:
            if self.blocked or self.ahead:
                self.ahead += data
                self.pause()
            else:
                self._take_head(data)
        elif mode in {BODY, TUNNEL}:
            if self.user is not None:
                self.user.caller_data(data)
        elif mode == ANSWER:
            self.ahead += data
            self.pause()
        elif mode == LINGER:
            self._lingered += len(data)
            if self._lingered > self.forwarder.limits.linger_bytes_max:
                self.transport.close()

    def eof_received(self) -> bool:
        """Take note that the caller sends no more; keep the connection while an answer is due."""
        self.eof = True
        if self.user is None:
            return False
        return self.user.caller_eof() and self.forwarder.route.tls is None

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out; what is in flight goes on without it."""
        self.lost = True
        if isinstance(exc, ssl.SSLError):
            self.forwarder.tls_broke(exc)
        if self.mode != CLOSED:
            self.mode = CLOSED
            self.forwarder.caller_closed(self)
            user, self.user = self.user, None
            if user is not None:
                user.caller_lost()

    def pause_writing(self) -> None:
        """Hand on back-pressure."""
        self.blocked = True
        self._unsent = self.transport.get_write_buffer_size()
        self.deadline = self.forwarder.idle_at
        if self.user is not None:
            self.user.caller_blocked(blocked=True)

    def resume_writing(self) -> None:
        """Hand on relief."""
        self.blocked = False
        self.deadline = math.inf if self.mode in {ANSWER, TUNNEL} else self.forwarder.idle_at
        if self.user is not None:
            self.user.caller_blocked(blocked=False)
        elif self.mode == HEAD:
            self._next()

    def _take_head(self, data: bytes) -> None:
        """Read a request head, or a piece of one, and begin its exchange."""
        forwarder = self.forwarder
        limits = forwarder.limits
        try:
            if self._buffer is None:
                if self._empty_line or not A <= data[0] <= Z:
                    self._empty_line, data = skip_empty_line(self._empty_line, data)
                    if not data:
                        return
                self._empty_line = b""
                self._first_byte_ns = monotonic_ns()
                end = data.find(END) + 4
                if end > 3:
                    head, rest = data[:end], data[end:]
                else:
                    self._buffer = HeadBuffer(limits)
                    self.deadline = forwarder.after(limits.head_seconds)
                    self._buffer.feed(data)
                    return
            else:
                found = self._buffer.feed(data)
                if found is None:
                    return
                head, rest = found
                self._buffer = None
            request = forwarder.requests[head]
        except Refused as refused:
            self.refuse(refused.reason)
            return
        self._begin(request, rest)

    def _begin(self, request: RequestHead, rest: bytes) -> None:
        self.mode = BODY
        self.deadline = math.inf
        relay = self.forwarder.relay_type(self, request, self._first_byte_ns)
        self.user = relay
        relay.start(rest)

    def request_whole(self, rest: bytes) -> None:
        """Take note that the request in flight is whole; `rest` belongs to later ones."""
        self.mode = ANSWER
        if not self.blocked:
            self.deadline = math.inf
        if rest:
            self.ahead = rest
            self.pause()
        elif self.paused:
            self.resume()

    def switch(self, tunnel: CallerUser) -> None:
        """Hand the connection to a tunnel."""
        self.mode = TUNNEL
        self.user = tunnel
        self.deadline = math.inf

    def exchange_over(self, *, keep: bool) -> None:
        """Go on after an exchange: the next request, or the end of the connection."""
        self.user = None
        if self.mode == CLOSED:
            return
        if not keep or self.eof:
            self.linger()
            return
        self.mode = HEAD
        self.deadline = self.forwarder.idle_at
        if self.ahead:
            # In a turn of its own: a caller that pipelines thousands of requests must not nest them.
            self.forwarder.loop.call_soon(self._next)

    def _next(self) -> None:
        """Take up the bytes that came ahead, once the caller has taken its answers."""
        if self.mode != HEAD or self.blocked:
            return
        self.resume()
        if self.ahead:
            data, self.ahead = self.ahead, b""
            self._take_head(data)

    def refuse(self, reason: Reason) -> None:
        """Answer a request that breaks a rule, and close."""
        self.forwarder.side.refusals[reason] += 1
        refusal = REFUSALS[reason]
        self.write(error_answer(refusal.status, reason.value.upper(), refusal.message, close=True))
        self.linger()

    def linger(self) -> None:
        """Close in steps (RFC 9112 section 9.6): end the sending side, discard what still arrives, close."""
        if self.mode in {CLOSED, LINGER}:
            return
        self.mode = LINGER
        self.user = None
        self.ahead = b""
        self.deadline = self.forwarder.after(self.forwarder.limits.linger_seconds)
        if self.eof or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.resume()

    def cut(self, *, reset: bool) -> None:
        """End in the middle of an answer, so that it cannot be taken for a whole one.

        Where the caller can only tell the end of the answer from the connection's, it must see a reset.
        """
        self.user = None
        if self.mode == CLOSED:
            return
        if reset and self.forwarder.route.tls is not None:
            self.transport.abort()  # a close would say close_notify: a clean end
            return
        if reset:
            raw = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.mode = LINGER
        self.deadline = self.forwarder.idle_at
        self.transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        self.transport.abort()

    def is_idle(self) -> bool:
        """Tell whether nothing of a request is here, and everything of the answers is gone."""
        return self.mode == HEAD and self._buffer is None and not self.ahead and not self.blocked

    def expire(self) -> None:
        """End what took too long."""
        self.deadline = math.inf
        if self.blocked:
            unsent = self.transport.get_write_buffer_size()
            if unsent < self._unsent:  # slow, but it reads
                self._unsent = unsent
                self.deadline = self.forwarder.idle_at
            else:
                self.abort()
        elif self.mode == HEAD and self._buffer is not None:
            self._buffer = None
            self.refuse(Reason.HEAD_TIMEOUT)
        elif self.mode == BODY and self.user is not None:
            self.user.caller_stalled()
        elif self.mode == HEAD:
            self.linger()
        else:
            self.abort()

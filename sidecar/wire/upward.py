"""The upward half of an exchange in flight: its request, and the connection it takes.

Theory of operation. The request's first bytes are sent with its head once there is a connection: a pooled
one at once, else a new one; meanwhile at most one more piece is read. A body that came whole with its head
(the usual case) needs no decoder.
"""

import asyncio
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from sidecar.clock import monotonic_ns, now_ms
from sidecar.exchange import BodyCopy, Exchange, WireError
from sidecar.tasks import spawn
from sidecar.wire.body import CHUNKED, BodyDecoder, chunk, decoder, last_chunk
from sidecar.wire.refusal import Reason, Refused
from sidecar.wire.request_head import RequestHead
from sidecar.wire.upstream import ConnectFailed, UpstreamConnection

if TYPE_CHECKING:
    from sidecar.wire.caller import CallerConnection

_JOIN_MAX: Final = 16 * 1024
"""Up to here, copying a payload behind its head is cheaper than a second write."""


class Upward(ABC):
    """The request of an exchange in flight.

    Attributes:
        caller: None once it is gone, or done with.
        upstream: None before it is taken, and once it is gone or given back.
        deadline: loop time at which `expire` is called.
        whole: the request has arrived to its last byte.
        unreached: why no upstream takes the request, whose rest is still read for what it tells.
        continued: the caller was told to send its body.
        ended: the observer was told.
        released: the last byte of the answer may go.
    """

    __slots__ = (
        "_connecting", "_unread", "_unsent", "caller", "continued", "deadline", "ended", "exchange",
        "forwarder", "released", "request", "request_body", "request_copy", "unreached", "upstream",
        "whole",
    )  # fmt: skip

    def __init__(self, caller: "CallerConnection", request: RequestHead, first_byte_ns: int) -> None:
        forwarder = self.forwarder = caller.forwarder
        self.caller: CallerConnection | None = caller
        self.request = request
        self.upstream: UpstreamConnection | None = None
        self.deadline = math.inf
        self.whole = False
        self.continued = False
        self.ended = False
        self.released = False
        self.request_body: BodyDecoder | None = None
        self.request_copy: BodyCopy | None = None
        self.unreached: WireError | None = None
        self._unread = forwarder.limits.linger_bytes_max
        self._unsent = b""
        self._connecting: asyncio.Task[None] | None = None
        self.exchange = Exchange(
            route=forwarder.name,
            direction=forwarder.direction,
            method=request.method,
            target=request.target,
            request_headers=request.headers,
            started_at=now_ms(),
            first_byte_ns=first_byte_ns,
        )

    def start(self, rest: bytes) -> None:
        """Begin: `rest` is what came after the head."""
        caller = self.begin()
        if caller is None:
            return
        request = self.request
        framing = request.framing
        if framing == 0:
            payload = b""
            self.request_is_whole(rest)
        elif framing == len(rest):
            payload = rest
            self.observe_whole(rest)
            self.whole = True
            caller.request_whole(b"")
        else:
            self.request_copy = self.forwarder.observer.start(request)
            self.request_body = decoder(framing, self.forwarder.limits)
            if not request.expects:
                caller.deadline = self.forwarder.idle_at
            try:
                payload = self._take_payload(self.request_body, rest) if rest else b""
            except Refused as refused:
                self.bad_request(refused.reason)
                return
        self.send(payload)

    def begin(self) -> "CallerConnection | None":
        """Count the exchange in; give its caller, or fail it where that connection is beyond the bound."""
        side = self.forwarder.side
        side.exchanges += 1
        side.active_requests += 1
        caller = self.caller
        if caller is not None and caller.over:
            side.refusals[Reason.CONNECTIONS] += 1
            self.fail(WireError.OVER_CAPACITY)
            return None
        return caller

    def send(self, payload: bytes) -> None:
        """Send the head and what there is of the body, on a pooled connection or a new one."""
        upstream = self.forwarder.pool.take(monotonic_ns())
        if upstream is not None:
            self._attach(upstream, payload)
            return
        self._unsent = payload
        self._connecting = spawn(self._connect(), name="wire.connect")

    async def _connect(self) -> None:
        try:
            upstream = await self.forwarder.pool.connect()
        except ConnectFailed as failed:
            self._connecting = None
            self.give_up(failed.error)
            return
        self._connecting = None
        if upstream.lost:
            self.give_up(WireError.NETWORK_ERROR)
            return
        self._attach(upstream, self._unsent)
        self._unsent = b""
        if self.caller is not None and not self.whole and not upstream.blocked:
            self.caller.resume()

    def give_up(self, error: WireError) -> None:
        """Fail for want of an upstream, but read first what is still on its way of the request.

        Most senders write head and body apart: failed between the two, a callback's facts would be lost.
        Bounded as lingering is, in time and bytes; who waits to be told to send its body sends none.
        """
        if self.whole or self.caller is None or (self.request.expects and not self.continued):
            self.fail(error)
            return
        self.unreached = error
        self._unsent = b""
        self.deadline = self.forwarder.after(self.forwarder.limits.linger_seconds)
        self.caller.resume()

    def stop_connecting(self) -> None:
        """Give up the connection that is being made."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None

    def _attach(self, upstream: UpstreamConnection, payload: bytes) -> None:
        self.upstream = upstream
        upstream.user = self
        if len(payload) <= _JOIN_MAX:
            upstream.write(self.request.forwarded + payload)
        else:
            upstream.write(self.request.forwarded)
            upstream.write(payload)
        if self.whole:
            self.request_sent()

    def caller_data(self, data: bytes) -> None:
        """Take bytes of the request's body."""
        if self.request_body is None or (self.ended and self.upstream is None):
            return  # a failed exchange that waits for its release: nothing takes these bytes any more
        try:
            payload = self._take_payload(self.request_body, data)
        except Refused as refused:
            self.bad_request(refused.reason)
            return
        if self.unreached is not None:
            self._unread -= len(data)
            if self.whole or self._unread < 0:
                self.fail(self.unreached)
            return
        if self.upstream is None:
            self._unsent += payload
            if self.caller is not None and not self.whole:
                self.caller.pause()  # no earlier: who is not read cannot be seen to hang up
            return
        if payload:
            self.upstream.write(payload)
        if self.whole:
            self.request_sent()

    def _take_payload(self, body: BodyDecoder, data: bytes) -> bytes:
        """Decode, observe and frame anew what came of the body."""
        payload = body.feed(data)
        if payload:
            self.observe_request(payload)
        if self.request.framing == CHUNKED:
            payload = chunk(payload) if payload else b""
            if body.done:
                payload += last_chunk(body.trailers)
        if body.done:
            self.request_is_whole(body.rest)
        elif self.caller is not None:
            self.caller.deadline = self.forwarder.idle_at
        return payload

    def observe_whole(self, payload: bytes) -> None:
        """Copy a body that came whole with its head."""
        self.exchange.request_body = self.forwarder.observer.whole(self.request, payload)

    def observe_request(self, payload: bytes) -> None:
        """Feed the copy."""
        if self.request_copy is not None:
            try:
                self.request_copy.feed(payload)
            except Exception:  # noqa: BLE001 - counted; the traffic goes on
                self.request_copy = self.forwarder.observer.crashed("feed")

    def request_is_whole(self, rest: bytes) -> None:
        """Take note that the request has arrived; `rest` belongs to later ones."""
        self.whole = True
        if self.caller is not None:
            self.caller.request_whole(rest)

    def request_sent(self) -> None:
        """Take note that the last byte of the request was handed to the upstream."""
        self.exchange.sent_ns = monotonic_ns()
        if self.ended:
            self.settle()
        elif self.forwarder.limits.response_head_seconds:
            self.await_head()

    def await_head(self) -> None:
        """Bound the time to the answer's head, where it is not here yet."""
        if self.exchange.status is None:
            self.deadline = self.forwarder.after(self.forwarder.limits.response_head_seconds)

    def bad_request(self, reason: Reason) -> None:
        """End an exchange whose request's body breaks HTTP."""
        self.forwarder.side.refusals[reason] += 1
        self.fail(WireError.BAD_REQUEST, reason)

    def upstream_blocked(self, *, blocked: bool) -> None:
        """Pass back-pressure on to the caller."""
        if self.caller is not None and not self.whole:
            if blocked:
                self.caller.pause()
                self.caller.deadline = math.inf
            else:
                self.caller.resume()
                self.caller.deadline = self.forwarder.idle_at

    def caller_blocked(self, *, blocked: bool) -> None:
        """Pass back-pressure on to the upstream."""
        if self.upstream is not None:
            if blocked:
                self.upstream.pause()
            else:
                self.upstream.resume()

    @abstractmethod
    def upstream_data(self, data: bytes) -> None:
        """Take bytes of the answer."""

    @abstractmethod
    def upstream_eof(self) -> bool:
        """Take note that the upstream sends no more."""

    @abstractmethod
    def upstream_lost(self) -> None:
        """Take note that the upstream's connection is gone."""

    @abstractmethod
    def fail(self, error: WireError, reason: Reason | None = None) -> None:
        """End the exchange without a whole answer."""

    @abstractmethod
    def settle(self) -> None:
        """Free the connections, once request and answer are over."""

"""The downward half of an exchange in flight: its answer, from the first interim head to the last piece.

Theory of operation. Interim answers pass at once (101 makes a tunnel). The final head and what follows pass
as they come, each piece as far as it was received; the piece that ends the answer is kept in `final` until it
is released. Where the connection to the caller must end with this answer, its head says so.
"""

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

from sidecar.clock import monotonic_ns
from sidecar.exchange import BodyCopy, WireError
from sidecar.wire.body import CHUNKED, UNTIL_CLOSE, BodyDecoder, chunk, decoder, last_chunk
from sidecar.wire.head_buffer import END, HeadBuffer
from sidecar.wire.refusal import Reason, Refused
from sidecar.wire.request_head import RequestHead
from sidecar.wire.response_head import ResponseHead, parse_response
from sidecar.wire.tunnel import Tunnel
from sidecar.wire.upward import Upward

if TYPE_CHECKING:
    from sidecar.wire.caller import CallerConnection


class Downward(Upward):
    """The answer of an exchange in flight.

    Attributes:
        answer: the final head, or that of a 101.
        answer_copy: the observer's copy of the body.
        closes: the caller's connection ends with this answer.
        final: what is written at the release.
        shown: the caller has a part of the answer: a failure cannot be told any more, only shown.
        spent: the upstream's connection must not be used again, whatever the answer's head says.
        tunnel: what the connection becomes after a 101.
    """

    __slots__ = (
        "_answer_body",
        "_head_buffer",
        "_interim",
        "answer",
        "answer_copy",
        "closes",
        "final",
        "shown",
        "spent",
        "tunnel",
    )

    def __init__(self, caller: "CallerConnection", request: RequestHead, first_byte_ns: int) -> None:
        super().__init__(caller, request, first_byte_ns)
        self.answer: ResponseHead | None = None
        self.answer_copy: BodyCopy | None = None
        self.closes = request.closes
        self.final = b""
        self.shown = False
        self.spent = False
        self.tunnel: Tunnel | None = None
        self._answer_body: BodyDecoder | None = None
        self._head_buffer: HeadBuffer | None = None
        self._interim = 0

    def upstream_data(self, data: bytes) -> None:
        """Take bytes of the answer."""
        try:
            if self.answer is None:
                self._take_heads(data)
            elif not self.ended:
                self._take_body(self.answer, b"", data)
            elif self.upstream is not None:
                # Bytes after the answer, while the request still flows up: they belong to nothing.
                self.upstream.abort()
                self.upstream_lost()
        except Refused as refused:
            self.forwarder.side.bad_answers[refused.reason] += 1
            self.fail(WireError.BAD_RESPONSE)

    def _take_heads(self, data: bytes) -> None:
        """Read answer heads until the final one; interim ones pass at once."""
        request = self.request
        forwarder = self.forwarder
        while data:
            if self._head_buffer is not None:
                found = self._head_buffer.feed(data)
                if found is None:
                    return
                head, data = found
                self._head_buffer = None
            else:
                end = data.find(END) + 4
                if end > 3:
                    head, data = data[:end], data[end:]
                else:
                    self._head_buffer = HeadBuffer(forwarder.limits)
                    self._head_buffer.feed(data)
                    return
            if request.plain:
                answer = forwarder.answers[head]
            else:
                answer = parse_response(
                    head, method=request.method, to_http10=request.http10, limits=forwarder.limits
                )
            if answer.status >= 200:
                self._begin_answer(answer, data)
                return
            if answer.status == 101:
                self._switch(answer, data)
                return
            self._pass_interim(answer)

    def _pass_interim(self, answer: ResponseHead) -> None:
        """Relay a 1xx answer (RFC 9110 section 15.2); HTTP/1.0 callers do not know them."""
        self._interim += 1
        if self._interim > self.forwarder.limits.interim_max:
            raise Refused(Reason.TOO_MANY_INTERIM)
        self.continued = self.continued or answer.status == 100
        if self.caller is not None and not self.request.http10:
            self.caller.write(answer.forwarded)

    def _begin_answer(self, answer: ResponseHead, data: bytes) -> None:
        """Take the final head, and what came of its body with it."""
        exchange = self.exchange
        self.answer = answer
        exchange.status = answer.status
        if self.caller is not None:
            self.deadline = math.inf
            exchange.answered = answer.status
        exchange.response_headers = answer.headers
        framing = answer.framing
        if (
            self.closes
            or framing == UNTIL_CLOSE
            or (framing == CHUNKED and self.request.http10)
            or self.forwarder.draining
            or not (self.whole or self._outlives(answer))
        ):
            self.closes = True
            head = answer.closing()
        else:
            head = answer.forwarded
        if framing == 0:
            self.final = head
            self.complete(surplus=bool(data))
            return
        if framing == len(data):  # the usual case: it came whole, so there is nothing to decode
            exchange.response_body = self.forwarder.observer.whole(answer, data)
            self.final = head + data
            self.complete(surplus=False)
            return
        self.answer_copy = self.forwarder.observer.start(answer)
        self._answer_body = decoder(framing, self.forwarder.limits)
        if data:
            self._take_body(answer, head, data)
        elif self.caller is not None:
            self.shown = True
            self.caller.write(head)

    def _observe(self, payload: bytes) -> None:
        if self.answer_copy is not None:
            try:
                self.answer_copy.feed(payload)
            except Exception:  # noqa: BLE001 - counted; the traffic goes on
                self.answer_copy = self.forwarder.observer.crashed("feed")

    def _outlives(self, answer: ResponseHead) -> bool:
        """Tell whether a request not yet whole may go on after this answer.

        A caller that still waits for 100 may send the body or not (RFC 9110 section 10.1.1): where its next
        request begins could not be told.
        """
        return not answer.closes and (self.continued or not self.request.expects)

    def _take_body(self, answer: ResponseHead, head: bytes, data: bytes) -> None:
        """Pass a piece of the body on, behind its head; the last one waits for its release."""
        body = self._answer_body
        assert body is not None
        payload = body.feed(data)
        if payload:
            self._observe(payload)
        if answer.framing == CHUNKED and not self.request.http10:
            payload = chunk(payload) if payload else b""
            if body.done:
                payload += last_chunk(body.trailers)
        piece = head + payload if head else payload
        if body.done:
            self.final = piece
            self.complete(surplus=bool(body.rest))
        elif self.caller is not None and piece:
            self.shown = True
            self.caller.write(piece)

    def _switch(self, answer: ResponseHead, data: bytes) -> None:
        """Turn the connection into a tunnel (RFC 9110 section 7.8), if that was asked for."""
        upstream = self.upstream
        if not (self.request.upgrade and answer.upgrade and self.whole) or upstream is None:
            raise Refused(Reason.UNASKED_UPGRADE)
        exchange = self.exchange
        self.answer = answer
        self.spent = True
        exchange.status = 101
        exchange.response_headers = answer.headers
        exchange.received_ns = monotonic_ns()
        self.final = answer.forwarded + data
        upstream.pause()
        if self.caller is not None:
            exchange.answered = 101
            self.tunnel = Tunnel(self.forwarder, self.caller, upstream)
        self.end(exchange.received_ns)

    @abstractmethod
    def complete(self, *, surplus: bool) -> None:
        """Take note that the answer is whole, `surplus` that bytes came after it."""

    @abstractmethod
    def end(self, now_ns: int) -> None:
        """Tell the observer."""

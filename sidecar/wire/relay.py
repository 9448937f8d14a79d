"""One exchange in flight: the request on its way up, the answer on its way down, and what is told of them.

Theory of operation. A relay lives from a parsed request head until its exchange has ended and its answer was
released. Four things happen, each once, in this order:

    start     the observer is asked for copies; a connection is taken or made; the request flows
    answer    the head of the answer (interim ones pass at once) and its body flow, but for the last piece
    end       the answer is whole, or the exchange failed: `Observer.ended` is told; what is to be written last
              waits in `_final`
    release   the observer lets it go: the last piece is written, or the failure shown

A caller that hangs up before its request is whole takes the upstream's connection with it; later, the answer
is awaited without it, for a bounded time, so that the exchange tells what really happened.
Every call of the observer is guarded: a crash is counted, costs the facts, and the traffic goes on.
"""

import asyncio
import math
from typing import TYPE_CHECKING, Final

from sidecar.clock import monotonic_ns, now_ms
from sidecar.exchange import Body, BodyCopy, BodyState, Exchange, Signature, Verification, WireError
from sidecar.tasks import spawn
from sidecar.wire.answer import ERRORS, error_answer
from sidecar.wire.body import CHUNKED, UNTIL_CLOSE, BodyDecoder, chunk, decoder, last_chunk
from sidecar.wire.head import END, HeadBuffer
from sidecar.wire.refusal import REFUSALS, Reason, Refused
from sidecar.wire.request_head import RequestHead
from sidecar.wire.response_head import ResponseHead, parse_response
from sidecar.wire.route import VerifyMode
from sidecar.wire.tunnel import Tunnel
from sidecar.wire.upstream import ConnectFailed, UpstreamConnection

if TYPE_CHECKING:
    from sidecar.wire.caller import CallerConnection

_JOIN_MAX: Final = 16 * 1024
"""Up to here, copying a payload behind its head is cheaper than a second write."""


class Relay:
    """One exchange in flight; see the module's theory of operation."""

    __slots__ = (
        "_answer", "_answer_body", "_answer_copy", "_closes", "_connecting", "_continued", "_cut", "_final",
        "_head_buffer", "_held", "_held_bytes", "_interim", "_keep", "_request_body", "_request_copy",
        "_tunnel", "_unsent", "_verification", "caller", "deadline", "ended", "exchange", "forwarder",
        "released", "request", "upstream",
    )  # fmt: skip

    def __init__(self, caller: "CallerConnection", request: RequestHead, first_byte_ns: int) -> None:
        self.forwarder = caller.forwarder
        self.caller: CallerConnection | None = caller
        self.request = request
        self.upstream: UpstreamConnection | None = None
        self.deadline = math.inf
        self.ended = False
        self.released = False
        exchange = self.exchange = Exchange(
            route=self.forwarder.route.name,
            direction=self.forwarder.direction,
            method=request.method,
            target=request.target,
            headers=request.headers,
        )
        exchange.started_at = now_ms()
        exchange.first_byte_ns = first_byte_ns
        self._request_body = decoder(request.framing, self.forwarder.limits)
        self._request_copy: BodyCopy | None = None
        self._verification: Verification | None = None
        self._held: list[bytes] | None = None
        self._held_bytes = 0
        self._unsent: list[bytes] = []
        self._connecting: asyncio.Task[None] | None = None
        self._continued = False
        self._answer: ResponseHead | None = None
        self._answer_body: BodyDecoder | None = None
        self._answer_copy: BodyCopy | None = None
        self._head_buffer: HeadBuffer | None = None
        self._interim = 0
        self._closes = request.closes
        self._final = b""
        self._keep = False
        self._cut = False
        self._tunnel: Tunnel | None = None

    # -- start -------------------------------------------------------------------------------------------

    def start(self, rest: bytes) -> None:
        """Begin: `rest` is what came after the head."""
        forwarder = self.forwarder
        forwarder.begun()
        request = self.request
        if request.framing:
            self._request_copy = self._copy_of(request.headers)
        if forwarder.verify_mode is not VerifyMode.OFF:
            self._start_verification()
        if self.caller is not None and self.caller.over:
            self.fail(WireError.OVER_CAPACITY)
            return
        if self._held is not None:
            if request.expects:
                self._continue_ourselves()
            self.caller_data(rest)
            return
        try:
            payload = self._take_payload(rest) if rest or not request.framing else b""
        except Refused as refused:
            self._bad_request(refused.reason)
            return
        upstream = forwarder.pool.take(monotonic_ns())
        if upstream is None:
            self._unsent = [payload]
            self._connect()
        else:
            self._attach(upstream, payload)

    def _connect(self) -> None:
        if self.caller is not None and not self._request_body.done:
            self.caller.pause()
        self._connecting = spawn(self._connected(), name="wire.connect")

    async def _connected(self) -> None:
        try:
            upstream = await self.forwarder.pool.connect()
        except ConnectFailed as failed:
            self._connecting = None
            self.fail(failed.error)
            return
        self._connecting = None
        if self.ended:
            upstream.abort()
        elif upstream.lost:
            self.fail(WireError.NETWORK_ERROR)
        else:
            unsent, self._unsent = b"".join(self._unsent), []
            self._attach(upstream, unsent)
            if self.caller is not None and not self._request_body.done:
                self.caller.resume()

    def _attach(self, upstream: UpstreamConnection, payload: bytes) -> None:
        """Send head and payload up."""
        self.upstream = upstream
        upstream.user = self
        if len(payload) <= _JOIN_MAX:
            upstream.write(self.request.forwarded + payload)
        else:
            upstream.write(self.request.forwarded)
            upstream.write(payload)
        if self._request_body.done:
            self._request_sent()

    # -- the request -------------------------------------------------------------------------------------

    def caller_data(self, data: bytes) -> None:
        """Take bytes of the request's body."""
        try:
            payload = self._take_payload(data)
        except Refused as refused:
            self._bad_request(refused.reason)
            return
        if self._held is not None:
            self._hold(payload)
        elif self.upstream is None:
            self._unsent.append(payload)
        else:
            if payload:
                self.upstream.write(payload)
            if self._request_body.done:
                self._request_sent()

    def _take_payload(self, data: bytes) -> bytes:
        """Decode, observe and frame anew what came of the body."""
        body = self._request_body
        caller = self.caller
        if not body.done:
            payload = body.feed(data)
            if payload:
                if self._request_copy is not None:
                    self._feed_request_copy(payload)
                if self._verification is not None:
                    self._feed_verification(payload)
            if caller is not None and not body.done:
                caller.deadline = self.forwarder.after(self.forwarder.limits.idle_seconds)
            rest = body.rest
            if self.request.framing == CHUNKED and self._held is None:
                framed = chunk(payload) if payload else b""
                payload = framed + last_chunk(body.trailers) if body.done else framed
        else:
            payload, rest = b"", data
        if body.done and caller is not None:
            caller.request_whole(rest)
        return payload

    def _request_sent(self) -> None:
        """Take note that the last byte of the request was handed to the upstream."""
        self.exchange.sent_ns = monotonic_ns()
        if self._verification is not None and self.exchange.signature is None:
            self.exchange.signature = self._verified()
        if self.ended:
            self._settle()
            return
        seconds = self.forwarder.limits.response_head_seconds
        if seconds and self._answer is None:
            self.deadline = self.forwarder.after(seconds)

    def _bad_request(self, reason: Reason) -> None:
        self.forwarder.count_refusal(reason)
        self.fail(WireError.BAD_REQUEST, reason)

    # -- verification of a callback (`reject` holds it) --------------------------------------------------

    def _start_verification(self) -> None:
        try:
            self._verification = self.forwarder.observer.verification(self.exchange)
        except Exception:
            self.forwarder.observer_crashed("verification")
            return
        if self._verification is not None and self.forwarder.verify_mode is VerifyMode.REJECT:
            self._held = []

    def _feed_verification(self, payload: bytes) -> None:
        assert self._verification is not None
        try:
            self._verification.feed(payload)
        except Exception:
            self.forwarder.observer_crashed("verification")
            self._verification = None

    def _verified(self) -> Signature | None:
        if self._verification is None:
            return None
        try:
            return self._verification.finish()
        except Exception:
            self.forwarder.observer_crashed("verification")
            return None

    def _continue_ourselves(self) -> None:
        """Ask for the body that is to be held; the upstream never sees the expectation."""
        self._continued = True
        if self.caller is not None:
            self.caller.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.request.forwarded = _without_expect(self.request.forwarded)

    def _hold(self, payload: bytes) -> None:
        """Keep a callback until it is whole and verified; one that cannot be verified is not forwarded."""
        held = self._held
        assert held is not None
        self._held_bytes += len(payload)
        if self._held_bytes > self.forwarder.limits.verification_bytes_max:
            self.fail(WireError.BODY_TOO_LARGE)
            return
        held.append(payload)
        if not self._request_body.done:
            return
        self.exchange.signature = self._verified()
        if self.exchange.signature is not Signature.VALID:
            self.fail(WireError.SIGNATURE_REJECTED)
            return
        whole = b"".join(held)
        self._held = None
        if self.request.framing == CHUNKED:
            whole = (chunk(whole) if whole else b"") + last_chunk(self._request_body.trailers)
        upstream = self.forwarder.pool.take(monotonic_ns())
        if upstream is None:
            self._unsent = [whole]
            self._connect()
        else:
            self._attach(upstream, whole)

    # -- the answer --------------------------------------------------------------------------------------

    def upstream_data(self, data: bytes) -> None:
        """Take bytes of the answer."""
        try:
            if self._answer is None:
                self._take_answer_head(data)
            elif not self.ended:
                self._take_answer_body(self._answer, b"", data)
            elif self.upstream is not None:
                self.upstream.abort()  # bytes after the answer, while the request still flows up
                self.upstream_lost()
        except Refused as refused:
            self.forwarder.count_bad_answer(refused.reason)
            self.fail(WireError.BAD_RESPONSE)

    def _take_answer_head(self, data: bytes) -> None:
        """Read answer heads until the final one; interim ones pass at once."""
        while data:
            if self._head_buffer is None:
                end = data.find(END) + 4
                if end == len(data):
                    head, data = data, b""
                elif end > 3:
                    head, data = data[:end], data[end:]
                else:
                    self._head_buffer = HeadBuffer(self.forwarder.limits)
                    self._head_buffer.feed(data)
                    return
            else:
                found = self._head_buffer.feed(data)
                if found is None:
                    return
                head, data = found
                self._head_buffer = None
            request = self.request
            answer = parse_response(
                head, method=request.method, to_http10=request.http10, limits=self.forwarder.limits
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
        self._continued = self._continued or answer.status == 100
        if self.caller is not None and not self.request.http10:
            self.caller.write(answer.forwarded + b"\r\n")

    def _begin_answer(self, answer: ResponseHead, data: bytes) -> None:
        request = self.request
        exchange = self.exchange
        self.deadline = math.inf if self.caller is not None else self.deadline
        self._answer = answer
        exchange.status = exchange.answered = answer.status
        exchange.response_headers = answer.headers
        framing = answer.framing
        body = self._answer_body = decoder(framing, self.forwarder.limits)
        if framing:
            self._answer_copy = self._copy_of(answer.headers)
        if (
            framing == UNTIL_CLOSE
            or (framing == CHUNKED and request.http10)
            or self.forwarder.draining
            or (not self._request_body.done and (answer.closes or (request.expects and not self._continued)))
        ):
            self._closes = True
        head = answer.forwarded + (b"Connection: close\r\n\r\n" if self._closes else b"\r\n")
        if body.done:
            body.rest = data
            self._final = head
            self._complete()
        elif data:
            self._take_answer_body(answer, head, data)
        elif self.caller is not None:
            self.caller.write(head)

    def _take_answer_body(self, answer: ResponseHead, head: bytes, data: bytes) -> None:
        """Pass a piece of the body on; the last one waits for its release."""
        body = self._answer_body
        assert body is not None
        payload = body.feed(data)
        if payload and self._answer_copy is not None:
            try:
                self._answer_copy.feed(payload)
            except Exception:
                self.forwarder.observer_crashed("feed")
                self._answer_copy = None
        if answer.framing == CHUNKED and not self.request.http10:
            piece = chunk(payload) if payload else b""
            if body.done:
                piece += last_chunk(body.trailers)
        else:
            piece = payload
        if body.done:
            self._final = head + piece if head else piece
            self._complete()
        elif self.caller is not None:
            self.caller.write(head + piece if head else piece)

    def _switch(self, answer: ResponseHead, data: bytes) -> None:
        """Turn the connection into a tunnel (RFC 9110 section 7.8), if that was asked for."""
        upstream = self.upstream
        if not self.request.upgrade or not answer.upgrade or not self._request_body.done or upstream is None:
            raise Refused(Reason.UNASKED_UPGRADE)
        exchange = self.exchange
        exchange.status = exchange.answered = 101
        exchange.response_headers = answer.headers
        exchange.received_ns = monotonic_ns()
        self._answer = answer
        self._final = answer.forwarded + b"\r\n" + data
        upstream.pause()
        if self.caller is not None:
            self._tunnel = Tunnel(self.forwarder, self.caller, upstream)
        self._end()

    def _complete(self) -> None:
        """The answer is whole: decide what becomes of both connections, and end."""
        now = self.exchange.received_ns = monotonic_ns()
        if self._request_body.done:
            self._give_back(now)
        self._keep = not self._closes
        self._end()

    def _give_back(self, now_ns: int) -> None:
        """Pool the upstream's connection if both messages ended as framed and it may be kept."""
        upstream, self.upstream = self.upstream, None
        answer, body = self._answer, self._answer_body
        if upstream is None or answer is None or body is None:
            return
        if answer.closes or answer.framing == UNTIL_CLOSE or body.rest or self.forwarder.draining:
            upstream.close()
        else:
            self.forwarder.pool.put(upstream, now_ns)

    # -- the ends of connections -------------------------------------------------------------------------

    def upstream_eof(self) -> bool:
        """The upstream sends no more: the end of a close-delimited body, or a failure."""
        if not self.ended:
            if self._answer is not None and self._answer.framing == UNTIL_CLOSE:
                self._complete()
            else:
                self._broken()
        elif self.upstream is not None:
            self.upstream_lost()
        return False

    def upstream_lost(self) -> None:
        """The upstream's connection is gone."""
        self.upstream = None
        if not self.ended:
            self._broken()
        elif self.released and self.caller is not None:
            # It had answered without reading the whole request, and now closed: so do we.
            caller, self.caller = self.caller, None
            caller.linger()

    def _broken(self) -> None:
        self.fail(WireError.NETWORK_ERROR if self._answer is None else WireError.BROKEN_RESPONSE)

    def upstream_blocked(self, *, blocked: bool) -> None:
        """Pass back-pressure on to the caller."""
        if self.caller is not None and not self._request_body.done:
            if blocked:
                self.caller.pause()
                self.caller.deadline = math.inf
            else:
                self.caller.resume()

    def caller_blocked(self, *, blocked: bool) -> None:
        """Pass back-pressure on to the upstream."""
        if self.upstream is not None:
            if blocked:
                self.upstream.pause()
            else:
                self.upstream.resume()

    def caller_eof(self) -> bool:
        """The caller sends no more. With its request whole it has hung up, or half-closed: no one can tell."""
        if not self._request_body.done:
            self.caller_lost()
            return False
        self.exchange.client_gone = self.exchange.client_gone or not self.released
        if self._answer is None:
            self.deadline = min(self.deadline, self.forwarder.after(self.forwarder.limits.orphan_seconds))
        return True

    def caller_lost(self) -> None:
        """The caller is gone: abort an unfinished request, or await the answer for a bounded time."""
        self.caller = None
        if self.ended:
            if self.released and self.upstream is not None:
                self.upstream.abort()
                self.upstream = None
            return
        self.exchange.client_gone = True
        if not self._request_body.done:
            self.fail(WireError.CLIENT_CLOSED)
            return
        self.deadline = min(self.deadline, self.forwarder.after(self.forwarder.limits.orphan_seconds))
        self.forwarder.orphaned(self)
        if self.upstream is not None:
            self.upstream.resume()

    def expire(self) -> None:
        """The time for an answer, or for a release, is over."""
        self.deadline = math.inf
        if self.ended:
            if not self.released:
                self.forwarder.counters.late_releases += 1
                self.release()
        else:
            self.fail(WireError.TIMEOUT)

    # -- end and release ---------------------------------------------------------------------------------

    def fail(self, error: WireError, reason: Reason | None = None) -> None:
        """End the exchange without a whole answer; the caller is told, or cut off in the middle of one."""
        if self.ended:
            return
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self.upstream is not None:
            self.upstream.abort()
            self.upstream = None
        exchange = self.exchange
        exchange.error = error
        self.forwarder.count_error(error)
        if self._answer is not None:
            self._cut = True
        elif self.caller is not None:
            status, message = ERRORS[error]
            code = error.value
            if reason is not None:
                status, message = REFUSALS[reason]
                code = reason.value.upper()
            self._keep = self._request_body.done and not self._closes and not self.forwarder.draining
            exchange.answered = status
            self._final = error_answer(
                status, code, message, close=not self._keep, head_only=exchange.method == b"HEAD"
            )
        self._end()

    def _end(self) -> None:
        """Tell the observer; it calls `release`."""
        self.ended = True
        exchange = self.exchange
        request_done = self._request_body.done
        if self._request_copy is not None:
            exchange.request_body = self._finish(self._request_copy, complete=request_done)
        if self._answer_copy is not None:
            exchange.response_body = self._finish(self._answer_copy, complete=exchange.error is None)
        exchange.ended_at = now_ms()
        exchange.ended_ns = monotonic_ns()
        try:
            self.forwarder.observer.ended(exchange, self.release)
        except Exception:
            self.forwarder.observer_crashed("ended")
            self.release()
        if not self.released:
            self.deadline = self.forwarder.after(self.forwarder.limits.release_seconds)

    def release(self) -> None:
        """Let the last piece of the answer go; calling again does nothing."""
        if self.released:
            return
        self.released = True
        self.deadline = math.inf
        self.forwarder.over(self)
        caller = self.caller
        if caller is None:
            if self._tunnel is not None:
                self._tunnel.caller_lost()
            elif self.upstream is not None:
                self.upstream.abort()
                self.upstream = None
            return
        if self._tunnel is not None:
            self.caller = None
            self._tunnel.open(self._final)
            return
        if self._cut:
            self.caller = None
            framing = self._answer.framing if self._answer is not None else 0
            caller.cut(reset=framing == UNTIL_CLOSE or self.request.http10)
            return
        if self._final:
            caller.write(self._final)
            self._final = b""
        self._settle()

    def _settle(self) -> None:
        """Go on with the caller's next request, once this one is whole and answered."""
        caller = self.caller
        if not self.released or caller is None:
            return
        if self._request_body.done:
            if self.upstream is not None:
                self._give_back(monotonic_ns())
            self.caller = None
            caller.exchange_over(keep=self._keep)
        elif self.upstream is None or (self.request.expects and not self._continued):
            if self.upstream is not None:
                self.upstream.abort()
                self.upstream = None
            self.caller = None
            caller.linger()

    # -- copies ------------------------------------------------------------------------------------------

    def _copy_of(self, headers: list[tuple[bytes, bytes]]) -> BodyCopy | None:
        try:
            return self.forwarder.observer.copy_of(headers)
        except Exception:
            self.forwarder.observer_crashed("copy_of")
            return None

    def _feed_request_copy(self, payload: bytes) -> None:
        assert self._request_copy is not None
        try:
            self._request_copy.feed(payload)
        except Exception:
            self.forwarder.observer_crashed("feed")
            self._request_copy = None

    def _finish(self, copy: BodyCopy, *, complete: bool) -> Body:
        try:
            return copy.finish(complete=complete)
        except Exception:
            self.forwarder.observer_crashed("finish")
            return Body(b"", BodyState.CUT)


def _without_expect(head: bytes) -> bytes:
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(b"expect:"))

"""One exchange in flight: the request on its way up, the answer on its way down, and what is told of them.

Theory of operation. A relay lives from a parsed request head until its exchange has ended and its answer was
released. Four things happen, each once, in this order:

    start     copies are asked for; a connection is taken or made; the request flows (`Upward`)
    answer    its head (interim ones pass at once) and its body flow, but for the last piece (`Downward`)
    end       the answer is whole, or the exchange failed: the observer is told; what is to be written last
              waits in `final`
    release   the observer lets it go: the last piece is written, or the failure shown

The request may still flow after the answer is whole (RFC 9112 section 9.5): then the connections are free for
others only when it has ended too (`settle`).

A caller that hangs up before its request is whole takes the upstream's connection with it; later, the answer
is awaited without it, for a bounded time, so that the exchange tells what really happened.
"""

import math

from sidecar.clock import monotonic_ns, now_ms
from sidecar.exchange import WireError
from sidecar.wire.answer import ERRORS, error_answer
from sidecar.wire.body import UNTIL_CLOSE
from sidecar.wire.downward import Downward
from sidecar.wire.refusal import REFUSALS, Reason


class Relay(Downward):
    """One exchange in flight; see the module's theory of operation."""

    __slots__ = ()

    def complete(self, *, surplus: bool) -> None:
        """The answer is whole: free the upstream's connection if the request is too, and end."""
        now_ns = self.exchange.received_ns = monotonic_ns()
        self.spent = surplus or (self.answer is not None and self.answer.framing == UNTIL_CLOSE)
        if self.whole:
            self._give_back(now_ns)
        self.end(now_ns)

    def _give_back(self, now_ns: int) -> None:
        """Pool the upstream's connection if both messages ended as framed and it may be kept."""
        upstream, self.upstream = self.upstream, None
        if upstream is None:
            return
        if self.answer is None or self.answer.closes or self.spent or self.forwarder.draining:
            upstream.close()
        else:
            self.forwarder.pool.put(upstream, now_ns)

    # -- the ends of connections -------------------------------------------------------------------------

    def upstream_eof(self) -> bool:
        """The upstream sends no more: the end of a close-delimited body, or a failure."""
        if self.ended:
            self.upstream_lost()
        elif self.answer is not None and self.answer.framing == UNTIL_CLOSE:
            self.complete(surplus=False)
        else:
            self._broken()
        return False

    def upstream_lost(self) -> None:
        """The upstream's connection is gone."""
        self.upstream = None
        if not self.ended:
            self._broken()
        else:
            self.settle()

    def _broken(self) -> None:
        self.fail(WireError.NETWORK_ERROR if self.answer is None else WireError.BROKEN_RESPONSE)

    def caller_eof(self) -> bool:
        """The caller sends no more. With its request whole it hung up, or half-closed: it cannot be told."""
        if not self.whole:
            self.caller_lost()
            return False
        self.exchange.client_gone = self.exchange.client_gone or not self.ended
        if self.answer is None:
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
        if not self.whole:
            self.fail(WireError.CLIENT_CLOSED)
            return
        self.deadline = min(self.deadline, self.forwarder.after(self.forwarder.limits.orphan_seconds))
        self.forwarder.orphans.add(self)
        if self.upstream is not None:
            self.upstream.resume()

    def caller_stalled(self) -> None:
        """The rest of the request does not come: tell the caller, if it is not being answered already."""
        if self.ended and self.caller is not None:
            self.caller.abort()
        self.forwarder.side.refusals[Reason.BODY_TIMEOUT] += 1
        self.fail(WireError.CLIENT_CLOSED, Reason.BODY_TIMEOUT)

    def shut(self) -> None:
        """End now: the sidecar stops. The upstream has not answered in the time there was."""
        self.fail(WireError.TIMEOUT)
        self.release()
        if self.upstream is not None:
            self.upstream.abort()

    def expire(self) -> None:
        """The time for an answer, or for a release, is over."""
        self.deadline = math.inf
        if not self.ended:
            self.fail(self.unreached or WireError.TIMEOUT)
        elif not self.released:
            self.forwarder.counters.late_releases += 1
            self.release()

    # -- end and release ---------------------------------------------------------------------------------

    def fail(self, error: WireError, reason: Reason | None = None) -> None:
        """End the exchange without a whole answer; the caller is told, or cut off in the middle of one."""
        if self.ended:
            return
        self.stop_connecting()
        if self.upstream is not None:
            self.upstream.abort()
            self.upstream = None
        exchange = self.exchange
        exchange.error = error
        self.forwarder.side.errors[error] += 1
        if not self.shown and self.caller is not None:
            status, message = ERRORS[error] if reason is None else REFUSALS[reason]
            code = error.value if reason is None else reason.value.upper()
            self.closes = self.closes or not self.whole or self.caller.over or self.forwarder.draining
            exchange.answered = status
            self.final = error_answer(
                status, code, message, close=self.closes, head_only=exchange.method == b"HEAD"
            )
        self.end(monotonic_ns())

    def end(self, now_ns: int) -> None:
        """Tell the observer; it calls `release`."""
        self.ended = True
        exchange = self.exchange
        observer = self.forwarder.observer
        if self.request_copy is not None:
            exchange.request_body = observer.finish(self.request_copy, complete=self.whole)
            self.request_copy = None
        if self.answer_copy is not None:
            exchange.response_body = observer.finish(self.answer_copy, complete=exchange.error is None)
        exchange.ended_at = now_ms()
        exchange.ended_ns = now_ns
        observer.ended(exchange, self.release)
        if not self.released:
            self.deadline = self.forwarder.after(self.forwarder.limits.release_seconds)

    def release(self) -> None:
        """Let the last piece of the answer go; calling again does nothing."""
        if self.released:
            return
        self.released = True
        self.deadline = math.inf
        forwarder = self.forwarder
        forwarder.side.active_requests -= 1
        if forwarder.orphans or forwarder.draining:
            forwarder.over(self)
        caller = self.caller
        if self.tunnel is not None and caller is not None:
            self.caller = None
            self.tunnel.open(self.final)
        elif caller is None:
            self.settle()
        elif self.exchange.error is not None and self.shown:
            self.caller = None
            until_close = self.answer is not None and self.answer.framing == UNTIL_CLOSE
            caller.cut(reset=until_close or self.request.http10)
        else:
            if self.final:
                caller.write(self.final)
            if self.whole and self.upstream is None:  # the usual case
                self.caller = None
                caller.exchange_over(keep=not self.closes)
            else:
                self.settle()

    def settle(self) -> None:
        """Once the answer is released and the request whole, or never to be, free both connections."""
        if not self.released:
            return
        if self.whole and self.upstream is not None:
            self._give_back(monotonic_ns())
        caller = self.caller
        if caller is None:
            if self.upstream is not None:
                self.upstream.abort()
                self.upstream = None
        elif self.whole:
            self.caller = None
            caller.exchange_over(keep=not self.closes)
        elif self.upstream is None or (self.request.expects and not self.continued):
            self.caller = None
            if self.upstream is not None:
                self.upstream.abort()
                self.upstream = None
            caller.linger()

"""An exchange whose callback is verified: while it streams by (`observe`), or before it is sent on.

In `reject` mode the callback is held, bounded by itself and with all others of the worker, until it is whole
and its signature is valid; a caller that waits for 100 gets it from us then, because the upstream must not
see the request yet. What cannot be verified, be it that the verification crashed, is not forwarded.
"""

from sidecar.exchange import Signature, Verification, WireError
from sidecar.wire.body import CHUNKED, chunk, decoder, last_chunk
from sidecar.wire.refusal import Reason, Refused
from sidecar.wire.relay import Relay
from sidecar.wire.route import VerifyMode


class VerifiedRelay(Relay):
    """A relay that verifies its request's body."""

    __slots__ = ("_held", "_held_bytes", "_verification")

    def start(self, rest: bytes) -> None:
        """Begin: `rest` is what came after the head."""
        self._held: bytearray | None = None
        self._held_bytes = 0
        self._verification: Verification | None = self.forwarder.observer.verification(self.exchange)
        if self._verification is not None and self.forwarder.verify_mode is VerifyMode.REJECT:
            self._start_holding(rest)
        else:
            super().start(rest)

    def observe_whole(self, payload: bytes) -> None:
        """Feed the verification besides the copy."""
        super().observe_whole(payload)
        if self._verification is not None:
            self._verification = self.forwarder.observer.verify(self._verification, payload)

    def observe_request(self, payload: bytes) -> None:
        """Feed the verification besides the copy."""
        super().observe_request(payload)
        if self._verification is not None:
            self._verification = self.forwarder.observer.verify(self._verification, payload)

    def request_sent(self) -> None:
        """Take the outcome once the request is whole."""
        if self._verification is not None and self.exchange.signature is None:
            self.exchange.signature = self.forwarder.observer.verified(self._verification)
        super().request_sent()

    def caller_data(self, data: bytes) -> None:
        """Take bytes of the request's body: hold them, or send them on."""
        if self._held is None:
            super().caller_data(data)
        else:
            self._hold(self._held, data)

    def end(self, now_ns: int) -> None:
        """Tell the observer; what was held is free for others."""
        self._held = None
        self.forwarder.counters.held_bytes -= self._held_bytes
        self._held_bytes = 0
        super().end(now_ns)

    def _start_holding(self, rest: bytes) -> None:
        request = self.request
        self._held = bytearray()
        if self.begin() is None:
            return
        self.request_body = decoder(request.framing, self.forwarder.limits)
        if request.framing:
            self.request_copy = self.forwarder.observer.start(request)
        if request.framing > self.forwarder.limits.verification_bytes_max:
            self.fail(WireError.BODY_TOO_LARGE)
            return
        if request.expects:
            self.continued = True
            if self.caller is not None:
                self.caller.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request = self.request = request.unexpecting()
        self._hold(self._held, rest)

    def _hold(self, held: bytearray, data: bytes) -> None:
        body = self.request_body
        assert body is not None
        try:
            payload = b"" if body.done else body.feed(data)
        except Refused as refused:
            self.bad_request(refused.reason)
            return
        if payload:
            self.observe_request(payload)
            held += payload
            self._held_bytes += len(payload)
            self.forwarder.counters.held_bytes += len(payload)
            if self._held_bytes > self.forwarder.limits.verification_bytes_max:
                self.fail(WireError.BODY_TOO_LARGE)
                return
            if self.forwarder.counters.held_bytes > self.forwarder.limits.held_bytes_max:
                self.forwarder.side.refusals[Reason.HELD_CALLBACKS] += 1
                self.fail(WireError.OVER_CAPACITY, Reason.HELD_CALLBACKS)
                return
        if body.done:
            self.request_is_whole(body.rest if payload or self.request.framing else data)
            self._judge(bytes(held), body.trailers)
        elif self.caller is not None:
            self.caller.deadline = self.forwarder.idle_at

    def _judge(self, payload: bytes, trailers: bytes) -> None:
        """Forward the whole callback if its signature is valid."""
        assert self._verification is not None
        self._held = None
        self.exchange.signature = self.forwarder.observer.verified(self._verification)
        if self.exchange.signature is not Signature.VALID:
            self.fail(WireError.SIGNATURE_REJECTED)
            return
        if self.request.framing == CHUNKED:
            payload = (chunk(payload) if payload else b"") + last_chunk(trailers)
        self.send(payload)

"""The observer behind a guard: a crash of it is counted, costs facts, and never traffic."""

from typing import Final

from sidecar.exchange import (
    Body,
    BodyCopy,
    BodyState,
    Copier,
    Exchange,
    Observer,
    Release,
    Signature,
    Verification,
)
from sidecar.wire.counters import Counters
from sidecar.wire.request_head import RequestHead
from sidecar.wire.response_head import ResponseHead


class _LostCopy:
    """Stands for a copy that crashed: it takes everything and tells that it has nothing."""

    def feed(self, chunk: bytes) -> None:
        """Take no note."""

    def finish(self, *, complete: bool) -> Body:  # noqa: ARG002 - the protocol's parameter
        """Give nothing, and say that it is not the whole."""
        return Body(b"", BodyState.CUT)


_LOST: Final = _LostCopy()


class GuardedObserver:
    """Calls an observer so that it cannot hurt.

    Where a call is too hot to be wrapped (`BodyCopy.feed`), who calls guards it and reports with `crashed`.
    """

    __slots__ = ("_counters", "_observer")

    def __init__(self, observer: Observer, counters: Counters) -> None:
        self._observer = observer
        self._counters = counters

    def crashed(self, call: str) -> BodyCopy:
        """Count a crash; give what takes the place of a crashed copy."""
        self._counters.observer_crashes[call] += 1
        return _LOST

    def start(self, head: RequestHead | ResponseHead) -> BodyCopy:
        """Start a copy of the body that follows a head."""
        try:
            return self._copier_of(head).start()
        except Exception:  # noqa: BLE001 - counted; the traffic goes on
            return self.crashed("start")

    def whole(self, head: RequestHead | ResponseHead, payload: bytes) -> Body:
        """Copy a body that came in one piece with its head."""
        try:
            return (head.copier or self._copier_of(head)).whole(payload)
        except Exception:  # noqa: BLE001 - counted; the traffic goes on
            return self.crashed("whole").finish(complete=True)

    def _copier_of(self, head: RequestHead | ResponseHead) -> Copier:
        copier = head.copier
        if copier is None:
            copier = head.copier = self._observer.copier_of(head.headers)
        return copier

    def finish(self, copy: BodyCopy, *, complete: bool) -> Body:
        """End a copy."""
        try:
            return copy.finish(complete=complete)
        except Exception:  # noqa: BLE001 - counted; the traffic goes on
            return self.crashed("finish").finish(complete=complete)

    def ended(self, exchange: Exchange, release: Release) -> None:
        """Tell of an ended exchange; release it where the observer cannot."""
        try:
            self._observer.ended(exchange, release)
        except Exception:  # noqa: BLE001 - counted; the traffic goes on
            self.crashed("ended")
            release()

    def verification(self, exchange: Exchange) -> Verification | None:
        """Start a verification; a crash is one that never finds a signature valid."""
        try:
            return self._observer.verification(exchange)
        except Exception:  # noqa: BLE001 - counted
            self.crashed("verification")
            return _FAILED

    def verify(self, verification: Verification, payload: bytes) -> Verification:
        """Feed a verification; give the one to go on with."""
        try:
            verification.feed(payload)
        except Exception:  # noqa: BLE001 - counted
            self.crashed("verification")
            return _FAILED
        return verification

    def verified(self, verification: Verification) -> Signature:
        """End a verification."""
        try:
            return verification.finish()
        except Exception:  # noqa: BLE001 - counted
            self.crashed("verification")
            return Signature.INVALID


class _FailedVerification:
    """Stands for a verification that crashed. What was not verified is not valid: `reject` asks for that."""

    def feed(self, chunk: bytes) -> None:
        """Take no note."""

    def finish(self) -> Signature:
        """Tell that nothing was verified."""
        return Signature.INVALID


_FAILED: Final = _FailedVerification()

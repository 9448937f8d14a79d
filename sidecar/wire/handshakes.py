"""TLS handshakes of callers that came to nothing, counted by a closed set of reasons.

A connection whose handshake fails never reaches the protocol: `asyncio` closes it in silence. What OpenSSL
names is counted where it is raised, in the handshake itself; who hangs up or says nothing raises nothing, and
is told by a connection that was accepted and not made within the time for a handshake.
"""

import ssl
from collections import Counter
from enum import StrEnum
from itertools import islice
from typing import Any, ClassVar, Final

PENDING_MAX: Final = 4096
"""Connections remembered while they shake hands; beyond it the oldest counts as unfinished at once."""


class Handshake(StrEnum):
    """Why a handshake came to nothing; a metric label."""

    NO_TLS = "tls_not_spoken"
    """Something else was spoken, mostly plain HTTP."""
    NOTHING_COMMON = "tls_nothing_common"
    """No version or cipher in common."""
    REFUSED = "tls_certificate_refused"
    """The caller sent an alert: mostly it does not trust our certificate."""
    BROKEN = "tls_broken"
    UNFINISHED = "tls_unfinished"
    """The caller hung up, or said nothing in time."""


_OF_REASON: Final = {
    "HTTP_REQUEST": Handshake.NO_TLS,
    "HTTPS_PROXY_REQUEST": Handshake.NO_TLS,
    "WRONG_VERSION_NUMBER": Handshake.NO_TLS,
    "UNSUPPORTED_PROTOCOL": Handshake.NOTHING_COMMON,
    "UNKNOWN_PROTOCOL": Handshake.NOTHING_COMMON,
    "VERSION_TOO_LOW": Handshake.NOTHING_COMMON,
    "NO_SHARED_CIPHER": Handshake.NOTHING_COMMON,
    "NO_SUITABLE_KEY_SHARE": Handshake.NOTHING_COMMON,
}


def handshake_of(error: ssl.SSLError) -> Handshake:
    """Tell why a handshake failed."""
    reason = error.reason or ""
    return _OF_REASON.get(reason, Handshake.REFUSED if "_ALERT_" in reason else Handshake.BROKEN)


class _Watched(ssl.SSLObject):
    """One connection's TLS; counts a handshake that fails."""

    watch: ClassVar["Handshakes"]

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.watch.failed(handshake_of(error))
            raise

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - the library's name
        """Read; in TLS 1.3 a caller that refuses our certificate says so behind our end of the handshake."""
        try:
            return super().read(len, buffer)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if handshake_of(error) is Handshake.REFUSED:
                self.watch.refused_late()
            raise


class Handshakes:
    """Watches the handshakes of one route.

    Args:
        context: of the listener; makes connections that count.
        counts: takes what failed.
    """

    def __init__(self, context: ssl.SSLContext, counts: Counter[Handshake]) -> None:
        context.sslobject_class = type("Watched", (_Watched,), {"watch": self})
        self._counts = counts
        self._named = 0
        self._unfinished = 0
        self._expired = 0
        self._pending: dict[object, float] = {}

    def begun(self, connection: object, deadline: float) -> None:
        """Take note of an accepted connection."""
        if len(self._pending) >= PENDING_MAX:
            self._forget(1)
        self._pending[connection] = deadline

    def made(self, connection: object) -> None:
        """Take note that its handshake is done."""
        self._pending.pop(connection, None)

    def failed(self, reason: Handshake) -> None:
        """Count one that failed with a reason."""
        self._named += 1
        self._counts[reason] += 1

    def refused_late(self) -> None:
        """Count one whose connection was made already."""
        self._counts[Handshake.REFUSED] += 1

    def sweep(self, now: float) -> None:
        """Count those whose time is over; those that failed with a reason are among them."""
        late = 0
        for deadline in self._pending.values():  # in the order they came, so in that of their deadlines
            if deadline > now:
                break
            late += 1
        if late:
            self._forget(late)

    def _forget(self, count: int) -> None:
        for connection in list(islice(self._pending, count)):
            del self._pending[connection]
        self._expired += count
        more = self._expired - self._named - self._unfinished
        if more > 0:
            self._unfinished += more
            self._counts[Handshake.UNFINISHED] += more

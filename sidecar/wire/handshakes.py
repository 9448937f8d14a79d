"""TLS handshakes of callers that came to nothing, counted by a closed set of reasons."""

import ssl
from enum import StrEnum
from typing import Final


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

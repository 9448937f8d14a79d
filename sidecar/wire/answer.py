"""The sidecar's own answers, told from the provider's by the `Sidecar-Error` field."""

from typing import Final

import orjson

from sidecar.exchange import WireError

_PHRASES: Final = {
    400: b"Bad Request",
    401: b"Unauthorized",
    408: b"Request Timeout",
    413: b"Content Too Large",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}

ERRORS: Final[dict[WireError, tuple[int, str]]] = {
    WireError.NETWORK_ERROR: (502, "the upstream refused or reset the connection, or has no address"),
    WireError.TLS_ERROR: (502, "the upstream's TLS handshake failed or its certificate did not verify"),
    WireError.CONNECT_TIMEOUT: (504, "the upstream did not accept the connection in time"),
    WireError.TIMEOUT: (504, "the upstream did not answer in time"),
    WireError.BAD_RESPONSE: (502, "the upstream's answer is not valid HTTP/1.1"),
    WireError.BROKEN_RESPONSE: (502, "the upstream broke off its answer"),
    WireError.OVER_CAPACITY: (503, "the sidecar has reached its bound on connections"),
    WireError.SIGNATURE_REJECTED: (401, "the callback's signature did not verify"),
    WireError.BODY_TOO_LARGE: (413, "the callback is larger than what is held for verification"),
    WireError.CLIENT_CLOSED: (400, "the request broke off"),
    WireError.BAD_REQUEST: (400, "the request's body is not valid HTTP/1.1"),
}
"""Status and message of each failure. CLIENT_CLOSED has no reader; it is here so that the table is total."""


def error_answer(status: int, code: str, message: str, *, close: bool, head_only: bool = False) -> bytes:
    """Build a whole answer.

    Args:
        status: one of the statuses this module knows a phrase for.
        code: what `Sidecar-Error` and the body's `code` say.
        message: for a human.
        close: say that the connection ends with this answer.
        head_only: the request was a HEAD.
    """
    body = orjson.dumps({"error": {"code": code, "message": message}})
    return b"".join(
        (
            b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nSidecar-Error: %b\r\n"
            % (status, _PHRASES[status], len(body), code.encode()),
            b"Connection: close\r\n\r\n" if close else b"\r\n",
            b"" if head_only else body,
        )
    )

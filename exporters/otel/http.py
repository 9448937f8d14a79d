"""OTLP over HTTP: one kept connection, one POST at a time (OTLP specification, "OTLP/HTTP").

Redirects and proxies are not followed. A kept connection that died while idle is opened again, once.
"""

import contextlib
import gzip
import http.client
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from exporters.otel.settings import Target
from exporters.otel.transport import RETRY_AFTER_MAX_SECONDS, Answer, rejected_records

RETRYABLE: Final = frozenset({429, 502, 503, 504})
RESPONSE_MAX_BYTES: Final = 64 * 1024
GZIP_LEVEL: Final = 1
_STALE: Final = frozenset({"bad_response", "connection"})
"""What using a connection looks like that the other side has closed."""


class HttpTransport:
    """Posts encoded requests to one URL.

    Args:
        target: where, with which headers, compression and certificates.
        user_agent: who asks.

    Raises:
        OSError: a certificate file cannot be read.
    """

    def __init__(self, target: Target, user_agent: str) -> None:
        parts = urlsplit(target.url)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._gzip = target.gzip
        self._headers = {
            "user-agent": user_agent,
            **dict(target.headers),
            "content-type": "application/x-protobuf",
            **({"content-encoding": "gzip"} if target.gzip else {}),
        }
        self._tls = _tls(target) if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None
        self._closed = False

    def send(self, payload: bytes, timeout_seconds: float) -> Answer:
        """Post; see `transport.Transport`."""
        body = gzip.compress(payload, GZIP_LEVEL) if self._gzip else payload
        reused = self._connection is not None
        answer = self._attempt(body, timeout_seconds)
        if reused and answer.problem in _STALE:
            answer = self._attempt(body, timeout_seconds)
        return answer

    def abort(self) -> None:
        """Close for good; a request under way fails at once."""
        self._closed = True
        self._drop()

    def _attempt(self, body: bytes, timeout_seconds: float) -> Answer:
        if self._closed:
            return Answer("closed")
        try:
            return self._post(body, timeout_seconds)
        except (http.client.HTTPException, OSError) as error:
            self._drop()
            return Answer(_name(error), retry=True)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.sock is not None:
            with contextlib.suppress(OSError):  # the other side closed it already
                connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()

    def _post(self, body: bytes, timeout_seconds: float) -> Answer:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect(timeout_seconds)
        elif connection.sock is not None:
            connection.sock.settimeout(timeout_seconds)
        connection.request("POST", self._path, body, self._headers)
        response = connection.getresponse()
        content = response.read(RESPONSE_MAX_BYTES)
        if not response.isclosed():
            self._drop()  # more than any collector says: not worth reading to its end
        if 200 <= response.status < 300:
            return Answer(rejected=rejected_records(content))
        wanted = response.headers.get("retry-after", "")
        after = min(float(wanted), RETRY_AFTER_MAX_SECONDS) if wanted.isdecimal() else None
        return Answer(str(response.status), response.status in RETRYABLE, after)

    def _connect(self, timeout_seconds: float) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout_seconds)
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_seconds, context=self._tls)


def _tls(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=target.certificate)
    if target.client_certificate is not None:
        context.load_cert_chain(target.client_certificate, target.client_key)
    return context


def _name(error: Exception) -> str:
    """Name a failure without its text, which may hold addresses."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, http.client.HTTPException):
        return "bad_response"
    return "connection"

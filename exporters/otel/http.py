"""OTLP over HTTP: a requests session, as the official exporter has one, and one POST at a time.

That exporter's own client is not used: it takes the SDK's records only, counts a redirect as a success, reads
no partial success, and says a line a failed try. The environment's proxies hold; its netrc does not, because
OTEL_EXPORTER_OTLP_HEADERS says who asks.
"""

import gzip
import http.client
import logging
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import requests
from google.protobuf.message import Message
from urllib3 import Timeout
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError

from exporters.otel.settings import Target
from exporters.otel.transport import RETRY_AFTER_MAX_SECONDS, Answer, Kind

RETRYABLE: Final = frozenset({429, 502, 503, 504})
RESPONSE_MAX_BYTES: Final = 64 * 1024
GZIP_LEVEL: Final = 1
CAUSES_MAX: Final = 16

# It warns with a traceback of every answer whose head is odd; the listener hears of an outage once.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


class HttpTransport:
    """Posts requests to one URL.

    Args:
        target: where, with which headers, compression and certificates.
        kind: what is posted.
        user_agent: who asks.

    Raises:
        OSError: a certificate file cannot be read.
    """

    def __init__(self, target: Target, kind: Kind, user_agent: str) -> None:
        for path in (target.certificate, target.client_certificate, target.client_key):
            if path is not None:
                Path(path).read_bytes()
        self._kind = kind
        self._url = target.url
        self._gzip = target.gzip
        self._session = requests.Session()
        self._session.auth = lambda request: request
        self._session.headers["user-agent"] = user_agent
        self._headers = {
            **{name: value.encode() for name, value in target.headers},
            "content-type": b"application/x-protobuf",
            **({"content-encoding": b"gzip"} if target.gzip else {}),
        }
        # Given with each request: the environment's bundle beats what the session says.
        self._verify = True if target.certificate is None else target.certificate
        self._cert = _client_certificate(target)
        self._closed = False

    def send(self, request: Message, timeout_seconds: float) -> Answer:
        """Post; see `transport.Transport`.

        A kept connection may have died just now: what fails on the way is tried again at once, once.
        """
        body = request.SerializeToString()
        if self._gzip:
            body = gzip.compress(body, GZIP_LEVEL)
        answer = self._attempt(body, timeout_seconds)
        return self._attempt(body, timeout_seconds) if answer.problem == "connection" else answer

    def close(self) -> None:
        """Send nothing more; a request under way ends by its timeout, on a thread nobody waits for."""
        self._closed = True
        self._session.close()

    def _attempt(self, body: bytes, timeout_seconds: float) -> Answer:
        if self._closed:
            return Answer("closed")
        try:
            return self._post(body, timeout_seconds)
        except (requests.RequestException, HTTPError) as error:
            return Answer(_name(error), retry=True)

    def _post(self, body: bytes, timeout_seconds: float) -> Answer:
        with self._session.post(
            self._url,
            body,
            headers=self._headers,
            timeout=Timeout(total=timeout_seconds),  # type: ignore[arg-type]  # as good as two numbers
            allow_redirects=False,
            stream=True,
            verify=self._verify,
            cert=self._cert,
        ) as response:
            content = response.raw.read(RESPONSE_MAX_BYTES, decode_content=True)
            if 200 <= response.status_code < 300:
                return Answer(rejected=self._kind.rejected_in(content))
            retry = response.status_code in RETRYABLE
            return Answer(str(response.status_code), retry, _retry_after(response.headers))


def _client_certificate(target: Target) -> str | tuple[str, str] | None:
    if target.client_certificate is None or target.client_key is None:
        return target.client_certificate
    return target.client_certificate, target.client_key


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After: seconds, or a date, which counts from the answer's own Date."""
    wanted = headers.get("retry-after", "").strip()
    if wanted.isascii() and wanted.isdecimal():
        return min(float(wanted), RETRY_AFTER_MAX_SECONDS)
    try:
        pause = parsedate_to_datetime(wanted) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return min(max(pause.total_seconds(), 0.0), RETRY_AFTER_MAX_SECONDS)


def _name(error: Exception) -> str:
    """Name a failure without its text, which may hold addresses."""
    if isinstance(error, requests.exceptions.SSLError):
        return "tls"
    if isinstance(error, requests.exceptions.Timeout | Urllib3TimeoutError):
        return "timeout"
    for cause in _causes(error):
        # a connection that was closed before an answer is a bad status line too, by inheritance
        if isinstance(cause, http.client.HTTPException) and not isinstance(cause, OSError):
            return "bad_response"
    return "connection"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(CAUSES_MAX):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__

"""POST /session: the page signs in with the token and gets a cookie. Nothing is kept on the server.

The cookie says until when it holds and carries a keyed digest of that; the key comes from the token, so a new
token ends all sessions, and a restart ends none.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from domain.words import Millis
from sidecar.api.attempts import Attempts, digest_of
from sidecar.api.errors import ApiError

COOKIE: Final = "sidecar_session"
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="reputation-sidecar"'}
"""What every 401 says (RFC 9110 section 15.5.2)."""
SESSION_MS: Final[Millis] = 12 * 3_600_000


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /session; the sign-in form sends the same as a form field."""

    token: str


class Sessions:
    """Makes and checks cookies; wrong tokens are bounded by `Attempts`."""

    def __init__(self, token: str, clock: Callable[[], Millis], attempts: Attempts) -> None:
        self._token = digest_of(token)
        self._attempts = attempts
        self._key = hmac.digest(self._token, b"reputation-sidecar session", hashlib.sha256)
        self._clock = clock

    def sign_in(self, token: str, peer: str) -> str:
        """Give a cookie value for the right token.

        Raises:
            ApiError: 401 wrong token, 429 too many wrong ones from this peer within a minute.
        """
        given = digest_of(token)
        if not self._attempts.is_right(given, self._token, peer):
            raise ApiError(
                401, "unauthorized", "this is not the token of the admin listener", "token", CHALLENGE
            )
        return self._cookie(self._clock() + SESSION_MS)

    def valid(self, cookie: str) -> bool:
        """Tell whether a cookie is ours and still holds."""
        until, _, _ = cookie.partition(".")
        if not (until.isascii() and until.isdigit() and len(until) <= 15):
            return False
        genuine = hmac.compare_digest(
            cookie.encode("utf-8", "surrogateescape"), self._cookie(int(until)).encode()
        )
        return genuine and self._clock() < int(until)

    def _cookie(self, until: Millis) -> str:
        digest = hmac.digest(self._key, str(until).encode(), hashlib.sha256).hex()
        return f"{until}.{digest}"


SESSIONS: Final = web.AppKey("sessions", Sessions)

"""Who may ask: bearer token or session cookie, Host check against DNS rebinding, same-origin check, headers.

| threat | answer |
|---|---|
| guessing the token | compared in constant time, over digests of equal length; ten a minute (`attempts.py`) |
| a web page that resolves its own name to 127.0.0.1 | on loopback the Host must be a loopback name |
| a web page that posts to the sidecar | a browser tells the origin; other origins are refused |
| framing, sniffing, leaking referrers | headers on every answer; no CORS header ever |
"""

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from sidecar.api.attempts import Attempts, digest_of
from sidecar.api.errors import ApiError
from sidecar.api.parts import PARTS, AdminParts
from sidecar.api.session import CHALLENGE, COOKIE, Sessions

ALWAYS_OPEN: Final = frozenset({"/healthz", "/readyz", "/session", "/"})
"""`/` shows the sign-in form without a session, `/session` takes the token."""

API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

HEADERS: Final = {
    "Content-Security-Policy": API_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}

SERVER: Final = "reputation-sidecar"

_SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
_SCHEME: Final = "bearer "


class Guard:
    """Decides on one request."""

    def __init__(self, parts: AdminParts, sessions: Sessions | None, attempts: Attempts) -> None:
        self._token = None if parts.token is None else digest_of(parts.token)
        self._attempts = attempts
        self._sessions = sessions
        self._loopback = parts.loopback
        self._open: Collection[str] = ALWAYS_OPEN | ({"/metrics"} if parts.metrics_public else set())

    def check(self, request: web.Request) -> None:
        """Let a request pass.

        Raises:
            ApiError: 401 without a token, 403 from a strange host or another origin, 429 after many guesses.
        """
        if self._loopback and not _is_loopback(request.host):
            message = "the Host header must be localhost or a loopback address; this listener is local"
            raise ApiError(403, "host_not_allowed", message)
        if request.method not in _SAFE and _is_cross_origin(request):
            raise ApiError(403, "cross_origin", "a page of another origin may not change anything here")
        if request.path in self._open or self.knows(request):
            return
        message = "send Authorization: Bearer <SIDECAR_ADMIN_TOKEN>"
        raise ApiError(401, "unauthorized", message, None, CHALLENGE)

    def knows(self, request: web.Request) -> bool:
        """Tell whether the caller showed the token or a session; true for all when no token is set.

        Raises:
            ApiError: 429, too many wrong tokens from this peer.
        """
        if self._token is None:
            return True
        given = request.headers.get(hdrs.AUTHORIZATION, "")
        if given[: len(_SCHEME)].lower() == _SCHEME:
            shown = digest_of(given[len(_SCHEME) :].strip())
            return self._attempts.is_right(shown, self._token, request.remote or "")
        cookie = request.cookies.get(COOKIE)
        if cookie is None or self._sessions is None or not self._sessions.valid(cookie):
            return False
        # A cookie travels by itself, so a request that changes something must prove where it comes from.
        return request.method in _SAFE or _is_same_origin(request)


GUARD: Final = web.AppKey("guard", Guard)


def security_middleware() -> Middleware:
    """Make the middleware that guards every route."""

    @web.middleware
    async def security(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            request.app[GUARD].check(request)
        except ApiError as error:
            counts = request.app[PARTS].counts
            if error.status in (401, 429):
                counts.unauthorized += 1
            else:
                counts.forbidden += 1
            raise
        return await handler(request)

    return security


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on an answer of the application."""
    put_headers(response)


def put_headers(response: web.StreamResponse) -> None:
    """Put the security headers on any answer; what a handler set stays."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SERVER  # aiohttp would name itself, its version and Python's


def _is_loopback(authority: str) -> bool:
    """Tell whether a Host header names this machine to itself; a port does not matter."""
    try:
        name = urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_cross_origin(request: web.Request) -> bool:
    """Tell whether a browser says that another origin's page made this request.

    Sec-Fetch-Site decides where there is one: no page can set it, and the Origin of our own form is "null",
    because no referrer may leave the page (Fetch section 3.1).
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is not None and not _is_own(origin, request)


def _is_same_origin(request: web.Request) -> bool:
    """Tell whether a browser vouches that our own page made this request."""
    if request.headers.get("Sec-Fetch-Site") == "same-origin":
        return True
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is not None and _is_own(origin, request)


def _is_own(origin: str, request: web.Request) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == request.host.lower()

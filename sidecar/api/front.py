"""GET /: the timeline page, one answer that asks nothing of anyone else; the sign-in form without a session.

The sources in `page/` are put together once: style and script stand inside the page, and the policy that goes
with it allows exactly these by their digests (CSP Level 3 section 6.7.2.3), so injected ones do not run.
"""

import hashlib
from base64 import b64encode
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from aiohttp import web

from sidecar.api.body import read_body
from sidecar.api.errors import ApiError
from sidecar.api.security import GUARD
from sidecar.api.session import CHALLENGE, COOKIE, SESSION_MS, SESSIONS, SignIn

STYLE: Final = "/*{{style}}*/"
SCRIPT: Final = "/*{{script}}*/"
PROBLEM: Final = "<!--{{problem}}-->"

_SOURCES: Final[Traversable] = files("sidecar.api") / "page"


class Page(NamedTuple):
    """A page and the policy it needs."""

    body: str
    policy: str


@cache
def timeline_page() -> Page:
    """Put the page together."""
    scripts = sorted((one for one in (_SOURCES / "script").iterdir() if one.name.endswith(".js")), key=_name)
    own = "\n".join(one.read_text("utf-8") for one in scripts)
    library = _read("vendor/uPlot.iife.min.js")
    script = f'{library}\n(() => {{\n"use strict";\n{own}}})();\n'
    style = _read("vendor/uPlot.min.css") + _read("style.css")
    return _page(_read("index.html"), style, script)


@cache
def signin_page() -> Page:
    """Put the sign-in form together; it has no script."""
    return _page(_read("signin.html"), _read("style.css"), "")


def signin_form(problem: str = "", status: int = 401) -> web.Response:
    """Answer the form instead of what was asked for; `problem` is one of our own sentences."""
    page = signin_page()
    response = _response(Page(page.body.replace(PROBLEM, problem), page.policy))
    response.set_status(status)
    response.headers.update(CHALLENGE)
    return response


async def front(request: web.Request) -> web.Response:
    """Answer the page to whoever is signed in."""
    if not request.app[GUARD].knows(request):
        return signin_form()
    return _response(timeline_page())


async def sign_in(request: web.Request) -> web.Response:
    """Take the token as JSON or as the form's field; the form gets the page, or itself with a sentence."""
    sessions = request.app.get(SESSIONS)
    form = request.content_type == "application/x-www-form-urlencoded"
    body = await read_body(request, SignIn, form=form)
    response = web.Response(status=303, headers={"Location": "/"}) if form else web.Response(status=204)
    if sessions is not None:
        try:
            cookie = sessions.sign_in(body.token, request.remote or "")
        except ApiError as error:
            if not form:
                raise
            return signin_form(f"{error.message[0].upper()}{error.message[1:]}.", error.status)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=SESSION_MS // 1000,
            path="/",
            httponly=True,
            samesite="Strict",
            # A proxy in front may have taken TLS off; a false claim only makes the cookie stricter.
            secure=request.secure or request.headers.get("X-Forwarded-Proto") == "https",
        )
    return response


def _page(template: str, style: str, script: str) -> Page:
    sources = {"script-src": script, "style-src": style}
    digests = [f"{name} {_digest(text)}" for name, text in sources.items() if text]
    policy = "; ".join(
        [
            "default-src 'none'",
            *digests,
            "connect-src 'self'",
            "img-src data:",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
    )
    return Page(template.replace(STYLE, style).replace(SCRIPT, script), policy)


def _response(page: Page) -> web.Response:
    return web.Response(
        text=page.body, content_type="text/html", headers={"Content-Security-Policy": page.policy}
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return (_SOURCES / name).read_text("utf-8")


def _name(source: Traversable) -> str:
    return source.name

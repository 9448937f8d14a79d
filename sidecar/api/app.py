"""Builds the admin application from its parts, and serves it on sockets that are already bound."""

import socket
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from sidecar.api.attempts import Attempts
from sidecar.api.body import BODY_MAX
from sidecar.api.errors import error_middleware
from sidecar.api.listen import AdminProtocol, Listener
from sidecar.api.parts import PARTS, READERS, AdminParts
from sidecar.api.probes import SCRAPER, make_scraper
from sidecar.api.readers import Readers
from sidecar.api.route import register
from sidecar.api.routes import ROUTES
from sidecar.api.security import GUARD, Guard, add_headers, security_middleware
from sidecar.api.session import SESSIONS, Sessions
from sidecar.api.timeline import EXPORTS


@web.middleware
async def arrived(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the connection that a whole head came."""
    if isinstance(request.protocol, AdminProtocol):
        request.protocol.head_arrived()
    return await handler(request)


async def count_failures(request: web.Request, response: web.StreamResponse) -> None:
    """Count answers that admit a fault of ours."""
    if response.status == 500:
        request.app[PARTS].counts.failed += 1


def make_app(parts: AdminParts) -> web.Application:
    """Make the application of the admin listener; it opens nothing before it is started."""
    app = web.Application(
        middlewares=[arrived, error_middleware(), security_middleware()], client_max_size=BODY_MAX
    )
    attempts = Attempts(parts.clock)
    sessions = None if parts.token is None else Sessions(parts.token, parts.clock, attempts)
    app[PARTS] = parts
    app[GUARD] = Guard(parts, sessions, attempts)
    app[EXPORTS] = []
    app[READERS] = Readers(parts.readers, parts.lag_ms)
    scrape_thread, app[SCRAPER] = make_scraper()
    if sessions is not None:
        app[SESSIONS] = sessions
    register(app, ROUTES)
    app.on_response_prepare.append(add_headers)
    app.on_response_prepare.append(count_failures)

    async def end_streams(_: web.Application) -> None:
        parts.hub.close()

    async def end_threads(_: web.Application) -> None:
        scrape_thread.shutdown(wait=False, cancel_futures=True)

    app.on_shutdown.append(end_streams)
    app.on_cleanup.append(end_threads)
    return app


async def serve(app: web.Application, sockets: Sequence[socket.socket]) -> Listener:
    """Serve the application on bound sockets; `await listener.stop()` ends it."""
    listener = Listener(app)
    await listener.start(sockets)
    return listener

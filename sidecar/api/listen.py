"""Serves the admin application on sockets that are already bound, with every connection bounded.

aiohttp parses and routes; what it leaves open is settled here: how many connections there are, how long a
first head may take, and that a request it cannot parse is answered in our form, without an echo of its bytes
and without a traceback in the log.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from sidecar.api.errors import ApiError, error_response
from sidecar.api.parts import PARTS
from sidecar.api.security import put_headers

CONNECTIONS_MAX: Final = 256
HEAD_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 75.0
SHUTDOWN_SECONDS: Final = 5.0
BACKLOG: Final = 128

_log: Final = logging.getLogger(__name__)


class AdminProtocol(web.RequestHandler):
    """One connection to the admin listener."""

    def __init__(self, server: web.Server, head_seconds: float, **options: Any) -> None:
        super().__init__(server, **options)
        self._head_seconds = head_seconds
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the first head a deadline; later ones are under the idle timer."""
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(self._head_seconds, self.force_close)

    def head_arrived(self) -> None:
        """Stop the deadline."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the deadline."""
        self.head_arrived()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it holds bytes of the request
    ) -> web.Response:
        """Answer what aiohttp could not parse, or could not finish."""
        self.head_arrived()
        if status >= 500:
            _log.error("api.failed", exc_info=exc)
            error = ApiError(status, "internal", "the sidecar failed to answer; its log has the cause")
        else:
            _log.debug("api.unreadable")
            error = ApiError(status, "bad_request", "this is not a request the admin listener can read")
        response = error_response(error)
        put_headers(response)
        response.force_close()
        return response


class Listener:
    """A running admin listener. It does not own the application's parts."""

    def __init__(
        self,
        app: web.Application,
        *,
        connections_max: int = CONNECTIONS_MAX,
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        self.app = app
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        self._connections_max = connections_max
        self._head_seconds = head_seconds
        self._servers: list[asyncio.Server] = []
        self._counts = app[PARTS].counts

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on bound sockets, which the listener owns from now on."""
        loop = asyncio.get_running_loop()
        await self._runner.setup()
        for sock in sockets:
            self._servers.append(await loop.create_server(self._connection, sock=sock, backlog=BACKLOG))

    def _connection(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._connections_max:
            self._counts.connections += 1
            return _Refusal()
        return AdminProtocol(
            server,
            self._head_seconds,
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=IDLE_SECONDS,
            auto_decompress=False,
        )

    async def stop(self) -> None:
        """Accept nothing more, end streams, let answers finish for some seconds, then close."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()


class _Refusal(asyncio.Protocol):
    """A connection beyond the bound: closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()

"""Connections to an upstream: one protocol, and the pool that keeps idle ones for a moment."""

import asyncio
import select
import ssl
from typing import Final

from sidecar.exchange import WireError
from sidecar.wire.connection import Connection, UpstreamUser
from sidecar.wire.counters import Counters
from sidecar.wire.limits import Limits
from sidecar.wire.route import Upstream

_LOOK_AFTER_NS: Final = 20_000_000
"""Idle longer than this, a pooled connection is looked at before it is used: the upstream may have closed
it while the loop did not turn. Shorter idleness is the busy case, where a look costs a system call each."""


class UpstreamConnection(Connection):
    """One connection to an upstream; `user` is who has it, None while it is idle in the pool."""

    __slots__ = ("_pool", "idle_since_ns", "poller", "user")

    def __init__(self, pool: "Pool") -> None:
        super().__init__()
        self._pool = pool
        self.idle_since_ns = 0
        self.user: UpstreamUser | None = None
        self.poller: select.poll | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in."""
        self.take(transport, self._pool.limits.high_water_bytes)
        self._pool.opened(self)

    def data_received(self, data: bytes) -> None:
        """Hand on bytes; bytes on an idle connection belong to nothing, so it is cut."""
        if self.user is not None:
            self.user.upstream_data(data)
        else:
            self.abort()

    def eof_received(self) -> bool:
        """Hand on the end of the upstream's bytes."""
        if self.user is not None:
            return self.user.upstream_eof()
        self._pool.forget(self)
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the cause changes nothing here
        """Hand on the loss."""
        self.lost = True
        self._pool.closed(self)
        if self.user is not None:
            user, self.user = self.user, None
            user.upstream_lost()

    def pause_writing(self) -> None:
        """Hand on back-pressure."""
        self.blocked = True
        if self.user is not None:
            self.user.upstream_blocked(blocked=True)

    def resume_writing(self) -> None:
        """Hand on relief."""
        self.blocked = False
        if self.user is not None:
            self.user.upstream_blocked(blocked=False)

    def is_stale(self) -> bool:
        """Tell whether the upstream has closed, or sent something, while this connection was idle."""
        if self.lost or self.transport.is_closing():
            return True
        if self.poller is None:
            self.poller = select.poll()
            self.poller.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self.poller.poll(0))

    def close(self) -> None:
        """Close after what was written is sent."""
        self.user = None
        self._pool.forget(self)
        self.transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        self.user = None
        self._pool.forget(self)
        self.transport.abort()


class ConnectFailed(Exception):  # noqa: N818 - an outcome with a cause
    """An upstream connection could not be made."""

    def __init__(self, error: WireError) -> None:
        super().__init__(error.value)
        self.error = error


class Pool:
    """Idle connections to one upstream, newest first, each for less than `reuse_seconds`.

    The newest is the likeliest to be alive, and what is not needed grows old and goes.
    """

    def __init__(self, upstream: Upstream, limits: Limits, counters: Counters) -> None:
        self.upstream = upstream
        self.limits = limits
        self._counters = counters
        self._reuse_ns = int(limits.reuse_seconds * 1_000_000_000)
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()

    def take(self, now_ns: int) -> UpstreamConnection | None:
        """Give an idle connection that can be trusted, if there is one."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            age = now_ns - connection.idle_since_ns
            if age >= self._reuse_ns or (age > _LOOK_AFTER_NS and connection.is_stale()):
                connection.close()
            else:
                return connection
        return None

    def put(self, connection: UpstreamConnection, now_ns: int) -> None:
        """Keep a connection whose last exchange is over, both ways."""
        connection.user = None
        # A blocked one has not taken its last request wholly: the next would queue up behind it.
        if len(self._idle) >= self.limits.pool_max or connection.lost or connection.blocked:
            connection.close()
            return
        if connection.paused:
            connection.resume()
        connection.idle_since_ns = now_ns
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """Never give this connection again."""
        if connection in self._idle:
            self._idle.remove(connection)

    def opened(self, connection: UpstreamConnection) -> None:
        """Count a connection in."""
        self._open.add(connection)
        self._counters.upstream_connections += 1

    def closed(self, connection: UpstreamConnection) -> None:
        """Count a connection out."""
        self._open.discard(connection)
        self._counters.upstream_connections -= 1
        self.forget(connection)

    async def connect(self) -> UpstreamConnection:
        """Open a new connection, TLS included.

        Raises:
            ConnectFailed: refused, unresolved, not verified, or not in time.
        """
        upstream = self.upstream
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: UpstreamConnection(self),
                    upstream.host,
                    upstream.port,
                    ssl=upstream.tls,
                    server_hostname=upstream.server_name,
                )
        except TimeoutError as error:
            raise ConnectFailed(WireError.CONNECT_TIMEOUT) from error
        except ssl.SSLError as error:
            raise ConnectFailed(WireError.TLS_ERROR) from error
        except OSError as error:
            raise ConnectFailed(WireError.NETWORK_ERROR) from error
        return connection

    def sweep(self, now_ns: int) -> None:
        """Close what has been idle for too long."""
        limit = now_ns - self._reuse_ns
        for connection in [idle for idle in self._idle if idle.idle_since_ns <= limit]:
            connection.close()

    def close_idle(self) -> None:
        """Close every idle connection."""
        for connection in tuple(self._idle):
            connection.close()

    def abort(self) -> None:
        """Cut every connection."""
        for connection in tuple(self._open):
            connection.transport.abort()

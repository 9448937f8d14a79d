"""A forwarder: one route's listener, its connections, and the one timer that ends what takes too long."""

import asyncio
import math
import socket
from typing import Final

from sidecar.clock import monotonic_ns
from sidecar.exchange import Observer
from sidecar.wire.caller import CallerConnection
from sidecar.wire.counters import Counters
from sidecar.wire.handshakes import Handshakes
from sidecar.wire.limits import Limits
from sidecar.wire.memo import AnswerHeads, RequestHeads
from sidecar.wire.observing import GuardedObserver
from sidecar.wire.refusal import Reason
from sidecar.wire.relay import Relay
from sidecar.wire.route import Route, VerifyMode
from sidecar.wire.upstream import Pool
from sidecar.wire.verified import VerifiedRelay

_BACKLOG: Final = 1024


class Forwarder:
    """Forwards one route's traffic. Create and use it inside a running loop."""

    def __init__(self, route: Route, limits: Limits, observer: Observer, counters: Counters) -> None:
        self.route = route
        self.limits = limits
        self.observer = GuardedObserver(observer, counters)
        self.counters = counters
        self.side = counters.sides[route.direction]
        self.name = route.name
        self.direction = route.direction
        self.relay_type = Relay if route.verify_mode is VerifyMode.OFF else VerifiedRelay
        self.verify_mode = route.verify_mode
        self.prefix = route.upstream.prefix
        self.authority = route.upstream.authority
        self.requests = RequestHeads(self.prefix, self.authority, limits)
        self.answers = AnswerHeads(limits)
        self.loop = asyncio.get_running_loop()
        self.pool = Pool(route.upstream, limits, counters)
        self.draining = False
        self._callers: set[CallerConnection] = set()
        self._servers: list[asyncio.Server] = []
        self._now = self.loop.time()
        self.idle_at = self.after(limits.idle_seconds)
        self.orphans: set[Relay] = set()
        self.handshakes = Handshakes(route.tls, self.side.handshakes) if route.tls is not None else None
        self._sweeping: asyncio.TimerHandle | None = None
        self._drain_idle_at = math.inf
        self._quiet = asyncio.Event()

    async def serve(self, sock: socket.socket) -> asyncio.Server:
        """Accept on a bound socket until drained or aborted; may be called for several."""
        server = await self.loop.create_server(
            self._accepted,
            sock=sock,
            ssl=self.route.tls,
            backlog=_BACKLOG,
            ssl_handshake_timeout=self.limits.head_seconds if self.route.tls is not None else None,
        )
        self._servers.append(server)
        if self._sweeping is None:
            self._sweep()
        return server

    def _accepted(self) -> CallerConnection:
        """Make the protocol of a connection, which is made only once its handshake is done."""
        caller = CallerConnection(self)
        if self.handshakes is not None:
            self.handshakes.begun(caller, self.after(self.limits.head_seconds))
        return caller

    async def drain(self, seconds: float) -> None:
        """Stop accepting, let exchanges in flight finish, then cut what is left.

        Connections get `Connection: close` with their next answer; idle ones are closed after
        `drain_idle_seconds`, so that a request already on its way is still served.
        """
        self.draining = True
        self._stop_accepting()
        self.pool.close_idle()
        self._drain_idle_at = self.loop.time() + self.limits.drain_idle_seconds
        self._check_quiet()
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            pass
        self.abort()

    def abort(self) -> None:
        """Cut every connection now."""
        self.draining = True
        self._stop_accepting()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for caller in tuple(self._callers):
            if caller.user is not None:
                caller.user.shut()
                caller.transport.close()  # after what was written is sent
            else:
                caller.abort()
        for orphan in tuple(self.orphans):
            orphan.shut()
        self.pool.abort()

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    # -- what connections and relays tell ----------------------------------------------------------------

    def after(self, seconds: float) -> float:
        """Give a deadline for the sweep, never early: the sweep's own time may be that old."""
        return self._now + seconds + self.limits.sweep_seconds

    def caller_opened(self, caller: CallerConnection) -> bool:
        """Count a connection in; false if there are so many that it must be cut at once."""
        if self.handshakes is not None:
            self.handshakes.made(caller)
        limits = self.limits
        count = self.counters.open_connections()
        if count >= limits.connections_max + limits.overflow_max:
            self.side.refusals[Reason.CONNECTIONS] += 1
            return False
        caller.over = count >= limits.connections_max
        self._callers.add(caller)
        self.side.open_connections += 1
        return True

    def caller_closed(self, caller: CallerConnection) -> None:
        """Count a connection out."""
        self._callers.discard(caller)
        self.side.open_connections -= 1
        if self.draining:
            self._check_quiet()

    def over(self, relay: Relay) -> None:
        """Take note that an exchange is over."""
        self.orphans.discard(relay)
        if self.draining:
            self._check_quiet()

    # -- time --------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """End what takes too long; one timer for all connections, as coarse as its bound says."""
        now = self._now = self.loop.time()
        self.idle_at = self.after(self.limits.idle_seconds)
        drain_idle = self.draining and now >= self._drain_idle_at
        for caller in tuple(self._callers):
            user = caller.user
            if user is not None and user.deadline <= now:
                user.expire()
            if caller.deadline <= now:
                caller.expire()
            elif drain_idle and caller.is_idle():
                caller.linger()
        for orphan in tuple(self.orphans):
            if orphan.deadline <= now:
                orphan.expire()
        self.pool.sweep(monotonic_ns())
        if self.handshakes is not None:
            self.handshakes.sweep(now)
        self._sweeping = self.loop.call_later(self.limits.sweep_seconds, self._sweep)

    def _check_quiet(self) -> None:
        if not self._callers and not self.orphans:
            self._quiet.set()

"""A forwarder: one route's listener, its connections, and the one timer that ends what takes too long."""

import asyncio
import math
import socket
import ssl
from typing import Final

from sidecar.clock import monotonic_ns
from sidecar.exchange import Observer
from sidecar.wire.caller import CallerConnection
from sidecar.wire.counters import Counters
from sidecar.wire.doorway import Doorway
from sidecar.wire.handshakes import Handshake, handshake_of
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
        self._doors: list[Doorway] = []
        self._sweeping: asyncio.TimerHandle | None = None
        self._drain_idle_at = math.inf
        self._quiet = asyncio.Event()

    async def serve(self, sock: socket.socket) -> None:
        """Accept on a bound socket until drained or aborted; may be called for several."""
        tls = self.route.tls
        if tls is None:
            server = await self.loop.create_server(
                lambda: CallerConnection(self), sock=sock, backlog=_BACKLOG
            )
            self._servers.append(server)
        else:
            sock.setblocking(False)
            sock.listen(_BACKLOG)
            self._doors.append(Doorway(self, sock, tls))
        if self._sweeping is None:
            self._sweep()

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
        for door in self._doors:
            door.abort()
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
        for door in self._doors:
            door.close()

    # -- what connections and relays tell ----------------------------------------------------------------

    def after(self, seconds: float) -> float:
        """Give a deadline for the sweep, never early: the sweep's own time may be that old."""
        return self._now + seconds + self.limits.sweep_seconds

    def caller_opened(self, caller: CallerConnection) -> bool:
        """Count a connection in; false if there are so many that it must be cut at once."""
        own = self.route.tls is not None  # it counts since its handshake began
        count = self.counters.open_connections() - own
        if not self._has_room(count):
            return False
        caller.over = count >= self.limits.connections_max
        self._callers.add(caller)
        self.side.open_connections += 1
        return True

    def door_opened(self) -> bool:
        """Count a connection in that begins its handshake; false if it must be cut at once."""
        if not self._has_room(self.counters.open_connections()):
            return False
        self.side.open_connections += 1
        return True

    def door_closed(self) -> None:
        """Count it out: it is a caller's connection from now on, or none."""
        self.side.open_connections -= 1
        if self.draining:
            self._check_quiet()

    def tls_broke(self, error: ssl.SSLError) -> None:
        """Count a caller that refuses our certificate, which TLS 1.3 says behind our end of the handshake."""
        if handshake_of(error) is Handshake.REFUSED:
            self.side.handshakes[Handshake.REFUSED] += 1

    def _has_room(self, count: int) -> bool:
        if count < self.limits.connections_max + self.limits.overflow_max:
            return True
        self.side.refusals[Reason.CONNECTIONS] += 1
        return False

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
        self._sweeping = self.loop.call_later(self.limits.sweep_seconds, self._sweep)

    def _check_quiet(self) -> None:
        if not self._callers and not self.orphans and not any(door.shaking for door in self._doors):
            self._quiet.set()

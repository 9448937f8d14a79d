"""A wire worker: forwards, observes, journals, and nothing else.

It tells the recorder how it is through its journal's page: counts of the wire, open connections, loop lag.
"""

import asyncio
import gc
import socket
from collections.abc import Sequence
from typing import Final

from sidecar import telemetry
from sidecar.clock import monotonic_ns, now_ms
from sidecar.journal.writer import JournalWriter
from sidecar.tasks import spawn
from sidecar.wire import Counters, Forwarder

PUBLISH_SECONDS: Final = 0.25
"""How often counts reach the page; also how often the loop's lag is measured."""
GC_THRESHOLD: Final = 50_000
"""Young objects before the collector looks: the hot path makes no cycles, and a look costs milliseconds."""


class Worker:
    """Runs forwarders on their listening sockets until stopped.

    Args:
        forwarders: each with the socket it serves.
        journal: where the observer of these forwarders appends.
        counters: what these forwarders count.
    """

    def __init__(
        self,
        forwarders: Sequence[tuple[Forwarder, socket.socket]],
        journal: JournalWriter,
        counters: Counters,
    ) -> None:
        self._forwarders = forwarders
        self._journal = journal
        self._counters = counters
        self._publishing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Accept connections; returns when every listener does."""
        self._journal.start()
        for forwarder, sock in self._forwarders:
            await forwarder.serve(sock)
        self._publishing = spawn(self._publish_forever(), name="publish counts")
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)

    async def stop(self, drain_seconds: float) -> None:
        """Accept nothing more, let exchanges in flight finish, sync the journal."""
        await asyncio.gather(*(forwarder.drain(drain_seconds) for forwarder, _ in self._forwarders))
        if self._publishing is not None:
            self._publishing.cancel()
        self.publish()
        await self._journal.close()

    async def _publish_forever(self) -> None:
        while True:
            started = monotonic_ns()
            await asyncio.sleep(PUBLISH_SECONDS)
            lag = (monotonic_ns() - started) / 1e9 - PUBLISH_SECONDS
            self._journal.page.loop_lag(max(0.0, lag))
            self.publish()

    def publish(self) -> None:
        """Copy the wire's counts to the page."""
        page, counters = self._journal.page, self._counters
        for direction, side in counters.sides.items():
            for reason, count in (side.refusals + side.bad_answers).items():
                page.counter("refused", direction.value, reason.value).set(count)
            for failed, count in side.handshakes.items():
                page.counter("refused", direction.value, failed.value).set(count)
            page.gauge("active_requests", direction.value).set(side.active_requests)
            page.gauge("open_connections", direction.value).set(side.open_connections)
        for call, count in counters.observer_crashes.items():
            page.counter("observer_crashed", call).set(count)
        page.counter("released_late").set(counters.late_releases)
        for event, count in telemetry.counts().items():
            page.counter("event", event).set(count)
        page.gauge("upstream_connections").set(counters.upstream_connections)
        page.gauge("tunnels").set(counters.tunnels)
        page.beat(now_ms())

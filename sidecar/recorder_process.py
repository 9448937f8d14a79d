"""The recorder's process: recorder thread, admin listener, log and exporters, from start to stop."""

import asyncio
import gc
import socket
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web

from domain.words import Millis
from sidecar.api import Health, serve
from sidecar.api.listen import Listener
from sidecar.log_lines import LineWriter
from sidecar.own_journal import OwnJournal
from sidecar.recorder import Recorder

LAG_TOLD_MS: Final[Millis] = 60_000
"""Age of the oldest unrecorded fact from which readiness says "degraded"."""

GC_THRESHOLD: Final = 50_000
"""Young objects before the collector looks: rows and facts make no cycles. Measured: 9 us of 107 a fact."""


class Readiness:
    """What the probes say: whether traffic is forwarded, and what else is wrong."""

    def __init__(self, recorder: Recorder, lag_ms: Callable[[], Millis]) -> None:
        self._recorder = recorder
        self._lag_ms = lag_ms
        self.draining = False
        self.workers = 0

    def __call__(self) -> Health:
        """Give the state of this moment."""
        reasons = []
        if self._recorder.trouble is not None:
            reasons.append(self._recorder.trouble)
        if (lag := self._lag_ms()) > LAG_TOLD_MS:
            reasons.append(f"the oldest fact that is not recorded is {lag // 1000} s old")
        return Health(ready=not self.draining and self.workers > 0, reasons=tuple(reasons))


class RecorderProcess:
    """Owns the parts of the process and their order of starting and stopping.

    Args:
        recorder: not started.
        app: the admin application.
        admin: its listening socket.
        readiness: told about draining and workers.
        own: takes posted facts.
        lines: the log; held back until `go`.
        closers: called last, in this order; each ends within its own bound.
    """

    def __init__(
        self,
        recorder: Recorder,
        app: web.Application,
        admin: socket.socket,
        readiness: Readiness,
        own: OwnJournal,
        lines: LineWriter,
        closers: Sequence[Callable[[], object]],
    ) -> None:
        self._recorder = recorder
        self._app = app
        self._admin = admin
        self._readiness = readiness
        self._own = own
        self._lines = lines
        self._closers = closers
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Accept on the admin listener; the store is opened behind it."""
        self._listener = await serve(self._app, [self._admin])
        self._own.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)
        self._recorder.start()

    def go(self, first: bytes = b"") -> None:
        """Let log lines out, `first` in front: the ready line, unless the supervisor printed it."""
        self._lines.release(first)

    def draining(self) -> None:
        """Tell the probes that the sidecar is about to stop."""
        self._readiness.draining = True

    def workers(self, alive: int) -> None:
        """Tell the probes how many workers forward."""
        self._readiness.workers = alive

    async def stop(self) -> None:
        """Record what the journal holds, bounded; then close everything."""
        if self._listener is not None:
            await self._listener.stop()
        await self._own.close()
        await asyncio.to_thread(self._recorder.stop)
        for close in self._closers:
            await asyncio.to_thread(close)
        self._lines.close()

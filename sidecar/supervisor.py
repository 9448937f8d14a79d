"""The supervisor: owns the listening sockets, keeps workers and recorder alive, stops all in order.

It moves no traffic and reads none. A crash of the recorder costs no traffic and no fact, a crash of a worker
only what was in flight there. Stopping: not ready at once, workers finish what is in flight, then the
recorder records what they journaled, then exit 0. A second SIGTERM ends everything now.
"""

import asyncio
import json
import signal
import socket
import sys
from typing import Final

from sidecar import __version__, telemetry
from sidecar.addresses import Address, parse_address
from sidecar.children import Child
from sidecar.clock import monotonic_ns
from sidecar.data_dir import DataDir
from sidecar.listening import Handover, Heir, ListenError, bind, shown, take_over
from sidecar.logs import LogFormat, configure
from sidecar.settings import Settings
from sidecar.tasks import spawn
from sidecar.telemetry import ProcessDied, ProcessStarted, SidecarStarted, SidecarStopped, SidecarStopping

READY_TIMEOUT_SECONDS: Final = 30.0
STOP_GRACE_SECONDS: Final = 5.0
"""Beyond the drain time: how long a stopping child may take before it is killed."""
RECORDER_STOP_SECONDS: Final = 15.0


class Supervisor:
    """Runs one sidecar to its end. Make one, then `await run()`."""

    def __init__(self, settings: Settings, data: DataDir) -> None:
        self._settings = settings
        self._data = data
        self._stop = asyncio.Event()
        self._kill = asyncio.Event()
        self._handed_over = False
        self._children: list[Child] = []
        self._lines = configure(LogFormat(settings.log_format), held=True)

    async def run(self) -> int:
        """Run until told to stop; give the exit status.

        Raises:
            ListenError: an address cannot be listened on; nothing was started.
        """
        wanted = addresses(self._settings)
        heir = take_over(self._data.control_socket, wanted)
        sockets = open_sockets(wanted, heir)
        children = self._children = self._make_children(sockets)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        for child in children:
            child.start()
        if (failure := await self._ready(children)) is not None:
            sys.stderr.write(f"sidecar: {failure}\n")
            await self._end(children)
            return 1
        # Written by ourselves before anyone may log, the children included: it is the first line, always.
        listeners = {name: shown(sock) for name, sock in sockets.items()}
        self._data.tell_listeners(listeners)
        sys.stdout.buffer.write(ready_line(listeners))
        sys.stdout.flush()
        self._lines.release()
        SidecarStarted(version=__version__, workers=self._settings.workers).emit()
        self._tell_recorder()
        for child in children:
            child.go()
        if heir is not None:
            heir.ready()
        handover = Handover(
            self._data.control_socket,
            {name: (wanted[name], sock) for name, sock in sockets.items()},
            self._heir_is_ready,
        )
        handover.open()
        await self._stop.wait()
        stopping_ns = monotonic_ns()
        SidecarStopping(reason="handed over" if self._handed_over else "signal").emit()
        handover.close()
        for sock in sockets.values():
            sock.close()  # ours only: the children hold their own, an heir too
        await self._end(children)
        SidecarStopped(seconds=round((monotonic_ns() - stopping_ns) / 1e9, 3)).emit()
        self._lines.close()
        return 0

    def _make_children(self, sockets: dict[str, socket.socket]) -> list[Child]:
        traffic = {name: sock for name, sock in sockets.items() if name != "admin"}
        roles = [("worker", index, traffic) for index in range(self._settings.workers)]
        roles.append(("recorder", 0, {"admin": sockets["admin"]}))
        return [
            Child(role, index, self._settings, inherited, self._accepts, self._crashed)
            for role, index, inherited in roles
        ]

    def _accepts(self, child: Child) -> None:
        ProcessStarted(process=child.name, pid=child.pid).emit()
        self._tell_recorder()

    def _crashed(self, child: Child, status: int) -> None:
        ProcessDied(process=child.name, pid=child.pid, exit_code=status).emit()
        self._tell_recorder()

    def _tell_recorder(self) -> None:
        """Tell what the recorder answers for: how many workers forward, and our own events.

        A recorder that is dead hears it when it is ready again.
        """
        recorder = self._children[-1]
        recorder.tell("workers", str(sum(child.alive for child in self._children[:-1])))
        recorder.tell("events", detail=telemetry.counts())

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._kill.set()
        self._stop.set()

    def _heir_is_ready(self) -> None:
        self._handed_over = True
        self._stop.set()

    async def _ready(self, children: list[Child]) -> str | None:
        """Wait until every listener accepts; give what prevents it, if anything does."""
        waits = [asyncio.wait_for(child.ready.wait(), READY_TIMEOUT_SECONDS) for child in children]
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        for child, outcome in zip(children, outcomes, strict=True):
            if child.failure:
                return child.failure
            if isinstance(outcome, TimeoutError):
                return f"the {child.name} was not ready within {READY_TIMEOUT_SECONDS:g} s"
        return None

    async def _end(self, children: list[Child]) -> None:
        workers, recorder = children[:-1], children[-1]
        recorder.draining()
        if self._handed_over:
            recorder.stop()  # the heir's recorder takes the journal over, ours too
        for worker in workers:
            worker.stop()
        await self._gone(workers, self._settings.drain_seconds + STOP_GRACE_SECONDS)
        recorder.stop()
        await self._gone([recorder], RECORDER_STOP_SECONDS)

    async def _gone(self, children: list[Child], seconds: float) -> None:
        """Wait for children to leave; kill what is left after the time, or at a second SIGTERM."""
        ended = spawn(_all_ended(children), name="children ended")
        killed = spawn(self._kill.wait(), name="second signal")
        await asyncio.wait([ended, killed], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if not ended.done():
            for child in children:
                child.kill()
        await ended


async def _all_ended(children: list[Child]) -> None:
    for child in children:
        await child.ended.wait()


def addresses(settings: Settings) -> dict[str, Address]:
    """Give the configured address of every listener by its name in the ready line."""
    wanted = {route.name: parse_address(route.listen) for route in settings.all_routes()}
    return {**wanted, "admin": parse_address(settings.admin_listen)}


def ready_line(listeners: dict[str, str]) -> bytes:
    """Give the one line that says every listener accepts: JSON whatever the log format."""
    return json.dumps({"event": "sidecar_ready", "listeners": listeners}).encode() + b"\n"


def open_sockets(wanted: dict[str, Address], heir: Heir | None) -> dict[str, socket.socket]:
    """Take the heir's sockets and bind the rest.

    Raises:
        ListenError: one cannot be listened on; all are closed again.
    """
    taken = heir.sockets if heir else {}
    sockets: dict[str, socket.socket] = {}
    try:
        for name, address in wanted.items():
            sockets[name] = taken[name] if name in taken else bind(name, address)
    except ListenError:
        for sock in [*sockets.values(), *taken.values()]:
            sock.close()
        raise
    return sockets

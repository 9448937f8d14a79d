"""`--single-process`: worker and recorder on one event loop, for tests and tiny set-ups.

The same parts as in separate processes, without the isolation: a busy recorder delays traffic, a crash of one
ends both. There is no takeover by a newer sidecar.
"""

import asyncio
import signal
import sys

import uvloop

from sidecar.bootstrap.recorder import build_recorder
from sidecar.bootstrap.worker import build_worker
from sidecar.data_dir import DataDir
from sidecar.listening import shown
from sidecar.settings import Settings
from sidecar.supervisor import addresses, open_sockets, ready_line


def run_single(settings: Settings, data: DataDir) -> int:
    """Run until SIGTERM or Ctrl-C; give the exit status.

    Raises:
        ListenError: an address cannot be listened on; nothing was started.
    """
    return uvloop.run(_run(settings, data))


async def _run(settings: Settings, data: DataDir) -> int:
    sockets = open_sockets(addresses(settings), None)
    listeners = {name: shown(sock) for name, sock in sockets.items()}
    recorder = build_recorder(settings, sockets.pop("admin"))
    worker = build_worker(settings, sockets, 0)
    stop = _stop_signal()
    await recorder.start()
    await worker.start()
    recorder.workers(1)
    data.tell_listeners(listeners)
    recorder.go(ready_line(listeners))
    await stop.wait()
    recorder.draining()
    await worker.stop(settings.drain_seconds)
    await recorder.stop()
    return 0


def _stop_signal() -> asyncio.Event:
    """Give an event the first SIGTERM or Ctrl-C sets; the second one ends the process."""
    stop = asyncio.Event()

    def signalled() -> None:
        if stop.is_set():
            sys.exit(0)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    return stop

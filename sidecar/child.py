"""Entry point of the children: `python -m sidecar.child worker|recorder FD`. The supervisor starts it.

Imports stay inside: a worker never loads what only the recorder needs.
"""

import faulthandler
import os
import signal
import socket
import sys
from typing import Final

if __name__ == "__main__":
    # structlog loads rich where it can: 4 MiB and 50 ms a process, for tracebacks that nobody prints here.
    sys.modules["rich"] = None  # type: ignore[assignment] # what `import` takes for "not there"

import msgspec
import uvloop
from setproctitle import setproctitle

from sidecar import telemetry
from sidecar.control import ChildStart, Line, open_line
from sidecar.data_dir import DataDirError
from sidecar.logs import LogFormat, configure
from sidecar.providers.codes import CodesInvalid
from sidecar.settings import Settings

UNUSABLE: Final = (ValueError, ImportError, OSError, CodesInvalid, DataDirError)
"""What building raises when something that was configured cannot be used; starting again would not help."""

RECORDER_NICENESS: Final = 10
"""Where both want a core the traffic wins: the journal can wait, a message cannot."""


async def _main(role: str, descriptor: int) -> int:
    line = await open_line(socket.socket(fileno=descriptor))
    setproctitle(f"sidecar: {role}")
    first = await line.receive()
    if first is None or first.kind != "init":
        return 1
    start = msgspec.convert(first.detail, ChildStart)
    settings = msgspec.convert(start.settings, Settings)
    sockets = {name: socket.socket(fileno=number) for name, number in start.sockets.items()}
    if role == "worker":
        setproctitle(f"sidecar: worker {start.index}")
        return await _worker(settings, sockets, start.index, line)
    return await _recorder(settings, sockets["admin"], line)


async def _worker(settings: Settings, sockets: dict[str, socket.socket], index: int, line: Line) -> int:
    from sidecar.bootstrap.worker import build_worker  # noqa: PLC0415 - see the module's docstring

    lines = configure(LogFormat(settings.log_format), held=True)
    try:
        worker = build_worker(settings, sockets, index)
    except UNUSABLE as error:
        line.send("failed", str(error))
        return 1
    await worker.start()
    line.send("ready")
    while (message := await line.receive()) is not None and message.kind != "stop":
        if message.kind == "go":
            lines.release()
    await worker.stop(settings.drain_seconds)
    lines.close()
    return 0


async def _recorder(settings: Settings, admin: socket.socket, line: Line) -> int:
    os.nice(RECORDER_NICENESS)
    from sidecar.bootstrap.recorder import build_recorder  # noqa: PLC0415 - see the module's docstring

    try:
        recorder = build_recorder(settings, admin)
    except UNUSABLE as error:
        line.send("failed", str(error))
        return 1
    await recorder.start()
    line.send("ready")
    while (message := await line.receive()) is not None and message.kind != "stop":
        if message.kind == "go":
            recorder.go()
        elif message.kind == "draining":
            recorder.draining()
        elif message.kind == "workers":
            recorder.workers(int(message.text))
        elif message.kind == "events":
            telemetry.hear(msgspec.convert(message.detail, dict[str, int]))
    await recorder.stop()
    return 0


def main() -> None:
    """Run one child to its end."""
    faulthandler.enable()
    # The supervisor decides when children stop; a terminal's Ctrl-C reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    role, descriptor = sys.argv[1], int(sys.argv[2])
    sys.exit(uvloop.run(_main(role, descriptor)))


if __name__ == "__main__":
    main()

"""The sidecar as a child of the demo: real processes, started by its own command, stopped by SIGTERM."""

import asyncio
import json
import signal
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sidecar.settings import ENV_PREFIX
from sidecar.tasks import spawn

READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 40.0
"""Longer than the sidecar's own drain (30 s), so that it is killed only when it hangs."""
LINE_MAX_BYTES: Final = 1 << 20
TAIL_LINES: Final = 20


class SidecarFailedError(Exception):
    """The sidecar did not get ready, or went away; the message holds its last lines."""


class SidecarChild:
    """One `sidecar run`, with its log in a file.

    Attributes:
        listeners: real addresses by route name, once it is ready.
    """

    def __init__(self, settings: Mapping[str, str], inherited: Mapping[str, str], log: Path) -> None:
        """Be ready to start.

        Args:
            settings: `SIDECAR_*` values by setting name, such as `provider_url`.
            inherited: environment to pass on; what it says of the sidecar itself is left out.
            log: file that takes the lines after the ready line.
        """
        self.listeners: dict[str, str] = {}
        self._env = {name: text for name, text in inherited.items() if not name.startswith(ENV_PREFIX)}
        self._env |= {ENV_PREFIX + name.upper(): text for name, text in settings.items()}
        self._log = log
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._ready: asyncio.Future[dict[str, str]] | None = None

    async def start(self) -> dict[str, str]:
        """Start it and wait until it is ready; give its listeners.

        Raises:
            SidecarFailedError: it ended, or said nothing for `READY_SECONDS`.
        """
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sidecar",
            "run",
            env=self._env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_MAX_BYTES,
            start_new_session=True,  # a terminal's Ctrl-C reaches the demo alone, which stops things in order
        )
        self._ready = asyncio.get_running_loop().create_future()
        self._pumps = [
            spawn(self._pump(stream), name=f"demo sidecar {name}")
            for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr))
            if stream is not None
        ]
        ended = spawn(self._process.wait(), name="demo sidecar end")
        await asyncio.wait({self._ready, ended}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            why = "was not ready in time" if self.alive else f"ended with {self._process.returncode}"
            await self.stop()
            raise SidecarFailedError("\n".join([f"the sidecar {why}; its last lines:", *self._tail]))
        self.listeners = self._ready.result()
        return self.listeners

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def tail(self) -> list[str]:
        """Its last lines."""
        return list(self._tail)

    async def stop(self) -> int:
        """End it with SIGTERM, or with SIGKILL when it hangs; give its exit code."""
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            code = await process.wait()
        _, open_pipes = await asyncio.wait(self._pumps, timeout=2.0)
        for pump in open_pipes:  # a process of its own still holds the pipe
            pump.cancel()
        return code

    async def _pump(self, stream: asyncio.StreamReader) -> None:
        """Take lines as long as they come: a pipe nobody reads would stop the sidecar's log."""
        with self._log.open("ab") as log:
            while True:
                try:
                    line = await stream.readline()
                except ValueError:  # longer than LINE_MAX_BYTES: the reader has dropped it
                    continue
                if not line:
                    return
                if self._is_ready(line):
                    continue
                log.write(line)
                log.flush()
                self._tail.append(line.decode(errors="replace").rstrip())

    def _is_ready(self, line: bytes) -> bool:
        """Take the ready line; False for any other."""
        if self._ready is None or self._ready.done() or b"sidecar_ready" not in line:
            return False
        try:
            facts = json.loads(line)
            listeners = {str(name): str(address) for name, address in facts["listeners"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        self._ready.set_result(listeners)
        return True

"""One child process of the supervisor: started with its sockets, watched, restarted by its owner."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from sidecar.control import ChildStart, Line, open_line
from sidecar.settings import Settings
from sidecar.tasks import spawn

BACKOFF_FIRST_SECONDS: Final = 0.1
BACKOFF_MAX_SECONDS: Final = 5.0
STABLE_SECONDS: Final = 10.0
"""A child that lived this long starts again without delay."""


class Child:
    """A worker or the recorder. `run` keeps it alive until `stop` was asked for.

    Args:
        role: `worker` or `recorder`.
        index: number of the worker.
        sockets: listening sockets it inherits, by route name.
        on_ready: told whenever it accepts, also after a restart.
        on_crash: told the exit status whenever it ended unasked.
    """

    def __init__(
        self,
        role: str,
        index: int,
        settings: Settings,
        sockets: Mapping[str, socket.socket],
        on_ready: Callable[["Child"], None],
        on_crash: Callable[["Child", int], None],
    ) -> None:
        self.role = role
        self.index = index
        self.ready = asyncio.Event()
        self.alive = False
        self.failure: str | None = None
        self._settings: dict[str, Any] = msgspec.to_builtins(settings)
        self._sockets = sockets
        self._on_ready = on_ready
        self._on_crash = on_crash
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Line | None = None
        self._may_go = False
        self._stopping = False
        self._wake = asyncio.Event()
        self.ended = asyncio.Event()

    @property
    def name(self) -> str:
        """Name in logs."""
        return f"{self.role} {self.index}" if self.role == "worker" else self.role

    def start(self) -> None:
        """Begin keeping it alive."""
        spawn(self._keep_alive(), name=f"keep {self.name}")

    def go(self) -> None:
        """Let it do what must wait for the ready line."""
        self._may_go = True
        self._say("go")

    def draining(self) -> None:
        """Tell it that the sidecar is about to stop: readiness ends."""
        self._say("draining")

    def tell(self, kind: str, text: str = "", detail: Any = None) -> None:
        """Pass on what it should know (`sidecar.control`)."""
        self._say(kind, text, detail)

    def stop(self) -> None:
        """Ask it to finish and leave; `ended` is set when it is gone."""
        self._stopping = True
        self._wake.set()
        self._say("stop")

    def kill(self) -> None:
        """End it now."""
        self._stopping = True
        self._wake.set()
        if self._process is not None:
            self._process.kill()

    @property
    def pid(self) -> int:
        """Id of the process that lives or lived last."""
        return self._process.pid if self._process else 0

    def _say(self, kind: str, text: str = "", detail: Any = None) -> None:
        if self._line is not None:
            self._line.send(kind, text, detail)

    def _over(self) -> bool:
        return self._stopping or self.failure is not None

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = BACKOFF_FIRST_SECONDS
        while not self._stopping:
            started = loop.time()
            status = await self._live_once()
            if self._over():
                break
            self._on_crash(self, status)
            backoff = BACKOFF_FIRST_SECONDS if loop.time() - started > STABLE_SECONDS else backoff
            try:
                await asyncio.wait_for(self._wake.wait(), backoff)
            except TimeoutError:
                backoff = min(backoff * 2, BACKOFF_MAX_SECONDS)
        self.ready.set()
        self.ended.set()

    async def _live_once(self) -> int:
        """Start the process and follow it to its end; give its exit status."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = {name: sock.fileno() for name, sock in self._sockets.items()}
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own interpreter; starting is instant
                [sys.executable, "-m", "sidecar.child", self.role, str(theirs.fileno())],
                pass_fds=[theirs.fileno(), *descriptors.values()],
                stdin=subprocess.DEVNULL,
            )
        self._line = await open_line(ours)
        start = ChildStart(self._settings, descriptors, self.index)
        self._line.send("init", detail=msgspec.to_builtins(start))
        if self._may_go:
            self._line.send("go")
        if self._stopping:
            self._line.send("stop")
        while (message := await self._line.receive()) is not None:
            if message.kind == "ready":
                self.alive = True
                self.ready.set()
                self._on_ready(self)
            elif message.kind == "failed":
                self.failure = message.text
        self.alive = False
        self._line.close()
        return await asyncio.to_thread(self._process.wait)

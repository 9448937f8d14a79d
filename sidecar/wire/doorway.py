"""Where callers of a TLS listener shake hands: each connection is bounded from the moment it is accepted.

A TLS listener of `asyncio` makes a protocol's connection only once its handshake is done: until then nobody
could refuse or count it, and whoever connects and says nothing would hold a descriptor outside every bound.
So connections are accepted here, and handed to the protocol with their handshake to do.
"""

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Final

from sidecar.tasks import spawn
from sidecar.wire.caller import CallerConnection
from sidecar.wire.handshakes import Handshake, handshake_of

if TYPE_CHECKING:
    from sidecar.wire.forwarder import Forwarder

_RETRY_SECONDS: Final = 0.1
"""Behind an accept that the system refused, for want of descriptors or memory."""
_ACCEPTS_MAX: Final = 64
"""Connections taken in one turn of the loop."""


class Doorway:
    """Accepts on one bound socket until closed."""

    def __init__(self, forwarder: "Forwarder", listener: socket.socket, context: ssl.SSLContext) -> None:
        self._forwarder = forwarder
        self._listener = listener
        self._context = context
        self._shaking: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._open = True
        self._listen()

    @property
    def shaking(self) -> int:
        """Handshakes under way."""
        return len(self._shaking)

    def close(self) -> None:
        """Accept no more; what was accepted goes on. May be called again."""
        if self._open:
            self._open = False
            if self._retry is not None:
                self._retry.cancel()
            self._forwarder.loop.remove_reader(self._listener)
            self._listener.close()

    def abort(self) -> None:
        """End all of it now."""
        self.close()
        for task in self._shaking:
            task.cancel()

    def _listen(self) -> None:
        self._retry = None
        self._forwarder.loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        """Take what waits. No task awaits it, so a takeover can cut none between accept and handshake."""
        loop = self._forwarder.loop
        for _ in range(_ACCEPTS_MAX):
            try:
                accepted, _peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                loop.call_exception_handler({"message": "a connection was not accepted", "exception": error})
                loop.remove_reader(self._listener)
                self._retry = loop.call_later(_RETRY_SECONDS, self._listen)
                return
            if not self._forwarder.door_opened():
                accepted.close()
                continue
            accepted.setblocking(False)
            task = spawn(self._shake(accepted), name="handshake")
            self._shaking.add(task)
            task.add_done_callback(self._shaken)

    async def _shake(self, accepted: socket.socket) -> None:
        forwarder = self._forwarder
        try:
            await forwarder.loop.connect_accepted_socket(
                lambda: CallerConnection(forwarder),
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=forwarder.limits.head_seconds,
            )
        except ssl.SSLError as error:
            forwarder.side.handshakes[handshake_of(error)] += 1
        except OSError:  # hung up, or said nothing in time
            forwarder.side.handshakes[Handshake.UNFINISHED] += 1

    def _shaken(self, task: asyncio.Task[None]) -> None:
        self._shaking.discard(task)
        self._forwarder.door_closed()

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


class Doorway:
    """Accepts on one bound socket until closed."""

    def __init__(self, forwarder: "Forwarder", listener: socket.socket, context: ssl.SSLContext) -> None:
        self._forwarder = forwarder
        self._listener = listener
        self._context = context
        self._shaking: set[asyncio.Task[None]] = set()
        self._accepting = spawn(self._accept(), name="accept")

    @property
    def shaking(self) -> int:
        """Handshakes under way."""
        return len(self._shaking)

    def close(self) -> None:
        """Accept no more; handshakes under way go on."""
        self._accepting.cancel()

    def abort(self) -> None:
        """End all of it now."""
        self.close()
        for task in self._shaking:
            task.cancel()

    async def _accept(self) -> None:
        loop = self._forwarder.loop
        try:
            while True:
                try:
                    accepted, _ = await loop.sock_accept(self._listener)
                except OSError:
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                if not self._forwarder.door_opened():
                    accepted.close()
                    continue
                task = spawn(self._shake(accepted), name="handshake")
                self._shaking.add(task)
                task.add_done_callback(self._shaken)
        finally:
            self._listener.close()

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

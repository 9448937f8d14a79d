"""Listening sockets: bound by the supervisor, inherited by its children, handed to a newer sidecar.

A new `sidecar run` on the same data directory asks the old one over a Unix socket for its listening sockets.
Both then accept from the same queues, so no connection is lost; when the new one is ready it says so, and the
old one drains.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from sidecar.addresses import Address
from sidecar.tasks import spawn

BACKLOG: Final = 1024
SOCKETS_MAX: Final = 64
TAKEOVER_TIMEOUT_SECONDS: Final = 5.0


class ListenError(Exception):
    """An address cannot be listened on; the message names the setting and the remedy."""


class Offer(msgspec.Struct):
    """What the old sidecar hands over: route name and configured address of each socket, in order."""

    names: list[str]
    addresses: list[str]


def bind(name: str, address: Address) -> socket.socket:
    """Bind and listen.

    Raises:
        ListenError: the address is taken, foreign or forbidden.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address.host, address.port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise ListenError(
            f"{name} listener: {address} cannot be listened on ({error.strerror or error}); "
            "stop what uses it or choose another address"
        ) from error
    return sock


def shown(sock: socket.socket) -> str:
    """Give the real address of a listening socket as `host:port`."""
    host, port = sock.getsockname()[:2]
    return str(Address(host, port))


class Heir:
    """The newer sidecar's end of a takeover: the sockets it got, and how to say it is ready."""

    def __init__(self, connection: socket.socket, sockets: dict[str, socket.socket]) -> None:
        self._connection = connection
        self.sockets = sockets

    def ready(self) -> None:
        """Tell the old sidecar to drain."""
        with contextlib.suppress(OSError):
            self._connection.sendall(b"ready\n")
        self.close()

    def close(self) -> None:
        """Let go of the line without a word: the old sidecar serves on."""
        self._connection.close()


def take_over(path: Path, wanted: Mapping[str, Address]) -> Heir | None:
    """Ask a running sidecar for its listening sockets.

    Args:
        path: the control socket of the data directory.
        wanted: configured address of each listener by name; only equal ones are taken.

    Returns:
        None when no sidecar answers there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(TAKEOVER_TIMEOUT_SECONDS)
    try:
        connection.connect(_short(path))
        connection.sendall(b"takeover\n")
        content, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, SOCKETS_MAX)
    except OSError:
        connection.close()
        return None
    taken: dict[str, socket.socket] = {}
    try:
        offer = msgspec.json.decode(content, type=Offer)
    except msgspec.MsgspecError:
        offer = Offer([], [])
    for name, address, descriptor in zip(offer.names, offer.addresses, descriptors, strict=False):
        sock = socket.socket(fileno=descriptor)
        if name in wanted and address == str(wanted[name]) and name not in taken:
            sock.setblocking(False)
            taken[name] = sock
        else:
            sock.close()
    return Heir(connection, taken)


class Handover:
    """The old sidecar's end: serves the control socket and calls `on_ready` when an heir stands ready."""

    def __init__(
        self,
        path: Path,
        sockets: Mapping[str, tuple[Address, socket.socket]],
        on_ready: Callable[[], None],
    ) -> None:
        self._path = path
        self._sockets = sockets
        self._on_ready = on_ready
        self._server: socket.socket | None = None
        self._inode = 0

    def open(self) -> None:
        """Listen on the control socket, replacing a dead or an older one's."""
        draft = self._path.with_name(f".control.{os.getpid()}")
        draft.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(_short(draft))
        draft.chmod(0o600)
        server.listen(1)
        server.setblocking(False)
        self._inode = draft.stat().st_ino
        draft.rename(self._path)
        self._server = server
        spawn(self._serve(server), name="handover")

    def close(self) -> None:
        """Stop serving; the path goes only if no heir has put its own there."""
        if self._server is not None:
            asyncio.get_running_loop().remove_reader(self._server.fileno())
            self._server.close()
            self._server = None
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def _serve(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while self._server is server:
            try:
                connection, _ = await loop.sock_accept(server)
            except (OSError, ValueError):
                return
            try:
                await _bounded(self._hand_over(connection))
            except (OSError, TimeoutError):
                continue
            finally:
                connection.close()

    async def _hand_over(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        if await loop.sock_recv(connection, 64) != b"takeover\n":
            return
        names = list(self._sockets)
        offer = Offer(names, [str(self._sockets[name][0]) for name in names])
        descriptors = [self._sockets[name][1].fileno() for name in names]
        socket.send_fds(connection, [msgspec.json.encode(offer)], descriptors)
        if await loop.sock_recv(connection, 64) == b"ready\n":
            self._on_ready()


async def _bounded(work: Awaitable[None]) -> None:
    await asyncio.wait_for(work, timeout=60)


def _short(path: Path) -> str:
    """A Unix socket path holds about 100 bytes: fall back to a path relative to the working directory."""
    text = str(path)
    if len(os.fsencode(text)) <= 100:  # sun_path is 104 bytes on macOS, 108 on Linux
        return text
    return os.path.relpath(text)

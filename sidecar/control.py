"""The line between the supervisor and one child: JSON lines over a socket pair.

    supervisor -> child   init (settings, sockets), go, workers, events (our counts), draining, stop
    child -> supervisor   ready, failed

When one end dies the other reads the end of the stream: a child without its supervisor stops by itself.
"""

import asyncio
import socket
from typing import Any, Final, NamedTuple

import msgspec

LINE_MAX_BYTES: Final = 1 << 20


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. `kind` is one of the words in the module's picture."""

    kind: str
    text: str = ""
    detail: Any = None


class ChildStart(msgspec.Struct, frozen=True):
    """Detail of `init`: everything a child needs to start.

    Attributes:
        settings: the judged settings as JSON.
        sockets: descriptor of each listening socket by route name, inherited.
        index: number of the worker, 0 for the recorder.
    """

    settings: dict[str, Any]
    sockets: dict[str, int]
    index: int = 0


class Line(NamedTuple):
    """One end of the line, on an event loop."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def receive(self) -> Message | None:
        """Give the next message; None when the other end is gone."""
        try:
            line = await self.reader.readline()
            return msgspec.json.decode(line, type=Message) if line.endswith(b"\n") else None
        except (OSError, ValueError, msgspec.MsgspecError):
            return None

    def send(self, kind: str, text: str = "", detail: Any = None) -> None:
        """Send a message; to a dead end it goes nowhere, its death is noticed by `receive`."""
        if not self.writer.is_closing():
            self.writer.write(msgspec.json.encode(Message(kind, text, detail)) + b"\n")

    def close(self) -> None:
        """Close this end."""
        self.writer.close()


async def open_line(sock: socket.socket) -> Line:
    """Speak over one end of a socket pair."""
    sock.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=sock, limit=LINE_MAX_BYTES)
    return Line(reader, writer)

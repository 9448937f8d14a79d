"""What both simulators share: an address to listen on, a server on it, and stopping on a signal."""

import asyncio
import json
import signal
import sys

from aiohttp import web


def parse_address(text: str) -> tuple[str, int]:
    """Split `host:port`; an IPv6 host stands in brackets.

    Raises:
        ValueError: no port, or none between 0 and 65535.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"an address is host:port with a port of 0 to 65535, got {text!r}")
    return host.strip("[]"), int(port)


class Listener:
    """One aiohttp application on one address; port 0 takes a free one."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self.address = ""

    async def start(self, address: str = "127.0.0.1:0") -> str:
        """Listen; give the real `host:port`."""
        host, port = parse_address(address)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound = self._runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.address = f"{shown}:{bound[1]}"
        return self.address

    async def close(self) -> None:
        """Stop listening; requests under way have a second to end."""
        await self._runner.cleanup()


def stop_on_signals() -> asyncio.Event:
    """Give an event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def announce(event: str, **facts: object) -> None:
    """Print one JSON line, as the sidecar does when it is ready."""
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()

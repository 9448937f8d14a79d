"""What both simulators share: a server on an address, stopping on a signal, telling that they are ready."""

import asyncio
import json
import signal
import sys

from aiohttp import web

from sidecar.addresses import Address, parse_address


class Listener:
    """One aiohttp application on one address; port 0 takes a free one."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self.address = ""

    async def start(self, address: str = "127.0.0.1:0") -> str:
        """Listen; give the real `host:port`."""
        host, port = parse_address(address)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.address = str(Address(*self._runner.addresses[0][:2]))
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

"""A dispatcher simulator: drives five instances, takes callbacks: `python -m sidecar.demo.dispatcher`.

Each instance does one thing at a time, paced by the rate; one that is not connected is connected first.
Every so many callbacks the simulator answers 500 once, so that the provider's retry repeats a fact.
"""

import argparse
import asyncio
import hashlib
import json
from collections import Counter, OrderedDict
from random import Random
from typing import Any, Final

import aiohttp
from aiohttp import web

from sidecar.demo import calls
from sidecar.demo.calls import Call
from sidecar.demo.fates import FATES
from sidecar.demo.serving import Listener, announce, stop_on_signals
from sidecar.tasks import spawn

BODY_MAX_BYTES: Final = 50 << 20
SEEN_MAX: Final = 10_000
CALL_TIMEOUT_SECONDS: Final = 30.0
STATUS_EVERY: Final = 20
"""Calls of an instance between two status polls."""
REFUSE_EVERY: Final = 25
"""Every so many new callbacks one is answered 500, once."""
POLLS_MAX: Final = 20
POLL_SECONDS: Final = 0.3
API_KEY: Final = "tz-demo-key"


class DispatcherSimulator:
    """One simulated dispatcher: `start` takes callbacks, `drive` makes calls, `close` ends both.

    Attributes:
        answers: answers received, by (instance, HTTP status).
        errors: calls without an answer, by (instance, error class).
        callbacks: callbacks received, by what was answered (200 or 500).
        repeats: callbacks received again, byte for byte.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        rate: float = 12.0,
        refuse_every: int = REFUSE_EVERY,
        instances: tuple[str, ...] = tuple(FATES),
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Be ready to start.

        Args:
            seed: decides what is sent to whom.
            rate: calls a second, all instances together.
            refuse_every: as `REFUSE_EVERY`; 0 refuses none.
            instances: the names to drive.
            poll_seconds: wait between two questions for the QR code while an instance connects.
        """
        self.answers: Counter[tuple[str, int]] = Counter()
        self.errors: Counter[tuple[str, str]] = Counter()
        self.callbacks: Counter[int] = Counter()
        self.repeats = 0
        self._seed = seed
        self._step_seconds = len(instances) / rate
        self._refuse_every = refuse_every
        self._instances = instances
        self._poll_seconds = poll_seconds
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._new = 0
        self._stop = asyncio.Event()
        self._drivers: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        app = web.Application(client_max_size=BODY_MAX_BYTES)
        app.router.add_route("*", "/{path:.*}", self._called_back)
        self._listener = Listener(app)

    async def start(self, address: str = "127.0.0.1:0") -> str:
        """Listen for callbacks; give the real `host:port`."""
        return await self._listener.start(address)

    def drive(self, base_url: str) -> None:
        """Begin to call the provider's API under this URL."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_SECONDS), headers={"X-API-Key": API_KEY}
        )
        base_url = base_url.rstrip("/")
        self._drivers = [spawn(self._drive(base_url, name), name=f"demo {name}") for name in self._instances]

    async def quiet(self, grace_seconds: float = 5.0) -> None:
        """Make no more calls; those under way may end."""
        self._stop.set()
        if self._drivers:
            _, late = await asyncio.wait(self._drivers, timeout=grace_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._session is not None:
            await self._session.close()

    async def close(self) -> None:
        """Make no more calls and take no more callbacks."""
        await self.quiet()
        await self._listener.close()

    async def _drive(self, base_url: str, instance: str) -> None:
        draw = Random(f"{self._seed}/{instance}/pace")
        number = 0
        await self._pause(draw.random() * self._step_seconds)
        connected = False
        while not self._stop.is_set():
            connected = connected or await self._bring_up(base_url, instance)
            if number % STATUS_EVERY == STATUS_EVERY - 1:
                _, answer = await self._call(base_url, instance, calls.status(instance))
                connected = _state(answer) == "connected"
            if connected:
                status, answer = await self._call(
                    base_url, instance, calls.work(self._seed, instance, number)
                )
                number += 1
                connected = status < 500 or not _panicked(answer)
            await self._pause(self._step_seconds * draw.uniform(0.6, 1.4))

    async def _bring_up(self, base_url: str, instance: str) -> bool:
        """Connect an instance as an operator would: ask, scan, wait."""
        _, answer = await self._call(base_url, instance, calls.status(instance))
        if _state(answer) == "connected":
            return True
        if _state(answer) == "disconnected":
            await self._call(base_url, instance, calls.connect(instance))
        for _ in range(POLLS_MAX):
            _, answer = await self._call(base_url, instance, calls.qr_code(instance))
            if _state(answer) == "connected":
                return True
            await self._pause(self._poll_seconds)
            if self._stop.is_set():
                break
        return False

    async def _call(self, base_url: str, instance: str, call: Call) -> tuple[int, Any]:
        """Make one call; give its status and JSON: 0 without an answer, None for a body that is no JSON."""
        if self._session is None:
            return 0, None
        try:
            async with self._session.request(call.method, base_url + call.path, json=call.json) as answer:
                raw = await answer.read()
                body = json.loads(raw) if answer.content_type == "application/json" else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.errors[instance, type(error).__name__] += 1
            return 0, None
        except asyncio.CancelledError:
            self.errors[instance, "Cancelled"] += 1
            raise
        self.answers[instance, answer.status] += 1
        return answer.status, body if isinstance(body, dict) else None

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    async def _called_back(self, request: web.Request) -> web.Response:
        digest = hashlib.sha256(await request.read()).digest()
        if digest in self._seen:
            self.repeats += 1
        else:
            self._seen[digest] = None
            if len(self._seen) > SEEN_MAX:
                self._seen.popitem(last=False)
            self._new += 1
            if self._refuse_every and self._new % self._refuse_every == 0:
                self.callbacks[500] += 1
                return web.json_response({"received": False}, status=500)
        self.callbacks[200] += 1
        return web.json_response({"received": True, "eventsProcessed": 1})


def _state(answer: Any) -> str:
    """Read `data.status` of an instance's answer."""
    data = answer.get("data") if isinstance(answer, dict) else None
    return str(data.get("status", "")) if isinstance(data, dict) else ""


def _panicked(answer: Any) -> bool:
    """Tell whether the gateway's answer is that of an instance that is not connected."""
    error = answer.get("error") if isinstance(answer, dict) else None
    return isinstance(error, dict) and "nil pointer" in str(error.get("message", ""))


async def _serve(options: argparse.Namespace) -> None:
    stop = stop_on_signals()
    dispatcher = DispatcherSimulator(seed=options.seed, rate=options.rate)
    announce("dispatcher_ready", listen=await dispatcher.start(options.listen))
    dispatcher.drive(options.url)
    await stop.wait()
    await dispatcher.close()
    by_status = Counter[int]()
    for (_, status), count in dispatcher.answers.items():
        by_status[status] += count
    announce(
        "dispatcher_stopped",
        answers=dict(sorted(by_status.items())),
        errors=dispatcher.errors.total(),
        callbacks=dict(dispatcher.callbacks),
        repeats=dispatcher.repeats,
    )


def main(arguments: list[str] | None = None) -> int:
    """Simulate a dispatcher until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m sidecar.demo.dispatcher", description=__doc__)
    parser.add_argument("--url", required=True, help="base URL of the provider's API, that is, the sidecar's")
    parser.add_argument("--listen", default="127.0.0.1:8091", help="host:port for callbacks")
    parser.add_argument("--seed", type=int, default=1, help="decides what is sent to whom")
    parser.add_argument("--rate", type=float, default=12.0, help="calls a second, all instances together")
    asyncio.run(_serve(parser.parse_args(arguments)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

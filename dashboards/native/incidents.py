"""The scripted incidents: what goes wrong, which alerts must say so, and how it is put right."""

import asyncio
import itertools
import json
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from dashboards.native.prometheus import Alerting, until
from sidecar.demo import calls
from sidecar.demo.child import SidecarChild
from sidecar.demo.dispatcher import API_KEY, DispatcherSimulator
from sidecar.demo.fates import FATES, HEALTHY, Fate
from sidecar.demo.provider import ProviderSimulator
from sidecar.demo.run import CALLBACK_PATH
from sidecar.demo.turbozap import Callback
from sidecar.tasks import spawn

INSIST_SECONDS: Final = 0.3
RESTART_SECONDS: Final = 30.0
CALLS_PER_SECOND: Final = 48.0
OFFLINE: Final = "kiosk-offline"
NUMBERS: Final = (*FATES, OFFLINE)
"""The five numbers of the demo, and one more."""


class World:
    """Both ends of the traffic, the sidecar between them."""

    def __init__(self, folder: Path, inherited: Mapping[str, str]) -> None:
        self._folder = folder
        self._inherited = inherited
        self._settings: dict[str, str] = {}
        self.provider = ProviderSimulator(delay_scale=0.3, retry_scale=0.1)
        self.dispatcher = DispatcherSimulator(rate=CALLS_PER_SECOND, instances=NUMBERS, poll_seconds=0.1)
        self.sidecar: SidecarChild | None = None
        self.admin = ""
        self._insisting: asyncio.Task[None] | None = None
        self._log = folder / "sidecar.log"

    async def start(self) -> None:
        """Start everything; all numbers are healthy."""
        provider = await self.provider.start()
        dispatcher = await self.dispatcher.start()
        self._settings = {
            "provider_url": f"http://{provider}",
            "dispatcher_url": f"http://{dispatcher}",
            "dispatch_listen": "127.0.0.1:0",
            "webhook_listen": "127.0.0.1:0",
            "admin_listen": "127.0.0.1:0",
            "data_dir": str(self._folder / "data"),
            "log_format": "json",
        }
        self.provider.gateway.create(OFFLINE)
        for name in NUMBERS:
            self.fate(name, HEALTHY)
        listeners = await self.start_sidecar()
        self._settings |= {f"{name}_listen": address for name, address in listeners.items()}
        self.admin = listeners["admin"]
        self.provider.poster.url = f"http://{listeners['webhook']}{CALLBACK_PATH}"
        self.dispatcher.drive(f"http://{listeners['dispatch']}")

    async def start_sidecar(self) -> dict[str, str]:
        """Start the sidecar, after the first time on the addresses it had."""
        self.sidecar = SidecarChild(self._settings, self._inherited, self._log)
        return await self.sidecar.start()

    async def stop_sidecar(self) -> None:
        """Stop the sidecar, traffic and all."""
        if self.sidecar is not None:
            await self.sidecar.stop()

    async def kill_worker(self) -> None:
        """Kill the worker, and wait for the next one."""
        known = self._workers()
        os.kill(known[-1], signal.SIGKILL)

        async def is_there() -> bool:
            return self._workers() != known

        await until(is_there, RESTART_SECONDS)

    def _workers(self) -> list[int]:
        """Give the process ids of all workers so far, as the log tells them."""
        lines = self._log.read_text("utf-8").splitlines()
        started = [json.loads(line) for line in lines if '"process.started"' in line]
        return [line["pid"] for line in started if line["process"] == "worker 0"]

    async def insist(self, name: str) -> None:
        """Go on sending for one number, connected or not, until `relent`."""

        async def send_forever() -> None:
            async with aiohttp.ClientSession(headers={"X-API-Key": API_KEY}) as session:
                for count in itertools.count():
                    call = calls.work(1, name, count)
                    url = f"http://{self._settings['dispatch_listen']}{call.path}"
                    async with session.request(call.method, url, json=call.json):
                        await asyncio.sleep(INSIST_SECONDS)

        self._insisting = spawn(send_forever(), name=f"insist {name}")

    async def relent(self) -> None:
        """End `insist`."""
        if self._insisting is not None:
            self._insisting.cancel()
            await asyncio.wait([self._insisting])
            self._insisting = None

    def call_back(self, event: str) -> None:
        """Let the provider post a callback of this event, for no number in particular."""
        body = json.dumps({"event": event, "instance": NUMBERS[0], "data": {}}).encode()
        headers = {"Content-Type": "application/json", "X-Webhook-Event": event}
        self.provider.poster.post(Callback(event, headers, body))

    def fate(self, name: str, fate: Fate) -> None:
        """Decide how one number fares from now on."""
        self.provider.gateway.instances[name].fate = fate

    async def close(self) -> None:
        """End everything."""
        await self.relent()
        await self.dispatcher.close()
        await self.provider.close()
        await self.stop_sidecar()


Act = Callable[[World], Awaitable[None]]


class Incident(NamedTuple):
    """One incident.

    Attributes:
        story: for the report.
        alerts: must fire while it lasts, and be silent again after it.
    """

    story: str
    alerts: tuple[Alerting, ...]
    breaks: Act
    heals: Act


def _fares(name: str, fate: Fate) -> Act:
    async def act(world: World) -> None:
        world.fate(name, fate)

    return act


def _number(story: str, name: str, fate: Fate, *alerts: str) -> Incident:
    """Make an incident of one number."""
    expected = tuple(Alerting(alert, name) for alert in alerts)
    return Incident(story, expected, _fares(name, fate), _fares(name, HEALTHY))


async def _connection_goes(world: World) -> None:
    world.fate(OFFLINE, HEALTHY._replace(drops_every=1, connect_fails_every=1))
    await world.insist(OFFLINE)


async def _connection_comes(world: World) -> None:
    await world.relent()
    world.fate(OFFLINE, HEALTHY)


async def _event_is_new(world: World) -> None:
    world.call_back("presence.hologram")


async def _nothing(_: World) -> None:
    """Time alone puts it right."""


async def _provider_goes(world: World) -> None:
    await world.provider.close()


async def _calls_stop(world: World) -> None:
    await world.dispatcher.quiet()


async def _worker_dies(world: World) -> None:
    for _ in range(3):
        await world.kill_worker()


async def _sidecar_goes(world: World) -> None:
    await world.stop_sidecar()


async def _sidecar_comes(world: World) -> None:
    await world.start_sidecar()


OF_NUMBERS: Final = (
    _number(
        "one in ten messages is delivered",
        "sales-healthy",
        HEALTHY._replace(delivered=0.1),
        "ReputationDeliveryDrop",
    ),
    _number(
        "nothing comes back",
        "support-slow",
        HEALTHY._replace(delivered=0.0),
        "ReputationCallbacksSilent",
    ),
    _number(
        "every send is rate limited, buttons get 463",
        "promo-limited",
        HEALTHY._replace(limited_from=0),
        "ReputationRateLimited",
        "ReputationReachoutRestricted",
        "ReputationFailureSpike",
    ),
    _number(
        "connected, yet every send fails",
        "alerts-failing",
        HEALTHY._replace(not_sent=1.0),
        "ReputationConnectedButFailing",
        "ReputationFailureSpike",
    ),
    _number(
        "the connection is lost after every second send",
        "store-flapping",
        HEALTHY._replace(drops_every=2),
        "ReputationQrCodeRegenerated",
    ),
    Incident(
        "the provider uses an event nobody knows",
        (Alerting("ReputationSchemaDrift", ""),),
        _event_is_new,
        _nothing,
    ),
    Incident(
        "the connection is lost, and the dispatcher goes on sending",
        (Alerting("ReputationDisconnectedWhileSending", OFFLINE),),
        _connection_goes,
        _connection_comes,
    ),
)
"""At the same time, nearly each on a number of its own."""

OF_SYSTEMS: Final = (
    Incident(
        "the worker is killed three times",
        (Alerting("ReputationProcessDied", ""),),
        _worker_dies,
        _nothing,
    ),
    Incident(
        "the sidecar is stopped and started again",
        (Alerting("ReputationSidecarDown", ""),),
        _sidecar_goes,
        _sidecar_comes,
    ),
    Incident(
        "the provider is gone, then nobody calls it any more",
        (Alerting("ReputationUpstreamUnreachable", ""),),
        _provider_goes,
        _calls_stop,
    ),
)
"""One after the other."""

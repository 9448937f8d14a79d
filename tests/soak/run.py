"""The phases in turn, and what must hold at the end."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tests.e2e.load import balanced
from tests.e2e.sidecars import Sidecar, call
from tests.soak import hostile
from tests.soak.peers import DispatcherEnd, GatewayEnd
from tests.soak.traffic import INSTANCES, Book, Callers
from tests.soak.watching import Growth, Sample, growths, look

SETTLED_SECONDS: Final = 120.0
CAUGHT_UP_SECONDS: Final = 60.0
"""Callers rest so long at most, shorter than a connection may idle: endurance is tried here,
not throughput, and a recorder that is behind hides in its journal what it would hold."""


class Plan(NamedTuple):
    """How long and how much.

    Attributes:
        seconds: of the whole; a cycle of phases that has begun is finished.
        phase_seconds: of each phase at least.
        connections: busy callers.
        slow, opened, instances, bombs: hostile peers a cycle.
        restarts: whether processes are killed and sockets handed over, in the second half; until then each
            lives long enough for its memory to be watched.
    """

    seconds: float
    phase_seconds: float
    connections: int = 6
    slow: int = 300
    opened: int = 10_000
    instances: int = 20_000
    bombs: int = 24
    restarts: bool = True
    seed: int = 7


class Check(NamedTuple):
    """One thing that must hold."""

    what: str
    held: bool
    found: str


@dataclass
class Soak:
    """One run: the ends, the sidecar of the moment, the callers and what they saw."""

    plan: Plan
    folder: Path
    settings: dict[str, str]
    say: Callable[[str], None]
    book: Book = field(default_factory=Book)
    samples: list[Sample] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)

    async def run(self) -> list[Check]:
        """Run all phases in turn until the time is over; give what held."""
        self.dice = random.Random(self.plan.seed)
        self.gateway, self.dispatcher = GatewayEnd(self.plan.seed), DispatcherEnd()
        self.settings |= {
            "provider_url": f"http://{await self.gateway.start()}",
            "dispatcher_url": f"http://{await self.dispatcher.start()}",
        }
        self.sidecar = await self._started()
        self.callers = callers = Callers(
            lambda: self.sidecar.listeners, self.book, connections=self.plan.connections, seed=self.plan.seed
        )
        try:
            began = time.monotonic()
            while (passed := time.monotonic() - began) < self.plan.seconds:
                await self._cycle(restarts=self.plan.restarts and passed >= self.plan.seconds / 2)
            await callers.stop()
            await asyncio.to_thread(self._settle, SETTLED_SECONDS)
            checks = await asyncio.to_thread(self._checks)
            status = await asyncio.to_thread(self.sidecar.stop, 60)
            return [*checks, Check("the sidecar ends cleanly", status == 0, f"exit {status}")]
        finally:
            await callers.stop()
            self.sidecar.kill()
            await self.gateway.close()
            await self.dispatcher.close()

    async def _cycle(self, *, restarts: bool) -> None:
        phases: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("calm", self._calm),
            ("gateway resets", lambda: self._mood("resets")),
            ("gateway refuses", lambda: self._mood("refuses")),
            ("gateway is slow", lambda: self._mood("slow")),
            ("hostile peers", self._hostile),
        ]
        if restarts:
            phases += [
                ("recorder killed", lambda: self._killed("sidecar: recorder")),
                ("worker killed", lambda: self._killed("sidecar: worker 0")),
                ("takeover", self._takeover),
            ]
        for name, phase in phases:
            began = time.monotonic()
            before = sum(self.book.answers.values())
            failed = self.book.failures()
            await phase()
            await asyncio.sleep(max(0.0, self.plan.phase_seconds - (time.monotonic() - began)))
            answers = sum(self.book.answers.values()) - before
            self.say(
                f"{name}: {answers} exchanges, {self.book.failures() - failed} of them broken or refused, "
                f"{time.monotonic() - began:.0f} s"
            )

    async def _calm(self) -> None:
        await asyncio.sleep(self.plan.phase_seconds)
        async with self.callers.resting():
            await asyncio.to_thread(self._settle, CAUGHT_UP_SECONDS)
            self.samples += await asyncio.to_thread(look, self.sidecar)

    async def _mood(self, mood: str) -> None:
        self.gateway.mood = mood
        await asyncio.sleep(self.plan.phase_seconds * 0.7)
        self.gateway.mood = "well"

    async def _killed(self, title: str) -> None:
        child = await asyncio.to_thread(self.sidecar.child, title)
        child.kill()

    async def _takeover(self) -> None:
        old, self.sidecar = self.sidecar, await self._started()
        status = await asyncio.to_thread(old.wait, 90)
        old.kill()
        self.peers.append(f"takeover: the old one ended with {status}")

    async def _hostile(self) -> None:
        plan, addresses = self.plan, self.sidecar.listeners
        dispatch, webhook = addresses["dispatch"], addresses["webhook"]
        bombs = await hostile.bombs(dispatch, webhook, plan.bombs)
        invented = await hostile.many_instances(dispatch, plan.instances, self.dice)
        slow, opened = await asyncio.gather(
            hostile.slow_heads(dispatch, plan.slow), hostile.left_open(webhook, plan.opened)
        )
        told = {
            "bombs": bombs,
            "invented instances answered": f"{invented} of {plan.instances}",
            "slow heads closed on their peers": f"{slow} of {plan.slow}",
            "left open and closed on their peers": f"{opened} of {plan.opened}",
        }
        self.peers += [f"{what}: {found}" for what, found in told.items()]

    async def _started(self) -> Sidecar:
        return await asyncio.to_thread(lambda: Sidecar(self.folder / "data", **self.settings).ready())

    def _settle(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.sidecar.metrics().get("reputation_signals_pending") == 0 and balanced(self.sidecar):
                return
            time.sleep(0.2)

    def _checks(self) -> list[Check]:
        broken = [*self.book.broken_seals, *self.gateway.broken_seals, *self.dispatcher.broken_seals]
        pending = self.sidecar.metrics().get("reputation_signals_pending", -1)
        missing = {name: len(self._missing(name)) for name in INSTANCES}
        answered = sum(map(len, self.book.ids.values()))
        found = growths(self.samples)
        return [
            Check(
                "no byte differs", not broken, f"{sum(self.book.answers.values())} exchanges, {broken[:3]}"
            ),
            Check(
                "the ledger balances",
                balanced(self.sidecar),
                "observed = recorded + repeated + lost + pending",
            ),
            Check("nothing is pending", pending == 0, f"{pending:.0f} facts"),
            Check(
                "every answered send is recorded", not any(missing.values()), f"{answered} sends, {missing}"
            ),
            *(Check(f"{one.role} is flat", one.flat, _told(one)) for one in found),
        ]

    def _missing(self, instance: str) -> set[str]:
        target = f"/v1/instances/{instance}/timeline?since=0&type=MESSAGE_SENT"
        answer = call(
            self.sidecar.listeners["admin"], "GET", target, headers={"Accept": "application/x-ndjson"}
        )
        rows = map(json.loads, answer.body.splitlines())
        return self.book.ids.get(instance, set()) - {row.get("messageId") for row in rows}


def _told(one: Growth) -> str:
    slope = one.rss_mib / one.hours if one.hours else 0.0
    return (
        f"{one.rss_mib:+.1f} MiB in {one.hours * 60:.1f} min ({slope:+.1f} MiB/h, "
        f"{one.late_slope:+.1f} in the second half), "
        f"peak {one.peak_mib:.0f} MiB, {one.handles:+d} file handles"
    )

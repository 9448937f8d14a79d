"""Renews docs/images: `python -m tests.sidecar.api.page.pictures [FOLDER]`, hours of a fleet in Chromium."""
# ruff: noqa: RUF001 - names of numbers may be in any script

import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from playwright.async_api import async_playwright

from domain.evaluate_health import EvaluateInstanceHealth
from domain.record_signal import RecordReputationSignal, Slice
from domain.recorded import Gap, Progress
from domain.signal import Signal
from domain.words import Millis, SignalType, Source
from exporters.sql.store import SqlStore
from sidecar import clock
from tests.sidecar.api.fleet import SETTING, evaluation_over, exchange
from tests.sidecar.api.serving import admin

IMAGES: Final = Path(__file__).parents[4] / "docs" / "images"
MINUTE: Final[Millis] = 60_000
HOURS: Final = 6
LONG: Final = "campaign-" + "very-long-name-" * 7 + "end"
ODD: Final = ("مبيعات-١", "<img src=x onerror=alert(1)>", "لوحة <b>bold</b> \u202egnihsup", LONG)
DISPATCH, WEBHOOK, PROVIDER = Source.DISPATCH, Source.WEBHOOK, Source.PROVIDER
SENT: Final = {"httpStatus": 200, "messageType": "text", "endpoint": "/message/{instance}/text"}
LIMITED: Final = {"httpStatus": 429, "code": "429"}
Fact = tuple[SignalType, Source, Millis, dict[str, Any]]


def _sent(rng: random.Random, mood: str, n: int) -> Iterator[Fact]:
    """Give what follows from one message: kind, source, how much later, and further fields."""
    yield SignalType.MESSAGE_SENT, DISPATCH, 0, {"context": SENT}
    yield SignalType.SEND_LATENCY_OBSERVED, DISPATCH, 0, {"latency_ms": rng.randint(25, 140)}
    chance = rng.random()
    if mood == "limited" and chance < 0.3:
        yield SignalType.RATE_LIMIT_HIT, PROVIDER, 40, {"context": LIMITED}
    elif mood == "failing" and chance < 0.85:
        yield SignalType.MESSAGE_FAILED, WEBHOOK, 900, {"context": {"code": "131049"}}
    elif chance < 0.95:
        late = rng.randint(400, 4000)
        yield SignalType.MESSAGE_DELIVERED, WEBHOOK, late, {"latency_ms": late}
        if rng.random() < 0.6:
            yield SignalType.MESSAGE_READ, WEBHOOK, late + rng.randint(2000, 60_000), {}
    if rng.random() < 0.15:
        yield SignalType.MESSAGE_REPLIED, WEBHOOK, 70_000, {"context": {"messageType": "text"}}
    if rng.random() < 0.1:
        yield SignalType.PRESENCE_SET, DISPATCH, 0, {"context": {"presence": "composing"}}
    if mood == "flapping" and n % 9 == 0:
        yield SignalType.CONNECTION_DISCONNECTED, PROVIDER, 10, {"context": {"reasonCode": "428"}}
        yield SignalType.CONNECTION_CONNECTED, PROVIDER, 9_000, {}


def _hours(rng: random.Random, name: str, end: Millis, mood: str) -> Iterator[Signal]:
    """Give what a number sends and gets back over some hours; its mood begins 45 minutes before the end."""
    start, turn = end - HOURS * 60 * MINUTE, end - 45 * MINUTE
    yield Signal(SignalType.CONNECTION_CONNECTED, PROVIDER, name, start, basis="c")
    at, n = start, 0
    while (at := at + rng.randint(5_000, 90_000)) < end:
        n += 1
        message_id = f"3EB0{rng.getrandbits(40):010X}"
        for kind, source, later, fields in _sent(rng, mood if at > turn else "well", n):
            basis = f"{name}{kind}{at}"
            yield Signal(kind, source, name, min(at + later, end), message_id, basis=basis, **fields)
    if mood == "gone":
        yield Signal(SignalType.CONNECTION_DISCONNECTED, PROVIDER, name, end - MINUTE, basis="gone")


MOODS: Final = {
    "alerts-failing": "failing",
    "promo-limited": "limited",
    "store-flapping": "flapping",
    "office-gone": "gone",
    "sales-healthy": "well",
    **dict.fromkeys(ODD, "well"),
    **{f"branch-{n:02}": "well" for n in range(1, 15)},
}


def fill(store: SqlStore, now: Millis) -> None:
    """Record and evaluate the hours of every number, and one gap."""
    record, evaluate = RecordReputationSignal(store), EvaluateInstanceHealth(store, SETTING)
    rng = random.Random(7)
    gap = Gap("k1", now - 170 * MINUTE, now - 158 * MINUTE, "disk_full", 1234)
    for name, mood in MOODS.items():
        facts = sorted(_hours(rng, name, now, mood), key=lambda one: one.occurred_at)
        seen = [one for one in facts if not gap.since <= one.occurred_at <= gap.until]
        recorded = record([Slice(Progress("w0"), [exchange(name, seen)], [gap])], now)
        evaluate.touched(recorded.signals, now)


async def take(images: Path) -> None:
    """Take every picture, light and dark."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore(f"sqlite:///{folder}/store.db", sidecar_id="pictures")
        store.open()
        fill(store, clock.now_ms())
        evaluation = evaluation_over(store)
        async with (
            admin(store, evaluation=evaluation, clock=clock.now_ms) as api,
            admin(store, token="x", clock=clock.now_ms) as guarded,
            async_playwright() as tool,
        ):
            listed = (await api.get("/v1/instances/alerts-failing/decisions")).json["decisions"]
            turn = next(one for one in reversed(listed) if one["after"]["temperatureLevel"] == "COOLDOWN")
            here = f"{api.base}/#instance=alerts-failing&last="
            evidence = f"{here}{90 * MINUTE}&decision={turn['id']}"
            odd = f"{api.base}/#instance={ODD[2]}&last={90 * MINUTE}&type=RATE_LIMIT_HIT"
            chromium = shutil.which("chromium")
            browser = await tool.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for scheme in ("light", "dark"):
                tab = await browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme=scheme)
                await _shot(tab, f"{here}{90 * MINUTE}", images / f"page-{scheme}.png")
                await _shot(tab, evidence, images / f"decision-{scheme}.png", "#detail .rules")
                await _shot(tab, f"{here}{360 * MINUTE}", images / f"gap-{scheme}.png", gap=True)
                await _shot(tab, guarded.base, images / f"signin-{scheme}.png", "#token")
                await _shot(tab, odd, images / f"odd-{scheme}.png", "#no-rows .empty")
                await tab.close()
            await browser.close()
        store.close()


async def _shot(
    tab: Any, address: str, image: Path, wanted: str = "#state .hero", *, gap: bool = False
) -> None:
    await tab.goto("about:blank")
    await tab.goto(address)
    await tab.wait_for_selector(wanted)
    if wanted != "#token":
        await tab.wait_for_selector("#timeline[aria-busy=false]")
    if gap:
        box = await tab.locator("#lanes-chart .u-over").bounding_box()
        await tab.mouse.click(box["x"] + box["width"] * (1 - 165 / 360), box["y"] + box["height"] * 0.65)
    if wanted.startswith("#detail") or gap:
        await tab.locator("#timeline").evaluate("place => place.scrollIntoView()")
    await tab.wait_for_timeout(300)
    await tab.screenshot(path=image)


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES))

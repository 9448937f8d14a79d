"""`python -m dashboards.native`; see the package."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import aiohttp
from yarl import URL

from dashboards.native.asking import api_questions, questions
from dashboards.native.incidents import OF_NUMBERS, OF_SYSTEMS, Incident, World
from dashboards.native.prometheus import Alerting, Prometheus, PrometheusMissing, until
from dashboards.native.scaling import write_configuration
from sidecar.clock import now_ms

RULES: Final = Path(__file__).parent.parent / "prometheus"
AUDITED: Final = "promo-limited"
"""The number the audit board is asked about: rate limited, so that all its panels have something to show."""
QUIET_SECONDS: Final = 20
FIRE_SECONDS: Final = 120
RESOLVE_SECONDS: Final = 180


Meanwhile: TypeAlias = Callable[[], Awaitable[None]]


class Asked(NamedTuple):
    """How many queries the boards have, and the (board, panel) pairs that gave no data."""

    total: int
    silent: list[tuple[str, str]]


class Line(NamedTuple):
    """What became of one expected alert; None: it did not happen in time."""

    story: str
    alert: Alerting
    fired_after_seconds: float | None
    resolved_after_seconds: float | None


async def play(
    world: World, prometheus: Prometheus, incidents: Sequence[Incident], meanwhile: Meanwhile | None = None
) -> list[Line]:
    """Let incidents happen at once, wait for their alerts, put everything right, wait for silence."""
    expected = {(incident.story, alert) for incident in incidents for alert in incident.alerts}
    for incident in incidents:
        await incident.breaks(world)
    fired = await _moments(prometheus, {alert for _, alert in expected}, FIRE_SECONDS, firing=True)
    if meanwhile is not None:
        await meanwhile()
    for incident in incidents:
        await incident.heals(world)
    silent = await _moments(prometheus, fired.keys(), RESOLVE_SECONDS, firing=False)
    return [Line(story, alert, fired.get(alert), silent.get(alert)) for story, alert in sorted(expected)]


async def _moments(
    prometheus: Prometheus, alerts: Iterable[Alerting], seconds: float, *, firing: bool
) -> dict[Alerting, float]:
    """Give after how many seconds each alert fired, or was silent."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    waiting = set(alerts)
    moments: dict[Alerting, float] = {}

    async def all_happened() -> bool:
        now_firing = await prometheus.firing()
        for alert in list(waiting):
            if (alert in now_firing) is firing:
                waiting.discard(alert)
                moments[alert] = loop.time() - began
        return not waiting

    await until(all_happened, seconds)
    return moments


async def ask(prometheus: Prometheus, admin: str) -> Asked:
    """Ask every query of the boards, those of one number about `AUDITED`."""
    asked = questions(AUDITED, "30s")
    silent = [(board, panel) for board, panel, expr in asked if not await prometheus.rows(expr)]
    of_api = api_questions(AUDITED, "0", str(now_ms()))
    async with aiohttp.ClientSession(f"http://{admin}") as session:
        for question in of_api:
            async with session.get(URL(question.target, encoded=True)) as response:
                rows = (await response.json())[question.root]
            # Nothing is lost in this run, so there are no gaps to show.
            if not rows and question.root != "gaps":
                silent.append((question.board, question.panel))
    return Asked(len(asked) + len(of_api), sorted(set(silent)))


def report(lines: Sequence[Line], quiet: set[Alerting], asked: Asked, faster: int) -> tuple[str, bool]:
    """Give the report as Markdown, and whether everything happened as it should."""
    rows = [
        f"# Native run, {faster} times faster than life",
        "",
        f"Alerts before any incident: {', '.join(sorted(alert.name for alert in quiet)) or 'none'}.",
        "",
        "| incident | alert | about | fired after | silent again after |",
        "|---|---|---|---|---|",
    ]
    for line in lines:
        moments = " | ".join(
            "**never**" if moment is None else f"{moment:.0f} s"
            for moment in (line.fired_after_seconds, line.resolved_after_seconds)
        )
        rows.append(f"| {line.story} | {line.alert.name} | {line.alert.about} | {moments} |")
    missing = [f"{board}: {panel}" for board, panel in asked.silent]
    rows += ["", f"Of {asked.total} board queries these gave no data: {', '.join(missing) or 'none'}."]
    good = not quiet and not asked.silent and all(None not in line for line in lines)
    return "\n".join(rows) + "\n", good


async def run(faster: int) -> tuple[str, bool]:
    """Run everything; give the report and whether it is good."""
    with tempfile.TemporaryDirectory(prefix="sidecar-native-") as made:
        folder = Path(made)
        world = World(folder, dict(os.environ))
        try:
            await world.start()
            prometheus = Prometheus(write_configuration(folder, RULES, world.admin, faster))
            try:
                await prometheus.start()
                if not await until(prometheus.target_is_up, 20):
                    return "Prometheus does not reach the sidecar.\n", False
                await asyncio.sleep(QUIET_SECONDS)  # long enough for every window of the fast rules to fill
                quiet = await prometheus.firing()
                asked = Asked(0, [])

                async def ask_boards() -> None:
                    nonlocal asked
                    asked = await ask(prometheus, world.admin)

                lines = await play(world, prometheus, OF_NUMBERS, ask_boards)
                for incident in OF_SYSTEMS:
                    lines += await play(world, prometheus, [incident])
            finally:
                await prometheus.stop()
        finally:
            await world.close()
    return report(lines, quiet, asked, faster)


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.native", description=__doc__)
    parser.add_argument("--faster", type=int, default=60, help="how many times faster than life")
    parser.add_argument("--report", type=Path, help="write the report to this file too")
    options = parser.parse_args()
    try:
        text, good = asyncio.run(run(options.faster))
    except PrometheusMissing:
        sys.stderr.write("prometheus is not on the path; Debian: apt-get install prometheus\n")
        return 3
    sys.stdout.write(text)
    if options.report is not None:
        options.report.write_text(text, "utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

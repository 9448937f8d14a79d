"""P2: latency at one connection, by a constant rate measured from when each request was due.

The closed loop's figures stand beside it, for comparison with others who measure that way.
"""

import os
import statistics
from contextlib import ExitStack
from typing import Final

from bench.load import Closed, Paced, has_wrk, paced, wrk
from bench.machine import load_core
from bench.measured import compiled, sidecar
from bench.report import Row, Setting, at_most, note
from bench.serving import aiohttp_proxy, nginx, nginx_proxy, nginx_upstream

PER_SECOND: Final = 1000
_COMPILED: Final = "sidecar, compiled"


def measure(setting: Setting) -> list[Row]:
    """Run the section."""
    if nginx() is None:
        return [note("skipped", "nginx is needed (Debian package nginx-light)")]
    allowed = os.sched_getaffinity(0)
    with ExitStack() as stack:
        upstream = stack.enter_context(nginx_upstream(setting.folder))
        measured = {"sidecar": stack.enter_context(sidecar(setting.folder, upstream))}
        if (library := compiled()) is not None:
            folder = setting.folder / "compiled"
            folder.mkdir()
            measured[_COMPILED] = stack.enter_context(sidecar(folder, upstream, library=library))
        addresses = {
            "direct": upstream,
            "nginx": stack.enter_context(nginx_proxy(setting.folder, upstream)),
            "aiohttp": stack.enter_context(aiohttp_proxy(upstream)),
            **{name: one.listeners["dispatch"] for name, one in measured.items()},
        }
        os.sched_setaffinity(0, {load_core()})
        stack.callback(os.sched_setaffinity, 0, allowed)
        rounds: dict[str, list[Paced]] = {name: [] for name in addresses}
        closed: dict[str, list[Closed]] = {name: [] for name in addresses}
        for _ in range(setting.rounds):
            for name, address in addresses.items():
                rounds[name].append(paced(address, per_second=PER_SECOND, seconds=setting.seconds))
                if has_wrk():
                    closed[name].append(wrk(address, setting.folder, connections=1, seconds=setting.seconds))
                if name in measured:
                    measured[name].drained()
    rows = []
    middle = {name: _middle(turns) for name, turns in rounds.items()}
    for name, (p50, p99, worst) in middle.items():
        text = f"p50 {p50:.0f}, p99 {p99:.0f}, worst {worst:.0f} us"
        rows.append(note(f"{name}, {PER_SECOND}/s", text))
        if closed[name]:
            half = statistics.median(turn.p50_us for turn in closed[name])
            tail = statistics.median(turn.p99_us for turn in closed[name])
            rows.append(note(f"{name}, closed loop", f"p50 {half:.0f}, p99 {tail:.0f} us"))
    for name in measured:
        rows.append(at_most(f"p50, {name} / nginx", middle[name][0] / middle["nginx"][0], 1.25))
        rows.append(at_most(f"p99, {name} / nginx", middle[name][1] / middle["nginx"][1], 2.0))
    return rows


def _middle(turns: list[Paced]) -> tuple[float, float, float]:
    return (
        statistics.median(turn.p50_us for turn in turns),
        statistics.median(turn.p99_us for turn in turns),
        max(turn.worst_us for turn in turns),
    )

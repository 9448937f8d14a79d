"""P1: requests a second at 16 connections on one core, everything read and journaled, beside other proxies.

Contenders take turns, the median of the rounds counts. Load and upstream sit on the other core, so does the
recorder at its lowest priority: it gets what they leave. The sustained rate is what it settled while
the load lasted, or all of it when nothing was left pending.
"""

import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.load import has_wrk, wrk
from bench.machine import tool
from bench.measured import RunningSidecar, compiled, sidecar
from bench.report import Row, Setting, at_least, at_most, note
from bench.serving import aiohttp_proxy, mitmproxy, nginx, nginx_proxy, nginx_upstream

CONNECTIONS: Final = 16
OURS: Final = "sidecar"
COMPILED: Final = "sidecar, compiled"


def measure(setting: Setting) -> list[Row]:
    """Run the section."""
    if not has_wrk() or nginx() is None:
        return [note("skipped", "wrk and nginx are needed (Debian packages wrk, nginx-light)")]
    with ExitStack() as stack:
        upstream = stack.enter_context(nginx_upstream(setting.folder))
        measured = {OURS: stack.enter_context(sidecar(setting.folder, upstream))}
        if (library := compiled()) is not None:
            folder = setting.folder / "compiled"
            folder.mkdir()
            measured[COMPILED] = stack.enter_context(sidecar(folder, upstream, library=library))
        addresses = {
            "direct": upstream,
            "nginx": stack.enter_context(nginx_proxy(setting.folder, upstream)),
            "aiohttp": stack.enter_context(aiohttp_proxy(upstream)),
            **{name: one.listeners["dispatch"] for name, one in measured.items()},
        }
        if tool("mitmdump"):
            addresses["mitmproxy"] = stack.enter_context(mitmproxy(upstream))
        rates, loads = _take_turns(setting, addresses, measured)
    return _rows(rates, loads)


class _Load:
    """What the sidecar did under its own turns."""

    def __init__(self) -> None:
        self.requests = 0
        self.worker_seconds = 0.0
        self.recorder_seconds = 0.0
        self.sustained: list[float] = []
        self.failed = 0


def _take_turns(
    setting: Setting, addresses: dict[str, str], measured: dict[str, RunningSidecar]
) -> tuple[dict[str, float], dict[str, _Load]]:
    rates: dict[str, list[float]] = {name: [] for name in addresses}
    loads = {name: _Load() for name in measured}
    for _ in range(setting.rounds):
        for name, address in addresses.items():
            if name in measured:
                rates[name].append(_sidecar_turn(setting, address, measured[name], loads[name]))
            else:
                closed = wrk(address, setting.folder, connections=CONNECTIONS, seconds=setting.seconds)
                rates[name].append(closed.requests_per_second)
                loads[OURS].failed += closed.failed
            _forget_log(setting.folder / "access.log")
    return {name: statistics.median(values) for name, values in rates.items()}, loads


def _sidecar_turn(setting: Setting, address: str, measured: RunningSidecar, load: _Load) -> float:
    before, (worker, recorder) = measured.ledger(), measured.cpu_seconds()
    closed = wrk(address, setting.folder, connections=CONNECTIONS, seconds=setting.seconds)
    at_end = measured.ledger()
    settled = at_end.recorded + at_end.repeated - before.recorded - before.repeated
    observed = at_end.observed - before.observed
    load.sustained.append(closed.requests_per_second * settled / max(1, observed))
    measured.drained()
    after_worker, after_recorder = measured.cpu_seconds()
    load.requests += closed.requests
    load.worker_seconds += after_worker - worker
    load.recorder_seconds += after_recorder - recorder
    load.failed += closed.failed
    for folder in (setting.folder, setting.folder / "compiled"):
        _forget_log(folder / "sidecar.log")
    return closed.requests_per_second


def _forget_log(path: Path) -> None:
    """Empty a log between turns: its writer appends, so the disk is not filled."""
    if path.exists():
        with path.open("r+b") as log:
            log.truncate(0)


def _rows(rates: dict[str, float], loads: dict[str, _Load]) -> list[Row]:
    rows = [note(f"{name}, requests/s", f"{rate:,.0f}") for name, rate in rates.items()]
    if "mitmproxy" not in rates:
        rows.append(note("mitmproxy", "left out: not installed (make bench-tools)"))
    if COMPILED not in rates:
        rows.append(note(COMPILED, "left out: not built (make compiled)"))
    for name, load in loads.items():
        rows += _of_ours(name, rates, load)
    return rows


def _of_ours(name: str, rates: dict[str, float], load: _Load) -> list[Row]:
    rows = [
        at_least(f"{name} / nginx with JSON access log", rates[name] / rates["nginx"], 0.5),
        at_least(f"{name} / bare aiohttp", rates[name] / rates["aiohttp"], 4.0),
    ]
    if "mitmproxy" in rates:
        rows.append(at_least(f"{name} / mitmproxy", rates[name] / rates["mitmproxy"], 30.0))
    sustained = statistics.median(load.sustained)
    worker = load.worker_seconds * 1e6 / max(1, load.requests)
    recorder = load.recorder_seconds * 1e6 / max(1, load.requests)
    return [
        *rows,
        note(f"{name}: sustained (journal does not grow), requests/s", f"{sustained:,.0f}"),
        note(f"{name}: CPU a request, worker + recorder", f"{worker:.1f} + {recorder:.1f} us"),
        at_most(f"{name}: CPU a request, both (aim of P3)", worker + recorder, 100.0, "us"),
        Row(f"{name}: requests that failed", str(load.failed), "0", load.failed == 0),
    ]

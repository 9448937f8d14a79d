"""P7: from the command to the ready line with an existing database, and `sidecar --help`."""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.measured import ready
from bench.report import Row, Setting, at_most, note
from sidecar.clock import monotonic_ns

TIMES: Final = 7
UPSTREAM: Final = "127.0.0.1:1"
"""Nobody listens there: starting must not depend on it."""


def measure(setting: Setting) -> list[Row]:
    """Run the section."""
    data = setting.folder / "data"
    first = _start(data, setting.folder / "first.log")
    starts = [_start(data, setting.folder / f"{turn}.log") for turn in range(TIMES)]
    helps = [_help() for _ in range(TIMES)]
    return [
        note("ready, first start (the database is made)", f"{first:.2f} s"),
        at_most("ready, existing database, median", statistics.median(starts), 1.5, "s"),
        note("ready, existing database, slowest", f"{max(starts):.2f} s"),
        at_most("sidecar --help, median", statistics.median(helps), 0.3, "s"),
    ]


def _start(data: Path, log: Path) -> float:
    env = {
        "SIDECAR_PROVIDER_URL": f"http://{UPSTREAM}",
        "SIDECAR_DISPATCHER_URL": f"http://{UPSTREAM}",
        "SIDECAR_DISPATCH_LISTEN": "127.0.0.1:0",
        "SIDECAR_WEBHOOK_LISTEN": "127.0.0.1:0",
        "SIDECAR_ADMIN_LISTEN": "127.0.0.1:0",
        "SIDECAR_DATA_DIR": str(data),
    }
    began = monotonic_ns()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "run"], stdout=sink, stderr=sink, env=env
        )
    try:
        ready(process, log)
        seconds = (monotonic_ns() - began) / 1e9
        _await_store(log)
    finally:
        process.terminate()
        process.wait(60)
    return seconds


def _await_store(log: Path) -> None:
    """Leave the first start the time to make its database, which ready does not wait for."""
    deadline = time.monotonic() + 5.0
    while not list(log.parent.glob("data/*.sqlite*")) and time.monotonic() < deadline:
        time.sleep(0.05)


def _help() -> float:
    began = monotonic_ns()
    subprocess.run([sys.executable, "-m", "sidecar", "--help"], check=True, capture_output=True)
    return (monotonic_ns() - began) / 1e9

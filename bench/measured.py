"""The sidecar as it is measured: worker on the proxy core, recorder elsewhere at a lower priority."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from prometheus_client.parser import text_string_to_metric_families

from bench.machine import load_core, pin, proxy_core
from bench.serving import START_SECONDS, started
from sidecar.demo.reading import Ledger, read_metrics

RECORDER_NICE: Final = 19
_POLL_SECONDS: Final = 0.02
DRAIN_SECONDS: Final = 120.0


_COMPILED: Final = Path(__file__).parents[1] / "build" / "compiled" / "lib"


def compiled() -> Path | None:
    """Give where `make compiled` left the packages with their hot path compiled."""
    return _COMPILED if _COMPILED.exists() else None


@dataclass(frozen=True, slots=True)
class RunningSidecar:
    """A sidecar under measurement: its addresses and processes."""

    listeners: dict[str, str]
    supervisor: psutil.Process
    worker: psutil.Process
    recorder: psutil.Process

    def ledger(self) -> Ledger:
        """Ask what became of the facts so far."""
        return read_metrics(self._metrics()).ledger

    def total(self, name: str, **labels: str) -> int:
        """Ask for the sum of a metric's samples that carry these labels; 0 when there are none."""
        return sum(
            int(sample.value)
            for family in text_string_to_metric_families(self._metrics())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def _metrics(self) -> str:
        url = f"http://{self.listeners['admin']}/metrics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    def drained(self, seconds: float = DRAIN_SECONDS) -> Ledger:
        """Wait until nothing is pending.

        Raises:
            RuntimeError: something still was, after that time.
        """
        deadline = time.monotonic() + seconds
        while (ledger := self.ledger()).pending:
            if time.monotonic() > deadline:
                raise RuntimeError(f"still pending after {seconds} s: {ledger}")
            time.sleep(5 * _POLL_SECONDS)
        return ledger

    def cpu_seconds(self) -> tuple[float, float]:
        """Give the processor time used so far by worker and recorder."""
        return _cpu(self.worker), _cpu(self.recorder)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def sidecar(
    folder: Path,
    upstream: str,
    *,
    settings: Mapping[str, str] | None = None,
    recorder_core: int | None = None,
    recorder_nice: int = RECORDER_NICE,
    other: Mapping[str, str] | None = None,
    library: Path | None = None,
) -> Iterator[RunningSidecar]:
    """Run the sidecar: worker on the proxy core, recorder elsewhere at a lower priority.

    Args:
        folder: takes data directory and log.
        upstream: `host:port` of the provider and of the dispatcher.
        settings: more settings, by name.
        recorder_core: where the recorder runs; the load core by default.
        recorder_nice: how much the recorder steps back.
        other: further environment, such as `OTEL_*`.
        library: where the packages are imported from, such as `compiled()`; the checkout by default.
    """
    log = folder / "sidecar.log"
    env = {
        "SIDECAR_PROVIDER_URL": f"http://{upstream}",
        "SIDECAR_DISPATCHER_URL": f"http://{upstream}",
        "SIDECAR_DISPATCH_LISTEN": "127.0.0.1:0",
        "SIDECAR_WEBHOOK_LISTEN": "127.0.0.1:0",
        "SIDECAR_ADMIN_LISTEN": "127.0.0.1:0",
        "SIDECAR_DATA_DIR": str(folder / "data"),
        "SIDECAR_LOG_FORMAT": "json",
        **{f"SIDECAR_{name.upper()}": text for name, text in (settings or {}).items()},
        **(other or {}),
    }
    if library is not None:
        env |= {"PYTHONPATH": str(library), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "sidecar", "run"]
    with started(command, proxy_core(), env=env, output=log) as process:
        listeners = ready(process, log)
        supervisor = psutil.Process(process.pid)
        worker = child(supervisor, "worker")
        recorder = child(supervisor, "recorder")
        pin(worker.pid, proxy_core())
        core = load_core() if recorder_core is None else recorder_core
        for one in (supervisor, recorder):
            pin(one.pid, core, recorder_nice)
        _await_store(listeners["admin"])
        yield RunningSidecar(listeners, supervisor, worker, recorder)


def _await_store(admin: str) -> None:
    """Wait until the admin API reads the store, which the ready line does not wait for."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://{admin}/v1/instances?limit=1", timeout=30).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def ready(process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    """Wait for the ready line in the output file; give the listeners."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_bytes().splitlines():
            if b"sidecar_ready" in line:
                listeners: dict[str, str] = json.loads(line)["listeners"]
                return listeners
        time.sleep(_POLL_SECONDS)
    raise RuntimeError("the sidecar was not ready:\n" + log.read_text(errors="replace")[-2000:])


def child(supervisor: psutil.Process, role: str) -> psutil.Process:
    """Find a child by its title or command line."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for process in supervisor.children(recursive=True):
            if role in " ".join(process.cmdline()):
                return process
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"the sidecar has no {role}")

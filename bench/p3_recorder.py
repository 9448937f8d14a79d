"""P3: signals a second the recorder settles on one core, everything on.

The recorder is halted while load fills the journal, then let go on a core of its own: the time until nothing
is pending is all recording. Once with SQLite, log, Prometheus and evaluation, once more with OTLP to a live
receiver on the other core, which then also encodes and sends.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.load import has_wrk, wrk
from bench.machine import load_core, proxy_core
from bench.measured import sidecar
from bench.report import Row, Setting, at_least, note
from bench.serving import free_port, nginx, nginx_upstream, started

INSTANCES: Final = 50
CONNECTIONS: Final = 16


def measure(setting: Setting) -> list[Row]:
    """Run the section."""
    if not has_wrk() or nginx() is None:
        return [note("skipped", "wrk and nginx are needed (Debian packages wrk, nginx-light)")]
    rows = []
    for name, with_otlp in (("SQLite, log, metrics, evaluation", False), ("the same and OTLP", True)):
        folder = setting.folder / ("otlp" if with_otlp else "plain")
        folder.mkdir()
        drained = _drain(setting, folder, with_otlp=with_otlp)
        signals = drained.signals
        each = drained.cpu_seconds * 1e6 / signals
        rows.append(note(name, f"{signals:,} signals in {drained.seconds:.2f} s, {each:.1f} us CPU each"))
        rows.append(
            note("  evaluations; OTLP records exported", f"{drained.evaluations:,}; {drained.exported:,}")
        )
        rows.append(at_least(f"{name}: signals/s", signals / drained.seconds, 20_000, "/s"))
    return rows


class _Drained(NamedTuple):
    """What was settled, how long it took, the recorder's processor time for it, and what else was done."""

    signals: int
    seconds: float
    cpu_seconds: float
    evaluations: int
    exported: int


def _drain(setting: Setting, folder: Path, *, with_otlp: bool) -> _Drained:
    with ExitStack() as stack:
        upstream = stack.enter_context(nginx_upstream(folder))
        other = {}
        if with_otlp:
            other["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{stack.enter_context(_receiver())}"
        measured = stack.enter_context(
            sidecar(folder, upstream, recorder_core=proxy_core(), recorder_nice=0, other=other)
        )
        address = measured.listeners["dispatch"]
        wrk(address, folder, connections=2, seconds=1, instances=INSTANCES)  # code paths get warm
        before = measured.drained()
        measured.recorder.suspend()
        try:
            wrk(address, folder, connections=CONNECTIONS, seconds=setting.seconds, instances=INSTANCES)
        finally:
            _, cpu = measured.cpu_seconds()
            measured.recorder.resume()
        began = time.monotonic()
        after = measured.drained()
        seconds = time.monotonic() - began
        _, cpu_after = measured.cpu_seconds()
        return _Drained(
            after.recorded + after.repeated - before.recorded - before.repeated,
            seconds,
            cpu_after - cpu,
            measured.total("reputation_evaluations_total"),
            measured.total("reputation_otlp_records_total", outcome="exported"),
        )


@contextmanager
def _receiver() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "bench.contenders.otlp_receiver", str(port)]
    with started(command, load_core(), address=f"127.0.0.1:{port}"):
        yield f"127.0.0.1:{port}"

"""P3: signals a second the recorder settles on one core, everything on.

The recorder is halted while load fills the journal, then let go on a core of its own: the time until nothing
is pending is all recording. Once with SQLite, log, Prometheus and evaluation, once more with OTLP to a live
receiver on the other core, which then also encodes and sends.

What is settled is read from the store's file and the workers' pages: a scrape every 100 ms cost the recorder
22 ms each, a fifth of what it was measured for.
"""

import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.load import has_wrk, wrk
from bench.machine import load_core, proxy_core
from bench.measured import DRAIN_SECONDS, sidecar
from bench.report import Row, Setting, at_least, note
from bench.serving import free_port, nginx, nginx_upstream, started
from exporters.sql.recording import tally_from
from sidecar.journal.layout import PAGE, journal_dir
from sidecar.journal.page import read_page

INSTANCES: Final = 50
CONNECTIONS: Final = 16
POLL_SECONDS: Final = 0.05
QUIET_SECONDS: Final = 1.0
"""Behind the last fact: evaluating and announcing the last batch count as well."""


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
        _await_settled(folder / "data")
        seconds = time.monotonic() - began
        time.sleep(QUIET_SECONDS)
        _, cpu_after = measured.cpu_seconds()
        after = measured.drained()
        return _Drained(
            after.recorded + after.repeated - before.recorded - before.repeated,
            seconds,
            cpu_after - cpu,
            measured.total("reputation_evaluations_total"),
            measured.total("reputation_otlp_records_total", outcome="exported"),
        )


def _await_settled(data: Path) -> None:
    """Wait until the store has settled all that the workers observed.

    Raises:
        RuntimeError: it had not, after `DRAIN_SECONDS`.
    """
    deadline = time.monotonic() + DRAIN_SECONDS
    while (settled := _settled(data)) < (observed := _observed(data)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{settled} of {observed} facts settled after {DRAIN_SECONDS} s")
        time.sleep(POLL_SECONDS)


def _settled(data: Path) -> int:
    with closing(sqlite3.connect(f"file:{data / 'reputation.sqlite'}?mode=ro", uri=True)) as store:
        tallies = store.execute("SELECT tally FROM journal_position").fetchall()
    return sum(tally_from(json.loads(text)).settled for (text,) in tallies)


def _observed(data: Path) -> int:
    pages = [read_page(folder / PAGE) for folder in journal_dir(data).iterdir()]
    return sum(page.observed.total for page in pages if page is not None)


@contextmanager
def _receiver() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "bench.contenders.otlp_receiver", str(port)]
    with started(command, load_core(), address=f"127.0.0.1:{port}"):
        yield f"127.0.0.1:{port}"

"""Growth: what a fact, a page and a request cost while window, store, instances and connections grow.

Each curve is one store or one sidecar at several sizes; the sizes take turns, so that a busy machine is busy
for all of them. `--curves DIR` draws them.
"""

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Final

import psutil

from bench.curves import plot
from bench.load import has_wrk, wrk
from bench.measured import sidecar
from bench.p4_window import BATCH, NOW, Subject, adding, medians
from bench.p5_timeline import fill, pages
from bench.report import Row, Setting, note
from bench.serving import nginx, nginx_upstream
from exporters.sql.store import SqlStore

WINDOWS: Final = (100, 1_000, 10_000, 100_000)
STORED: Final = (10_000, 100_000, 1_000_000, 3_000_000)
INSTANCES: Final = (1, 10, 100, 1_000)
CONNECTIONS: Final = (1, 4, 16, 64, 256, 1_024)
_MIB: Final = 1 << 20


def measure(setting: Setting) -> list[Row]:
    """Run the section."""
    curves = {
        "window": (
            "Recording and evaluating one fact, us",
            "facts in the instance's window",
            _windows(setting),
        ),
        "stored": (
            "First page of 500, SQLite, p50 in ms",
            "signals stored",
            _stored(setting),
        ),
        "instances": (
            "Recording and evaluating one fact, us",
            "instances in turn",
            _instances(setting),
        ),
    }
    rows: list[Row] = []
    if has_wrk() and nginx() is not None:
        rate, memory = _connections(setting)
        across = "connections"
        curves["connections"] = ("Requests a second, one worker", across, rate)
        curves["connections-memory"] = ("Memory of the worker, MiB", across, memory)
    else:
        rows.append(note("connections", "wrk and nginx are needed (Debian packages wrk, nginx-light)"))
    for name, (title, across, points) in curves.items():
        rows += [note(f"{title}, {x:,.0f} {across}", f"{y:,.1f}") for x, y in points]
        if setting.curves is not None:
            (setting.curves / f"performance-{name}.svg").write_text(plot(title, across, points), "utf-8")
    return rows


def _sizes(setting: Setting, sizes: tuple[int, ...]) -> tuple[int, ...]:
    return sizes[:2] if setting.quick else sizes


def _windows(setting: Setting) -> list[tuple[float, float]]:
    sizes = _sizes(setting, WINDOWS)
    return _cost([Subject(setting.folder / f"window-{size}") for size in sizes], sizes, sizes)


def _instances(setting: Setting) -> list[tuple[float, float]]:
    sizes = _sizes(setting, INSTANCES)
    subjects = [Subject(setting.folder / f"instances-{size}", instances=size) for size in sizes]
    return _cost(subjects, sizes, [max(1000, 10 * size) for size in sizes])


def _cost(
    subjects: Sequence[Subject], sizes: Sequence[int], filled: Sequence[int]
) -> list[tuple[float, float]]:
    """Fill each store, then let them take turns; give microseconds a fact by size."""
    try:
        for subject, signals in zip(subjects, filled, strict=True):
            subject.fill(signals)
        clock = count(NOW + 1)
        took = medians([adding(subject, clock, BATCH) for subject in subjects])
    finally:
        for subject in subjects:
            subject.store.close()
    return [(size, us / BATCH) for size, us in zip(sizes, took, strict=True)]


def _stored(setting: Setting) -> list[tuple[float, float]]:
    sizes = _sizes(setting, STORED)
    with ExitStack() as stack:
        stores = []
        for size in sizes:
            folder = setting.folder / f"stored-{size}"
            folder.mkdir()
            url = f"sqlite:///{folder / 'sidecar.sqlite3'}"
            store = SqlStore(url, sidecar_id="bench")
            store.open()
            stack.callback(store.close)
            fill(url, size)
            stores.append(store)
        took = pages(stores, sizes)
    return [(size, statistics.median(times)) for size, times in zip(sizes, took, strict=True)]


def _connections(setting: Setting) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    rate, memory = [], []
    for connections in _sizes(setting, CONNECTIONS):
        folder: Path = setting.folder / f"connections-{connections}"
        folder.mkdir()
        with nginx_upstream(folder) as upstream, sidecar(folder, upstream) as measured:
            rates = [
                wrk(
                    measured.listeners["dispatch"], folder, connections=connections, seconds=setting.seconds
                ).requests_per_second
                for _ in range(setting.rounds)
            ]
            rate.append((float(connections), statistics.median(rates)))
            memory.append((float(connections), psutil.Process(measured.worker.pid).memory_info().rss / _MIB))
            measured.drained()
    return rate, memory

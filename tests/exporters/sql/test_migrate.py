"""The schema is brought up to date once, by whoever starts first, and never taken back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from domain.timeline import TimelineQuery
from domain.words import Severity, Source
from exporters.sql.engine import parse_url, writer
from exporters.sql.migrate import SchemaUnusable, migrate
from exporters.sql.schema import REVISIONS, VERSION_TABLE, metadata
from exporters.sql.store import SqlStore
from tests.exporters.sql.processes import result, start

T0 = 1_700_000_000_000

OPENER = """
import json, sys
from exporters.sql.store import SqlStore
store = SqlStore(sys.argv[1], sidecar_id="s1", lock_wait_ms=30_000)
applied = store.open()
store.close()
print(json.dumps(["alembic" in sys.modules, applied]))
"""


def test_the_revisions_known_are_those_shipped() -> None:
    """The list the fast path compares with cannot drift from the files."""
    config = Config()
    config.set_main_option("script_location", "exporters.sql:migrations")

    shipped = [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()]

    assert tuple(reversed(shipped)) == REVISIONS


def test_the_migrated_schema_is_the_one_statements_are_built_from(store_url: str) -> None:
    """Columns, types, keys and indexes of `schema` are what the migrations make."""
    engine = writer(parse_url(store_url))
    migrate(engine)

    with engine.connect() as connection, connection.begin():
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()

    assert differences == []


def test_three_processes_starting_at_once_migrate_once(store_url: str) -> None:
    """One applies every step, the others find nothing to do and need no migration tool for it."""
    results = [result(process) for process in [start(OPENER, store_url) for _ in range(3)]]

    applied = sorted(len(one[1]) for one in results)  # type: ignore[index] # the script prints a pair
    assert applied == [0, 0, len(REVISIONS)]
    assert result(start(OPENER, store_url)) == [False, []]


def test_a_schema_of_a_newer_version_is_refused_and_left_alone(
    store_url: str, open_store: Callable[..., SqlStore]
) -> None:
    """Starting an older version on a migrated database says what to do."""
    open_store(store_url).close()
    engine = writer(parse_url(store_url))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")

    with pytest.raises(SchemaUnusable, match="9999"):
        migrate(engine)

    engine.dispose()


def test_migrating_works_in_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_store: Callable[..., SqlStore]
) -> None:
    """The steps ship in the package; a relative SQLite path is relative to where the process stands."""
    monkeypatch.chdir(tmp_path)

    open_store("sqlite:///data/here.db")

    assert (tmp_path / "data" / "here.db").exists()


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_rows_of_every_earlier_schema_are_kept_and_served(
    store_url: str, open_store: Callable[..., SqlStore], revision: str
) -> None:
    """A database as an earlier version left it, with rows, is brought up to date and goes on."""
    engine = writer(parse_url(store_url))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "exporters.sql:migrations")
        config.attributes.update(connection=connection, version_table=VERSION_TABLE)
        command.upgrade(config, revision)
    at = "to_timestamp(1700000000) AT TIME ZONE 'UTC'" if engine.name == "postgresql" else str(T0)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'INSERT INTO reputation_signal ("instanceId", id, "occurredAt", type, seq) '
            f"VALUES ('sales-1', 'one', {at}, 'MESSAGE_SENT', 1)"
        )
        connection.exec_driver_sql(
            'INSERT INTO instance_reputation ("instanceId", "lastSeq", "lastSignalAt") '
            f"VALUES ('sales-1', 1, {at})"
        )
    engine.dispose()

    store = open_store(store_url)

    kept = store.timeline(TimelineQuery("sales-1", T0, T0)).signals
    assert [(row.id, row.seq, row.severity, row.source) for row in kept] == [
        ("one", 1, Severity.LOW, Source.WEBHOOK)
    ]
    assert [(one.instance_id, one.score) for one in store.instances(None, 10)] == [("sales-1", 50)]
    assert store.unevaluated(10) == ["sales-1"]

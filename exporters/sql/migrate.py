"""Brings the schema to its newest revision: forward only, once, whoever starts first.

The caller holds the file lock on SQLite; on PostgreSQL an advisory lock of the transaction lets the others
wait and then find nothing to do. A schema at its newest revision costs two queries: alembic (0.2 s of import)
is loaded only where there is a step to take.
"""

from typing import Final

from sqlalchemy import Connection, Engine, inspect, text

from domain.errors import StoreUnavailable
from exporters.sql.engine import WHOLE_TABLE_PLANS
from exporters.sql.schema import REVISIONS, VERSION_TABLE

_ADVISORY_LOCK: Final = 7_261_004
"""Any number no other program of the database uses."""


class SchemaUnusable(StoreUnavailable):
    """The tables are of a newer version of this program, or of another one; they are left alone."""


def migrate(engine: Engine) -> list[str]:
    """Apply the missing steps in one transaction.

    Returns:
        The revisions that were applied, oldest first; empty when there was nothing to do.

    Raises:
        SchemaUnusable: the revision is unknown to this program, or tables of that name cannot be adopted.
        sqlalchemy.exc.SQLAlchemyError: the database failed; nothing was changed.
    """
    with engine.connect() as connection, connection.begin():
        if not _missing(connection):
            return []
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            # Adopting a large table takes minutes, and so does waiting for a sidecar that adopts it.
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            # The writer's connections never read whole tables (see engine.py); adopting one must.
            for plan in WHOLE_TABLE_PLANS:
                connection.exec_driver_sql(f"SET LOCAL {plan} = on")
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        missing = _missing(connection)
        if missing:
            _upgrade(connection)
        return missing


def _missing(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(VERSION_TABLE):
        return list(REVISIONS)
    revision = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar_one_or_none()  # noqa: S608 - our own constant
    if revision is None:
        return list(REVISIONS)
    if revision not in REVISIONS:
        raise SchemaUnusable(
            f"the database's schema is at revision {revision}, this version knows up to {REVISIONS[-1]}; "
            "start the newer version that migrated it, or restore a backup"
        )
    return list(REVISIONS[REVISIONS.index(revision) + 1 :])


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 0.2 s of import that most starts do not need
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", "exporters.sql:migrations")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.upgrade(config, "head")

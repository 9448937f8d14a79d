"""COPY into PostgreSQL, which SQLAlchemy does not know, with its refusals put into our words."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from exporters.sql.routed import driver_faults


class ContentRefused(Exception):  # noqa: N818 - says what it is where it is caught
    """The database refuses a row for what is in it; its own error is the cause."""


def copy_rows(connection: Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Copy rows in; all or none.

    Args:
        connection: to PostgreSQL, inside a savepoint.
        statement: COPY ... FROM STDIN.
        rows: values in the order of its columns.

    Raises:
        ContentRefused: a row cannot be stored, now or later; roll the savepoint back.
        StoreUnavailable: the connection or the server failed.
    """
    driver: Any = connection.dialect.dbapi
    pooled: Any = connection.connection
    with driver_faults(connection):
        try:
            with pooled.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        except (driver.DataError, driver.IntegrityError) as fault:
            raise ContentRefused from fault

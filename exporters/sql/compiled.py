"""Turns Core statements into text the driver runs as it is, once for each database."""

from typing import Any, Final

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

_INSERT: Final[dict[str, Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def names(table: Table) -> tuple[str, ...]:
    """Give the columns of a table, in its order."""
    return tuple(column.name for column in table.columns)


def insert(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> str:
    """Insert; an equal key is an error."""
    return _text(_INSERT[dialect.name](table), dialect, columns)


def insert_new(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> str:
    """Insert, but leave a row as it is whose key exists: of an earlier try, or of another sidecar."""
    return _text(_INSERT[dialect.name](table).on_conflict_do_nothing(), dialect, columns)


def upsert(dialect: Dialect, table: Table, keys: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Insert, or overwrite the values of the row whose key exists; parameters are keys, then values."""
    statement = _INSERT[dialect.name](table)
    updated = statement.on_conflict_do_update(
        index_elements=list(keys), set_={name: statement.excluded[name] for name in values}
    )
    return _text(updated, dialect, (*keys, *values))


def _text(statement: Any, dialect: Dialect, columns: tuple[str, ...]) -> str:
    """Compile an insert whose parameters come in the order of `columns`, which must be the table's."""
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    assert tuple(compiled.positiontup) == columns, compiled.positiontup
    return str(compiled)

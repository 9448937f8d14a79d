"""The statements of recording: built by Core from the tables, compiled once, run by the driver as they are.

SQLAlchemy's own executemany costs 4 to 8 us a row in bind processing (measured against 2 us of the driver
alone); a batch has hundreds of rows and six statements, so here rows are made as plain tuples.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Dialect

from exporters.sql.compiled import insert, insert_new, names, upsert
from exporters.sql.json_text import dumps
from exporters.sql.schema import (
    instance_alias,
    instance_reputation,
    journal_position,
    refused_signal,
    reputation_signal,
    signal_gap,
)

SIGNAL_COLUMNS: Final = tuple(c.name for c in reputation_signal.columns if c.name != "messageRef")
HEAD_COLUMNS: Final = ("provider", "aliases", "lastSeq", "lastSignalAt", "connection", "connectionAt")
KEYS_MAX: Final = 1000
"""Keys looked up at once; bounds the statement, not the batch."""


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


class HotStatements(NamedTuple):
    """SQL text for one database; parameters in the order of the named columns.

    Attributes:
        routed: statements on the tables Citus spreads name one instance (`exporters.sql.routed`): single keys
            are one instance id, pairs an array of ids and the instance they are of.
        insert_signal: `SIGNAL_COLUMNS`; on PostgreSQL a COPY that takes rows.
        insert_heads: `single_keys` of instance ids; inserts those that are missing. PostgreSQL only.
        save_heads: instance id, updatedAt, `HEAD_COLUMNS`; on PostgreSQL an array each, unless routed.
        save_progress, insert_gap, save_alias, insert_refused: all columns of their tables.
        select_aliases: `single_keys` of aliases; gives alias, instance id.
        select_heads: `single_keys` of instance ids, locked on PostgreSQL; gives instance id, `HEAD_COLUMNS`.
        select_known: `pair_keys` of instance and signal ids; gives those stored.
        select_sent: `pair_keys` of instance and message ids; gives each with its earliest MESSAGE_SENT.
    """

    routed: bool
    insert_signal: str
    insert_heads: str
    save_heads: str
    save_progress: str
    insert_gap: str
    save_alias: str
    insert_refused: str
    select_aliases: str
    select_heads: str
    select_known: str
    select_sent: str


def hot_statements(dialect: Dialect, *, routed: bool = False) -> HotStatements:
    """Compile the statements for one database; `routed` only on PostgreSQL."""
    position = ("segment", "offset", "tally")
    postgresql = dialect.name == "postgresql"
    if postgresql and not routed:
        insert_heads = _INSERT_HEADS
        save_heads = _SAVE_HEADS.format(
            columns=_quoted(HEAD_COLUMNS),
            values=", ".join(f'"{name}" = excluded."{name}"' for name in HEAD_COLUMNS),
        )
    else:
        insert_heads = insert_new(dialect, instance_reputation, ("instanceId",)) if routed else ""
        save_heads = upsert(dialect, instance_reputation, ("instanceId",), ("updatedAt", *HEAD_COLUMNS))
    return HotStatements(
        routed,
        _COPY_SIGNALS if postgresql else insert(dialect, reputation_signal, SIGNAL_COLUMNS),
        insert_heads,
        save_heads,
        upsert(dialect, journal_position, ("sidecarId", "journal"), position),
        insert_new(dialect, signal_gap, names(signal_gap)),
        upsert(dialect, instance_alias, ("alias",), ("instanceId",)),
        insert_new(dialect, refused_signal, names(refused_signal)),
        *_lookups(dialect.name, routed=routed),
    )


# Measured for 500 rows: COPY takes 3 us of our time a row and 18 in all, a pipelined executemany 11 and 21,
# arrays through unnest 21 and 42. The few columns of a head go as arrays: COPY cannot overwrite.
_COPY_SIGNALS: Final = f"COPY reputation_signal ({_quoted(SIGNAL_COLUMNS)}) FROM STDIN"
# In one order for every sidecar: two that meet the same new instances wait for each other in a row.
_INSERT_HEADS: Final = """INSERT INTO instance_reputation ("instanceId")
    SELECT k.a FROM unnest(%s::text[]) AS k(a)
    WHERE NOT EXISTS (SELECT FROM instance_reputation AS t WHERE t."instanceId" = k.a)
    ORDER BY k.a COLLATE "C" ON CONFLICT DO NOTHING"""
_SAVE_HEADS: Final = """INSERT INTO instance_reputation ("instanceId", "updatedAt", {columns})
    SELECT * FROM unnest(%s::text[], %s::timestamp[], %s::text[], %s::jsonb[], %s::bigint[],
        %s::timestamp[], %s::text[], %s::timestamp[])
    ON CONFLICT ("instanceId") DO UPDATE SET "updatedAt" = excluded."updatedAt", {values}"""

_HEAD: Final = ", ".join(f't."{name}"' for name in HEAD_COLUMNS)
_ALIASES: Final = 'SELECT t.alias, t."instanceId" FROM {one} JOIN instance_alias AS t ON t.alias = k.a'
_HEADS: Final = f'SELECT t."instanceId", {_HEAD} FROM '  # noqa: S608 - our own constant
_NAMED: Final = 'instance_reputation AS t WHERE t."instanceId" = %s FOR UPDATE'
_JOINED: Final = '{one} JOIN instance_reputation AS t ON t."instanceId" = k.a'

# The keys are one parameter, so that the text is the same for every batch. On SQLite CROSS JOIN keeps the
# order of the loops: one index search a key. A row-value IN (VALUES ...) scans (25 us a key at 50 000 rows,
# not 2). On PostgreSQL LATERAL does it: joined plainly, and with no statistics yet, all rows of a table or of
# an instance were read for a batch. FILTER: a condition would let it search by the type instead.
_ONE: Final = {
    "sqlite": "(SELECT value AS a FROM json_each(?)) AS k CROSS",
    "postgresql": "unnest(%s::text[]) AS k(a)",
}
_TWO: Final = """(SELECT json_extract(value, '$[0]') AS a, json_extract(value, '$[1]') AS b
    FROM json_each(?)) AS k CROSS JOIN reputation_signal AS t ON t."instanceId" = k.a"""
_SQLITE: Final = (
    f'SELECT t."instanceId", t.id FROM {_TWO} AND t.id = k.b',  # noqa: S608 - our own constants
    f"""SELECT t."instanceId", t."messageId", MIN(t."occurredAt") FROM {_TWO} AND t."messageId" = k.b
    WHERE t.type = 'MESSAGE_SENT' GROUP BY 1, 2""",  # noqa: S608 - as above
)
_POSTGRESQL: Final = (
    """SELECT s."instanceId", s.id FROM unnest({keys}) CROSS JOIN LATERAL (
        SELECT t."instanceId", t.id FROM reputation_signal AS t
        WHERE t."instanceId" = {instance} AND t.id = k.b LIMIT 1) AS s""",
    """SELECT s."instanceId", s."messageId", s.at FROM unnest({keys}) CROSS JOIN LATERAL (
        SELECT t."instanceId", t."messageId", MIN(t."occurredAt") FILTER (WHERE t.type = 'MESSAGE_SENT') AS at
        FROM reputation_signal AS t WHERE t."instanceId" = {instance} AND t."messageId" = k.b GROUP BY 1, 2
    ) AS s WHERE s.at IS NOT NULL""",
)


def _lookups(name: str, *, routed: bool) -> tuple[str, ...]:
    """Give the texts that look up aliases, heads, known signals and first sends."""
    one = _ONE[name]
    aliases = _ALIASES.format(one=one)
    heads = _HEADS + _JOINED.format(one=one)
    if name == "sqlite":
        return (aliases, heads, *_SQLITE)
    if routed:
        keys, instance, heads = "%s::text[]) AS k(b", "%s", _HEADS + _NAMED
    else:
        keys, instance = "%s::text[], %s::text[]) AS k(a, b", "k.a"
        heads += ' ORDER BY t."instanceId" FOR UPDATE OF t'
    return (aliases, heads, *(text.format(keys=keys, instance=instance) for text in _POSTGRESQL))


def single_keys(dialect: Dialect, keys: Sequence[str]) -> tuple[Any, ...]:
    """Give the parameters of a statement that looks up single keys."""
    return (list(keys),) if dialect.name == "postgresql" else (dumps(keys),)


def pair_keys(dialect: Dialect, keys: Sequence[tuple[str, str]]) -> tuple[Any, ...]:
    """Give the parameters of a statement that looks up pairs of keys."""
    if dialect.name == "postgresql":
        return ([first for first, _ in keys], [second for _, second in keys])
    return (dumps(keys),)

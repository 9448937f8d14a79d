"""Make the tables; on PostgreSQL adopt those the reference implementation's ORM made.

Adopting adds what is missing, replaces the primary key `id` by (`instanceId`, `id`), numbers the rows in the
order they are dated, and gives each instance its head. Nothing is renamed or dropped, so the reference keeps
reading the tables. This step is history: it does not import the tables of today.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from exporters.sql.migrate import SchemaUnusable

revision = "0001"
down_revision = None

_NOW_SQLITE = "(CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))"
_INDEXES = (
    ("instanceId", "occurredAt"),
    ("instanceId", "type", "occurredAt"),
    ("instanceId", "source", "occurredAt"),
    ("instanceId", "messageId"),
    ("instanceId", "seq"),
)


def upgrade() -> None:
    """Forward only."""
    on = op.get_bind()
    present = set(sa.inspect(on).get_table_names()) if on.dialect.name == "postgresql" else set()
    adopting = "reputation_signal" in present
    for name, columns in _tables(on.dialect.name).items():
        if name in present:
            _adopt(on, name, columns)
        else:
            op.create_table(name, *columns)
    have = {tuple(i["column_names"]) for i in sa.inspect(on).get_indexes("reputation_signal")}
    if adopting:
        _number(on)
    for indexed in _INDEXES:
        if indexed not in have:
            op.create_index(f"reputation_signal_{'_'.join(indexed)}_idx", "reputation_signal", list(indexed))
    op.create_index("signal_gap_until_idx", "signal_gap", ["until"])
    if adopting:
        _make_heads(on)


def _tables(dialect: str) -> dict[str, list[sa.schema.SchemaItem]]:
    postgresql = dialect == "postgresql"
    time = TIMESTAMP(precision=3) if postgresql else sa.BigInteger()
    json = JSONB() if postgresql else sa.JSON()
    bytewise = sa.Text(collation="C") if postgresql else sa.Text()
    now = sa.text("CURRENT_TIMESTAMP" if postgresql else _NOW_SQLITE)

    def column(name: str, kind: Any, *, null: bool = False, default: Any = None) -> sa.Column[Any]:
        return sa.Column(name, kind, nullable=null, server_default=default)

    return {
        "reputation_signal": [
            column("instanceId", sa.Text()),
            column("id", sa.Text()),
            column("occurredAt", time),
            column("type", sa.Text()),
            column("severity", sa.Text(), default="LOW"),
            column("source", sa.Text(), default="WEBHOOK"),
            column("context", json, null=True),
            column("messageId", sa.Text(), null=True),
            column("remoteJid", sa.Text(), null=True),
            column("isGroup", sa.Boolean(), default=sa.false()),
            column("latencyMs", sa.Integer(), null=True),
            column("provider", sa.Text(), default=""),
            column("recordedAt", time, default=now),
            column("seq", sa.BigInteger(), default="0"),
            column("traceId", sa.Text(), null=True),
            sa.PrimaryKeyConstraint("instanceId", "id", name="reputation_signal_pkey"),
        ],
        "instance_reputation": [
            column("instanceId", bytewise),
            column("score", sa.Integer(), default="50"),
            column("temperatureLevel", sa.Text(), default="COLD"),
            column("trend", sa.Text(), default="STABLE"),
            column("lastHumanInteractionAt", time, null=True),
            column("lastEvaluatedAt", time, null=True),
            column("cooldownCount", sa.Integer(), default="0"),
            column("createdAt", time, default=now),
            column("updatedAt", time, default=now),
            column("provider", sa.Text(), default=""),
            column("aliases", json, default="[]"),
            column("lastSeq", sa.BigInteger(), default="0"),
            column("lastSignalAt", time, null=True),
            column("connection", sa.Text(), default="UNKNOWN"),
            column("connectionAt", time, null=True),
            column("riskLevel", sa.Text(), default="LOW"),
            column("lifecycle", sa.Text(), default="CREATED"),
            column("cooldownReason", sa.Text(), null=True),
            sa.PrimaryKeyConstraint("instanceId", name="instance_reputation_pkey"),
        ],
        "instance_alias": [
            column("alias", sa.Text()),
            column("instanceId", sa.Text()),
            sa.PrimaryKeyConstraint("alias", name="instance_alias_pkey"),
        ],
        "journal_position": [
            column("sidecarId", sa.Text()),
            column("journal", sa.Text()),
            column("segment", sa.BigInteger()),
            column("offset", sa.BigInteger()),
            column("tally", json),
            sa.PrimaryKeyConstraint("sidecarId", "journal", name="journal_position_pkey"),
        ],
        "signal_gap": [
            column("sidecarId", sa.Text()),
            column("key", sa.Text()),
            column("instanceId", sa.Text(), null=True),
            column("since", time),
            column("until", time),
            column("reason", sa.Text()),
            column("lost", sa.BigInteger()),
            sa.PrimaryKeyConstraint("sidecarId", "key", name="signal_gap_pkey"),
        ],
        "refused_signal": [
            column("instanceId", sa.Text()),
            column("id", sa.Text()),
            column("occurredAt", time),
            column("recordedAt", time),
            column("type", sa.Text()),
            column("source", sa.Text()),
            column("provider", sa.Text()),
            column("reason", sa.Text()),
            sa.PrimaryKeyConstraint("instanceId", "id", name="refused_signal_pkey"),
        ],
    }


def _adopt(on: sa.Connection, table: str, items: list[sa.schema.SchemaItem]) -> None:
    """Add missing columns with their defaults and bring the primary key into form."""
    columns_now = sa.inspect(on).get_columns(table)
    have = {c["name"] for c in columns_now}
    ours = {item.name for item in items if isinstance(item, sa.Column)}
    demanded = [
        c["name"] for c in columns_now if c["name"] not in ours and not c["nullable"] and c["default"] is None
    ]
    if demanded or "instanceId" not in have:
        raise SchemaUnusable(
            f"the table {table} that is there cannot be adopted: "
            + (f"rows need {', '.join(demanded)}, which nothing fills" if demanded else "no column instanceId")
            + "; give those columns a default, or the sidecar a database (or search_path) of its own"
        )
    key = sa.inspect(on).get_pk_constraint(table)
    for item in items:
        if isinstance(item, sa.Column) and item.name not in have:
            op.add_column(table, item)
        elif isinstance(item, sa.Column) and isinstance(item.server_default, sa.DefaultClause):
            # What the reference's ORM fills in itself has no default there; our inserts rely on it.
            op.alter_column(table, item.name, server_default=item.server_default.arg)  # type: ignore[arg-type] # typed wider than given
        elif isinstance(item, sa.PrimaryKeyConstraint):
            columns = list(item.columns.keys()) or [str(c) for c in item._pending_colargs]
            if key["constrained_columns"] != columns:
                if key["name"]:
                    op.drop_constraint(key["name"], table, type_="primary")
                op.create_primary_key(str(key["name"] or item.name), table, columns)
    if table == "instance_reputation":
        op.alter_column(table, "instanceId", type_=sa.Text(collation="C"))


def _number(on: sa.Connection) -> None:
    """Number each instance's rows in the order they are dated; when they arrived, nobody knows."""
    on.execute(
        sa.text("""
        UPDATE reputation_signal AS s SET seq = n.seq, "recordedAt" = s."occurredAt"
        FROM (SELECT "instanceId", id, row_number() OVER (PARTITION BY "instanceId" ORDER BY "occurredAt", id) AS seq
              FROM reputation_signal) AS n
        WHERE s."instanceId" = n."instanceId" AND s.id = n.id""")
    )


def _make_heads(on: sa.Connection) -> None:
    """Give each instance with rows its arrival number and its last known connection."""
    on.execute(
        sa.text("""
        INSERT INTO instance_reputation ("instanceId", "lastSeq", "lastSignalAt", "updatedAt")
        SELECT "instanceId", max(seq), max("occurredAt"), CURRENT_TIMESTAMP FROM reputation_signal GROUP BY 1
        ON CONFLICT ("instanceId") DO UPDATE
        SET "lastSeq" = excluded."lastSeq", "lastSignalAt" = excluded."lastSignalAt" """)
    )
    on.execute(
        sa.text("""
        UPDATE instance_reputation AS r SET "connectionAt" = c."occurredAt", connection =
            CASE c.type WHEN 'CONNECTION_CONNECTED' THEN 'CONNECTED' WHEN 'CONNECTION_DISCONNECTED' THEN 'DISCONNECTED'
            WHEN 'QRCODE_REGENERATED' THEN 'QRCODE' ELSE 'ERROR' END
        FROM (SELECT DISTINCT ON ("instanceId") "instanceId", type, "occurredAt" FROM reputation_signal
              WHERE type IN ('CONNECTION_CONNECTED', 'CONNECTION_DISCONNECTED', 'CONNECTION_ERROR', 'QRCODE_REGENERATED')
              ORDER BY "instanceId", "occurredAt" DESC, seq DESC) AS c
        WHERE c."instanceId" = r."instanceId" """)
    )

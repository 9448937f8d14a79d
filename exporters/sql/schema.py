"""The tables of design section 7, as the newest migration leaves them; for building statements.

Column names are those of the reference implementation (quoted camelCase); what is ours is nullable or has a
default, so that a program reading the tables with the reference's ORM needs no change. Defaults stand in the
migrations only; a test holds both together.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text, text

from exporters.sql.types import EpochMillis, Json

REVISIONS: Final = ("0001", "0002", "0003")
"""Every schema this program knows, oldest first; the last is the one it works with."""

VERSION_TABLE: Final = "reputation_schema"
"""Where the revision stands; not `alembic_version`, which a dispatcher sharing the database may own."""

metadata: Final = MetaData()

BYTEWISE: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text in the order of its code points, the same on both databases and in Python."""

_FORGOTTEN: Final = text('"messageRef" IS NOT NULL')

reputation_signal: Final = Table(
    "reputation_signal",
    metadata,
    Column("instanceId", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("occurredAt", EpochMillis, nullable=False),
    Column("type", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("context", Json),
    Column("messageId", Text),
    Column("remoteJid", Text),
    Column("isGroup", Boolean, nullable=False),
    Column("latencyMs", Integer),
    # Ours:
    Column("provider", Text, nullable=False),
    Column("recordedAt", EpochMillis, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("traceId", Text),
    # Stands for a message id that was forgotten, so that its reports still count as one (domain/forget.py).
    Column("messageRef", Text),
    # Names as the reference's ORM gives them, so that an adopted table has each index once.
    Index("reputation_signal_instanceId_occurredAt_idx", "instanceId", "occurredAt"),
    Index("reputation_signal_instanceId_type_occurredAt_idx", "instanceId", "type", "occurredAt"),
    Index("reputation_signal_instanceId_source_occurredAt_idx", "instanceId", "source", "occurredAt"),
    Index("reputation_signal_instanceId_messageId_idx", "instanceId", "messageId"),
    Index("reputation_signal_instanceId_seq_idx", "instanceId", "seq"),
    Index(
        "reputation_signal_instanceId_messageRef_idx",
        "instanceId",
        "messageRef",
        postgresql_where=_FORGOTTEN,
        sqlite_where=_FORGOTTEN,
    ),
)
"""The facts, insert-only; forgetting blanks ids."""

instance_reputation: Final = Table(
    "instance_reputation",
    metadata,
    Column("instanceId", BYTEWISE, primary_key=True),
    Column("score", Integer, nullable=False),
    Column("temperatureLevel", Text, nullable=False),
    Column("trend", Text, nullable=False),
    Column("lastHumanInteractionAt", EpochMillis),
    Column("lastEvaluatedAt", EpochMillis),
    Column("cooldownCount", Integer, nullable=False),
    Column("createdAt", EpochMillis, nullable=False),
    Column("updatedAt", EpochMillis, nullable=False),
    # Ours, written by recording:
    Column("provider", Text, nullable=False),
    Column("aliases", Json, nullable=False),
    Column("lastSeq", BigInteger, nullable=False),
    Column("lastSignalAt", EpochMillis),
    Column("connection", Text, nullable=False),
    Column("connectionAt", EpochMillis),
    # Ours, written by evaluation:
    Column("riskLevel", Text, nullable=False),
    Column("lifecycle", Text, nullable=False),
    Column("cooldownReason", Text),
    Column("cooldownStartedAt", EpochMillis),
    Column("stateAt", EpochMillis),
    Column("stateSeq", BigInteger, nullable=False),
    Column("stateActions", BigInteger, nullable=False),
    Column("stateVersion", BigInteger, nullable=False),
    Column("stateSetting", Text),
    Column("state", Text),
    Column("dueAt", EpochMillis),
    Index("instance_reputation_dueAt_idx", "dueAt"),
)
"""One row an instance: what recording must know of it, and the preview of its reputation. Its row lock orders
the batches of several sidecars."""

instance_alias: Final = Table(
    "instance_alias",
    metadata,
    Column("alias", Text, primary_key=True),
    Column("instanceId", Text, nullable=False),
)
"""Which instance another name means; the newest claim wins. An addition to design section 7."""

journal_position: Final = Table(
    "journal_position",
    metadata,
    Column("sidecarId", Text, primary_key=True),
    Column("journal", Text, primary_key=True),
    Column("segment", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("tally", Json, nullable=False),
)
"""How far each journal folder of each sidecar was recorded; `tally` is what became of its facts."""

signal_gap: Final = Table(
    "signal_gap",
    metadata,
    Column("sidecarId", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("instanceId", Text),
    Column("since", EpochMillis, nullable=False),
    Column("until", EpochMillis, nullable=False),
    Column("reason", Text, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Index("signal_gap_until_idx", "until"),
)
"""Accounted losses; `instanceId` null: which instances is unknown."""

refused_signal: Final = Table(
    "refused_signal",
    metadata,
    Column("instanceId", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("occurredAt", EpochMillis, nullable=False),
    Column("recordedAt", EpochMillis, nullable=False),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Facts whose content the database refused, without that content. An addition to design section 7."""

reputation_checkpoint: Final = Table(
    "reputation_checkpoint",
    metadata,
    Column("instanceId", Text, primary_key=True),
    Column("at", EpochMillis, primary_key=True),
    Column("base", Boolean, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("actions", BigInteger, nullable=False),
    Column("setting", Text, nullable=False),
    Column("state", Text, nullable=False),
)
"""Past states of the fold to resume from; `base` stands at the retention edge."""

operator_action: Final = Table(
    "operator_action",
    metadata,
    Column("instanceId", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", EpochMillis, nullable=False),
    Index("operator_action_instanceId_at_idx", "instanceId", "at"),
)
"""What operators did, insert-only. An addition to design section 7."""

reputation_decision: Final = Table(
    "reputation_decision",
    metadata,
    Column("instanceId", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("evaluatedAt", EpochMillis, nullable=False),
    Column("recordedAt", EpochMillis, nullable=False),
    Column("arrival", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ruleSet", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("actions", BigInteger, nullable=False),
    Column("supersedes", Text),
    Column("body", Text, nullable=False),
    Index("reputation_decision_instanceId_evaluatedAt_arrival_idx", "instanceId", "evaluatedAt", "arrival"),
    Index("reputation_decision_instanceId_arrival_idx", "instanceId", "arrival"),
    Index("reputation_decision_id_idx", "id"),
)
"""Decisions with their evidence, insert-only. `body` is text, not JSON: it comes back byte for byte."""

"""The questions evaluation asks, each put once a key: one search of an index with a bounded answer.

SQLite lives in this process, a question costs a few microseconds there. PostgreSQL is a round trip away: the
driver sends a question for all keys before it waits for the first answer. Each names one instance, as Citus
wants it. Keys as arrays into a LATERAL join were a quarter slower (ADR 0022).
"""

from typing import Final, NamedTuple

from sqlalchemy import Dialect

from exporters.sql.compiled import insert, insert_new, names, upsert
from exporters.sql.schema import (
    instance_reputation,
    operator_action,
    reputation_checkpoint,
    reputation_decision,
)

REPORTS_MAX: Final = 1000
"""Facts of one message: 3 sources times 13 types, and ordinals; the bound also keeps the planner from turning
the lookup into a scan."""

STATE_COLUMNS: Final = (
    "score", "temperatureLevel", "trend", "lastHumanInteractionAt", "lastEvaluatedAt", "cooldownCount",
    "updatedAt", "riskLevel", "lifecycle", "cooldownReason", "cooldownStartedAt", "stateAt", "stateSeq",
    "stateActions", "stateVersion", "stateSetting", "state", "dueAt",
)  # fmt: skip
"""What saving a state writes, besides the key, in the table's order."""


class PerKey(NamedTuple):
    """A question for one key, for each database."""

    sqlite: str
    postgresql: str


_FACT: Final = """t."instanceId", t.id, t.seq, t.type, t.source, t."occurredAt",
    COALESCE(t."messageId", t."messageRef"), t."isGroup", t."latencyMs" """
_STATE: Final = """t."instanceId", t."stateAt", t."stateSeq", t."stateActions", t."dueAt", t."stateVersion",
    t."stateSetting", t.state, t.score, t."temperatureLevel", t.trend, t."riskLevel", t.lifecycle,
    t."cooldownReason", t."cooldownStartedAt", t."cooldownCount", t."lastHumanInteractionAt",
    t."lastEvaluatedAt" """


def _per_key(question: str) -> PerKey:
    """Make both forms; `{0}` stands for each part of a key, the instance first, and for a limit behind it."""
    return PerKey(*(question.format(mark, fact=_FACT, state=_STATE) for mark in ("?", "%s")))


SAVED: Final = _per_key(
    'SELECT {state} FROM instance_reputation AS t WHERE t."instanceId" = {0} AND t.state IS NOT NULL',
)
LAST_SEQS: Final = _per_key(
    'SELECT t."instanceId", t."lastSeq" FROM instance_reputation AS t '
    'WHERE t."instanceId" = {0} AND t."lastSeq" > 0',
)
ARRIVALS: Final = _per_key(
    'SELECT {fact} FROM reputation_signal AS t WHERE t."instanceId" = {0} AND t.seq > {0} '
    "ORDER BY t.seq LIMIT {0}",
)
FACTS: Final = _per_key(
    'SELECT {fact} FROM reputation_signal AS t WHERE t."instanceId" = {0} '
    'AND t."occurredAt" BETWEEN {0} AND {0} AND t.seq <= {0} ORDER BY t."occurredAt", t.seq LIMIT {0}',
)
REPORTS: Final = PerKey(
    f"""SELECT {_FACT} FROM
    (SELECT json_extract(value, '$[0]') AS a, json_extract(value, '$[1]') AS b FROM json_each(?)) AS k
    CROSS JOIN reputation_signal AS t ON t."instanceId" = k.a AND t."messageId" = k.b LIMIT ?""",  # noqa: S608 - our own constant
    f"""SELECT s.* FROM unnest(%s::text[]) AS k(b) CROSS JOIN LATERAL (
    SELECT {_FACT} FROM reputation_signal AS t WHERE t."instanceId" = %s AND t."messageId" = k.b LIMIT %s
    ) AS s""",  # noqa: S608 - our own constant
)
"""For many messages at once: on SQLite pairs as JSON, on PostgreSQL those of one instance as an array."""

REPORT_KEYS_MAX: Final = 1000
"""Messages asked for at once."""

FORGOTTEN_REPORTS: Final = _per_key(
    'SELECT {fact} FROM reputation_signal AS t WHERE t."instanceId" = {0} AND t."messageRef" = {0} LIMIT {0}',
)
ACTIONS: Final = _per_key(
    'SELECT t."instanceId", t.id, t.seq, t.kind, t.at FROM operator_action AS t WHERE t."instanceId" = {0} '
    "AND t.at BETWEEN {0} AND {0} AND t.seq <= {0}",
)
DECIDED: Final = _per_key(
    'SELECT t."instanceId", t.id FROM reputation_decision AS t WHERE t."instanceId" = {0} AND t.id = {0}',
)
LAST_DECISIONS: Final = _per_key(
    'SELECT t."instanceId", t.arrival FROM reputation_decision AS t WHERE t."instanceId" = {0} '
    "ORDER BY t.arrival DESC LIMIT 1",
)


class HealthStatements(NamedTuple):
    """What evaluation writes, a row a statement; parameters in the order of the named columns.

    Attributes:
        save_state: instance id, `STATE_COLUMNS`.
        save_checkpoint, insert_action, insert_decision: all columns of their tables.
    """

    save_state: str
    save_checkpoint: str
    insert_action: str
    insert_decision: str


def health_statements(dialect: Dialect) -> HealthStatements:
    """Compile the statements for one database."""
    key, *rest = names(reputation_checkpoint)
    return HealthStatements(
        upsert(dialect, instance_reputation, ("instanceId",), STATE_COLUMNS),
        upsert(dialect, reputation_checkpoint, (key, *rest[:2]), tuple(rest[2:])),
        insert_new(dialect, operator_action, names(operator_action)),
        insert(dialect, reputation_decision, names(reputation_decision)),
    )

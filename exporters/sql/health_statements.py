"""The questions evaluation asks, each put for many keys at once.

SQLite lives in this process: a question costs a few microseconds, so it is put once a key. PostgreSQL is a
round trip away: the keys travel as arrays and the same question stands in a LATERAL join. Either way each key
is one search of an index with a bounded answer.
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
    """A question for one key, and the same for arrays of keys."""

    sqlite: str
    postgresql: str


_FACT: Final = """t."instanceId", t.id, t.seq, t.type, t.source, t."occurredAt",
    COALESCE(t."messageId", t."messageRef"), t."isGroup", t."latencyMs" """
_STATE: Final = """t."instanceId", t."stateAt", t."stateSeq", t."stateActions", t."dueAt", t."stateVersion",
    t."stateSetting", t.state, t.score, t."temperatureLevel", t.trend, t."riskLevel", t.lifecycle,
    t."cooldownReason", t."cooldownStartedAt", t."cooldownCount", t."lastHumanInteractionAt",
    t."lastEvaluatedAt" """
_ARRAYS: Final = "SELECT s.* FROM unnest({arrays}) AS k({parts}) CROSS JOIN LATERAL ({question}) AS s"


def _per_key(question: str, *types: str) -> PerKey:
    """Make both forms; `{0}`, `{1}` ... stand for the parts of a key, `{limit}` for a number behind them."""
    count = len(types)
    one = [f"?{n + 1}" for n in range(count)]
    parts = [f"k{n}" for n in range(count)]
    each = question.format(*(f"k.{part}" for part in parts), limit="%s", fact=_FACT, state=_STATE)
    return PerKey(
        question.format(*one, limit=f"?{count + 1}", fact=_FACT, state=_STATE),
        _ARRAYS.format(
            arrays=", ".join(f"%s::{name}[]" for name in types), parts=", ".join(parts), question=each
        ),
    )


SAVED: Final = _per_key(
    'SELECT {state} FROM instance_reputation AS t WHERE t."instanceId" = {0} AND t.state IS NOT NULL',
    "text",
)
LAST_SEQS: Final = _per_key(
    'SELECT t."instanceId", t."lastSeq" FROM instance_reputation AS t '
    'WHERE t."instanceId" = {0} AND t."lastSeq" > 0',
    "text",
)
ARRIVALS: Final = _per_key(
    'SELECT {fact} FROM reputation_signal AS t WHERE t."instanceId" = {0} AND t.seq > {1} '
    "ORDER BY t.seq LIMIT {limit}",
    "text",
    "bigint",
)
FACTS: Final = _per_key(
    'SELECT {fact} FROM reputation_signal AS t WHERE t."instanceId" = {0} '
    'AND t."occurredAt" BETWEEN {1} AND {2} AND t.seq <= {3} ORDER BY t."occurredAt", t.seq LIMIT {limit}',
    "text",
    "timestamp",
    "timestamp",
    "bigint",
)
REPORTS: Final = _per_key(
    'SELECT {fact} FROM reputation_signal AS t WHERE t."instanceId" = {0} AND t."messageId" = {1} '
    "LIMIT {limit}",
    "text",
    "text",
)
REPORTS_TOGETHER: Final = f"""SELECT {_FACT} FROM
    (SELECT json_extract(value, '$[0]') AS a, json_extract(value, '$[1]') AS b FROM json_each(?)) AS k
    CROSS JOIN reputation_signal AS t ON t."instanceId" = k.a AND t."messageId" = k.b LIMIT ?"""  # noqa: S608 - our own constant
"""The same for many messages at once, on SQLite; the keys as JSON."""

REPORT_KEYS_MAX: Final = 1000
"""Messages asked for at once."""

FORGOTTEN_REPORTS: Final = _per_key(
    'SELECT {fact} FROM reputation_signal AS t WHERE t."instanceId" = {0} AND t."messageRef" = {1} '
    "LIMIT {limit}",
    "text",
    "text",
)
ACTIONS: Final = _per_key(
    'SELECT t."instanceId", t.id, t.seq, t.kind, t.at FROM operator_action AS t WHERE t."instanceId" = {0} '
    "AND t.at BETWEEN {1} AND {2} AND t.seq <= {3}",
    "text",
    "timestamp",
    "timestamp",
    "bigint",
)
DECIDED: Final = _per_key(
    'SELECT t."instanceId", t.id FROM reputation_decision AS t WHERE t."instanceId" = {0} AND t.id = {1}',
    "text",
    "text",
)
LAST_DECISIONS: Final = _per_key(
    'SELECT t."instanceId", t.arrival FROM reputation_decision AS t WHERE t."instanceId" = {0} '
    "ORDER BY t.arrival DESC LIMIT 1",
    "text",
)


class HealthStatements(NamedTuple):
    """What evaluation writes; parameters in the order of the named columns.

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

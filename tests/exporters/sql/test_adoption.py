"""Tables made by the reference implementation's ORM are adopted where they are."""

from collections.abc import Callable

import pytest

from domain.record_signal import RecordReputationSignal
from domain.timeline import TimelineQuery
from domain.words import Connection, SignalType, Source
from exporters.sql.migrate import SchemaUnusable
from exporters.sql.store import SqlStore
from tests.builders import exchange, journal_slice, redacted_signal
from tests.postgres import execute

pytestmark = pytest.mark.postgres

T0 = 1_700_000_000_000

SIGNALS = """
CREATE TABLE "reputation_signal" (
    "id" TEXT NOT NULL,
    "instanceId" TEXT NOT NULL,
    "occurredAt" TIMESTAMP(3) NOT NULL,
    "type" TEXT NOT NULL,
    "severity" TEXT NOT NULL DEFAULT 'LOW',
    "source" TEXT NOT NULL DEFAULT 'WEBHOOK',
    "context" JSONB,
    "messageId" TEXT,
    "remoteJid" TEXT,
    "isGroup" BOOLEAN NOT NULL DEFAULT false,
    "latencyMs" INTEGER,
    CONSTRAINT "reputation_signal_pkey" PRIMARY KEY ("id")
)"""
SIGNAL_INDEXES = (
    """CREATE INDEX "reputation_signal_instanceId_occurredAt_idx"
    ON "reputation_signal"("instanceId", "occurredAt")""",
    """CREATE INDEX "reputation_signal_instanceId_type_occurredAt_idx"
    ON "reputation_signal"("instanceId", "type", "occurredAt")""",
)
REPUTATIONS = """
CREATE TABLE "instance_reputation" (
    "instanceId" TEXT NOT NULL,
    "score" INTEGER NOT NULL,
    "temperatureLevel" TEXT NOT NULL,
    "trend" TEXT NOT NULL,
    "lastHumanInteractionAt" TIMESTAMP(3),
    "lastEvaluatedAt" TIMESTAMP(3),
    "cooldownCount" INTEGER NOT NULL DEFAULT 0,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,
    CONSTRAINT "instance_reputation_pkey" PRIMARY KEY ("instanceId")
)"""
ROWS = """
INSERT INTO "reputation_signal"
    ("id", "instanceId", "occurredAt", "type", "source", "messageId", "context") VALUES
    ('c', 'sales-1', '2023-11-14 22:13:20.500', 'CONNECTION_DISCONNECTED', 'PROVIDER', NULL, NULL),
    ('a', 'sales-1', '2023-11-14 22:13:20.100', 'MESSAGE_SENT', 'DISPATCH', 'M1', '{"action": "SEND"}'),
    ('b', 'sales-1', '2023-11-14 22:13:20.100', 'CONNECTION_CONNECTED', 'PROVIDER', NULL, NULL),
    ('a2', 'sales-2', '2023-11-14 22:13:21.000', 'MESSAGE_SENT', 'DISPATCH', 'M1', NULL)"""
REPUTATION_ROWS = """
INSERT INTO "instance_reputation" ("instanceId", "score", "temperatureLevel", "trend", "updatedAt")
    VALUES ('sales-1', 72, 'WARM', 'UP', '2023-11-14 22:00:00')"""

REFERENCE_READS = """
SELECT "id", "instanceId", "occurredAt", "type", "severity", "source", "context", "messageId", "remoteJid",
    "isGroup", "latencyMs"
FROM "reputation_signal" WHERE "instanceId" = 'sales-1' ORDER BY "occurredAt", "id" """
REFERENCE_WRITES = """
INSERT INTO "reputation_signal" ("id", "instanceId", "occurredAt", "type", "severity", "source", "isGroup")
    VALUES ('z', 'sales-1', '2023-11-14 23:00:00', 'MESSAGE_READ', 'LOW', 'WEBHOOK', false)"""


def everything(instance_id: str) -> TimelineQuery:
    """Ask for all of an instance's time."""
    return TimelineQuery(instance_id, 0, 2 * T0)


def test_the_references_tables_become_ours_and_keep_serving_it(
    database_url: str, open_store: Callable[..., SqlStore]
) -> None:
    """Rows are numbered by date, heads made, the key replaced; the reference reads and writes as before."""
    execute(database_url, SIGNALS, *SIGNAL_INDEXES, REPUTATIONS, ROWS, REPUTATION_ROWS)
    before = execute(database_url, REFERENCE_READS)

    store = open_store(database_url)

    adopted = store.timeline(everything("sales-1")).signals
    assert [(row.id, row.seq, row.recorded_at - row.occurred_at) for row in adopted] == [
        ("a", 1, 0),
        ("b", 2, 0),
        ("c", 3, 0),
    ]
    assert adopted[0].context == {"action": "SEND"}
    assert adopted[2].context == {}
    with store.recording() as recording:
        heads = recording.lock(["sales-1", "sales-2"])
        assert recording.known([("sales-1", "a"), ("sales-2", "a")]) == {("sales-1", "a")}
        assert recording.first_sent([("sales-1", "M1")]) == {("sales-1", "M1"): T0 + 100}
    assert (heads["sales-1"].last_seq, heads["sales-2"].last_seq) == (3, 1)
    assert heads["sales-1"].connection is Connection.DISCONNECTED
    assert heads["sales-1"].connection_at == T0 + 500
    assert [(one.instance_id, one.score) for one in store.instances(None, 10)] == [
        ("sales-1", 72),
        ("sales-2", 50),
    ]
    assert execute(database_url, REFERENCE_READS) == before
    execute(database_url, REFERENCE_WRITES)
    assert [row.id for row in store.timeline(everything("sales-1")).signals] == ["a", "b", "c", "z"]


def test_recording_goes_on_behind_the_adopted_rows(
    database_url: str, open_store: Callable[..., SqlStore]
) -> None:
    """The next arrival number follows, and a delivery finds the send the reference recorded."""
    execute(database_url, SIGNALS, *SIGNAL_INDEXES, REPUTATIONS, ROWS)
    store = open_store(database_url)
    delivered = redacted_signal(
        "M1", T0 + 350, SignalType.MESSAGE_DELIVERED, source=Source.WEBHOOK, message_id="M1"
    )

    recorded = RecordReputationSignal(store)([journal_slice(exchange(delivered), offset=1)], T0)

    assert [(row.seq, row.latency_ms) for row in recorded.signals] == [(4, 250)]


def test_an_adopted_database_has_the_schema_of_a_fresh_one(
    database_url: str, server_url: str, open_store: Callable[..., SqlStore]
) -> None:
    """Columns, keys and indexes are the same, each index once, whichever way the tables came to be."""
    described = """
        SELECT table_name, column_name, data_type, datetime_precision, is_nullable
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"""
    indexes = (
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
    )
    open_store(database_url).close()
    fresh = execute(database_url, described), execute(database_url, indexes)
    execute(database_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    execute(database_url, SIGNALS, *SIGNAL_INDEXES, REPUTATIONS, ROWS, REPUTATION_ROWS)

    open_store(database_url)

    assert (execute(database_url, described), execute(database_url, indexes)) == fresh


def test_a_table_of_another_program_is_left_alone(
    database_url: str, open_store: Callable[..., SqlStore]
) -> None:
    """What cannot be adopted is refused by name, and nothing is changed."""
    execute(database_url, REPUTATIONS.replace('"score"', '"companyId" TEXT NOT NULL, "score"'))

    with pytest.raises(SchemaUnusable, match="companyId"):
        open_store(database_url)

    tables = execute(database_url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert tables == [("instance_reputation",)]

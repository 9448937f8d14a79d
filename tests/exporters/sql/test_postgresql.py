"""What only PostgreSQL can show: several sidecars at once, lost connections, its own refusals and plans."""

from collections.abc import Callable

import pytest

from domain.errors import StoreUnavailable
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import setting_of
from domain.health_ports import DecisionQuery
from domain.past import fold_all
from domain.record_signal import RecordReputationSignal
from domain.recorded import Progress
from domain.resume import saved_from_text
from domain.timeline import PageKey, TimelineQuery
from exporters.sql.engine import parse_url
from exporters.sql.reading import _page
from exporters.sql.store import SqlStore
from exporters.sql.types import to_timestamp
from tests.builders import exchange, journal_slice, recorded_signal, redacted_signal
from tests.exporters.sql.processes import result, start
from tests.exporters.sql.test_routed import spread_by_citus
from tests.postgres import execute

pytestmark = pytest.mark.postgres

T0 = 1_700_000_000_000
INSTANCES = 6
BATCHES = 40

RECORDER = """
import json, random, sys
from domain.record_signal import RecordReputationSignal
from exporters.sql.store import SqlStore
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import setting_of
from domain.words import SignalType
from tests.builders import exchange, journal_slice, redacted_signal

url, name, instances, batches = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = SqlStore(url, sidecar_id=name)
store.open()
record = RecordReputationSignal(store)
evaluate = EvaluateInstanceHealth(store, setting_of(1_800_000))
kinds = [SignalType.MESSAGE_SENT, SignalType.MESSAGE_FAILED, SignalType.CONNECTION_DISCONNECTED]
pick = random.Random(name)
recorded = repeated = evaluated = 0
for batch in range(batches):
    now = 1_700_000_000_000 + batch * 60_000
    touched = pick.sample(range(instances), 4)  # in no order: the store must bring them into one
    facts = [
        # Half of the facts are reported to both sidecars.
        redacted_signal(f"{'both' if n % 2 else name}-{batch}-{n}", now, kinds[n],
                        instance_id=f"number-{instance}", alias=f"alias-{pick.randrange(5)}")
        for instance in touched for n in range(3)
    ]
    read = journal_slice(exchange(*facts, exchange_id=f"{name}-{batch}"), offset=batch)
    done = record([read], now)
    evaluated += len(evaluate.touched(done.signals, now))
    recorded += len(done.signals)
    repeated += sum(done.repeated.values())
store.close()
print(json.dumps([recorded, repeated, evaluated]))
"""


@pytest.mark.slow  # two processes record and evaluate forty batches each
@pytest.mark.parametrize("spread", [False, True])
def test_two_sidecars_on_the_same_instances_neither_deadlock_nor_show_a_hole(
    database_url: str, open_store: Callable[..., SqlStore], *, spread: bool
) -> None:
    """Arrival numbers are dense at every moment, each shared fact is stored once, one evaluates at a time."""
    open_store(database_url).close()
    if spread:
        spread_by_citus(database_url, "instance_reputation")

    processes = [start(RECORDER, database_url, name, str(INSTANCES), str(BATCHES)) for name in ("s1", "s2")]
    looks = 0
    while any(process.poll() is None for process in processes):
        holes = execute(
            database_url,
            'SELECT "instanceId", max(seq), count(*) FROM reputation_signal '
            "GROUP BY 1 HAVING max(seq) <> count(*)",
        )
        assert holes == []
        looks += 1
    tallies = [result(process) for process in processes]

    assert looks > 1
    stored = execute(
        database_url, 'SELECT count(*), count(DISTINCT ("instanceId", id)) FROM reputation_signal'
    )
    recorded = sum(tally[0] for tally in tallies)  # type: ignore[index] # the script prints two numbers
    repeated = sum(tally[1] for tally in tallies)  # type: ignore[index] # as above
    assert recorded + repeated == 2 * BATCHES * 4 * 3
    assert repeated > 0
    assert stored == [(recorded, recorded)]
    heads = execute(
        database_url,
        'SELECT r."instanceId" FROM instance_reputation r WHERE r."lastSeq" <> '
        '(SELECT max(seq) FROM reputation_signal s WHERE s."instanceId" = r."instanceId")',
    )
    assert heads == []
    evaluated_in_turns(open_store(database_url), sum(tally[2] for tally in tallies))  # type: ignore[index] # as above


def evaluated_in_turns(store: SqlStore, evaluations: int) -> None:
    """Assert that no evaluation overwrote another, and that together they came to the one right result."""
    now = T0 + BATCHES * 60_000
    setting = setting_of(1_800_000)
    EvaluateInstanceHealth(store, setting).due(now)  # what the last to record may have left to the other
    names = [summary.instance_id for summary in store.instances(None, 100)]
    with store.reading() as reading:
        saved = reading.saved(names)
        for name in names:
            scratch = fold_all(reading, name, now, setting).state
            assert saved_from_text(saved[name].state).state == scratch
            decisions = reading.decisions(DecisionQuery(name, 0, 2 * T0, 1000)).decisions
            assert sorted(row.arrival for row in decisions) == list(range(1, len(decisions) + 1))
            assert len({row.id for row in decisions}) == len(decisions)
    assert len(names) == INSTANCES
    assert evaluations <= sum(row.version for row in saved.values()) <= evaluations + INSTANCES


def cut_connections(url: str) -> None:
    """End every connection of the store, as a restarted server would."""
    cut = execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'reputation-sidecar' AND datname = current_database()",
    )
    assert cut


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("when", ["before a look-up", "before the position", "before the commit"])
def test_a_connection_cut_inside_a_batch_records_nothing_and_the_next_try_all(
    database_url: str, open_store: Callable[..., SqlStore], when: str, *, routed: bool
) -> None:
    """The batch fails as unavailable, leaves no trace, and succeeds unchanged when tried again."""
    store = open_store(database_url, routed=routed)

    def batch(*, cut: bool) -> None:
        with store.recording() as recording:
            heads = recording.lock(["sales-1"])
            if cut and when == "before a look-up":
                cut_connections(database_url)
            recording.known([("sales-1", "sales-1#1")])
            recording.append([recorded_signal(1, T0)])
            recording.save_heads([heads["sales-1"]._replace(last_seq=1)])
            if cut and when == "before the position":
                cut_connections(database_url)
            recording.advance([Progress("w0", 1, 7)], [])
            if cut and when == "before the commit":
                cut_connections(database_url)

    with pytest.raises(StoreUnavailable):
        batch(cut=True)
    after_the_cut = (store.progress(), store.timeline(TimelineQuery("sales-1", 0, 2 * T0)).signals)
    batch(cut=False)

    assert after_the_cut == ({}, [])
    assert store.progress() == {"w0": Progress("w0", 1, 7)}
    assert len(store.timeline(TimelineQuery("sales-1", 0, 2 * T0)).signals) == 1


def test_reading_goes_on_by_itself_after_the_server_cut_every_connection(
    database_url: str, open_store: Callable[..., SqlStore]
) -> None:
    """No reader sees the pool's dead connections."""
    store = open_store(database_url)
    assert store.instances(None, 10) == []

    cut_connections(database_url)

    assert store.instances(None, 10) == []


def test_a_server_that_is_not_there_is_unavailable_and_named_without_the_password() -> None:
    """Opening fails within the connect timeout, says where, and keeps the password to itself."""
    store = SqlStore("postgresql://user:geheim@127.0.0.1:1/none", sidecar_id="s1")

    with pytest.raises(StoreUnavailable) as refused:
        store.open()

    assert "127.0.0.1" in str(refused.value)
    assert "geheim" not in str(refused.value)
    store.close()


def test_a_nul_in_a_context_is_set_aside_with_its_reason_and_without_its_content(
    database_url: str, open_store: Callable[..., SqlStore]
) -> None:
    """PostgreSQL's jsonb refuses U+0000; the fact shows as refused, its content nowhere."""
    store = open_store(database_url)
    facts = exchange(
        redacted_signal("M1", T0),
        redacted_signal("M2", T0, context={"endpoint": "secret\x00"}),
        redacted_signal("M3", T0),
    )

    recorded = RecordReputationSignal(store)([journal_slice(facts, offset=1)], T0)

    assert [row.seq for row in recorded.signals] == [1, 3]
    aside = execute(database_url, 'SELECT "instanceId", type, reason FROM refused_signal')
    assert aside == [("sales-1", "MESSAGE_SENT", "UntranslatableCharacter")]


def test_times_are_stored_without_zone_in_utc_whatever_the_server_thinks(
    database_url: str, open_store: Callable[..., SqlStore]
) -> None:
    """A reader of the reference's ORM sees UTC, milliseconds included."""
    name = parse_url(database_url).database
    execute(database_url, f"ALTER DATABASE {name} SET timezone = 'America/Sao_Paulo'")
    store = open_store(database_url)
    RecordReputationSignal(store)([journal_slice(exchange(redacted_signal("M1", T0 + 123)), offset=1)], T0)

    rows = execute(
        database_url,
        """SELECT s."occurredAt"::text, pg_typeof(s."occurredAt")::text,
            abs(extract(epoch FROM r."createdAt" - (now() AT TIME ZONE 'UTC'))) < 60
        FROM reputation_signal s, instance_reputation r""",
    )

    assert rows == [("2023-11-14 22:13:20.123", "timestamp without time zone", True)]


def fill(url: str) -> None:
    """Put 40 000 rows of 20 instances into a store: enough that a plan matters."""
    execute(
        url,
        """INSERT INTO reputation_signal ("instanceId", id, "occurredAt", type, severity, source, context,
               "messageId", seq)
           SELECT 'number-' || n % 20, 'id-' || n, to_timestamp(1700000000 + n) AT TIME ZONE 'UTC',
               'MESSAGE_SENT', 'LOW', 'DISPATCH', '{}', 'M' || n, n FROM generate_series(1, 40000) AS n""",
        'INSERT INTO instance_reputation ("instanceId") SELECT DISTINCT "instanceId" FROM reputation_signal',
        "SELECT pg_stat_force_next_flush()",  # not when this connection ends, after a reset
        "SELECT 1",
    )


@pytest.fixture
def filled(database_url: str, open_store: Callable[..., SqlStore]) -> SqlStore:
    """Give a filled store, with statistics."""
    store = open_store(database_url)
    fill(database_url)
    execute(database_url, "ANALYZE")
    return store


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("after", [None, PageKey(T0 + 20_000_000, 20_000)])
def test_a_page_is_one_search_of_the_index_by_instance_and_date(
    filled: SqlStore, after: PageKey | None, *, descending: bool
) -> None:
    """No scan of the table, and no sort of more than rows of an equal date."""
    query = TimelineQuery(
        "number-3", T0 + 10_000_000, T0 + 30_000_000, descending=descending, limit=50, after=after
    )
    compiled = _page(query).compile(filled._reader)
    values = [
        to_timestamp(compiled.params[name]) if name.startswith("occurredAt") else compiled.params[name]
        for name in compiled.positiontup or ()
    ]

    with filled._reader.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN {compiled}", tuple(values)).scalars()
        plan = "\n".join(rows)

    assert "reputation_signal_instanceId_occurredAt_idx" in plan
    assert "Seq Scan" not in plan
    assert "Sort" not in plan or "Presorted Key" in plan


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("analysed", [False, True])
def test_lookups_of_recording_and_retention_search_indexes(
    database_url: str, open_store: Callable[..., SqlStore], *, routed: bool, analysed: bool
) -> None:
    """Known ids, first sends and old rows are found without reading the table, or all of an instance.

    For the first two that holds from the first row on, before the server knows what is in the table.
    """
    open_store(database_url).close()
    fill(database_url)
    execute(database_url, "ANALYZE" if analysed else "SELECT 1", "SELECT pg_stat_reset()")
    store = open_store(database_url, routed=routed)

    with store.recording() as recording:
        recording.known([(f"number-{n % 20}", f"id-{n}") for n in range(1, 500)])
        sent = recording.first_sent([(f"number-{n % 20}", f"M{n}") for n in range(1, 500)])
    dropped = store.drop_before(T0 + 100_000, 500) if analysed else 0
    store.close()

    assert len(sent) == 499
    assert dropped == (99 if analysed else 0)
    scans = (
        "SELECT seq_scan, (SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes AS i"
        " WHERE i.relid = t.relid) FROM pg_stat_user_tables AS t WHERE relname = 'reputation_signal'"
    )
    [(whole, entries)] = execute(database_url, "SELECT pg_stat_force_next_flush()", scans)
    assert whole == 0
    # Each of 499 ids is looked up, each of 499 messages, each old row is seen and then deleted; where
    # instances are walked one by one, each of the 20 shows its oldest row first.
    assert entries == 499 + 499 + 2 * dropped + (20 if routed and analysed else 0)


def test_rows_of_the_oldest_supported_type_of_url_open_the_same_database(database_url: str) -> None:
    """`postgres://`, as hosting providers write it, is taken as `postgresql://`."""
    store = SqlStore(database_url.replace("postgresql", "postgres", 1), sidecar_id="s1")

    assert store.open() != []
    store.close()

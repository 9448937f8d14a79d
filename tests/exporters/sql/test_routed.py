"""Statements as Citus wants them: on a table it spreads, each names one instance. Shown on plain PostgreSQL.

Citus itself is not run here: what its documentation and its planner's sources refuse is written down as a
rule (docs/operations-databases.md, ADR 0022), and every statement the store sends is held against it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from domain.forget import ForgetPersonalIds
from domain.record_signal import RecordReputationSignal
from domain.timeline import PageKey, TimelineQuery
from exporters.sql.schema import metadata
from exporters.sql.store import SqlStore
from tests.builders import exchange, journal_slice, redacted_signal
from tests.exporters.sql.test_health_on_databases import INSTANCES, T0, play, story
from tests.postgres import execute

pytestmark = pytest.mark.postgres

LOCAL = {"journal_position", "signal_gap", "instance_alias", "reputation_schema"}
"""Left on the coordinator by the documented set-up."""
SPREAD = {table.name for table in metadata.sorted_tables} - LOCAL

OVER_ALL = {"instance_reputation", "reputation_decision"}
"""What is read over all instances at once, plainly: pages of instances, a decision by its id alone."""

Sent = tuple[str, Sequence[Any]]

_READS_ALL = re.compile(r"^SELECT (?:(?!FOR UPDATE|JOIN|LATERAL|unnest|\bWITH\b).)*$", re.DOTALL)
_COLUMNS = re.compile(r"^INSERT INTO \w+ \((.*?)\) VALUES \((.*?)\)(?: ON CONFLICT|$)", re.DOTALL)
_TABLES = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO|COPY)\s+(\w+)")
_EQUAL = re.compile(r'"instanceId" = %s')


class Capturing(psycopg.Cursor[Any]):
    """Tells what is sent, with its parameters, before it is."""

    sent: list[Sent]

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
        """Tell, then send."""
        self.sent.append((str(query), params or ()))
        return super().execute(query, params, **kwargs)

    def executemany(self, query: Any, params_seq: Iterable[Any], **kwargs: Any) -> None:
        """Tell each, then send."""
        sets = list(params_seq)
        self.sent += [(str(query), params) for params in sets]
        super().executemany(query, sets, **kwargs)

    @contextmanager
    def copy(self, statement: Any, params: Any = None, **kwargs: Any) -> Iterator[Any]:
        """Tell, then copy."""
        self.sent.append((str(statement), ()))
        with super().copy(statement, params, **kwargs) as copy:
            yield copy


@pytest.fixture
def captured(
    migrated_url: Callable[[str], str], open_store: Callable[..., SqlStore]
) -> Callable[[bool], tuple[SqlStore, list[Sent]]]:
    """Open a store whose statements are kept: `captured(routed)`."""

    def opening(routed: bool) -> tuple[SqlStore, list[Sent]]:
        sent: list[Sent] = []
        kind = type("Capturing", (Capturing,), {"sent": sent})
        store = open_store(migrated_url("postgresql"), routed=routed)
        for engine in (store._writer, store._reader):
            engine.dispose()
            event.listen(engine, "connect", lambda made, _: setattr(made, "cursor_factory", kind))
        return store, sent

    return opening


def refused(statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> str | None:
    """Say why Citus would not send this to one shard, None where it would; reads of many are judged apart."""
    used = [name for name in _TABLES.findall(statement) if name in SPREAD]
    if not used or statement.startswith("COPY "):  # COPY sends each row to its shard
        return None
    if len(used) > 1:
        return f"reads {used}"
    if inserted := _COLUMNS.match(statement):
        columns, values = (part.split(", ") for part in inserted.groups())
        if columns[0] != '"instanceId"' or not values[0].startswith("%s"):
            return "inserts without the instance in front"
        return None if isinstance(next(iter(parameters)), str) else "inserts several instances"
    named = _EQUAL.search(statement)
    if named is None:
        return "names no single instance"
    value = tuple(parameters)[statement[: named.start()].count("%s")]
    return None if isinstance(value, str) else "names several instances"


def everything_there_is(store: SqlStore) -> None:
    """Record, refuse, evaluate, decide, drop, forget and read: each path of the store at least once."""
    batches = story()
    play(store, batches)
    record = RecordReputationSignal(store)
    facts = [
        redacted_signal("sent", T0, message_id="L1", alias="1029", instance_id="sales-1"),
        redacted_signal("bad", T0, context={"endpoint": "x\x00"}, instance_id="sales-2"),
        redacted_signal("new", T0, instance_id="sales-9"),
    ]
    record([journal_slice(exchange(*facts, exchange_id="end"), offset=99)], T0)
    ForgetPersonalIds(store)(instance_id="sales-1")
    for descending in (False, True):
        page = TimelineQuery("sales-2", 0, 2 * T0, limit=3, descending=descending)
        store.timeline(page._replace(after=PageKey(T0, 1), message_id="M1"))
    store.gaps(0, 2 * T0, "sales-1")
    store.summaries(INSTANCES)
    with store.reading() as reading:
        reading.decision("none")


def test_every_statement_on_a_spread_table_names_one_instance(
    captured: Callable[[bool], tuple[SqlStore, list[Sent]]],
) -> None:
    """Nothing but plain reads over all instances is left for Citus to spread, and COPY."""
    store, sent = captured(True)

    everything_there_is(store)

    told = {(why, statement) for statement, parameters in sent if (why := refused(statement, parameters))}
    over_all = {statement for _, statement in told if _READS_ALL.match(statement)}
    assert {why for why, statement in told if statement not in over_all} == set()
    # Pages of instances (2), named ones, due ones, unevaluated ones, retention's walk; a decision by its id.
    assert all(_TABLES.findall(statement)[0] in OVER_ALL for statement in over_all)
    assert len(over_all) == 7, over_all
    touched = {name for name in SPREAD for statement, _ in sent if re.search(rf"\b{name}\b", statement)}
    assert touched == SPREAD
    assert sum("FOR UPDATE" in statement for statement, _ in sent) > len(INSTANCES)


def test_the_rule_finds_statements_that_name_many_instances(
    captured: Callable[[bool], tuple[SqlStore, list[Sent]]],
) -> None:
    """Recording for a plain PostgreSQL breaks it: locks, look-ups and heads of a whole batch at once."""
    store, sent = captured(False)

    everything_there_is(store)

    broken = {statement for statement, parameters in sent if refused(statement, parameters)}
    for part in ("FOR UPDATE", "MIN(", "ON CONFLICT", "CROSS JOIN LATERAL", "DELETE FROM reputation_signal"):
        assert any(part in statement for statement in broken), part


def spread_by_citus(url: str, table: str) -> None:
    """Make Citus's catalogue as far as the store looks into it."""
    execute(
        url,
        "CREATE TABLE pg_dist_partition (logicalrelid regclass)",
        f"INSERT INTO pg_dist_partition VALUES ('{table}')",
    )


@pytest.mark.parametrize(
    ("table", "routed"), [("instance_reputation", True), ("reputation_schema", False), (None, False)]
)
def test_a_database_whose_tables_citus_spreads_is_noticed_when_it_is_opened(
    migrated_url: Callable[[str], str],
    open_store: Callable[..., SqlStore],
    table: str | None,
    *,
    routed: bool,
) -> None:
    """Nobody has to set anything; Citus beside tables that are not spread changes nothing."""
    url = migrated_url("postgresql")
    if table is not None:
        spread_by_citus(url, table)

    store = open_store(url)

    assert store._routed is routed
    assert store._statements.routed is routed


def test_the_documented_calls_spread_every_table_with_an_instance_in_its_key_and_no_other() -> None:
    """`create_distributed_table` needs the column in each unique key; what is left out has none."""
    text = (Path(__file__).parents[3] / "docs" / "operations-databases.md").read_text("utf-8")

    called = set(re.findall(r"create_distributed_table\('(\w+)', 'instanceId'", text))

    assert called == SPREAD
    keyed = {table.name for table in metadata.sorted_tables if "instanceId" in table.primary_key.columns}
    assert keyed == SPREAD


def test_lists_are_compared_and_ordered_by_code_point_whatever_the_columns_collation(
    captured: Callable[[bool], tuple[SqlStore, list[Sent]]],
) -> None:
    """The set-up for Citus gives instances the database's own order; a page must not mix the two.

    Told by the statement: servers for tests bring no collation but those by code point.
    """
    store, sent = captured(True)

    store.instances("sales-1", 5)

    [page] = [statement for statement, _ in sent if "instance_reputation" in statement]
    compared, ordered = page.split("ORDER BY")
    assert '"instanceId" COLLATE "C") > ' in compared
    assert '"instanceId" COLLATE "C"' in ordered

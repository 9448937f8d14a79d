"""The one write transaction of a batch: `domain.ports.Recording` on both databases."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy.exc import DataError, IntegrityError

from domain.recorded import BySource, Gap, InstanceHead, Progress, RecordedSignal, Tally
from domain.words import Connection, Millis
from exporters.sql.copying import ContentRefused, copy_rows
from exporters.sql.hot import KEYS_MAX, HotStatements, pair_keys, single_keys
from exporters.sql.json_text import dumps, loads
from exporters.sql.routed import ask_each, by_instance
from exporters.sql.types import LATENCY_MAX, from_timestamp, to_timestamp

CONTENT_FAULTS: Final = (ContentRefused, DataError, IntegrityError, OverflowError, TypeError, UnicodeError)
"""What the database or its driver raise when they refuse a row for what is in it: a NUL, a lone surrogate, a
number out of range, a key that exists. The same row is refused at every try."""

_EMPTY: Final = "{}"
_CONNECTIONS: Final = {member.value: member for member in Connection}

StoredTime: TypeAlias = Millis | datetime
Key = TypeVar("Key")


class SqlRecording:
    """An open write transaction. Made, committed and rolled back by the store."""

    def __init__(self, connection: DatabaseConnection, statements: HotStatements, sidecar_id: str) -> None:
        self._run = connection.exec_driver_sql
        self._connection = connection
        self._statements = statements
        self._sidecar_id = sidecar_id
        self._dialect = connection.dialect
        self._postgresql = connection.dialect.name == "postgresql"
        self._stored: Callable[[Millis], StoredTime] = to_timestamp if self._postgresql else int
        self._loaded: dict[str, InstanceHead] = {}
        self._recorded_at: Millis = 0

    def resolve(self, aliases: Sequence[str]) -> dict[str, str]:
        """Give the instance id behind each alias that is known."""
        found: dict[str, str] = {}
        for keys in _chunks(aliases):
            rows = self._run(self._statements.select_aliases, single_keys(self._dialect, keys))
            found.update((row[0], row[1]) for row in rows)
        return found

    def lock(self, instance_ids: Sequence[str]) -> dict[str, InstanceHead]:
        """Lock these instances in ascending order and give their heads; one never seen has an empty head.

        On PostgreSQL missing rows are inserted first, all of them: what does not exist cannot be locked, and
        two sidecars that meet a new instance at once must wait for each other. Who inserts holds no lock
        yet, so that no two can wait for each other in a circle.
        """
        heads = {instance_id: InstanceHead(instance_id) for instance_id in instance_ids}
        in_order = sorted(heads)
        if self._postgresql:
            for keys in _chunks(in_order):
                if self._statements.routed:
                    self._run(self._statements.insert_heads, [(key,) for key in keys])
                else:
                    self._run(self._statements.insert_heads, single_keys(self._dialect, keys))
        for keys in _chunks(in_order):
            for row in self._of_singles(self._statements.select_heads, keys):
                heads[row[0]] = self._head(row)
        self._loaded.update(heads)
        return heads

    def known(self, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Give those (instance id, signal id) pairs that are stored already."""
        found: set[tuple[str, str]] = set()
        for chunk in _chunks(keys):
            rows = self._of_pairs(self._statements.select_known, chunk)
            found.update((row[0], row[1]) for row in rows)
        return found

    def first_sent(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Millis]:
        """Give the earliest MESSAGE_SENT time of each (instance id, message id) that has one."""
        found: dict[tuple[str, str], Millis] = {}
        for chunk in _chunks(keys):
            for row in self._of_pairs(self._statements.select_sent, chunk):
                found[row[0], row[1]] = self._millis(row[2])
        return found

    def append(self, signals: Sequence[RecordedSignal]) -> list[RecordedSignal]:
        """Insert new signals; give those refused for their content, which stand in `refused_signal`."""
        if not signals:
            return []
        self._recorded_at = max(self._recorded_at, signals[-1].recorded_at)
        # By instance: neighbours share the pages of five indexes (measured: a quarter less time on SQLite).
        return self._append(sorted(signals, key=_instance_of))

    def save_heads(self, heads: Sequence[InstanceHead]) -> None:
        """Store the heads of locked instances; unchanged ones cost nothing."""
        changed = [head for head in heads if head != self._loaded.get(head.instance_id)]
        if not changed:
            return
        stored = self._stored
        at = stored(self._recorded_at or max(head.last_signal_at for head in changed))
        rows: list[tuple[Any, ...]] = [
            (
                head.instance_id,
                at,
                head.provider,
                dumps(head.aliases),
                head.last_seq,
                stored(head.last_signal_at) if head.last_signal_at else None,
                head.connection.value,
                stored(head.connection_at) if head.connection_at else None,
            )
            for head in changed
        ]
        if self._postgresql and not self._statements.routed:
            arrays = tuple(list(column) for column in zip(*rows, strict=True))
            self._run(self._statements.save_heads, arrays)
        else:
            self._run(self._statements.save_heads, rows)
        claims: dict[str, str] = {}
        for head in changed:
            before = self._loaded.get(head.instance_id)
            known = before.aliases if before else ()
            claims.update((alias, head.instance_id) for alias in head.aliases if alias not in known)
        if claims:
            # In ascending order, as every sidecar does it: no deadlock.
            self._run(self._statements.save_alias, sorted(claims.items()))
        self._loaded.update((head.instance_id, head) for head in changed)

    def advance(self, progress: Sequence[Progress], gaps: Sequence[Gap]) -> None:
        """Store how far the journal was recorded, and losses; a gap whose key is known is left as it is."""
        stored = self._stored
        if progress:
            self._run(
                self._statements.save_progress,
                [(self._sidecar_id, p.journal, p.segment, p.offset, _tally_text(p.tally)) for p in progress],
            )
        if gaps:
            self._run(
                self._statements.insert_gap,
                [
                    (
                        self._sidecar_id,
                        g.key,
                        g.instance_id,
                        stored(g.since),
                        stored(g.until),
                        g.reason,
                        g.lost,
                    )
                    for g in gaps
                ],
            )

    def _of_singles(self, statement: str, keys: Sequence[str]) -> Iterable[Any]:
        """Look up instances; in their order where each is asked for alone."""
        if self._statements.routed:
            return ask_each(self._connection, statement, [(key,) for key in keys])
        return self._run(statement, single_keys(self._dialect, keys))

    def _of_pairs(self, statement: str, keys: Sequence[tuple[str, str]]) -> Iterable[Any]:
        """Look up ids of instances, in any order."""
        if self._statements.routed:
            spread = [(ids, instance_id) for instance_id, ids in by_instance(keys)]
            return ask_each(self._connection, statement, spread)
        return self._run(statement, pair_keys(self._dialect, keys))

    def _append(self, signals: Sequence[RecordedSignal]) -> list[RecordedSignal]:
        """Insert all, or else halves, until what is refused stands alone."""
        savepoint = self._connection.begin_nested()
        try:
            self._insert([self._row(signal) for signal in signals])
        except CONTENT_FAULTS as fault:
            savepoint.rollback()
            if len(signals) == 1:
                self._set_aside(signals[0], fault)
                return list(signals)
            middle = len(signals) // 2
            return self._append(signals[:middle]) + self._append(signals[middle:])
        savepoint.commit()
        return []

    def _insert(self, rows: list[tuple[Any, ...]]) -> None:
        if self._postgresql:
            copy_rows(self._connection, self._statements.insert_signal, rows)
        else:
            self._run(self._statements.insert_signal, rows)

    def _set_aside(self, signal: RecordedSignal, fault: Exception) -> None:
        origin = getattr(fault, "orig", None) or fault.__cause__ or fault
        self._run(
            self._statements.insert_refused,
            [
                (
                    signal.instance_id,
                    signal.id,
                    self._stored(signal.occurred_at),
                    self._stored(signal.recorded_at),
                    signal.type.value,
                    signal.source.value,
                    signal.provider,
                    type(origin).__name__,  # the text of the fault may quote the content
                )
            ],
        )

    def _row(self, signal: RecordedSignal) -> tuple[Any, ...]:
        stored = self._stored
        latency_ms = signal.latency_ms
        return (
            signal.instance_id,
            signal.id,
            stored(signal.occurred_at),
            signal.type._value_,
            signal.severity._value_,
            signal.source._value_,
            dumps(signal.context) if signal.context else _EMPTY,
            signal.message_id,
            signal.remote_jid,
            signal.is_group,
            latency_ms if latency_ms is None or latency_ms < LATENCY_MAX else LATENCY_MAX,
            signal.provider,
            stored(signal.recorded_at),
            signal.seq,
            signal.trace_id,
        )

    def _head(self, row: Any) -> InstanceHead:
        instance_id, provider, aliases, last_seq, last_signal_at, connection, connection_at = row
        return InstanceHead(
            instance_id,
            provider,
            tuple(loads(aliases) if isinstance(aliases, str) else aliases),
            last_seq,
            self._millis(last_signal_at) if last_signal_at is not None else 0,
            _CONNECTIONS.get(connection, Connection.UNKNOWN),
            self._millis(connection_at) if connection_at is not None else 0,
        )

    def _millis(self, at: StoredTime) -> Millis:
        return from_timestamp(at) if isinstance(at, datetime) else at


def tally_from(stored: Mapping[str, Mapping[str, int]]) -> Tally:
    """Give a stored tally; a part that an older version did not know is empty."""
    return Tally(**{part: BySource(**stored[part]) for part in Tally._fields if part in stored})


def _tally_text(tally: Tally) -> str:
    return dumps({part: by_source._asdict() for part, by_source in zip(Tally._fields, tally, strict=True)})


def _instance_of(signal: RecordedSignal) -> str:
    return signal.instance_id


def _chunks(keys: Iterable[Key]) -> Iterator[list[Key]]:
    walk = iter(keys)
    while chunk := list(islice(walk, KEYS_MAX)):
        yield chunk

"""RecordReputationSignal: the one and only way a signal gets into the store.

A batch of journaled exchanges becomes rows: names are resolved, repeats and unchanged polls are counted and
left out, deliveries get their latency, the rest is appended in arrival order. Rows and journal position go
into one transaction, so a batch that is tried again records nothing twice.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from domain.connection import CONNECTION_OF, Known
from domain.exchange import ExchangeFacts
from domain.identity import signal_id
from domain.ports import Recording, SignalStore
from domain.recorded import Gap, InstanceHead, Progress, RecordedSignal, Tally
from domain.signal import SEVERITY_OF, Signal
from domain.words import Connection, Millis, SignalType, Source

ALIASES_MAX: Final = 8

REFUSED: Final = "store_refused"
"""Reason of the gap that stands for a fact the store refused for its content."""


class Slice(NamedTuple):
    """What was read from one journal folder.

    Attributes:
        progress: position behind the exchanges, with the tally *before* them.
        exchanges: in journal order.
        gaps: losses of this folder to account.
        lost: facts behind those gaps, by source.
    """

    progress: Progress
    exchanges: Sequence[ExchangeFacts] = ()
    gaps: Sequence[Gap] = ()
    lost: Counter[Source] = Counter()  # noqa: RUF012 - a named tuple's default; never mutated


class Recorded(NamedTuple):
    """What became of a batch: new rows in arrival order, repeats by source, and the new positions.

    `refused` holds what the store would not take for its content: lost, and shown as a gap each.
    """

    signals: list[RecordedSignal]
    repeated: Counter[Source]
    progress: list[Progress]
    refused: Sequence[RecordedSignal] = ()


class _Fact(NamedTuple):
    id: str
    instance_id: str
    signal: Signal
    exchange: ExchangeFacts
    folder: int


class RecordReputationSignal:
    """Records batches; keeps no state between them."""

    def __init__(self, store: SignalStore) -> None:
        self._store = store

    def __call__(self, batch: Sequence[Slice], now: Millis) -> Recorded:
        """Record one batch in one transaction.

        Args:
            batch: what was read since the last batch, one slice a journal folder.
            now: recording time of the rows.

        Raises:
            StoreUnavailable: nothing was recorded; safe to try again.
        """
        with self._store.recording() as recording:
            facts = _facts(batch, recording)
            heads = recording.lock(sorted({fact.instance_id for fact in facts}))
            known = recording.known((fact.instance_id, fact.id) for fact in facts)
            new, repeats = _sort_out(facts, known, heads)
            rows = _rows(new, heads, now)
            rows = _with_latency(rows, recording)
            refused = recording.append(rows)
            recording.save_heads(list(heads.values()))
            lost = {(row.instance_id, row.id) for row in refused}
            progress = _settled(batch, new, repeats, lost)
            gaps = [gap for piece in batch for gap in piece.gaps]
            recording.advance(progress, gaps + [_refusal(row) for row in refused])
        if refused:
            rows = [row for row in rows if (row.instance_id, row.id) not in lost]
        return Recorded(rows, Counter(fact.signal.source for fact in repeats), progress, refused)


def _refusal(row: RecordedSignal) -> Gap:
    return Gap(
        f"{REFUSED}:{row.instance_id}:{row.id}", row.occurred_at, row.occurred_at, REFUSED, 1, row.instance_id
    )


def _facts(batch: Sequence[Slice], recording: Recording) -> list[_Fact]:
    """Resolve names and derive ids; equal facts of one exchange get an ordinal."""
    aliases = _aliases(batch)
    aliases = {**recording.resolve(_unnamed(batch, aliases)), **aliases}
    facts: list[_Fact] = []
    for folder, piece in enumerate(batch):
        for exchange in piece.exchanges:
            seen: dict[str, int] = {}
            for signal in exchange.signals:
                instance_id = aliases.get(signal.instance_id, signal.instance_id)
                identity = signal_id(instance_id, signal.source, signal.type, signal.basis)
                ordinal = seen.get(identity, 0)
                seen[identity] = ordinal + 1
                if ordinal:
                    identity = signal_id(instance_id, signal.source, signal.type, signal.basis, ordinal)
                facts.append(_Fact(identity, instance_id, signal, exchange, folder))
    return facts


def _aliases(batch: Sequence[Slice]) -> dict[str, str]:
    return {
        signal.alias: signal.instance_id
        for piece in batch
        for exchange in piece.exchanges
        for signal in exchange.signals
        if signal.alias and signal.alias != signal.instance_id
    }


def _unnamed(batch: Sequence[Slice], aliases: dict[str, str]) -> list[str]:
    """Names that may be aliases of earlier batches."""
    names = {s.instance_id for piece in batch for exchange in piece.exchanges for s in exchange.signals}
    return sorted(names - aliases.keys())


def _sort_out(
    facts: Sequence[_Fact], known: set[tuple[str, str]], heads: dict[str, InstanceHead]
) -> tuple[list[_Fact], list[_Fact]]:
    """Split into new facts and repeats; moves the heads' connections on the way."""
    new: list[_Fact] = []
    repeats: list[_Fact] = []
    plain: dict[str, list[int]] = {}
    seen = set(known)
    for fact in facts:
        identity, instance_id, signal, exchange, _ = fact
        key = (instance_id, identity)
        kind = signal.type
        state = CONNECTION_OF.get(kind)
        head = heads[instance_id]
        if key in seen or (signal.polled and state is head.connection):
            repeats.append(fact)
            continue
        seen.add(key)
        new.append(fact)
        told = state is not None or head.connection is Connection.UNKNOWN
        if not (told or signal.alias) and exchange.provider == head.provider:
            # Almost every fact: it moves nothing but number and date, which one head a batch can take.
            moved = plain.setdefault(instance_id, [0, 0])
            moved[0] += 1
            moved[1] = max(moved[1], signal.occurred_at)
        else:
            heads[instance_id] = _moved(head, fact)
    for instance_id, (count, last_at) in plain.items():
        head = heads[instance_id]
        heads[instance_id] = head._replace(
            last_seq=head.last_seq + count, last_signal_at=max(head.last_signal_at, last_at)
        )
    return new, repeats


def _moved(head: InstanceHead, fact: _Fact) -> InstanceHead:
    signal = fact.signal
    connection, connection_at = head.connection, head.connection_at
    if signal.type in CONNECTION_OF or connection is Connection.UNKNOWN:
        connection, connection_at = Known(connection, connection_at).after(signal.type, signal.occurred_at)
    aliases = head.aliases
    if signal.alias and signal.alias != fact.instance_id and signal.alias not in aliases:
        aliases = (*aliases, signal.alias)[-ALIASES_MAX:]
    return InstanceHead(
        head.instance_id,
        fact.exchange.provider,
        aliases,
        head.last_seq + 1,
        max(head.last_signal_at, signal.occurred_at),
        connection,
        connection_at,
    )


def _rows(new: Sequence[_Fact], heads: dict[str, InstanceHead], now: Millis) -> list[RecordedSignal]:
    """Number the new facts; the heads already stand behind the last of them."""
    behind = Counter(fact.instance_id for fact in new)
    next_seq = {instance: heads[instance].last_seq - count + 1 for instance, count in behind.items()}
    rows = []
    for fact in new:
        signal = fact.signal
        trace = fact.exchange.trace
        rows.append(
            RecordedSignal(
                fact.id,
                signal.type,
                SEVERITY_OF[signal.type],
                signal.source,
                fact.instance_id,
                signal.occurred_at,
                now,
                next_seq[fact.instance_id],
                fact.exchange.provider,
                signal.message_id,
                signal.remote_jid,
                signal.is_group,
                signal.latency_ms,
                signal.context,
                trace.trace_id if trace else None,
            )
        )
        next_seq[fact.instance_id] += 1
    return rows


def _with_latency(rows: list[RecordedSignal], recording: Recording) -> list[RecordedSignal]:
    """Give each delivery its latency: its time minus the earliest send's (design section 3, Q10)."""
    wanted = {
        (row.instance_id, row.message_id)
        for row in rows
        if row.type is SignalType.MESSAGE_DELIVERED and row.message_id and row.latency_ms is None
    }
    if not wanted:
        return rows
    sent = recording.first_sent(wanted)
    for row in rows:
        if row.type is SignalType.MESSAGE_SENT and row.message_id:
            key = (row.instance_id, row.message_id)
            sent[key] = min(row.occurred_at, sent.get(key, row.occurred_at))
    return [_measured(row, sent) if (row.instance_id, row.message_id) in wanted else row for row in rows]


def _measured(row: RecordedSignal, sent: dict[tuple[str, str], Millis]) -> RecordedSignal:
    if row.type is not SignalType.MESSAGE_DELIVERED or row.latency_ms is not None or not row.message_id:
        return row
    sent_at = sent.get((row.instance_id, row.message_id))
    if sent_at is None or sent_at > row.occurred_at:
        return row
    return row._replace(latency_ms=row.occurred_at - sent_at)


def _settled(
    batch: Sequence[Slice], new: Sequence[_Fact], repeats: Sequence[_Fact], refused: set[tuple[str, str]]
) -> list[Progress]:
    recorded = [Counter[Source]() for _ in batch]
    repeated = [Counter[Source]() for _ in batch]
    not_stored = [Counter[Source]() for _ in batch]
    for fact in new:
        stored = (fact.instance_id, fact.id) not in refused
        (recorded if stored else not_stored)[fact.folder][fact.signal.source] += 1
    for fact in repeats:
        repeated[fact.folder][fact.signal.source] += 1
    settled = []
    for piece, fresh, again, aside in zip(batch, recorded, repeated, not_stored, strict=True):
        tally = piece.progress.tally
        rejected = Counter(r.source for exchange in piece.exchanges for r in exchange.rejected)
        lost = piece.lost + rejected + aside
        settled.append(
            piece.progress._replace(
                tally=Tally(tally.recorded.plus(fresh), tally.repeated.plus(again), tally.lost.plus(lost))
            )
        )
    return settled

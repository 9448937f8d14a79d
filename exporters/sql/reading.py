"""What is read of the store: timeline pages, gaps, instances, progress. Each answer is one short query."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, Select, and_, func, or_, select

from domain.connection import shown
from domain.recorded import Gap, InstanceSummary, Progress, RecordedSignal
from domain.timeline import PageKey, TimelinePage, TimelineQuery
from domain.words import (
    Connection,
    CooldownReason,
    Lifecycle,
    Millis,
    RiskLevel,
    Severity,
    SignalType,
    Source,
    TemperatureLevel,
    Trend,
)
from exporters.sql.engine import available
from exporters.sql.recording import tally_from
from exporters.sql.schema import instance_reputation, journal_position, reputation_signal, signal_gap

STREAM_PAGE: Final = 1000
"""Rows of a streamed range held at once."""

GAPS_MAX: Final = 10_000
"""Gaps of one answer, the newest; one is written for each loss event, not for each fact."""
EARLIER_GAPS: Final = "earlier_gaps"
"""Reason of the one gap that stands for all that an answer has no room for."""

_TYPES: Final = {member.value: member for member in SignalType}
_SEVERITIES: Final = {member.value: member for member in Severity}
_SOURCES: Final = {member.value: member for member in Source}

_S: Final = reputation_signal.c
_R: Final = instance_reputation.c
_G: Final = signal_gap.c
_SIGNALS: Final = select(
    _S.id,
    _S.type,
    _S.severity,
    _S.source,
    _S.instanceId,
    _S.occurredAt,
    _S.recordedAt,
    _S.seq,
    _S.provider,
    _S.messageId,
    _S.remoteJid,
    _S.isGroup,
    _S.latencyMs,
    _S.context,
    _S.traceId,
)
NAMED_MAX: Final = 500
"""Ids named in one question; old SQLite takes 999 parameters."""

_INSTANCES: Final = select(
    _R.instanceId,
    _R.provider,
    _R.score,
    _R.temperatureLevel,
    _R.trend,
    _R.riskLevel,
    _R.lifecycle,
    _R.connection,
    _R.cooldownReason,
    _R.lastSignalAt,
    _R.lastEvaluatedAt,
)


class SqlReading:
    """Reads; safe to use from several threads at once.

    Args:
        engine: connections that cannot write.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def timeline(self, query: TimelineQuery) -> TimelinePage:
        """Read one page of an instance's signals."""
        with available(), self._engine.connect() as connection:
            rows = connection.execute(_page(query)).all()
        more = len(rows) > query.limit
        signals = [_signal(row) for row in rows[: query.limit]]
        last = signals[-1] if more else None
        return TimelinePage(signals, PageKey(last.occurred_at, last.seq) if last else None)

    def stream(self, query: TimelineQuery) -> Iterator[list[RecordedSignal]]:
        """Read a whole range in pages of at most 1000, in bounded memory; `query.limit` is ignored.

        No transaction stays open between pages: a slow reader holds nothing back, and what is recorded
        meanwhile ahead of the walk is seen.
        """
        step = query._replace(limit=STREAM_PAGE)
        while True:
            page = self.timeline(step)
            if page.signals:
                yield page.signals
            if page.next_key is None:
                return
            step = step._replace(after=page.next_key)

    def gaps(self, since: Millis, until: Millis, instance_id: str | None = None) -> list[Gap]:
        """Give the gaps that overlap [since, until]: those without an instance, and the named instance's.

        Beyond the newest `GAPS_MAX` the earlier ones are told as one, so that no loss goes untold.
        """
        whose: ColumnElement[bool] = _G.instanceId.is_(None)
        if instance_id is not None:
            whose = or_(whose, _G.instanceId == instance_id)
        wanted = and_(_G.until >= since, _G.since <= until, whose)
        order = (_G.until, _G.key, _G.sidecarId)
        statement = (
            select(_G.key, _G.since, _G.until, _G.reason, _G.lost, _G.instanceId, _G.sidecarId)
            .where(wanted)
            .order_by(*(column.desc() for column in order))
            .limit(GAPS_MAX + 1)
        )
        with available(), self._engine.connect() as connection:
            rows = connection.execute(statement).all()
            gaps = [Gap(*row[:6]) for row in rows[:GAPS_MAX]]
            if len(rows) > GAPS_MAX:
                until, key, sidecar = (rows[GAPS_MAX - 1][index] for index in (2, 0, 6))
                ties = or_(_G.key < key, and_(_G.key == key, _G.sidecarId < sidecar))
                earlier = or_(_G.until < until, and_(_G.until == until, ties))
                summed = select(func.min(_G.since), func.max(_G.until), func.sum(_G.lost)).where(
                    wanted, earlier
                )
                first, final, lost = connection.execute(summed).one()
                gaps.append(Gap(EARLIER_GAPS, first, final, EARLIER_GAPS, int(lost)))
        return sorted(gaps, key=lambda gap: (gap.since, gap.key))

    def instances(self, after: str | None, limit: int) -> list[InstanceSummary]:
        """Give instances in ascending order of their id, those behind `after`, at most `limit`."""
        # By code point, also where the column has another order (docs/operations-databases.md, Citus).
        name = _R.instanceId.collate("C") if self._engine.dialect.name == "postgresql" else _R.instanceId
        # A row without a fact was made by the reference's ORM, or to be locked: an instance exists from its
        # first signal.
        statement = _INSTANCES.where(_R.lastSeq > 0).order_by(name).limit(limit)
        if after is not None:
            statement = statement.where(name > after)
        with available(), self._engine.connect() as connection:
            return [_summary(row) for row in connection.execute(statement)]

    def summaries(self, instance_ids: Sequence[str]) -> list[InstanceSummary]:
        """Give the named instances that exist, in any order."""
        found: list[InstanceSummary] = []
        with available(), self._engine.connect() as connection:
            for start in range(0, len(instance_ids), NAMED_MAX):
                named = _R.instanceId.in_(instance_ids[start : start + NAMED_MAX])
                found += map(_summary, connection.execute(_INSTANCES.where(_R.lastSeq > 0, named)))
        return found

    def due(self, now: Millis, limit: int) -> list[str]:
        """Give instances whose next step by time is at or before `now`, earliest first."""
        statement = (
            select(_R.instanceId).where(_R.dueAt <= now).order_by(_R.dueAt, _R.instanceId).limit(limit)
        )
        with available(), self._engine.connect() as connection:
            return list(connection.execute(statement).scalars())

    def unevaluated(self, limit: int) -> list[str]:
        """Give instances with facts behind their saved state, or without one, by id."""
        behind = or_(_R.lastSeq > _R.stateSeq, _R.state.is_(None))
        statement = select(_R.instanceId).where(_R.lastSeq > 0, behind).order_by(_R.instanceId).limit(limit)
        with available(), self._engine.connect() as connection:
            return list(connection.execute(statement).scalars())

    def progress(self, sidecar_id: str) -> dict[str, Progress]:
        """Give how far each journal folder of a sidecar was recorded, by folder name."""
        position = journal_position.c
        statement = select(position.journal, position.segment, position.offset, position.tally).where(
            position.sidecarId == sidecar_id
        )
        with available(), self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        return {
            journal: Progress(journal, segment, offset, tally_from(tally))
            for journal, segment, offset, tally in rows
        }


def _page(query: TimelineQuery) -> Select[Any]:
    """One index search: instance, range, and the key of the page before."""
    statement = _SIGNALS.where(
        _S.instanceId == query.instance_id, _S.occurredAt >= query.since, _S.occurredAt <= query.until
    )
    # Sorted: equal questions compile to the same text.
    if query.types:
        statement = statement.where(_S.type.in_(sorted(member.value for member in query.types)))
    if query.severities:
        statement = statement.where(_S.severity.in_(sorted(member.value for member in query.severities)))
    if query.sources:
        statement = statement.where(_S.source.in_(sorted(member.value for member in query.sources)))
    if query.message_id is not None:
        statement = statement.where(_S.messageId == query.message_id)
    at, seq = query.after or PageKey(0, 0)
    if query.descending:
        if query.after:
            behind = or_(_S.occurredAt < at, and_(_S.occurredAt == at, _S.seq < seq))
            # The first condition alone bounds the index search.
            statement = statement.where(_S.occurredAt <= at, behind)
        order = (_S.occurredAt.desc(), _S.seq.desc())
    else:
        if query.after:
            behind = or_(_S.occurredAt > at, and_(_S.occurredAt == at, _S.seq > seq))
            statement = statement.where(_S.occurredAt >= at, behind)
        order = (_S.occurredAt.asc(), _S.seq.asc())
    return statement.order_by(*order).limit(query.limit + 1)


def _signal(row: Any) -> RecordedSignal:
    # Taken apart at once: a Row answers each index slowly.
    identity, kind, severity, source, instance_id, at, recorded_at, seq, provider, *rest = row
    message_id, remote_jid, is_group, latency_ms, context, trace_id = rest
    return RecordedSignal(
        identity,
        _TYPES[kind],
        _SEVERITIES[severity],
        _SOURCES[source],
        instance_id,
        at,
        recorded_at,
        seq,
        provider,
        message_id,
        remote_jid,
        is_group,
        latency_ms,
        context or {},
        trace_id,
    )


def _summary(row: Any) -> InstanceSummary:
    return InstanceSummary(
        row.instanceId,
        row.provider,
        row.score,
        TemperatureLevel(row.temperatureLevel),
        Trend(row.trend),
        RiskLevel(row.riskLevel),
        Lifecycle(row.lifecycle),
        shown(Connection(row.connection), Lifecycle(row.lifecycle)),
        CooldownReason(row.cooldownReason) if row.cooldownReason else None,
        row.lastSignalAt,
        row.lastEvaluatedAt,
    )

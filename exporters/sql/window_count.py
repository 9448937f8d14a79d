"""The snapshot of a window as one aggregate, equal to `domain.snapshot.count` of its facts."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Select, and_, case, func, not_, or_, select

from domain.snapshot import (
    DELIVERED,
    EMPTY,
    GROUP,
    KIND_OF,
    LATENCY_COUNT,
    LATENCY_SUM,
    SEND_LATENCY,
    SEND_LATENCY_COUNT,
    SEND_LATENCY_SUM,
    Snapshot,
    from_counts,
)
from domain.words import Millis, SignalType, Source
from exporters.sql.schema import reputation_signal

_S: Final = reputation_signal.c
_MESSAGE: Final = func.coalesce(_S.messageId, _S.messageRef)
_KINDS: Final = {member.value: kind for member, kind in KIND_OF.items()}
_MEASURES: Final = {
    DELIVERED: (LATENCY_SUM, LATENCY_COUNT),
    SEND_LATENCY: (SEND_LATENCY_SUM, SEND_LATENCY_COUNT),
}


def window_count(instance_id: str, since: Millis, until: Millis) -> Select[Any]:
    """Ask for each type: facts counted, those of a group, sum and number of their latencies."""
    own_read = and_(_S.type == SignalType.MESSAGE_READ.value, _S.source == Source.DISPATCH.value)
    # Each message counts once a type, by its first fact in the window.
    order = func.row_number().over(partition_by=(_S.type, _MESSAGE), order_by=(_S.occurredAt, _S.seq))
    facts = (
        select(_S.type, _MESSAGE.label("message"), _S.isGroup, _S.latencyMs, order.label("nth"))
        .where(_S.instanceId == instance_id, _S.occurredAt >= since, _S.occurredAt <= until, not_(own_read))
        .subquery()
        .c
    )
    counts = or_(
        facts.nth == 1, facts.message.is_(None), facts.type == SignalType.SEND_LATENCY_OBSERVED.value
    )
    measured = case((counts, facts.latencyMs))
    of_group = func.count(case((facts.isGroup, facts.message)).distinct()) + func.count(
        case((and_(facts.isGroup, facts.message.is_(None)), 1))
    )
    return select(
        facts.type, func.count(case((counts, 1))), of_group, func.sum(measured), func.count(measured)
    ).group_by(facts.type)


def snapshot_of(rows: Iterable[Any], *, latency: bool) -> Snapshot:
    """Make the snapshot of the answer."""
    counts = list(EMPTY)
    for type_, number, of_group, latency_sum, latencies in rows:
        kind = _KINDS[type_]
        counts[kind] = number
        if type_ == SignalType.MESSAGE_REPLIED.value:
            counts[GROUP] = of_group
        if kind in _MEASURES and (latency or kind != DELIVERED):
            total, times = _MEASURES[kind]
            counts[total], counts[times] = int(latency_sum or 0), latencies
    return from_counts(tuple(counts))

"""The snapshot: what was counted inside one window of one instance (rules.md section 6).

18 fields of the reference, plus three that no rule reads (design section 3, "snapshot"). A message counts
once a type and window (Q11); our own mark-as-read is no read (Q12).
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from domain.fact import Fact
from domain.words import Millis, SignalType, Source


class Snapshot(NamedTuple):
    """Counts of one window; latencies are means in milliseconds, 0 when there is none, not rounded."""

    messages_sent: int = 0
    messages_delivered: int = 0
    messages_read: int = 0
    messages_replied: int = 0
    reactions_sent: int = 0
    messages_blocked: int = 0
    human_interactions: int = 0
    group_interactions: int = 0
    media_messages: int = 0
    text_messages: int = 0
    average_reply_time_in_seconds: float = 0
    average_delivery_latency_ms: float = 0
    delivery_failures: int = 0
    reactions_received: int = 0
    connection_disconnects: int = 0
    qrcode_regenerations: int = 0
    presence_sets: int = 0
    rate_limit_hits: int = 0
    average_send_latency_ms: float = 0
    connection_errors: int = 0
    connections_established: int = 0


def camel(name: str) -> str:
    """Give the JSON spelling of a Python name."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


FIELD_OF: Final = {camel(name): name for name in Snapshot._fields}
"""JSON name to attribute, in the order of the JSON."""

REFERENCE_FIELDS: Final = tuple(FIELD_OF)[:18]
"""The JSON names rules.md section 6 lists."""


def to_json(snapshot: Snapshot) -> dict[str, float]:
    """Give a snapshot as it goes over every wire."""
    return dict(zip(FIELD_OF, snapshot, strict=True))


def from_json(fields: dict[str, float]) -> Snapshot:
    """Read a snapshot; absent fields are 0, unknown ones must not matter."""
    known = {FIELD_OF[name]: value for name, value in fields.items() if name in FIELD_OF}
    return Snapshot(**known)  # type: ignore[arg-type]  # counts are written as they were read


# Kinds of what a window counts; indexes of `Counts`.
SENT, DELIVERED, READ, REPLIED, GROUP, FAILED, REACTION, PRESENCE, RATE_LIMIT, QRCODE, DISCONNECT = range(11)
CONN_ERROR, ESTABLISHED, SEND_LATENCY = 11, 12, 13
KINDS: Final = 14
COUNTED: Final = DISCONNECT
"""Kinds up to this one are counted facts: they open a point window. No rule reads those behind it."""
LATENCY_SUM, LATENCY_COUNT, SEND_LATENCY_SUM, SEND_LATENCY_COUNT = 14, 15, 16, 17

Counts = tuple[int, ...]
"""Running counts of a window: a number a kind, then sum and number of two latencies."""

EMPTY: Final[Counts] = (0,) * 18

KIND_OF: Final[dict[SignalType, int]] = {
    SignalType.MESSAGE_SENT: SENT,
    SignalType.MESSAGE_DELIVERED: DELIVERED,
    SignalType.MESSAGE_READ: READ,
    SignalType.MESSAGE_REPLIED: REPLIED,
    SignalType.MESSAGE_FAILED: FAILED,
    SignalType.REACTION_SENT: REACTION,
    SignalType.PRESENCE_SET: PRESENCE,
    SignalType.RATE_LIMIT_HIT: RATE_LIMIT,
    SignalType.QRCODE_REGENERATED: QRCODE,
    SignalType.CONNECTION_DISCONNECTED: DISCONNECT,
    SignalType.CONNECTION_ERROR: CONN_ERROR,
    SignalType.CONNECTION_CONNECTED: ESTABLISHED,
    SignalType.SEND_LATENCY_OBSERVED: SEND_LATENCY,
}


def from_counts(counts: Counts) -> Snapshot:
    """Give the snapshot of running counts."""
    return Snapshot(
        messages_sent=counts[SENT],
        messages_delivered=counts[DELIVERED],
        messages_read=counts[READ],
        messages_replied=counts[REPLIED],
        reactions_sent=counts[REACTION],
        human_interactions=counts[REPLIED],
        group_interactions=counts[GROUP],
        average_delivery_latency_ms=_mean(counts[LATENCY_SUM], counts[LATENCY_COUNT]),
        delivery_failures=counts[FAILED],
        connection_disconnects=counts[DISCONNECT],
        qrcode_regenerations=counts[QRCODE],
        presence_sets=counts[PRESENCE],
        rate_limit_hits=counts[RATE_LIMIT],
        average_send_latency_ms=_mean(counts[SEND_LATENCY_SUM], counts[SEND_LATENCY_COUNT]),
        connection_errors=counts[CONN_ERROR],
        connections_established=counts[ESTABLISHED],
    )


def kinds_of(fact: Fact) -> tuple[int, ...]:
    """Tell which counts a fact is for; none for our own mark-as-read (Q12)."""
    if fact.type is SignalType.MESSAGE_READ and fact.source is Source.DISPATCH:
        return ()
    kind = KIND_OF[fact.type]
    return (REPLIED, GROUP) if kind == REPLIED and fact.is_group else (kind,)


def count(facts: Iterable[Fact], since: Millis, until: Millis, *, latency: bool = True) -> Snapshot:
    """Count one instance's facts inside a window, whatever was counted before.

    Both bounds are inclusive and compare `occurred_at`. Each message counts once a type; its delivery latency
    is that of its first delivery, as recorded, and left out of the mean without `latency`.
    """
    inside = sorted((f for f in facts if since <= f.occurred_at <= until), key=_by_date)
    counts = list(EMPTY)
    seen: set[tuple[int, str]] = set()
    for fact in inside:
        for kind in kinds_of(fact):
            if fact.message_id is not None and kind != SEND_LATENCY:
                if (kind, fact.message_id) in seen:
                    continue
                seen.add((kind, fact.message_id))
            counts[kind] += 1
            if fact.latency_ms is not None and (latency or kind != DELIVERED):
                measure(counts, kind, fact.latency_ms, 1)
    return from_counts(tuple(counts))


def measure(counts: list[int], kind: int, latency_ms: int, sign: int) -> None:
    """Add a latency to its mean (`sign` 1), or take it away (-1); kinds without one are left alone."""
    if kind == DELIVERED:
        counts[LATENCY_SUM] += sign * latency_ms
        counts[LATENCY_COUNT] += sign
    elif kind == SEND_LATENCY:
        counts[SEND_LATENCY_SUM] += sign * latency_ms
        counts[SEND_LATENCY_COUNT] += sign


def _by_date(fact: Fact) -> tuple[Millis, int]:
    return fact.occurred_at, fact.seq


def _mean(total: int, number: int) -> float:
    return total / number if number else 0

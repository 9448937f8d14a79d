"""A fact: a recorded signal, as much of it as the fold and the snapshot read."""

from typing import NamedTuple

from domain.words import Millis, SignalType, Source


class Fact(NamedTuple):
    """A recorded signal, as much of it as the fold reads."""

    instance_id: str
    id: str
    seq: int
    type: SignalType
    source: Source
    occurred_at: Millis
    message_id: str | None = None
    is_group: bool = False
    latency_ms: int | None = None

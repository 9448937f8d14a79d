"""What one exchange left behind, as it is journaled: how it went over the wire, and its redacted signals.

The wire and the readers produce it, the journal carries it, the recorder and the exporters consume it. It
holds names of closed sets, numbers and redacted signals only; nothing of a head or a body.
"""

from typing import NamedTuple

from domain.signal import Signal
from domain.words import Direction, Millis, Source, Word


class Outcome(Word):
    """What reading an exchange gave."""

    READ = "read"
    NO_SIGNAL = "no_signal"
    UNREADABLE = "unreadable"


class TraceContext(NamedTuple):
    """Ids of an incoming `traceparent` (W3C Trace Context), lower-case hex."""

    trace_id: str
    span_id: str
    flags: int


class Unknown(NamedTuple):
    """A name no reader table knows: schema drift. `name` is bounded and safe to show."""

    kind: str
    name: str


class Unobserved(NamedTuple):
    """A body that was not wholly read: `body` is `request` or `response`."""

    body: str
    reason: str


class Rejected(NamedTuple):
    """A fact refused at construction: counted as lost, by source and reason."""

    source: Source
    reason: str


class ExchangeFacts(NamedTuple):
    """One exchange in the journal.

    Attributes:
        id: unique over workers and restarts.
        ended_at: wall clock at the end.
        provider: name of the reader.
        method: an HTTP method of RFC 9110 or `_OTHER`.
        template: route template of the reader's table or `_OTHER`; never a raw path.
        status: status the caller received; None when it received none.
        error: the wire's own failure code, None when the upstream answered.
        duration_us: first request byte to last response byte.
        upstream_us: last request byte sent on to last response byte received; None without an answer.
        fault: why the exchange, or a part of it, could not be read; a closed set.
        rejected: facts that were refused at construction.
        signature: outcome of a callback's verification, None where none was asked for.
    """

    id: str
    ended_at: Millis
    direction: Direction
    provider: str
    method: str
    template: str
    status: int | None
    error: str | None
    duration_us: int
    upstream_us: int | None
    outcome: Outcome
    fault: str | None = None
    unknown: tuple[Unknown, ...] = ()
    unobserved: tuple[Unobserved, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    signature: str | None = None
    trace: TraceContext | None = None
    signals: tuple[Signal, ...] = ()

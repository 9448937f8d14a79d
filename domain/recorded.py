"""Signals as the store holds them, gaps beside them, and how far the journal was recorded."""

from collections import Counter
from typing import Final, NamedTuple

from domain.event import Context
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


class RecordedSignal(NamedTuple):
    """One row of the timeline.

    Attributes:
        id: `domain.identity.signal_id`.
        recorded_at: wall clock of the recorder's batch.
        seq: arrival order within the instance, from 1.
        The rest is as in `domain.signal.Signal`.
    """

    id: str
    type: SignalType
    severity: Severity
    source: Source
    instance_id: str
    occurred_at: Millis
    recorded_at: Millis
    seq: int
    provider: str
    message_id: str | None = None
    remote_jid: str | None = None
    is_group: bool = False
    latency_ms: int | None = None
    context: Context = {}  # noqa: RUF012 - a named tuple's default; never mutated
    trace_id: str | None = None


class Gap(NamedTuple):
    """Facts that were lost, accounted: how many, when, why. `instance_id` None: which instances is unknown.

    `key` makes accounting it twice harmless: one gap a key.
    """

    key: str
    since: Millis
    until: Millis
    reason: str
    lost: int
    instance_id: str | None = None


SOURCES: Final = tuple(Source)
"""Order of the sources in every `BySource`."""


class BySource(NamedTuple):
    """A number of facts by source, in the order of `SOURCES`."""

    webhook: int = 0
    dispatch: int = 0
    provider: int = 0

    def plus(self, counted: Counter[Source]) -> "BySource":
        """Give the numbers after more facts."""
        return BySource(*(n + counted[source] for n, source in zip(self, SOURCES, strict=True)))

    @property
    def total(self) -> int:
        """Facts of all sources."""
        return self.webhook + self.dispatch + self.provider


class Tally(NamedTuple):
    """What became of the facts of one journal folder so far, cumulative over the folder's life.

    The ledger of a folder balances when what its worker observed equals `recorded` + `repeated` + `lost` +
    what still waits in it.
    """

    recorded: BySource = BySource()
    repeated: BySource = BySource()
    lost: BySource = BySource()

    @property
    def settled(self) -> int:
        """Facts that wait no more."""
        return self.recorded.total + self.repeated.total + self.lost.total


class Progress(NamedTuple):
    """How far one journal folder was recorded.

    Attributes:
        journal: the folder's name, unique within a sidecar's data directory.
        segment: number of the segment the next record is read from.
        offset: byte offset of the next record in it.
        tally: what became of the folder's facts up to there.
    """

    journal: str
    segment: int = 0
    offset: int = 0
    tally: Tally = Tally()


class InstanceHead(NamedTuple):
    """What recording must know of an instance: its last arrival and its last known connection.

    Attributes:
        aliases: other names of the instance, newest last, at most 8.
        last_seq: arrival number of its newest signal, 0 for none.
        connection, connection_at: see `domain.connection`.
    """

    instance_id: str
    provider: str = ""
    aliases: tuple[str, ...] = ()
    last_seq: int = 0
    last_signal_at: Millis = 0
    connection: Connection = Connection.UNKNOWN
    connection_at: Millis = 0


class InstanceSummary(NamedTuple):
    """One line of the instance list: the latest known state, as stored by recording and evaluation.

    Before the first evaluation the reputation is that of a new instance: 50, COLD, STABLE.
    """

    instance_id: str
    provider: str
    score: int
    temperature_level: TemperatureLevel
    trend: Trend
    risk_level: RiskLevel
    lifecycle: Lifecycle
    connection: Connection
    cooldown_reason: CooldownReason | None
    last_signal_at: Millis | None
    last_evaluated_at: Millis | None

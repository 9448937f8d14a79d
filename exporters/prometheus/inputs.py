"""What is read at scrape time. The composition root gives a function for each; all of them must be quick."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from domain.recorded import BySource
from domain.words import CooldownReason, Direction, Millis, TemperatureLevel, Trend


class InstanceGauges(NamedTuple):
    """The evaluated state of one instance.

    Attributes:
        connected: None while unknown.
        alerts: number of active alerts.
        last_signal_at: None when it has no signal.
    """

    instance_id: str
    score: int
    temperature: TemperatureLevel
    trend: Trend
    cooldown_reason: CooldownReason | None
    alerts: int
    connected: bool | None
    last_signal_at: Millis | None


class WorkerGauges(NamedTuple):
    """What one wire worker tells on its shared page.

    Attributes:
        name: unique to the worker's start; its counts only grow.
        loop_lag_counts: by the bounds of `catalogue.LOOP_LAG`, not cumulative, the last one beyond them.
        refusals: by direction and reason.
        events: the sidecar's own events in that process, by name.
    """

    name: str
    alive: bool = True
    open_connections: int = 0
    active_requests: Mapping[Direction, int] = {}
    loop_lag_counts: Sequence[int] = ()
    loop_lag_sum_seconds: float = 0.0
    refusals: Mapping[tuple[Direction, str], int] = {}
    events: Mapping[str, int] = {}


class LedgerGauges(NamedTuple):
    """The ledger's left side.

    Attributes:
        observed: facts the workers observed, by source, since this recorder started: what their pages say,
            minus what was settled before. Must only grow.
    """

    observed: BySource


class JournalGauges(NamedTuple):
    """What waits on disk.

    Attributes:
        lag_seconds: by sink (`store`, ...): age of the oldest fact it has not handled.
        capacity_bytes: `journal_max_bytes`.
    """

    records: int
    size_bytes: int
    lag_seconds: Mapping[str, float]
    capacity_bytes: int | None = None


class QueueGauges(NamedTuple):
    """One bounded queue in memory."""

    queue: str
    depth: int
    capacity: int


class BuildInfo(NamedTuple):
    """What runs; `store` is the database's dialect."""

    version: str
    revision: str
    python_version: str
    store: str


def _nothing() -> tuple[()]:
    return ()


class ScrapeInputs(NamedTuple):
    """The functions read at scrape time; each default means "nothing to tell"."""

    instances: Callable[[], Sequence[InstanceGauges]] = _nothing
    workers: Callable[[], Sequence[WorkerGauges]] = _nothing
    ledger: Callable[[], LedgerGauges | None] = lambda: None
    journal: Callable[[], JournalGauges | None] = lambda: None
    queues: Callable[[], Sequence[QueueGauges]] = _nothing
    events: Callable[[], Mapping[str, int]] = dict
    api_refusals: Callable[[], Mapping[str, int]] = dict

"""Collectors of what is read at scrape time: instance states, workers, ledger, journal, queues."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from domain.recorded import SOURCES
from domain.words import Direction, Millis, TemperatureLevel, Trend
from exporters.prometheus import catalogue as c
from exporters.prometheus import seeds
from exporters.prometheus.inputs import (
    BuildInfo,
    InstanceGauges,
    JournalGauges,
    LedgerGauges,
    QueueGauges,
    WorkerGauges,
)
from exporters.prometheus.instances import IDLE_MS, InstanceSeries
from exporters.prometheus.tables import (
    Buckets,
    CounterTable,
    add_histogram,
    counter_family,
    gauge_family,
)

DIRECTION_OF: Final = {Direction.DISPATCH: "outbound", Direction.WEBHOOK: "inbound"}
"""Label values of the telemetry contract: outbound is dispatcher to provider."""

_LEVELS: Final = {level: number for number, level in enumerate(TemperatureLevel)}
_TREND_OF: Final = {Trend.DOWN: -1, Trend.STABLE: 0, Trend.UP: 1}


def instance_families(
    rows: Iterable[InstanceGauges], places: InstanceSeries, now: Millis
) -> Iterator[GaugeMetricFamily]:
    """Show the state of instances that have a place; one that is connected or was may take a free one.

    Instances silent for 24 hours are left out, unless they are in cooldown: that must not end by forgetting.
    """
    shown = []
    for row in rows:
        last = row.last_signal_at or 0
        if now - last > IDLE_MS and row.cooldown_reason is None:
            continue
        if row.instance_id in places or (
            row.connected is not None and places.welcome(row.instance_id, max(last, now - IDLE_MS))
        ):
            shown.append(row)
    families = [
        gauge_family(definition)
        for definition in (
            c.INSTANCE_CONNECTED,
            c.INSTANCE_SCORE,
            c.INSTANCE_TEMPERATURE,
            c.INSTANCE_TEMPERATURE_LEVEL,
            c.INSTANCE_TREND,
            c.INSTANCE_COOLDOWN,
            c.INSTANCE_ALERTS,
            c.INSTANCE_LAST_SIGNAL,
        )
    ]
    for row in shown:
        _add_instance(families, row)
    yield from families


def _add_instance(families: Sequence[GaugeMetricFamily], row: InstanceGauges) -> None:
    connected, score, temperature, level, trend, cooldown, alerts, last_signal = families
    one = (row.instance_id,)
    if row.connected is not None:
        connected.add_metric(one, int(row.connected))
    score.add_metric(one, row.score)
    for name in TemperatureLevel:
        temperature.add_metric((row.instance_id, name), int(name is row.temperature))
    level.add_metric(one, _LEVELS[row.temperature])
    trend.add_metric(one, _TREND_OF[row.trend])
    reason = row.cooldown_reason
    cooldown.add_metric((row.instance_id, reason or "NONE"), int(reason is not None))
    alerts.add_metric(one, row.alerts)
    if row.last_signal_at is not None:
        last_signal.add_metric(one, row.last_signal_at / 1000)


def ledger_families(ledger: LedgerGauges | None, settled: float) -> Iterator[Metric]:
    """Show observed facts, and as pending those whose fate this registry has not seen.

    Pending is a difference on purpose: the ledger balances at every scrape, and a fact that was observed and
    never settled shows as a pending count that does not drain while the journal is empty.
    """
    observed = counter_family(c.SIGNALS_OBSERVED)
    pending = gauge_family(c.SIGNALS_PENDING)
    if ledger is not None:
        for source, n in zip(SOURCES, ledger.observed, strict=True):
            observed.add_metric((source,), n)
        pending.add_metric((), ledger.observed.total - settled)
    yield observed
    yield pending


def journal_families(journal: JournalGauges | None) -> Iterator[GaugeMetricFamily]:
    """Show what waits on disk."""
    records, size, capacity, lag = map(
        gauge_family, (c.JOURNAL_RECORDS, c.JOURNAL_BYTES, c.JOURNAL_CAPACITY, c.PIPELINE_LAG)
    )
    if journal is not None:
        records.add_metric((), journal.records)
        size.add_metric((), journal.size_bytes)
        if journal.capacity_bytes is not None:
            capacity.add_metric((), journal.capacity_bytes)
        for sink, seconds in journal.lag_seconds.items():
            lag.add_metric((sink,), seconds)
    yield records
    yield size
    yield capacity
    yield lag


def queue_families(queues: Iterable[QueueGauges]) -> Iterator[GaugeMetricFamily]:
    """Show the bounded queues."""
    depth, capacity = gauge_family(c.QUEUE_DEPTH), gauge_family(c.QUEUE_CAPACITY)
    for queue in queues:
        depth.add_metric((queue.queue,), queue.depth)
        capacity.add_metric((queue.queue,), queue.capacity)
    yield depth
    yield capacity


def api_family(refusals: Mapping[str, int]) -> CounterMetricFamily:
    """Show what the admin listener turned away; its reasons are a closed set."""
    family = CounterMetricFamily(c.API_REFUSALS.name, c.API_REFUSALS.help, labels=c.API_REFUSALS.labels)
    for reason, count in refusals.items():
        family.add_metric((reason,), count)
    return family


def build_family(build: BuildInfo) -> GaugeMetricFamily:
    """Show what runs."""
    family = gauge_family(c.BUILD_INFO)
    family.add_metric(build, 1)
    return family


class WorkerTotals:
    """Sums the pages of workers; what a worker that went away had counted stays counted."""

    def __init__(self) -> None:
        self._last: dict[str, WorkerGauges] = {}
        self._refusals = CounterTable(c.WIRE_REFUSALS, seeds.WIRE_REFUSALS)
        self._lag = Buckets(c.LOOP_LAG.buckets)
        self._events: Counter[str] = Counter()

    def collect(self, workers: Sequence[WorkerGauges], own_events: dict[str, int]) -> Iterator[Metric]:
        """Take what the pages say now and show the sums."""
        for worker in workers:
            self._advance(worker)
        self._last = {worker.name: worker for worker in workers}
        yield from self._refusals.collect()
        lag = HistogramMetricFamily(c.LOOP_LAG.name, c.LOOP_LAG.help)
        add_histogram(lag, (), self._lag)
        yield lag
        events = counter_family(c.SIDECAR_EVENTS)
        for name in sorted(own_events.keys() | self._events.keys()):
            events.add_metric((name,), own_events.get(name, 0) + self._events[name])
        yield events
        alive = [worker for worker in workers if worker.alive]
        active, connections, count = map(gauge_family, (c.PROXY_ACTIVE, c.PROXY_CONNECTIONS, c.WORKERS))
        for direction, shown in DIRECTION_OF.items():
            active.add_metric((shown,), sum(worker.active_requests.get(direction, 0) for worker in alive))
        connections.add_metric((), sum(worker.open_connections for worker in alive))
        count.add_metric((), len(alive))
        yield active
        yield connections
        yield count

    def _advance(self, worker: WorkerGauges) -> None:
        before = self._last.get(worker.name, WorkerGauges(worker.name))
        for (direction, reason), n in worker.refusals.items():
            grown = n - before.refusals.get((direction, reason), 0)
            self._refusals.add((DIRECTION_OF[direction], reason), max(grown, 0))
        for index, n in enumerate(worker.loop_lag_counts[: len(self._lag.counts)]):
            earlier = before.loop_lag_counts[index] if index < len(before.loop_lag_counts) else 0
            self._lag.counts[index] += max(n - earlier, 0)
        self._lag.sum += max(worker.loop_lag_sum_seconds - before.loop_lag_sum_seconds, 0.0)
        for name, n in worker.events.items():
            self._events[name] += max(n - before.events.get(name, 0), 0)

"""The registry: what the recorder tells it, and what a scrape gets.

The recorder calls in after each commit, from its thread; scrapes come from another. One lock is held a batch,
and at a scrape while the samples are taken, not while they are written as text. Whoever moves what the scrape
inputs tell shares that lock: a scrape then sees the journal and the counters of one instant.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from domain.exchange import ExchangeFacts
from domain.recorded import RecordedSignal
from domain.words import Millis, SignalType, Source
from exporters.prometheus import catalogue as c
from exporters.prometheus import scraped, seeds
from exporters.prometheus.exchanges import HANDLES_MAX, ExchangeSeries
from exporters.prometheus.inputs import BuildInfo, ScrapeInputs
from exporters.prometheus.instances import IDLE_MS, InstanceSeries
from exporters.prometheus.messages import BIT_OF, MessageMemory
from exporters.prometheus.tables import Buckets, Count, CounterTable, HistogramTable, gauge_family


class _SignalSeries(NamedTuple):
    signals: Count
    latency: Buckets | None
    message_bit: int


class Metrics(Collector):
    """All metrics of one recorder.

    Args:
        inputs: functions read at scrape time.
        build: what runs.
        now: wall clock.
        lock: re-entrant; held whenever counts move or are taken.
        max_instance_series: instances that have series of their own.
        providers: names of the readers in use; their label sets exist from the start.
    """

    def __init__(
        self,
        inputs: ScrapeInputs,
        build: BuildInfo,
        *,
        now: Callable[[], Millis],
        lock: AbstractContextManager[object] | None = None,
        max_instance_series: int = 1000,
        providers: Sequence[str] = (),
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it bare
        self._inputs = inputs
        self._build = build
        self._now = now
        self._lock = threading.RLock() if lock is None else lock
        self._settled = 0
        self._instances = InstanceSeries(max_instance_series)
        self._messages = MessageMemory()
        self._workers = scraped.WorkerTotals()
        self._signal_series: dict[tuple[object, ...], _SignalSeries] = {}
        self._signals = CounterTable(c.SIGNALS, seeds.signals(providers))
        self._duplicate = CounterTable(c.SIGNALS_DUPLICATE, seeds.SOURCES)
        self._dropped = CounterTable(c.SIGNALS_DROPPED, seeds.DROPPED)
        self._export_dropped = CounterTable(c.EXPORT_DROPPED, seeds.EXPORT_DROPPED)
        self._store_rows = CounterTable(c.STORE_ROWS, seeds.STORE_ROWS)
        self._otlp = CounterTable(c.OTLP_RECORDS, seeds.OTLP)
        self._evaluations = CounterTable(c.EVALUATIONS, seeds.EVALUATIONS)
        self._overflow = CounterTable(c.INSTANCES_OVERFLOW)
        by_provider = [(provider,) for provider in providers]
        self._send_latency = HistogramTable(c.SEND_LATENCY, by_provider)
        self._delivery_latency = HistogramTable(c.DELIVERY_LATENCY, by_provider)
        self._store_seconds = HistogramTable(c.STORE_SECONDS, seeds.STORE_RESULTS)
        self._store_batch = HistogramTable(c.STORE_BATCH)
        self._evaluation_seconds = HistogramTable(c.EVALUATION_SECONDS)
        self._exchanges = ExchangeSeries(providers, self._lost)
        self._tables = [
            table for table in vars(self).values() if isinstance(table, CounterTable | HistogramTable)
        ]
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    @property
    def placed_instances(self) -> list[str]:
        """The instances that have series of their own."""
        with self._lock:
            return list(self._instances)

    def known_instances(self, heard: Iterable[tuple[str, Millis]]) -> None:
        """Give places to instances known from the store, so that their counters start at 0.

        Args:
            heard: ids and when each was last heard of, newest first; silent for 24 hours is too long ago.
        """
        now = self._now()
        with self._lock:
            for instance_id, at in heard:
                if now - at > IDLE_MS or not self._instances.welcome(instance_id, at):
                    return

    def exchanges(self, exchanges: Sequence[ExchangeFacts]) -> None:
        """Count exchanges taken from the journal; facts refused at construction count as dropped here."""
        with self._lock:
            for exchange in exchanges:
                self._exchanges.count(exchange)

    def signals(self, signals: Sequence[RecordedSignal]) -> None:
        """Count signals that were just committed."""
        with self._lock:
            for signal in signals:
                self._signal(signal)
            self._settled += len(signals)
            self._store_rows.add(("inserted",), len(signals))

    def repeated(self, repeated: Counter[Source]) -> None:
        """Count facts that were known already."""
        with self._lock:
            for source, n in repeated.items():
                self._duplicate.add((source,), n)
            self._settled += repeated.total()
            self._store_rows.add(("duplicate",), repeated.total())

    def lost(self, stage: str, reason: str, n: int) -> None:
        """Count facts that were lost; stage is ingest, journal or store."""
        with self._lock:
            self._lost(stage, reason, n)

    def store_batch(self, seconds: float, rows: int, result: str) -> None:
        """Count one attempt to record a batch; result is ok or failed (then it will be tried again)."""
        with self._lock:
            self._store_seconds.series((result,)).observe(seconds)
            if result == "ok":
                self._store_batch.series(()).observe(rows)
            else:
                self._store_rows.add(("failed",), rows)

    def otlp(self, outcome: str, n: int) -> None:
        """Count records on their way to OTLP; outcome is emitted, exported or failed."""
        with self._lock:
            self._otlp.add((outcome,), n)

    def export_dropped(self, sink: str, reason: str, n: int) -> None:
        """Count records a sink dropped; sink is log or otlp. The facts are recorded all the same."""
        with self._lock:
            self._export_dropped.add((sink, reason), n)

    def evaluated(self, result: str, n: int, seconds: float) -> None:
        """Count `n` evaluations that took `seconds` together; result is stored, unchanged or failed."""
        if n <= 0:
            return
        with self._lock:
            self._evaluations.add((result,), n)
            series = self._evaluation_seconds.series(())
            for _ in range(n):
                series.observe(seconds / n)

    def render(self, accept: Sequence[str] = ()) -> tuple[bytes, str]:
        """Give a scrape's answer and content type, by its Accept fields. Call it off the event loop."""
        encode, content_type = choose_encoder(",".join(accept))
        return encode(self._registry), content_type

    def describe(self) -> Iterable[Metric]:
        """Tell nothing ahead of a scrape: inputs may not be ready yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Take all samples at one instant."""
        with self._lock:
            return list(self._families())

    def _families(self) -> Iterator[Metric]:
        now = self._now()
        inputs = self._inputs
        self._instances.expire(now)
        # Observed is read first: facts settled meanwhile wait for the lock, so pending cannot go below 0.
        yield from scraped.ledger_families(inputs.ledger(), self._settled)
        yield from scraped.instance_families(inputs.instances(), self._instances, now)
        yield from self._instances.collect()
        self._overflow.series(()).n = self._instances.overflow
        for table in (*self._exchanges.tables, *self._tables):
            yield from table.collect()
        for definition, value in (
            (c.INSTANCES_TRACKED, len(self._instances)),
            (c.DELIVERY_PENDING, self._messages.pending),
        ):
            family = gauge_family(definition)
            family.add_metric((), value)
            yield family
        yield from self._workers.collect(inputs.workers(), dict(inputs.events()))
        yield from scraped.journal_families(inputs.journal())
        yield from scraped.queue_families(inputs.queues())
        yield scraped.api_family(inputs.api_refusals())
        yield scraped.build_family(self._build)

    def _signal(self, signal: RecordedSignal) -> None:
        key = (signal.type, signal.source, signal.provider)
        series = self._signal_series.get(key) or self._new_signal_series(key, signal)
        series.signals.n += 1
        if series.latency is not None and signal.latency_ms is not None:
            series.latency.observe(signal.latency_ms / 1000)
        first = False
        if bit := series.message_bit:
            message_id = signal.message_id
            first = message_id is None or self._messages.first(signal.instance_id, message_id, bit)
        self._instances.count(signal, first_report=first)

    def _lost(self, stage: str, reason: str, n: int) -> None:
        self._dropped.add((stage, reason), n)
        self._settled += n

    def _new_signal_series(self, key: tuple[object, ...], signal: RecordedSignal) -> _SignalSeries:
        latency = None
        if signal.type is SignalType.SEND_LATENCY_OBSERVED:
            latency = self._send_latency.series((signal.provider,))
        elif signal.type is SignalType.MESSAGE_DELIVERED:
            latency = self._delivery_latency.series((signal.provider,))
        own_read = signal.type is SignalType.MESSAGE_READ and signal.source is Source.DISPATCH
        series = _SignalSeries(
            self._signals.series((signal.type, signal.severity, signal.source, signal.provider)),
            latency,
            0 if own_read else BIT_OF.get(signal.type, 0),
        )
        if len(self._signal_series) >= HANDLES_MAX:
            self._signal_series.clear()
        self._signal_series[key] = series
        return series

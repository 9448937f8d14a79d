"""Counters and histograms by label values: bounded, zeroed at birth, cheap to move.

A table hands out its series, and whoever moves one often keeps it: series are never taken back. Beyond
`series_max` label sets the last label becomes `other`, and beyond some more all of them do. Not thread-safe
alone: `metrics.Metrics` holds one lock a batch and a scrape.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, Exemplar, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from exporters.prometheus.catalogue import Definition

Labels: TypeAlias = tuple[str, ...]

SERIES_MAX: Final = 500
OVERFLOW_EXTRA: Final = 100
"""Series that may still be made for label sets ending in `other`."""
OTHER: Final = "other"


class Count:
    """One counter series."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n: float = 0


class Buckets:
    """One histogram series; `counts` are not cumulative, the last one is beyond the last bound."""

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def exemplify(self, value: float, labels: dict[str, str], at_seconds: float) -> None:
        """Remember a value just observed as its bucket's example; the newest wins."""
        self.exemplars[bisect_left(self.bounds, value)] = Exemplar(labels, value, at_seconds)


def _bounded(labels: Labels, known: int, series_max: int) -> Labels:
    if not labels or known < series_max:
        return labels
    if known < series_max + OVERFLOW_EXTRA:
        return (*labels[:-1], OTHER)
    return (OTHER,) * len(labels)


class CounterTable:
    """The series of one counter.

    Args:
        definition: what it is.
        seeds: label sets that exist from the start, at 0: `increase()` misses the first step otherwise.
        series_max: label sets kept apart.
    """

    def __init__(
        self, definition: Definition, seeds: Iterable[Labels] = (), *, series_max: int = SERIES_MAX
    ) -> None:
        self.definition = definition
        self._series_max = series_max
        self._series: dict[Labels, Count] = {labels: Count() for labels in seeds}
        if not definition.labels:
            self._series[()] = Count()

    def series(self, labels: Labels) -> Count:
        """Give the series of these label values, or the one that stands in for them."""
        found = self._series.get(labels)
        if found is None:
            labels = _bounded(labels, len(self._series), self._series_max)
            found = self._series.setdefault(labels, Count())
        return found

    def add(self, labels: Labels, n: float = 1) -> None:
        """Count `n` more."""
        self.series(labels).n += n

    def total(self) -> float:
        """Sum over all series."""
        return sum(count.n for count in self._series.values())

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Show the table."""
        family = counter_family(self.definition)
        for labels, count in self._series.items():
            family.add_metric(labels, count.n)
        yield family


class HistogramTable:
    """The series of one histogram; arguments as of `CounterTable`."""

    def __init__(
        self, definition: Definition, seeds: Iterable[Labels] = (), *, series_max: int = SERIES_MAX
    ) -> None:
        self.definition = definition
        self._series_max = series_max
        self._series = {labels: Buckets(definition.buckets) for labels in seeds}
        if not definition.labels:
            self._series[()] = Buckets(definition.buckets)

    def series(self, labels: Labels) -> Buckets:
        """Give the series of these label values, or the one that stands in for them."""
        found = self._series.get(labels)
        if found is None:
            labels = _bounded(labels, len(self._series), self._series_max)
            found = self._series.setdefault(labels, Buckets(self.definition.buckets))
        return found

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Show the table."""
        family = HistogramMetricFamily(
            self.definition.name, self.definition.help, labels=self.definition.labels
        )
        for labels, series in self._series.items():
            add_histogram(family, labels, series)
        yield family


def add_histogram(family: HistogramMetricFamily, labels: Labels, series: Buckets) -> None:
    """Add one series, with its exemplars, to a family."""
    ends = [*map(floatToGoString, series.bounds), "+Inf"]
    cumulated: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    for index, (end, total) in enumerate(zip(ends, accumulate(series.counts), strict=True)):
        exemplar = series.exemplars.get(index)
        cumulated.append((end, total) if exemplar is None else (end, total, exemplar))
    family.add_metric(labels, cumulated, series.sum)


def counter_family(definition: Definition) -> CounterMetricFamily:
    """Start an empty family."""
    return CounterMetricFamily(definition.name, definition.help, labels=definition.labels)


def gauge_family(definition: Definition) -> GaugeMetricFamily:
    """Start an empty family."""
    return GaugeMetricFamily(definition.name, definition.help, labels=definition.labels)

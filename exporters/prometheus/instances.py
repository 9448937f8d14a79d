"""The counters of single instances: the one label whose values come from outside, so bounded here.

At most `series_max` instances have series of their own; the signals of all others count under `__other__`,
each also in `reputation_instances_overflow_total`. When every place is taken, the least recently used
instance gives way if it was silent for five minutes: evicting active ones would reset their counters at every
scrape. Whoever was silent for 24 hours leaves in any case. What leaves takes all its series along.

An id known only from failures may be made up by whoever calls (it stands in the path). Such ids get at most
half of the places, until a success or a callback of the provider proves them.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily

from domain.recorded import RecordedSignal
from domain.words import Millis, SignalType
from exporters.prometheus.catalogue import (
    INSTANCE_MESSAGES,
    INSTANCE_RATE_LIMITS,
    INSTANCE_SIGNALS,
    OTHER_INSTANCE,
)
from exporters.prometheus.messages import BIT_OF
from exporters.prometheus.tables import OTHER, counter_family

KEEP_ACTIVE_MS: Final[Millis] = 5 * 60_000
IDLE_MS: Final[Millis] = 24 * 3_600_000
CODES_MAX: Final = 16
"""Rate-limit codes kept apart of one instance."""

_TYPES: Final = tuple(SignalType)
_POSITION: Final = {signal_type: index for index, signal_type in enumerate(_TYPES)}
_UNPROVEN: Final = frozenset(
    {
        SignalType.MESSAGE_FAILED,
        SignalType.RATE_LIMIT_HIT,
        SignalType.CONNECTION_ERROR,
        SignalType.SEND_LATENCY_OBSERVED,
    }
)


class _Instance:
    __slots__ = ("codes", "messages", "proven", "signals", "used_at")

    def __init__(self, *, proven: bool) -> None:
        self.signals = [0] * len(_TYPES)
        self.messages = dict.fromkeys(BIT_OF, 0)
        self.codes: dict[str, int] = {}
        self.proven = proven
        self.used_at: Millis = 0


class InstanceSeries:
    """Counters by instance, least recently used first.

    Args:
        series_max: instances that have series of their own.

    Attributes:
        overflow: signals counted under `__other__`.
    """

    def __init__(self, series_max: int) -> None:
        self._series_max = series_max
        self._instances: OrderedDict[str, _Instance] = OrderedDict()
        self._other = _Instance(proven=True)
        self._unproven = 0
        self.overflow = 0

    def __len__(self) -> int:
        return len(self._instances)

    def __contains__(self, instance_id: object) -> bool:
        return instance_id in self._instances

    def __iter__(self) -> Iterator[str]:
        return iter(self._instances)

    def count(self, signal: RecordedSignal, *, first_report: bool) -> None:
        """Count one signal, and its message where this is the first report of it."""
        instance = self._instance(signal)
        instance.signals[_POSITION[signal.type]] += 1
        if first_report:
            instance.messages[signal.type] += 1
        elif signal.type is SignalType.RATE_LIMIT_HIT:
            code = str(signal.context.get("code", OTHER))
            if code not in instance.codes and len(instance.codes) >= CODES_MAX:
                code = OTHER
            instance.codes[code] = instance.codes.get(code, 0) + 1

    def welcome(self, instance_id: str, used_at: Millis) -> bool:
        """Give a proven instance a free place, evicting nobody; tell whether it has one now."""
        if instance_id not in self._instances:
            if len(self._instances) >= self._series_max:
                return False
            instance = self._instances[instance_id] = _Instance(proven=True)
            instance.used_at = used_at
            self._instances.move_to_end(instance_id, last=False)
        return True

    def expire(self, now: Millis) -> None:
        """Remove whoever was silent for 24 hours."""
        for instance_id, instance in list(self._instances.items()):
            if now - instance.used_at > IDLE_MS:
                self._remove(instance_id)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Show all counters; a type that never happened to an instance that others happened to shows as 0."""
        signals = counter_family(INSTANCE_SIGNALS)
        messages = counter_family(INSTANCE_MESSAGES)
        rate_limits = counter_family(INSTANCE_RATE_LIMITS)
        for instance_id, instance in (*self._instances.items(), (OTHER_INSTANCE, self._other)):
            for signal_type, n in zip(_TYPES, instance.signals, strict=True):
                signals.add_metric((instance_id, signal_type), n)
            for message_type, n in instance.messages.items():
                messages.add_metric((instance_id, message_type), n)
            for code, n in instance.codes.items():
                rate_limits.add_metric((instance_id, code), n)
        yield signals
        yield messages
        yield rate_limits

    def _instance(self, signal: RecordedSignal) -> _Instance:
        instance_id = signal.instance_id
        proves = signal.type not in _UNPROVEN
        instance = self._instances.get(instance_id)
        if instance is None:
            if not self._has_place(signal.recorded_at, proves=proves):
                self.overflow += 1
                return self._other
            instance = self._instances[instance_id] = _Instance(proven=proves)
            self._unproven += not proves
        elif proves and not instance.proven:
            instance.proven = True
            self._unproven -= 1
        if signal.recorded_at > instance.used_at:
            instance.used_at = signal.recorded_at
            self._instances.move_to_end(instance_id)
        return instance

    def _has_place(self, now: Millis, *, proves: bool) -> bool:
        if not proves and self._unproven >= self._series_max // 2:
            return False
        if len(self._instances) < self._series_max:
            return True
        oldest = next(iter(self._instances), None)
        if oldest is None or now - self._instances[oldest].used_at < KEEP_ACTIVE_MS:
            return False
        self._remove(oldest)
        return True

    def _remove(self, instance_id: str) -> None:
        self._unproven -= not self._instances.pop(instance_id).proven

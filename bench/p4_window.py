"""P4: what recording a signal costs with few and with many in the instance's window, evaluation included.

Ours: `RecordReputationSignal` and `EvaluateInstanceHealth` on SQLite, in batches as the recorder makes them
and one by one. Beside it the reference's way: insert one row, read the whole window back, evaluate it.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Final

from bench.report import Row, Setting, at_least, at_most, note
from domain import fold_state
from domain.evaluate_health import EvaluateInstanceHealth
from domain.evaluation import evaluate_window, measures
from domain.exchange import ExchangeFacts, Outcome
from domain.fold_supply import fact_of
from domain.record_signal import RecordReputationSignal, Slice
from domain.recorded import Progress
from domain.signal import Signal
from domain.snapshot import count as count_facts
from domain.timeline import TimelineQuery
from domain.words import Direction, Millis, SignalType, Source
from exporters.sql.store import SqlStore
from sidecar.clock import monotonic_ns

WINDOW_MS: Final = 1_800_000
SPAN_MS: Final = 1_500_000
"""The window's content is spread over this; the rest leaves room for what is measured."""
NOW: Final = 1_770_000_000_000
BATCH: Final = 100
FEW: Final = 1000
MANY: Final = 100_000
ROUNDS: Final = 60
INSTANCE: Final = "sales-1"
_TYPES: Final = (
    (SignalType.MESSAGE_SENT, Source.DISPATCH),
    (SignalType.SEND_LATENCY_OBSERVED, Source.DISPATCH),
    (SignalType.MESSAGE_DELIVERED, Source.WEBHOOK),
    (SignalType.MESSAGE_READ, Source.WEBHOOK),
)


def measure(setting: Setting) -> list[Row]:
    """Run the section."""
    many = MANY // 10 if setting.quick else MANY
    sizes = (FEW, many)
    subjects = [Subject(setting.folder / str(size)) for size in sizes]
    try:
        for subject, size in zip(subjects, sizes, strict=True):
            subject.fill(size)
        clock = count(NOW + 1)
        # First, while the window holds what it should: what comes later adds thousands.
        (reference,) = medians([lambda: subjects[0].add_as_the_reference(next(clock))])
        batches = medians([adding(subject, clock, BATCH) for subject in subjects])
        singles = medians([adding(subject, clock, 1) for subject in subjects])
    finally:
        for subject in subjects:
            subject.store.close()
    each = [took / BATCH for took in batches]
    return [
        *_rows(sizes, each, f"in batches of {BATCH}"),
        *_rows(sizes, singles, "one by one"),
        note(f"{FEW:,} in the window, the reference's way", f"{reference:.0f} us a signal"),
        at_least("the reference's way / ours in batches", reference / each[0], 50.0),
    ]


def _rows(sizes: tuple[int, int], took: list[float], how: str) -> list[Row]:
    return [
        *(
            note(f"{size:,} in the window, {how}", f"{us:.1f} us a signal")
            for size, us in zip(sizes, took, strict=True)
        ),
        at_most(f"many / few, {how}", took[1] / took[0], 1.3),
    ]


class Subject:
    """One store with one instance or several in turn, and the two ways to add to it."""

    def __init__(self, folder: Path, instances: int = 1) -> None:
        folder.mkdir()
        self._instances = instances
        self.store = SqlStore(f"sqlite:///{folder / 'sidecar.sqlite3'}", sidecar_id="bench")
        self.store.open()
        self._record = RecordReputationSignal(self.store)
        self._evaluate = EvaluateInstanceHealth(self.store, fold_state.setting_of(WINDOW_MS))
        self._number = count()

    def fill(self, signals: int) -> None:
        """Spread signals over the window, up to now."""
        step = SPAN_MS / signals
        for first in range(0, signals, 500):
            at = [NOW - SPAN_MS + int((first + n) * step) for n in range(min(500, signals - first))]
            self.add(at, at[-1])

    def add(self, at: list[Millis], now: Millis) -> None:
        """Record facts dated so, and evaluate."""
        numbers = [next(self._number) for _ in at]
        exchanges = [
            _exchange(number, when, self._instances) for number, when in zip(numbers, at, strict=True)
        ]
        progress = Progress("bench", 1, numbers[-1] + 1)
        recorded = self._record([Slice(progress, exchanges)], now)
        self._evaluate.touched(recorded.signals, now)

    def add_as_the_reference(self, at: Millis) -> None:
        """Insert one row, read the whole window back, evaluate."""
        number = next(self._number)
        self._record([Slice(Progress("bench", 1, number + 1), [_exchange(number, at)])], at)
        page = self.store.timeline(TimelineQuery(INSTANCE, at - WINDOW_MS, at, limit=5000))
        facts = [fact_of(row) for row in page.signals]
        evaluate_window(measures(count_facts(facts, at - WINDOW_MS, at)))


def _exchange(number: int, at: Millis, instances: int = 1) -> ExchangeFacts:
    signal_type, source = _TYPES[number % 4]
    message = f"3EB0{number // 4:016X}"
    instance = f"sales-{1 + number // 4 % instances}"
    signal = Signal(signal_type, source, instance, at, message, context={"httpStatus": 200}, basis=message)
    return ExchangeFacts(
        f"x-{number}",
        at,
        Direction.DISPATCH,
        "turbozap",
        "POST",
        "/message/{instance}/text",
        200,
        None,
        1000,
        800,
        Outcome.READ,
        signals=(signal,),
    )


def adding(subject: Subject, clock: Iterator[Millis], signals: int) -> Callable[[], None]:
    """Give the work of adding a batch."""
    return lambda: subject.add([next(clock) for _ in range(signals)], next(clock))


def medians(works: Sequence[Callable[[], None]]) -> list[float]:
    """Give the median microseconds of each; they take turns, so that a busy machine is busy for all."""
    took: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for times, work in zip(took, works, strict=True):
            began = monotonic_ns()
            work()
            times.append((monotonic_ns() - began) / 1e3)
    return [statistics.median(times) for times in took]

"""What is done with a batch: stored, counted, announced to every sink whatever one of them does."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from domain.errors import StoreUnavailable
from domain.exchange import ExchangeFacts
from domain.recorded import Gap, RecordedSignal
from domain.words import Millis, Source
from sidecar.recording import BatchRecording
from tests.builders import exchange, journal_slice, redacted_signal
from tests.fakes import InMemoryStore, Transaction

AT = 1_790_000_000_000


class Ledger:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, str]] = []
        self.repeats: Counter[Source] = Counter()
        self.losses: list[tuple[str, str, int]] = []

    def repeated(self, repeated: Counter[Source]) -> None:
        self.repeats += repeated

    def lost(self, stage: str, reason: str, n: int) -> None:
        self.losses.append((stage, reason, n))

    def store_batch(self, seconds: float, rows: int, result: str) -> None:
        assert seconds >= 0
        self.batches.append((rows, result))


class Sink:
    """Keeps what it is told, or fails."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.heard: list[int] = []

    def exchanges(self, exchanges: Sequence[ExchangeFacts]) -> None:
        if self.broken:
            raise OSError("no room")
        self.heard.append(len(exchanges))

    def signals(self, signals: Sequence[RecordedSignal]) -> None:
        self.heard.append(len(signals))


class Evaluator:
    """Keeps which rows it is asked about."""

    def __init__(self) -> None:
        self.rows = 0

    def touched(self, rows: Sequence[RecordedSignal], now: Millis) -> None:
        assert now == AT
        self.rows += len(rows)

    def due(self, now: Millis) -> None:
        """Nothing is due."""


class AwayStore(InMemoryStore):
    """A database that goes away inside the transaction."""

    @contextmanager
    def recording(self) -> Iterator[Transaction]:
        with super().recording() as transaction:
            yield transaction
            raise StoreUnavailable("it is away")


def recording(store: InMemoryStore, ledger: Ledger, *sinks: Sink) -> BatchRecording:
    """Wire one up."""
    return BatchRecording(store, sinks, ledger, Evaluator(), lambda: AT)


def test_a_failed_try_counts_with_the_facts_it_held() -> None:
    """The database being away shows on /metrics while it lasts."""
    ledger = Ledger()
    batch = [journal_slice(exchange(redacted_signal("a", AT), redacted_signal("b", AT + 1)))]

    with pytest.raises(StoreUnavailable):
        recording(AwayStore(), ledger).record(batch, AT)

    assert ledger.batches == [(2, "failed")]


def test_a_stored_batch_is_counted_and_announced_to_every_sink() -> None:
    """One broken sink silences neither the others nor the account."""
    ledger, broken, sound = Ledger(), Sink(broken=True), Sink()
    gap = Gap("g1", AT, AT + 1, "disk_full", 3)
    batch = [journal_slice(exchange(redacted_signal("a", AT)), gaps=(gap,))]
    subject = recording(InMemoryStore(), ledger, broken, sound)

    subject.announce(batch, subject.record(batch, AT), 0.01)

    assert sound.heard == [1, 1]
    assert ledger.batches == [(1, "ok")]
    assert ledger.losses == [("journal", "disk_full", 3)]


def test_lost_facts_are_one_line_a_batch_and_reason() -> None:
    """Whoever reads the log learns of a loss when it is accounted, not from a metric alone."""
    ledger = Ledger()
    gaps = [
        Gap(f"g{n}", AT, AT + 1, reason, n)
        for n, reason in ((1, "corrupt"), (2, "corrupt"), (4, "disk_full"))
    ]
    batch = [
        journal_slice(exchange(), gaps=(gaps[0],)),
        journal_slice(exchange(), gaps=tuple(gaps[1:]), offset=2),
    ]
    subject = recording(InMemoryStore(), ledger)

    with capture_logs() as lines:
        subject.announce(batch, subject.record(batch, AT), 0.01)

    told = [(line["event"], line["stage"], line["reason"], line["lost"]) for line in lines]
    assert told == [("facts.lost", "journal", "corrupt", 3), ("facts.lost", "journal", "disk_full", 4)]
    assert ledger.losses == [("journal", "corrupt", 3), ("journal", "disk_full", 4)]


def test_a_batch_that_comes_again_is_counted_as_repeated() -> None:
    """Facts known already are told to the ledger by source."""
    ledger = Ledger()
    subject = recording(InMemoryStore(), ledger)
    fact = redacted_signal("M1", AT)

    for number in (1, 2):
        batch = [journal_slice(exchange(fact, exchange_id=f"x-{number}"), offset=number)]
        subject.announce(batch, subject.record(batch, AT), 0.01)

    assert ledger.batches == [(1, "ok"), (0, "ok")]
    assert ledger.repeats.total() == 1

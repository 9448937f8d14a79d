"""The recorder's loop: order, retries, one settlement a batch, stopping."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pytest

from domain.errors import StoreUnavailable
from domain.record_signal import Recorded, Slice
from domain.recorded import BySource, Progress, RecordedSignal
from domain.words import Millis
from sidecar.recorder import Recorder
from tests.builders import journal_slice, recorded_signal
from tests.e2e.sidecars import until


class Tail:
    """A journal of prepared batches; gives the same one until it is settled, as the real one does."""

    pause_seconds = 0.001

    def __init__(self, batches: list[list[Slice]]) -> None:
        self.waiting = batches
        self.settled: list[Sequence[Progress]] = []
        self.closed = False

    def read(self, max_facts: int, max_records: int) -> list[Slice]:
        assert max_facts > 0
        assert max_records > 0
        return self.waiting[0] if self.waiting else []

    def settle(self, progress: Sequence[Progress]) -> None:
        self.settled.append(progress)
        self.waiting.pop(0)

    def pending(self) -> BySource:
        return BySource(webhook=len(self.waiting))

    def close(self) -> None:
        self.closed = True


class Recording:
    """Records what it is told; fails as often as it is told."""

    def __init__(
        self,
        failures: int = 0,
        evaluation: Callable[[], None] = lambda: None,
        failure: Exception | None = None,
    ) -> None:
        self._failure = failure or StoreUnavailable("away")
        self.failures = failures
        self.recorded: list[Sequence[Slice]] = []
        self.announced: list[Sequence[Slice]] = []
        self.tidied = threading.Event()
        self.evaluated: list[int] = []
        self._evaluation = evaluation

    def progress(self) -> Mapping[str, Progress]:
        return {}

    def record(self, batch: Sequence[Slice], now: Millis) -> Recorded:
        assert now == 7
        if self.failures:
            self.failures -= 1
            raise self._failure
        self.recorded.append(batch)
        return Recorded([recorded_signal(1, 7)], Counter(), [piece.progress for piece in batch])

    def announce(self, batch: Sequence[Slice], recorded: Recorded, seconds: float) -> None:
        assert seconds >= 0
        assert recorded.progress
        self.announced.append(batch)

    def evaluate(self, rows: Sequence[RecordedSignal]) -> None:
        assert rows
        self.evaluated.append(len(rows))
        self._evaluation()

    def tidy(self, now: Millis) -> None:
        assert now == 7
        self.tidied.set()
        self._evaluation()  # what is due by time is evaluated as well


def batches(count: int) -> list[list[Slice]]:
    return [[journal_slice(offset=number)] for number in range(1, count + 1)]


def running(recording: Recording, tail: Tail, opening: Callable[[], None] = lambda: None) -> Recorder:
    def open_store() -> Recording:
        opening()
        return recording

    recorder = Recorder(open_store, lambda _: tail, lambda: 7)  # type: ignore[arg-type,return-value] # the part of a tail the loop uses
    recorder.start()
    return recorder


def test_batches_are_recorded_settled_and_announced_once_and_in_order() -> None:
    """Order is kept, nothing twice."""
    recording, tail, expected = Recording(), Tail(batches(5)), batches(5)
    recorder = running(recording, tail)
    until(lambda: not tail.waiting)
    recorder.stop()

    assert recording.recorded == recording.announced == expected
    assert [progress[0].offset for progress in tail.settled] == [1, 2, 3, 4, 5]
    assert tail.closed


def test_a_database_that_is_away_is_tried_again_with_the_same_batch() -> None:
    """The journal holds; nothing is skipped, and the trouble is told until it is over."""
    recording, tail = Recording(failures=2), Tail(batches(2))
    recorder = running(recording, tail)
    until(lambda: recorder.trouble is not None and "does not take facts" in recorder.trouble)
    until(lambda: not tail.waiting)
    until(lambda: recorder.trouble is None)
    recorder.stop()

    assert recording.recorded == batches(2)


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), OSError("no space")])
def test_whatever_prevents_recording_is_tried_again_and_told(error: Exception) -> None:
    """A fault nobody foresaw neither ends the recorder nor skips a batch."""
    recording, tail = Recording(failures=1, failure=error), Tail(batches(2))
    recorder = running(recording, tail)
    until(lambda: recorder.trouble is not None and type(error).__name__ in recorder.trouble)
    until(lambda: not tail.waiting)
    recorder.stop()

    assert recording.recorded == batches(2)


def test_a_store_that_cannot_be_opened_yet_is_tried_again() -> None:
    """Starting never depends on the database."""
    tries = []

    def opening() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise StoreUnavailable("starting up")

    recording, tail = Recording(), Tail(batches(1))
    recorder = running(recording, tail, opening)
    until(lambda: recording.announced)
    recorder.stop()

    assert len(tries) == 3


@pytest.mark.parametrize("error", [ZeroDivisionError, StoreUnavailable])
def test_a_failing_evaluation_stops_nothing(error: type[Exception]) -> None:
    """A fact, once stored, survives a failing evaluation."""

    def fail() -> None:
        raise error("no verdict today")

    recording, tail = Recording(evaluation=fail), Tail(batches(3))
    recorder = running(recording, tail)
    until(lambda: not tail.waiting)
    recorder.stop()

    assert len(recording.recorded) == 3


def test_evaluation_gathers_while_batches_keep_coming_and_misses_none() -> None:
    """Two hundred instances are not looked at for two facts each; when the journal is empty nobody waits."""
    recording, tail = Recording(), Tail(batches(300))
    recorder = running(recording, tail)
    until(lambda: sum(recording.evaluated) == 300)
    recorder.stop()

    assert len(recording.evaluated) < 100


def test_a_failing_evaluation_is_told_until_one_succeeds() -> None:
    """Readiness says degraded while health cannot be evaluated, and no longer."""
    broken = [True]

    def fail() -> None:
        if broken:
            raise ZeroDivisionError

    recording, tail = Recording(evaluation=fail), Tail(batches(1))
    recorder = running(recording, tail)
    until(lambda: recorder.trouble == "health cannot be evaluated: ZeroDivisionError")
    broken.clear()
    until(lambda: recorder.trouble is None)  # the next look at what time asks for succeeds
    recorder.stop()


def test_what_time_asks_for_is_done_also_while_batches_keep_coming() -> None:
    """A busy recorder still notices that a cooldown's hour is over."""
    recording = Recording()
    tail = Tail(batches(200_000))
    recorder = running(recording, tail)
    try:
        assert recording.tidied.wait(10)
        assert tail.waiting
    finally:
        recorder.stop(0)


def test_stopping_drains_what_waits() -> None:
    """What was journaled before the stop is recorded before the exit."""
    recording, tail = Recording(), Tail(batches(50))
    recorder = running(recording, tail)
    recorder.stop()

    assert len(recording.recorded) == 50


def test_stopping_gives_up_after_its_time_while_the_database_is_away() -> None:
    """The journal keeps what could not be recorded; the process ends."""
    recording, tail = Recording(failures=1_000_000), Tail(batches(1))
    recorder = running(recording, tail)
    recorder.stop(0.3)

    assert recording.recorded == []
    assert tail.waiting


def test_stopping_before_the_store_was_ever_open_ends_at_once() -> None:
    """A sidecar whose database never came can be stopped."""

    def opening() -> None:
        raise StoreUnavailable("never")

    recorder = running(Recording(), Tail(batches(1)), opening)
    recorder.stop(5)

    assert recorder.tail is None

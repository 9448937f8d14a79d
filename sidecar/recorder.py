"""The recorder: tails the journal, records batches, announces what is new, has health evaluated.

    journal -> JournalTail.read -> RecordReputationSignal -> settle -> announce -> evaluate

One thread owns the store's writing side. The database may be down at any moment, also at the start: the
journal holds what waits, the same batch is tried again until it is stored, and order is kept. A batch that
was stored is settled and announced once; a crash between the two costs log lines, never facts.
"""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from domain.errors import DomainError, StoreUnavailable
from domain.record_signal import Recorded, Slice
from domain.recorded import Progress, RecordedSignal
from domain.words import Millis
from sidecar.clock import monotonic_ns
from sidecar.journal.tail import JournalTail
from sidecar.telemetry import EvaluationFailed, StoreRecovered, StoreRefused

FACTS_MAX: Final = 1500
"""Facts of a batch, reached only behind a full journal: a fact costs SQLite less than in one of 1000.
With 4000 it costs less still, and the process 16 MiB more."""
RECORDS_MAX: Final = 4000
"""Records of a batch, most of them without facts."""
BACKOFF_FIRST_SECONDS: Final = 0.1
BACKOFF_MAX_SECONDS: Final = 5.0
TIDY_NS: Final = 1_000_000_000
"""How often work that time asks for is looked at, also while batches keep coming."""
GATHER_NS: Final = 500_000_000
GATHER_ROWS_MAX: Final = 3_000
STOP_SECONDS: Final = 10.0
"""How long a stopping recorder goes on draining; the rest waits in the journal for the next start."""

_AWAY: Final = "the database does not answer"
_UNEVALUATED: Final = "health cannot be evaluated"


class Recording(Protocol):
    """What is done with each batch; made when the store is open (`sidecar.bootstrap`)."""

    def progress(self) -> Mapping[str, Progress]:
        """Give the stored positions."""
        ...

    def record(self, batch: Sequence[Slice], now: Millis) -> Recorded:
        """Store a batch in one transaction."""
        ...

    def announce(self, batch: Sequence[Slice], recorded: Recorded, seconds: float) -> None:
        """Tell exporters what was stored; never raises."""
        ...

    def evaluate(self, rows: Sequence[RecordedSignal]) -> None:
        """Have the health of the instances these new rows touch evaluated."""
        ...

    def tidy(self, now: Millis) -> None:
        """Do what time asks for: steps of health that are due. Bounded work a call."""
        ...


class Recorder:
    """Runs the loop in a thread of its own.

    Args:
        open_store: opens the store; raises `StoreUnavailable` while it cannot.
        open_tail: opens the journal behind the stored positions.
        clock: wall clock.

    Attributes:
        lock: held while counts move, so that whoever reads them sees one consistent state.
        trouble: why nothing is recorded right now, None while all is well.
    """

    def __init__(
        self,
        open_store: Callable[[], Recording],
        open_tail: Callable[[Mapping[str, Progress]], JournalTail],
        clock: Callable[[], Millis],
    ) -> None:
        self._open_store = open_store
        self._open_tail = open_tail
        self._clock = clock
        self._stopping = threading.Event()
        self._handing_over = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self.lock = threading.RLock()
        self.tail: JournalTail | None = None
        self.trouble: str | None = "starting"
        self._refused_ns: int | None = None

    def start(self) -> None:
        """Begin recording."""
        self._thread.start()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Drain what the journal still holds, at most this long, then end; blocks until then."""
        deadline = threading.Timer(seconds, self._give_up)
        deadline.daemon = True
        deadline.start()
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        deadline.cancel()

    def _give_up(self) -> None:
        self._handing_over = True

    def _run(self) -> None:
        backoff = Backoff(self._stopping)
        while not self._over():
            try:
                recording = self._open_store()
                with self.lock:
                    self.tail = self._open_tail(recording.progress())
                break
            except Exception as error:  # noqa: BLE001 - whatever it is, the traffic goes on and we try again
                self._troubled("the database cannot be opened", error)
                backoff.wait()
        else:
            return
        self._recovered()
        self._drain(recording, self.tail)
        with self.lock:
            self.tail.close()

    def _over(self) -> bool:
        return self._handing_over or self._stopping.is_set()

    def _drain(self, recording: Recording, tail: JournalTail) -> None:
        backoff = Backoff(self._stopping)
        touched = Touched()
        tidied_ns = 0
        while not self._handing_over:
            with self.lock:
                batch = tail.read(FACTS_MAX, RECORDS_MAX)
            if batch:
                touched.add(self._record(recording, tail, batch, backoff))
            idle = not batch
            del batch  # megabytes behind a full journal: neither evaluating nor the next one need them
            if touched.due(idle=idle):
                self._guarded(recording.evaluate, touched.take())
            if idle and self._stopping.is_set():
                return
            if monotonic_ns() - tidied_ns > TIDY_NS:
                self._guarded(recording.tidy, self._clock())
                tidied_ns = monotonic_ns()
            elif idle:
                self._stopping.wait(tail.pause_seconds)

    def _record(
        self, recording: Recording, tail: JournalTail, batch: Sequence[Slice], backoff: "Backoff"
    ) -> Sequence[RecordedSignal]:
        """Store and announce a batch; give its new rows, none when it must be tried again."""
        started = monotonic_ns()
        try:
            recorded = recording.record(batch, self._clock())
        except Exception as error:  # noqa: BLE001 - the journal holds the batch; it is tried again until it is stored
            self._troubled("the database does not take facts", error)
            backoff.wait()
            return ()
        backoff.reset()
        self._recovered()
        with self.lock:
            tail.settle(recorded.progress)
            recording.announce(batch, recorded, (monotonic_ns() - started) / 1e9)
        return recorded.signals

    def _guarded(self, work: Callable[..., None], *args: object) -> None:
        """Evaluate; a fact, once stored, survives a failing evaluation, and a later one makes up for it."""
        try:
            work(*args)
        except StoreUnavailable as error:
            self._troubled(_AWAY, error)
        except Exception as error:  # noqa: BLE001 - told, and tried again with the next batch or second
            self._troubled(_UNEVALUATED, error)
        else:
            if self.trouble is not None and self.trouble.startswith((_AWAY, _UNEVALUATED)):
                self._recovered()

    def _waiting(self) -> int:
        with self.lock:
            return self.tail.pending().total if self.tail is not None else 0

    def _recovered(self) -> None:
        if self._refused_ns is not None:
            StoreRecovered(outage_seconds=round((monotonic_ns() - self._refused_ns) / 1e9, 3)).emit()
            self._refused_ns = None
        self.trouble = None

    def _troubled(self, what: str, error: Exception) -> None:
        """Say why nothing is recorded: once a trouble in the log, at every probe in readiness."""
        if self.trouble is None or not self.trouble.startswith(what):
            if what == _UNEVALUATED:
                EvaluationFailed().emit(error)
            else:
                known = isinstance(error, StoreUnavailable)
                StoreRefused(reason=what, facts=self._waiting()).emit(None if known else error)
                self._refused_ns = monotonic_ns() if self._refused_ns is None else self._refused_ns
        self.trouble = (
            f"{what}: {error}" if isinstance(error, DomainError) else f"{what}: {type(error).__name__}"
        )


class Touched:
    """Rows whose instances are to be evaluated; gathered while batches keep coming.

    Evaluating costs an instance more than a fact: behind a full journal two hundred instances would be looked
    at for two facts each, so they wait for more, half a second at most. With an empty journal nobody waits.
    """

    def __init__(self) -> None:
        self._rows: list[RecordedSignal] = []
        self._since_ns = 0

    def add(self, rows: Sequence[RecordedSignal]) -> None:
        """Gather the rows of one batch."""
        if rows and not self._rows:
            self._since_ns = monotonic_ns()
        self._rows += rows

    def due(self, *, idle: bool) -> bool:
        """Tell whether to evaluate now."""
        if not self._rows:
            return False
        waited_ns = monotonic_ns() - self._since_ns
        return idle or waited_ns >= GATHER_NS or len(self._rows) >= GATHER_ROWS_MAX

    def take(self) -> list[RecordedSignal]:
        """Give what was gathered."""
        rows, self._rows = self._rows, []
        return rows


class Backoff:
    """Waits between tries: doubling, bounded, with jitter; cut short when stopping."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._seconds = BACKOFF_FIRST_SECONDS

    def wait(self) -> None:
        """Wait for the next try."""
        seconds = self._seconds * random.uniform(0.5, 1.0)  # noqa: S311 - jitter needs no secrecy
        self._seconds = min(self._seconds * 2, BACKOFF_MAX_SECONDS)
        if self._stopping.wait(seconds):
            threading.Event().wait(min(seconds, 0.2))  # stopping: still no busy loop against a dead database

    def reset(self) -> None:
        """Start over after a success."""
        self._seconds = BACKOFF_FIRST_SECONDS

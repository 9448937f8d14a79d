"""What retention costs the line: batches recorded at a steady pace, alone and while old signals go.

The pace leaves the database half of its time: behind one it cannot keep, every batch would be late already.
"""

import threading
from itertools import count
from typing import Final, NamedTuple

from bench.report import Row, at_most, note
from domain.exchange import ExchangeFacts, Outcome
from domain.record_signal import RecordReputationSignal, Slice
from domain.recorded import Progress
from domain.retain import DROP_MAX
from domain.signal import Signal
from domain.words import Direction, Millis, SignalType, Source
from exporters.sql.engine import parse_url, sqlite_path
from exporters.sql.store import SqlStore
from sidecar.clock import monotonic_ns

BATCH: Final = 100
PACE_SECONDS: Final = 0.02
"""Between two batches, or twice what one takes."""
TRIED: Final = 40
ALONE_SECONDS: Final = 4.0
DROPPED_PART: Final = 20
"""A twentieth of the store goes: more than a day of thirty."""
STALL_MAX_MS: Final = 1000.0


class _Took(NamedTuple):
    batches: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def while_retention_runs(store: SqlStore, url: str, base: Millis, span: Millis, size: int) -> list[Row]:
    """Measure; the store loses its oldest twentieth and gains a few thousand rows."""
    now = base + span
    numbers = count(size)
    pace = max(PACE_SECONDS, 2 * _fastest(store, numbers, now))
    alone = _record(store, numbers, now, threading.Event(), ALONE_SECONDS, pace)
    parsed = parse_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    before = sqlite_path(parsed).stat().st_size if sqlite else 0
    done = threading.Event()
    took: list[_Took] = []
    recording = threading.Thread(target=lambda: took.append(_record(store, numbers, now, done, 600.0, pace)))
    recording.start()
    began = monotonic_ns()
    dropped = 0
    try:
        step = monotonic_ns()
        while gone := store.drop_before(base + span // DROPPED_PART, DROP_MAX):
            dropped += gone
            done.wait((monotonic_ns() - step) / 1e9)  # steps back as `sidecar.retention` does
            step = monotonic_ns()
        while store.give_back():
            done.wait((monotonic_ns() - step) / 1e9)
            step = monotonic_ns()
        seconds = (monotonic_ns() - began) / 1e9
    finally:
        done.set()
        recording.join()
    rows = [
        note("retention", f"{dropped:,} signals in {seconds:.1f} s, {dropped / seconds:,.0f} /s"),
        note(f"  a batch of {BATCH} alone, each {pace * 1000:.0f} ms", _text(alone)),
        note(f"  a batch of {BATCH} meanwhile", _text(took[0])),
        at_most("  the longest stall of a batch", took[0].max_ms, STALL_MAX_MS, "ms"),
    ]
    if sqlite:
        after = sqlite_path(parsed).stat().st_size
        rows.append(note("  file before and after", f"{before / 1e6:,.0f} MB, {after / 1e6:,.0f} MB"))
    return rows


def _text(took: _Took) -> str:
    return f"p50 {took.p50_ms:.1f}, p99 {took.p99_ms:.1f}, max {took.max_ms:.0f} ms, {took.batches} batches"


def _fastest(store: SqlStore, numbers: "count[int]", now: Millis) -> float:
    """Give the seconds a batch takes in the middle of several that follow at once."""
    return _record(store, numbers, now, threading.Event(), ALONE_SECONDS, 0.0, TRIED).p50_ms / 1000


def _record(
    store: SqlStore,
    numbers: "count[int]",
    now: Millis,
    done: threading.Event,
    seconds: float,
    pace: float,
    most: int = 1_000_000,
) -> _Took:
    """Record a batch at each pace; from when each was due, so that a stall counts whole."""
    record = RecordReputationSignal(store)
    took: list[float] = []
    began = monotonic_ns()
    due = began
    while monotonic_ns() - began < seconds * 1e9 and len(took) < most:
        due = due + int(pace * 1e9) if pace else monotonic_ns()
        if done.wait(max(0.0, (due - monotonic_ns()) / 1e9)):
            break
        batch = [_exchange(next(numbers), now) for _ in range(BATCH)]
        record([Slice(Progress("bench", 1, next(numbers)), batch)], now)
        took.append((monotonic_ns() - due) / 1e6)
    took.sort()
    return _Took(len(took), took[len(took) // 2], took[len(took) * 99 // 100], took[-1])


def _exchange(number: int, at: Millis) -> ExchangeFacts:
    message = f"3EC0{number:X}"
    signal = Signal(
        SignalType.MESSAGE_SENT, Source.DISPATCH, f"sales-{number % 100}", at, message, basis=message
    )
    return ExchangeFacts(
        f"b-{number}", at, Direction.DISPATCH, "turbozap", "POST", "/send", 200, None, 1000, 800,
        Outcome.READ, signals=(signal,),
    )  # fmt: skip

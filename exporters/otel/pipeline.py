"""From the recorder to a collector without waiting: bounded queue, thread, batches, retries, a deadline.

    offer ─► queue (bounded) ─► thread: encode, send ─► collector
               │ full                     │ refused for good, or given up
               ▼                          ▼
             dropped: queue_full        dropped: export_failed

While a collector does not answer, one batch is tried a few times, slower each time, and the queue takes what
fits. Nobody else notices. What was emitted is exported, failed, waits, or was dropped: queue full, shutdown.
The SDK's batch processor is not used: its shutdown can hang for half a minute, and its drops are not counted.
"""

import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from google.protobuf.message import Message

from exporters.otel.settings import REQUEST_SECONDS
from exporters.otel.transport import Answer, Transport

QUEUE_MAX: Final = 8192
BATCH_MAX: Final = 512
LINGER_SECONDS: Final = 1.0
"""How long a record waits for company."""
TRIES_MAX: Final = 6
BACKOFF_FIRST_SECONDS: Final = 0.5
BACKOFF_MAX_SECONDS: Final = 10.0

Item = TypeVar("Item")

DropReason: TypeAlias = Literal["queue_full", "export_failed", "rejected", "shutdown"]


class Listener(Protocol):
    """Hears what became of records, from the pipeline's thread and from the recorder's; must be quick."""

    def outcome(self, outcome: str, n: int) -> None:
        """Hear of `n` records emitted, exported or failed."""
        ...

    def dropped(self, reason: DropReason, n: int) -> None:
        """Hear of `n` records dropped: queue_full, shutdown, or (these failed) export_failed, rejected."""
        ...

    def failing(self, problem: str) -> None:
        """Hear that the collector stopped taking records; once an outage."""
        ...

    def recovered(self, outage_seconds: float) -> None:
        """Hear that it takes them again."""
        ...


class Pipeline(Generic[Item]):
    """Exports items of one kind.

    Args:
        name: of the thread.
        encode: makes one export request of a batch.
        transport: how it travels.
        listener: hears what became of them.
        monotonic_ns: clock for durations.
        queue_max: items that wait; more are dropped and counted.
    """

    def __init__(
        self,
        name: str,
        encode: Callable[[Sequence[Item]], Message],
        transport: Transport,
        listener: Listener,
        *,
        monotonic_ns: Callable[[], int],
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self._encode = encode
        self._transport = transport
        self._listener = listener
        self._monotonic_ns = monotonic_ns
        self._queue_max = queue_max
        self._queue: deque[Item] = deque()
        self._wake = threading.Condition(threading.Lock())
        self._deadline: float | None = None
        self._in_hand = 0
        self._abandoned = False
        self._failing_since: float | None = None
        self._backoff = BACKOFF_FIRST_SECONDS
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Items that wait."""
        return len(self._queue)

    @property
    def capacity(self) -> int:
        """Items that may wait."""
        return self._queue_max

    def offer(self, items: Sequence[Item]) -> None:
        """Queue items; those that do not fit are dropped and counted. Never waits."""
        if not items:
            return
        with self._wake:
            room = 0 if self._deadline is not None else self._queue_max - len(self._queue)
            taken = items if len(items) <= room else items[: max(room, 0)]
            before = len(self._queue)
            self._queue.extend(taken)
            # The thread sleeps until there is something, then until a batch is full; wake it for these only.
            if taken and (not before or len(self._queue) >= BATCH_MAX > before):
                self._wake.notify()
        self._listener.outcome("emitted", len(items))
        if len(taken) < len(items):
            self._listener.dropped("queue_full", len(items) - len(taken))

    def stop(self, budget_seconds: float) -> None:
        """Take nothing more, and export what waits within the budget; returns at once."""
        with self._wake:
            self._deadline = self._now() + budget_seconds
            self._wake.notify()

    def close(self) -> bool:
        """Wait for the budget given to `stop`, then drop the rest; tells whether all was settled in time.

        A request still under way then is not waited for: its records count as dropped, whatever comes of it.
        """
        self._thread.join(max(0.0, (self._deadline or 0.0) - self._now()))
        self._transport.close()
        with self._wake:
            left = len(self._queue) + self._in_hand
            self._abandoned = True
            self._queue.clear()
        if left:
            self._listener.dropped("shutdown", left)
        return not left

    def _now(self) -> float:
        return self._monotonic_ns() / 1e9

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._export(batch)
            except Exception as error:  # noqa: BLE001 - a fault costs one batch, not the exporter
                self._note_failure(type(error).__name__)
                self._settle(0, "export_failed")

    def _next_batch(self) -> list[Item]:
        """Wait for a full batch, or for the linger time of a smaller one; empty when all is done."""
        with self._wake:
            while not self._queue and self._deadline is None:
                self._wake.wait()
            if len(self._queue) < BATCH_MAX and self._deadline is None:
                self._wake.wait_for(
                    lambda: len(self._queue) >= BATCH_MAX or self._deadline is not None, LINGER_SECONDS
                )
            if self._deadline is not None and self._now() >= self._deadline:
                return []
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            self._in_hand = len(batch)
            return batch

    def _export(self, batch: list[Item]) -> None:
        request = self._encode(batch)
        tries = 0
        while True:
            answer = self._transport.send(request, self._time_left(REQUEST_SECONDS))
            tries += 1
            if answer.problem is None:
                self._note_success()
                self._settle(len(batch) - min(answer.rejected, len(batch)), "rejected")
                return
            self._note_failure(answer.problem)
            if not answer.retry or tries >= TRIES_MAX or not self._pause(answer):
                self._settle(0, "export_failed")
                return

    def _settle(self, exported: int, reason: DropReason) -> None:
        """Tell the fate of the batch in hand, unless `close` has told it already."""
        with self._wake:
            records, self._in_hand = self._in_hand, 0
            if self._abandoned:
                return
        if exported:
            self._listener.outcome("exported", exported)
        if failed := records - exported:
            self._listener.outcome("failed", failed)
            self._listener.dropped(reason, failed)

    def _note_success(self) -> None:
        if self._failing_since is not None:
            self._listener.recovered(self._now() - self._failing_since)
            self._failing_since = None
        self._backoff = BACKOFF_FIRST_SECONDS

    def _note_failure(self, problem: str) -> None:
        if self._failing_since is None:
            self._failing_since = self._now()
            self._listener.failing(problem)

    def _pause(self, answer: Answer) -> bool:
        """Wait before the next try; tells whether there is time for one."""
        seconds = answer.retry_after_seconds
        if seconds is None:
            seconds = self._backoff * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, guards nothing
            self._backoff = min(self._backoff * 2, BACKOFF_MAX_SECONDS)
        with self._wake:
            self._wake.wait_for(lambda: self._deadline is not None, seconds)
            return self._deadline is None

    def _time_left(self, seconds: float) -> float:
        if self._deadline is None:
            return seconds
        return max(0.1, min(seconds, self._deadline - self._now()))

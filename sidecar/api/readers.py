"""Store calls on threads, bounded, so that a heavy reader can neither starve recording nor block the loop.

Three lanes share the threads: questions, pages of long exports, and changes. Exports get at most half of the
threads, so that a page of the timeline never waits behind a download. Changes wait for the store's one
writer, so more than one at a time would only hold threads.

Readers share one interpreter with recording: four that read without a pause leave it 15 % of its rate, one
leaves 35 %. That matters only when facts wait, so then readers step back: one at a time, with rests between.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, TypeVar

from domain.words import Millis
from sidecar.api.errors import unavailable

T = TypeVar("T")

RUNNING_MAX: Final = 4
EXPORTS_RUNNING_MAX: Final = 2
CHANGES_RUNNING_MAX: Final = 1
CHANGES_WAITING_MAX: Final = 16
WAITING_MAX: Final = 64
WAIT_SECONDS: Final = 5.0
"""Longer than a page ever takes; a caller is better served by a 503 than by a queue."""
LAG_MAX_MS: Final[Millis] = 1000
"""Age of the oldest unrecorded fact from which readers step back; a batch is recorded within 100 ms."""
LAG_ASKED_SECONDS: Final = 0.1
QUESTION_RESTS: Final = 1.0
EXPORT_RESTS: Final = 3.0
"""Rests while stepping back, as a multiple of the time the work took."""


class Precedence:
    """Recording goes first: tells whether it is behind, and has the one turn that is given then."""

    def __init__(self, lag_ms: Callable[[], Millis]) -> None:
        self.turn = asyncio.Semaphore(1)
        self._lag_ms = lag_ms
        self._asked_at = float("-inf")
        self._behind = False

    def is_recordings(self) -> bool:
        """Tell whether facts wait for recording; asks at most ten times a second."""
        now = asyncio.get_running_loop().time()
        if now - self._asked_at >= LAG_ASKED_SECONDS:
            self._asked_at, self._behind = now, self._lag_ms() > LAG_MAX_MS
        return self._behind


class Lane:
    """A bound on calls at once and on callers waiting for their turn.

    Attributes:
        refused: callers that were turned away, since the start.
    """

    def __init__(
        self,
        executor: Executor,
        running_max: int,
        waiting_max: int,
        wait_seconds: float,
        precedence: Precedence | None = None,
        rests: float = 0.0,
    ) -> None:
        self._executor = executor
        self._precedence = precedence
        self._rests = rests
        self._turn = asyncio.Semaphore(running_max)
        self._waiting = 0
        self._waiting_max = waiting_max
        self._wait_seconds = wait_seconds
        self.refused = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on a thread and give its result.

        A caller that goes away does not free the thread: the turn ends when the work does.

        Raises:
            ApiError: 429 when too many wait, 503 when the turn did not come in time.
        """
        if self._waiting >= self._waiting_max:
            self.refused += 1
            raise unavailable("too_many_requests", "too many questions at once; try again", 429)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                stepped_back = await self._wait()
        except TimeoutError:
            self.refused += 1
            raise unavailable("busy", "the readers are busy; try again") from None
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            future = loop.run_in_executor(self._executor, work)
        except RuntimeError:  # the executor is shut down: the process is stopping
            self._turn.release()
            if stepped_back is not None:
                stepped_back.release()
            raise unavailable("stopping", "the sidecar is stopping") from None

        def ended(future: asyncio.Future[T]) -> None:
            self._turn.release()
            if stepped_back is not None:
                loop.call_later((loop.time() - began) * self._rests, stepped_back.release)
            if not future.cancelled():
                future.exception()  # read it even when the caller is gone, or asyncio complains

        future.add_done_callback(ended)
        return await asyncio.shield(future)

    async def _wait(self) -> asyncio.Semaphore | None:
        """Wait for a turn; give the one turn there is while recording is behind, if this is that."""
        await self._turn.acquire()
        if self._precedence is None or not self._precedence.is_recordings():
            return None
        try:
            await self._precedence.turn.acquire()
        except BaseException:  # cancelled, or too late: the turn must not be lost
            self._turn.release()
            raise
        return self._precedence.turn


class Readers:
    """The lanes of the API."""

    def __init__(
        self,
        executor: Executor,
        lag_ms: Callable[[], Millis] = lambda: 0,
        *,
        waiting_max: int = WAITING_MAX,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        first = Precedence(lag_ms)
        self.questions = Lane(executor, RUNNING_MAX, waiting_max, wait_seconds, first, QUESTION_RESTS)
        self.changes = Lane(executor, CHANGES_RUNNING_MAX, CHANGES_WAITING_MAX, wait_seconds)
        self.exports = Lane(executor, EXPORTS_RUNNING_MAX, waiting_max, wait_seconds * 6, first, EXPORT_RESTS)

    @property
    def refused(self) -> int:
        """Callers turned away since the start."""
        return self.questions.refused + self.exports.refused + self.changes.refused

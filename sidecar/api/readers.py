"""Store calls on threads, bounded, so that a heavy reader can neither starve recording nor block the loop.

Three lanes share the threads: questions, pages of long exports, and changes. Exports get at most half of the
threads, so that a page of the timeline never waits behind a download. Changes wait for the store's one
writer, so more than one at a time would only hold threads.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, TypeVar

from sidecar.api.errors import unavailable

T = TypeVar("T")

RUNNING_MAX: Final = 4
EXPORTS_RUNNING_MAX: Final = 2
CHANGES_RUNNING_MAX: Final = 1
CHANGES_WAITING_MAX: Final = 16
WAITING_MAX: Final = 64
WAIT_SECONDS: Final = 5.0
"""Longer than a page ever takes; a caller is better served by a 503 than by a queue."""


class Lane:
    """A bound on calls at once and on callers waiting for their turn.

    Attributes:
        refused: callers that were turned away, since the start.
    """

    def __init__(self, executor: Executor, running_max: int, waiting_max: int, wait_seconds: float) -> None:
        self._executor = executor
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
                await self._turn.acquire()
        except TimeoutError:
            self.refused += 1
            raise unavailable("busy", "the readers are busy; try again") from None
        finally:
            self._waiting -= 1
        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        except RuntimeError:  # the executor is shut down: the process is stopping
            self._turn.release()
            raise unavailable("stopping", "the sidecar is stopping") from None
        future.add_done_callback(self._ended)
        return await asyncio.shield(future)

    def _ended(self, future: asyncio.Future[T]) -> None:
        self._turn.release()
        if not future.cancelled():
            future.exception()  # read it even when the caller is gone, or asyncio complains


class Readers:
    """The lanes of the API."""

    def __init__(
        self, executor: Executor, *, waiting_max: int = WAITING_MAX, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self.questions = Lane(executor, RUNNING_MAX, waiting_max, wait_seconds)
        self.changes = Lane(executor, CHANGES_RUNNING_MAX, CHANGES_WAITING_MAX, wait_seconds)
        self.exports = Lane(executor, EXPORTS_RUNNING_MAX, waiting_max, wait_seconds * 6)

    @property
    def refused(self) -> int:
        """Callers turned away since the start."""
        return self.questions.refused + self.exports.refused + self.changes.refused

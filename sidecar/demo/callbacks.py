"""Posts the provider simulator's callbacks: each at its time, in no other order, with TurboZap's retries.

A failed attempt (no 2xx, or no answer) is tried 3 times more, 1, 4 and 9 seconds later, then given up.
Callbacks that wait are bounded; one too many is dropped and counted.
"""

import asyncio
import contextlib
import heapq
from collections import Counter
from typing import Final, NamedTuple

import aiohttp

from sidecar.demo.turbozap import Callback
from sidecar.tasks import spawn

RETRY_SECONDS: Final = (1.0, 4.0, 9.0)
ATTEMPT_TIMEOUT_SECONDS: Final = 10.0
WAITING_MAX: Final = 20_000
POSTS_MAX: Final = 64


class _Due(NamedTuple):
    at: float
    order: int
    callback: Callback
    attempt: int


class CallbackPoster:
    """Sends callbacks to one URL until it is closed.

    Attributes:
        url: where callbacks go; None holds nothing back and drops them (`no_target`), as TurboZap does.
        counts: posted (answered 2xx), refused, retried, given_up, dropped, no_target, unsent (at the end).
        by_event: callbacks that were answered 2xx, by event.
    """

    def __init__(
        self,
        url: str | None,
        *,
        retry_scale: float = 1.0,
        by_events: bool = False,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self.url = url
        self._by_events = by_events
        self.counts: Counter[str] = Counter()
        self.by_event: Counter[str] = Counter()
        self._retry_scale = retry_scale
        self._waiting_max = waiting_max
        self._waiting: list[_Due] = []
        self._order = 0
        self._posting: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._free = asyncio.Semaphore(POSTS_MAX)
        self._session: aiohttp.ClientSession | None = None
        self._pump: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Callbacks that wait for their time or their answer."""
        return len(self._waiting) + len(self._posting)

    def start(self) -> None:
        """Begin to post; the loop must run."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ATTEMPT_TIMEOUT_SECONDS),
            connector=aiohttp.TCPConnector(limit=POSTS_MAX),
        )
        self._pump = spawn(self._run(), name="demo callbacks")

    def post(self, callback: Callback, after_s: float = 0.0) -> None:
        """Post a callback once its time has come."""
        if self.url is None:
            self.counts["no_target"] += 1
        elif self.pending >= self._waiting_max:
            self.counts["dropped"] += 1
        else:
            self._push(callback, after_s, attempt=1)

    async def close(self, grace_seconds: float = 5.0) -> None:
        """Forget what is not due, let posts under way end, and close; what was forgotten counts as unsent."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
        self.counts["unsent"] += len(self._waiting)
        self._waiting.clear()
        if self._posting:
            _, late = await asyncio.wait(set(self._posting), timeout=grace_seconds)
            for task in late:
                task.cancel()
            self.counts["unsent"] += len(late)
            if late:
                await asyncio.wait(late)
        # A post that failed meanwhile has queued its retry: nobody will take it.
        self.counts["unsent"] += len(self._waiting)
        self._waiting.clear()
        if self._session is not None:
            await self._session.close()

    def _push(self, callback: Callback, after_s: float, attempt: int) -> None:
        self._order += 1
        at = asyncio.get_running_loop().time() + after_s
        heapq.heappush(self._waiting, _Due(at, self._order, callback, attempt))
        self._wake.set()

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            self._wake.clear()
            wait = self._waiting[0].at - clock() if self._waiting else None
            if wait is None or wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait)
                continue
            await self._free.acquire()
            due = heapq.heappop(self._waiting)
            task = spawn(self._attempt(due), name="demo callback")
            self._posting.add(task)
            task.add_done_callback(self._posted)

    def _posted(self, task: asyncio.Task[None]) -> None:
        self._posting.discard(task)
        self._free.release()

    async def _attempt(self, due: _Due) -> None:
        if await self._answered_2xx(due.callback):
            self.counts["posted"] += 1
            self.by_event[due.callback.event] += 1
            return
        self.counts["refused"] += 1
        if due.attempt > len(RETRY_SECONDS):
            self.counts["given_up"] += 1
            return
        self.counts["retried"] += 1
        self._push(due.callback, RETRY_SECONDS[due.attempt - 1] * self._retry_scale, due.attempt + 1)

    async def _answered_2xx(self, callback: Callback) -> bool:
        if self._session is None or self.url is None:
            return False
        url = f"{self.url.rstrip('/')}/{callback.event.replace('.', '-')}" if self._by_events else self.url
        try:
            async with self._session.post(
                url, data=callback.body, headers=callback.headers, allow_redirects=False
            ) as answer:
                await answer.read()
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

"""The broadcast hub: what was just recorded, to every open event stream, without ever waiting for one.

Each stream has its own bounded queue. One that cannot keep up is dropped and counted: it may reconnect and
ask the timeline for what it missed; recording never notices.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from domain.decision import Decision
from domain.recorded import RecordedSignal
from sidecar.api.health_answers import decision_answer
from sidecar.api.signals import signal_answer

STREAMS_MAX: Final = 64
QUEUE_MAX: Final = 2000
"""Events a stream may lag behind: four batches of the recorder, about 1 MiB."""


class Stream:
    """One client's queue.

    Attributes:
        over: it gets nothing more: it fell behind, or the sidecar stops.
        cut: set by whoever writes to the client; called when it fell behind, for it may hang in a write.
    """

    def __init__(self, instance_id: str | None, queue_max: int) -> None:
        self.instance_id = instance_id
        self.over = False
        self.cut: Callable[[], None] | None = None
        self._queue: deque[bytes] = deque()
        self._queue_max = queue_max
        self._ready = asyncio.Event()

    def offer(self, event: bytes) -> bool:
        """Queue an event; False when there is no room, the stream is dropped then."""
        if len(self._queue) >= self._queue_max:
            self.end()
            if self.cut is not None:
                self.cut()
            return False
        self._queue.append(event)
        self._ready.set()
        return True

    def end(self) -> None:
        """Give nothing more; what waits is discarded."""
        self.over = True
        self._queue.clear()
        self._ready.set()

    async def next(self, patience_seconds: float) -> bytes | None:
        """Give all events that wait, joined; b"" when none came in time, None when the stream is over."""
        if not self._queue and not self.over:
            self._ready.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_seconds):
                    await self._ready.wait()
        if self.over:
            return None
        events = b"".join(self._queue)
        self._queue.clear()
        return events


class Hub:
    """Fans out to at most `streams_max` streams.

    Attributes:
        dropped: streams given up because they fell behind, since the start.
        refused: streams turned away because there were too many.
    """

    def __init__(self, *, streams_max: int = STREAMS_MAX, queue_max: int = QUEUE_MAX) -> None:
        self._streams: set[Stream] = set()
        self._streams_max = streams_max
        self._queue_max = queue_max
        self._loop: asyncio.AbstractEventLoop | None = None
        self.dropped = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._streams)

    def subscribe(self, instance_id: str | None) -> Stream | None:
        """Open a stream of one instance or of all; None when there are too many. Only on the loop."""
        if len(self._streams) >= self._streams_max:
            self.refused += 1
            return None
        self._loop = asyncio.get_running_loop()
        stream = Stream(instance_id, self._queue_max)
        self._streams.add(stream)
        return stream

    def unsubscribe(self, stream: Stream) -> None:
        """Forget a stream. Only on the loop."""
        self._streams.discard(stream)

    def publish(self, signals: Sequence[RecordedSignal], decisions: Sequence[Decision] = ()) -> None:
        """Announce what was committed; from any thread, never blocks, costs nothing while nobody listens.

        Args:
            signals: rows in arrival order.
            decisions: what was decided about them, in order.
        """
        loop = self._loop
        if not self._streams or loop is None:
            return
        with suppress(RuntimeError):  # the loop is closed: the process is stopping
            loop.call_soon_threadsafe(self._fan_out, signals, decisions)

    def close(self) -> None:
        """End all streams, so that the listener can stop."""
        for stream in self._streams:
            stream.end()

    def _fan_out(self, signals: Sequence[RecordedSignal], decisions: Sequence[Decision]) -> None:
        wanted = {stream.instance_id for stream in self._streams}
        everything = None in wanted
        events = [
            (row.instance_id, sse("signal", msgspec.json.encode(signal_answer(row))))
            for row in signals
            if everything or row.instance_id in wanted
        ]
        events += [
            (decision.instance_id, sse("decision", msgspec.json.encode(decision_answer(decision))))
            for decision in decisions
            if everything or decision.instance_id in wanted
        ]
        for stream in list(self._streams):
            for instance_id, event in events:
                if stream.instance_id in (None, instance_id) and not stream.offer(event):
                    self.dropped += 1
                    self._streams.discard(stream)
                    break


def sse(event: str, data: bytes) -> bytes:
    """Print one server-sent event (WHATWG HTML section 9.2); `data` is JSON, so it holds no line break."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), data)

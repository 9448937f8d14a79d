"""What the domain asks of the outside: a store to record into and read from, and places to announce to.

Adapters live in `exporters/`; only `sidecar/bootstrap/` brings the two together. All calls are synchronous:
the recorder owns a thread for writing, readers come from a pool (docs/adr/0003).
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from domain.recorded import Gap, InstanceHead, InstanceSummary, Progress, RecordedSignal
from domain.timeline import TimelinePage, TimelineQuery
from domain.words import Millis


class Recording(Protocol):
    """One open transaction of the recorder. Leaving it without an error commits, with an error rolls back."""

    def resolve(self, aliases: Sequence[str]) -> dict[str, str]:
        """Give the instance id behind each alias that is known."""
        ...

    def lock(self, instance_ids: Sequence[str]) -> dict[str, InstanceHead]:
        """Lock these instances in ascending order and give their heads; one never seen has an empty head."""
        ...

    def known(self, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Give those (instance id, signal id) pairs that are stored already."""
        ...

    def first_sent(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Millis]:
        """Give the earliest MESSAGE_SENT time of each (instance id, message id) that has one."""
        ...

    def append(self, signals: Sequence[RecordedSignal]) -> list[RecordedSignal]:
        """Insert new signals, all of them unknown so far; give those refused for their content.

        What is refused is set aside with its reason, so that it never blocks the line.
        """
        ...

    def save_heads(self, heads: Sequence[InstanceHead]) -> None:
        """Store the heads of locked instances."""
        ...

    def advance(self, progress: Sequence[Progress], gaps: Sequence[Gap]) -> None:
        """Store how far the journal was recorded, and losses; a gap whose key is known is left as it is."""
        ...


class SignalStore(Protocol):
    """The audit trail. Every method may raise `StoreUnavailable`."""

    def recording(self) -> AbstractContextManager[Recording]:
        """Open the one write transaction of a batch."""
        ...

    def progress(self) -> dict[str, Progress]:
        """Give how far each journal folder of this sidecar was recorded, by folder name."""
        ...

    def timeline(self, query: TimelineQuery) -> TimelinePage:
        """Read one page of an instance's signals."""
        ...

    def gaps(self, since: Millis, until: Millis, instance_id: str | None = None) -> list[Gap]:
        """Give the gaps that overlap [since, until]: those without an instance, and the named instance's."""
        ...

    def instances(self, after: str | None, limit: int) -> list[InstanceSummary]:
        """Give instances in ascending order of their id, those behind `after`, at most `limit`."""
        ...

    def drop_before(self, horizon: Millis, limit: int) -> int:
        """Delete some signals dated before `horizon`, at most `limit` (retention); give how many went.

        One short transaction; 0 when none is left.
        """
        ...

    def give_back(self) -> bool:
        """Give space that became free back to the file system, a short step; tell whether there is more."""
        ...


class SignalSink(Protocol):
    """Where recorded signals are announced: log, OTel, Prometheus. Best effort; must not raise or block."""

    def signals(self, signals: Sequence[RecordedSignal]) -> None:
        """Announce signals that were just committed, in arrival order."""
        ...

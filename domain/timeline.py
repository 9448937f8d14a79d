"""The timeline of one instance: signals in order, gaps shown as gaps. Read-only.

Order is (occurredAt, arrival) (rules.md Q29); bounds are inclusive; pages continue behind a key, so that
inserts between two pages neither repeat nor hide a row.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from domain.errors import InvalidQuery
from domain.recorded import Gap, RecordedSignal
from domain.words import Millis, Severity, SignalType, Source

if TYPE_CHECKING:
    from domain.ports import SignalStore

LIMIT_MAX: Final = 5000
LIMIT_DEFAULT: Final = 500


class PageKey(NamedTuple):
    """Sort key of the last row of a page."""

    occurred_at: Millis
    seq: int


class TimelineQuery(NamedTuple):
    """What to read.

    Attributes:
        since, until: inclusive; inverted bounds give an empty page.
        types, severities, sources: empty means all.
        message_id: as stored, that is after redaction.
        limit: 1 to 5000.
        after: continue behind this row.
    """

    instance_id: str
    since: Millis
    until: Millis
    types: frozenset[SignalType] = frozenset()
    severities: frozenset[Severity] = frozenset()
    sources: frozenset[Source] = frozenset()
    message_id: str | None = None
    descending: bool = False
    limit: int = LIMIT_DEFAULT
    after: PageKey | None = None


class TimelinePage(NamedTuple):
    """One page; `next_key` is None on the last one."""

    signals: list[RecordedSignal]
    next_key: PageKey | None = None


class Timeline(NamedTuple):
    """A page with the gaps of the whole range; gaps stand on the first page only."""

    signals: list[RecordedSignal]
    gaps: list[Gap]
    next_key: PageKey | None = None


class GetReputationTimeline:
    """Answers "what happened to this number?"."""

    def __init__(self, store: "SignalStore") -> None:
        self._store = store

    def __call__(self, query: TimelineQuery) -> Timeline:
        """Read one page.

        Raises:
            InvalidQuery: the limit is out of bounds.
            StoreUnavailable: the database did not answer.
        """
        if not 1 <= query.limit <= LIMIT_MAX:
            raise InvalidQuery("limit", f"limit must be between 1 and {LIMIT_MAX}, got {query.limit}")
        if query.since > query.until:
            return Timeline([], [])
        page = self._store.timeline(query)
        gaps = [] if query.after else self._store.gaps(query.since, query.until, query.instance_id)
        return Timeline(page.signals, gaps, page.next_key)

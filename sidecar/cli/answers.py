"""What reading commands ask, whoever answers: a running sidecar over HTTP, or the store itself.

Both give the admin API's own answer types, so a command prints the same whichever it was.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from domain.words import Millis, Severity, SignalType, Source
from sidecar.api.health import DecisionDetail
from sidecar.api.health_answers import DecisionAnswer, ReputationAnswer
from sidecar.api.instances import InstanceAnswer
from sidecar.api.signals import SignalAnswer
from sidecar.api.timeline import TimelineAnswer


class TimelineAsked(NamedTuple):
    """Which signals; bounds inclusive, an empty set means all."""

    instance_id: str
    since: Millis
    until: Millis
    types: frozenset[SignalType] = frozenset()
    severities: frozenset[Severity] = frozenset()
    sources: frozenset[Source] = frozenset()
    message_id: str | None = None
    descending: bool = False


class Answers(Protocol):
    """Answers questions; `where` names who answers, for messages."""

    where: str

    def instances(self) -> Iterator[InstanceAnswer]:
        """Give every instance in order of its id."""
        ...

    def timeline(self, asked: TimelineAsked, cursor: str | None, limit: int) -> TimelineAnswer:
        """Give one page; `cursor` is the page before's `next_cursor`."""
        ...

    def follow(self, instance_id: str) -> Iterator[SignalAnswer]:
        """Give signals as they are recorded, until interrupted."""
        ...

    def reputation(self, instance_id: str, at: Millis | None) -> ReputationAnswer:
        """Tell how an instance stands, or stood."""
        ...

    def decisions(self, instance_id: str, since: Millis, until: Millis) -> Iterator[DecisionAnswer]:
        """Give decisions, newest first."""
        ...

    def replayed(self, instance_id: str, since: Millis, until: Millis) -> Iterator[DecisionDetail]:
        """Give decisions recomputed, newest first; without `differences` where the facts were dropped."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def signals_of(answers: Answers, asked: TimelineAsked, limit: int = 5000) -> Iterator[SignalAnswer]:
    """Walk all pages of a timeline."""
    cursor: str | None = None
    while True:
        page = answers.timeline(asked, cursor, limit)
        yield from page.signals
        cursor = page.next_cursor
        if cursor is None:
            return

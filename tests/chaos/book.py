"""What a store holds at the end, read behind the sidecar's back, and whether it adds up."""

import json
from typing import Any, NamedTuple

from sqlalchemy import create_engine, text

from domain.recorded import Tally
from exporters.sql.engine import parse_url

SENT, LATENCY = "MESSAGE_SENT", "SEND_LATENCY_OBSERVED"


class Book(NamedTuple):
    """Rows of a store.

    Attributes:
        signals: (instance, id, seq, type, message id), by instance and arrival.
        gaps: (reason, lost facts).
        tallies: by journal folder: part -> source -> facts.
    """

    signals: list[tuple[str, str, int, str, str]]
    gaps: list[tuple[str, int]]
    tallies: dict[str, dict[str, dict[str, int]]]

    def messages(self, kind: str = SENT) -> list[str]:
        """Give the message ids of all facts of a type, in order of arrival."""
        return [message for _, _, _, type_, message in self.signals if type_ == kind]

    def settled(self, part: str) -> int:
        """Sum one part of all tallies."""
        return sum(sum(tally.get(part, {}).values()) for tally in self.tallies.values())

    def check(self, untold: int = 0) -> None:
        """Assert that rows, gaps and tallies tell one story; the tally of `untold` rows was taken away."""
        assert len({row[:2] for row in self.signals}) == len(self.signals), "an id stands twice"
        last: dict[str, int] = {}
        for instance, _, seq, _, _ in self.signals:
            assert seq == last.get(instance, 0) + 1, "arrival numbers are not dense"
            last[instance] = seq
        assert self.settled("recorded") + untold == len(self.signals)
        assert self.settled("lost") == sum(lost for _, lost in self.gaps)


def read_book(url: str) -> Book:
    """Read a whole store."""
    engine = create_engine(parse_url(url))
    try:
        with engine.connect() as connection:

            def rows(statement: str) -> list[Any]:
                return [tuple(row) for row in connection.execute(text(statement))]

            signals = rows(
                'SELECT "instanceId", id, seq, type, "messageId" FROM reputation_signal '
                'ORDER BY "instanceId", seq'
            )
            gaps = rows("SELECT reason, lost FROM signal_gap")
            positions = rows("SELECT journal, tally FROM journal_position")
    finally:
        engine.dispose()
    tallies = {name: json.loads(tally) if isinstance(tally, str) else tally for name, tally in positions}
    assert all(set(tally) <= set(Tally._fields) for tally in tallies.values())
    return Book(signals, gaps, tallies)

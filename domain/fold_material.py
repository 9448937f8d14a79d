"""What a fold moves over: the facts that enter and leave in a span of time, and the reports of a message.

A message counts once a type and window (the fold, 11). Whether a report counts when it enters, and whether
its message goes when it leaves, follows from the report before it and the one after it, so neither a window's
content nor a set of ids has to be kept.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from domain.fact import Fact
from domain.health_ports import OperatorAction
from domain.snapshot import DELIVERED, SEND_LATENCY, SENT, kinds_of
from domain.words import Millis


class Entry(NamedTuple):
    """A fact as the fold counts it; a group reply is two: of its message, and of the group.

    `message_id` is empty for what counts singly. Entries sort by date, then kind: within one millisecond
    their order, and with it the fold, does not depend on arrival.
    """

    at: Millis
    kind: int
    message_id: str = ""
    latency_ms: int = -1
    """-1: none."""


Key: TypeAlias = tuple[int, str]
"""Kind and message id."""


class Reports(NamedTuple):
    """The dated reports of one message and kind, at least two: distinct times, and the latency of each."""

    times: tuple[Millis, ...]
    latencies: tuple[int, ...]

    def before(self, at: Millis) -> Millis | None:
        """Give the time of the report before the one at `at`."""
        index = bisect_left(self.times, at)
        return self.times[index - 1] if index else None

    def after(self, at: Millis) -> tuple[Millis, int] | None:
        """Give time and latency of the report behind the one at `at`."""
        index = bisect_left(self.times, at + 1)
        return (self.times[index], self.latencies[index]) if index < len(self.times) else None


class Material(NamedTuple):
    """What the fold needs to move from a time to another.

    Attributes:
        leaving: entries inside the rolling window at the start that leave it in the span, or that enter
            and leave it; by date.
        entering: entries dated inside the span, by date.
        reports: of every message of both that has more than one report of a kind.
        actions: dated inside the span, by (date, id).
    """

    leaving: Sequence[Entry] = ()
    entering: Sequence[Entry] = ()
    reports: Mapping[Key, Reports] = {}
    actions: Sequence[OperatorAction] = ()


def entries_of(facts: Iterable[Fact], sent: Mapping[str, Millis] | None) -> list[Entry]:
    """Give facts as sorted entries; equal reports of one message at one time are one.

    Args:
        facts: in any order.
        sent: earliest MESSAGE_SENT by message id; None where no rule may see latencies.
    """
    entries = []
    for fact in facts:
        for kind in kinds_of(fact):
            message_id = fact.message_id if fact.message_id and kind != SEND_LATENCY else ""
            entries.append(Entry(fact.occurred_at, kind, message_id, _latency(fact, kind, sent)))
    entries.sort()
    return [
        entry
        for index, entry in enumerate(entries)
        if not entry.message_id or not index or entries[index - 1][:3] != entry[:3]
    ]


def reports_of(entries: Iterable[Entry]) -> dict[Key, Reports]:
    """Give the reports of each message and kind that has several; entries as `entries_of` gives them."""
    seen: dict[Key, list[Entry]] = {}
    for entry in entries:
        if entry.message_id:
            seen.setdefault((entry.kind, entry.message_id), []).append(entry)
    several = {}
    for key, group in seen.items():
        if len(group) > 1:
            several[key] = Reports(
                tuple(entry.at for entry in group), tuple(entry.latency_ms for entry in group)
            )
    return several


def earliest_sent(facts: Iterable[Fact]) -> dict[str, Millis]:
    """Give the earliest MESSAGE_SENT of each message among these facts."""
    sent: dict[str, Millis] = {}
    for fact in facts:
        if fact.message_id and SENT in kinds_of(fact):
            sent[fact.message_id] = min(fact.occurred_at, sent.get(fact.message_id, fact.occurred_at))
    return sent


def _latency(fact: Fact, kind: int, sent: Mapping[str, Millis] | None) -> int:
    """Give what an entry adds to a mean: a send call's duration, or a delivery's latency (the fold, 11)."""
    given = -1 if fact.latency_ms is None else fact.latency_ms
    if kind == SEND_LATENCY:
        return given
    if kind != DELIVERED or sent is None:
        return -1
    sent_at = sent.get(fact.message_id or "")
    return given if sent_at is None or sent_at > fact.occurred_at else fact.occurred_at - sent_at

"""Gathers a bundle: the asked range as people read it, and beside it exactly what its decisions stand on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from domain.decide import PAGE_MAX
from domain.errors import InvalidQuery, UnknownInstance
from domain.fact import Fact
from domain.fold_state import Setting
from domain.health_ports import (
    Checkpoint,
    DecisionQuery,
    DecisionRow,
    HealthReading,
    HealthSource,
    OperatorAction,
    Span,
)
from domain.recorded import Gap, RecordedSignal
from domain.rule_constants import constants
from domain.timeline import TimelinePage, TimelineQuery
from domain.words import Millis
from sidecar import __version__
from sidecar.api.signals import gap_answer
from sidecar.api.times import iso
from sidecar.evidence import contents
from sidecar.evidence.archive import Packed, assemble, pack, stored

SIGNALS_MAX: Final = 500_000
DECISIONS_MAX: Final = 100_000
PAGE: Final = 1000
FACTS_A_QUERY: Final = 5000
MESSAGES_A_QUERY: Final = 1000


class Source(HealthSource, Protocol):
    """The store as gathering needs it."""

    def timeline(self, query: TimelineQuery) -> TimelinePage:
        """Read one page of an instance's signals."""
        ...

    def gaps(self, since: Millis, until: Millis, instance_id: str | None = None) -> list[Gap]:
        """Give the gaps that overlap a range."""
        ...


class Asked(NamedTuple):
    """Whose evidence, of when; bounds inclusive."""

    instance_id: str
    since: Millis
    until: Millis


class _Standing(NamedTuple):
    """What the decisions of the range stand on, of one commit of the store."""

    decisions: list[DecisionRow]
    actions: list[OperatorAction]
    base: Checkpoint | None
    checkpoint: Checkpoint | None
    seq: int

    @property
    def begins_at(self) -> Millis:
        """Time of the state the replay begins with; before every fact where it begins with none."""
        points = [point.at for point in (self.base, self.checkpoint) if point is not None]
        return max(points, default=-1)


def gather(source: Source, asked: Asked, setting: Setting, configuration: Mapping[str, Any]) -> bytes:
    """Give the archive.

    Raises:
        UnknownInstance: nothing was ever recorded of it.
        InvalidQuery: the range holds more than a bundle may.
        StoreUnavailable: the store did not answer.
    """
    with source.reading() as reading:
        standing = _standing(reading, asked, setting)
        first = min(asked.since, max(0, standing.begins_at - setting.window_ms))
        facts = _facts(reading, asked._replace(since=first), standing.seq)
        related = _related(reading, asked, facts, standing.seq)
        inside = [
            contents.timeline_line(row, facts[row.id])
            for row in _signals(source, asked, standing.seq)
            if row.id in facts
        ]
    gaps = source.gaps(asked.since, asked.until, asked.instance_id)
    files = {
        contents.TIMELINE: _lines(inside),
        contents.RELATED: _lines(map(contents.related_line, related)),
        contents.DECISIONS: _lines(map(contents.decision_line, standing.decisions)),
        contents.ACTIONS: _lines(map(contents.action_line, standing.actions)),
        contents.GAPS: _lines(map(gap_answer, gaps)),
        contents.RULES: _json(_rules(setting)),
        contents.CONFIGURATION: _json(dict(configuration)),
        contents.START: _json(_start(standing)),
    }
    packed = {name: pack(name, pieces) for name, pieces in files.items()}
    return _sealed(packed, asked, setting, len(inside), len(standing.decisions))


def _standing(reading: HealthReading, asked: Asked, setting: Setting) -> _Standing:
    seq = reading.last_seqs([asked.instance_id]).get(asked.instance_id)
    if seq is None:
        raise UnknownInstance(asked.instance_id)
    decisions = list(_decisions(reading, asked))
    actions = reading.actions([Span(asked.instance_id, 0, asked.until)])
    begin = _begin(reading, asked, decisions, actions)
    base = reading.base(asked.instance_id)
    checkpoint = reading.checkpoint(asked.instance_id, begin, setting.id)
    if base is not None and (checkpoint is None or checkpoint.at <= base.at):
        checkpoint = None
    return _Standing(decisions, actions, base, checkpoint, seq)


def _begin(
    reading: HealthReading, asked: Asked, decisions: Sequence[DecisionRow], actions: Sequence[OperatorAction]
) -> Millis:
    """Give the time before which every decision of the range knew the same: the replay may begin there."""
    known = [(row.seq, row.actions) for row in decisions]
    saved = reading.saved([asked.instance_id]).get(asked.instance_id)
    if saved is not None:
        known.append((saved.seq, saved.actions))
    least_seq = min((seq for seq, _ in known), default=0)
    least_actions = min((acted for _, acted in known), default=0)
    late = [action.at for action in actions if action.seq > least_actions]
    earliest = reading.earliest_behind(asked.instance_id, least_seq)
    return min([asked.since, *late, *([] if earliest is None else [earliest])])


def _decisions(reading: HealthReading, asked: Asked) -> Iterator[DecisionRow]:
    query = DecisionQuery(asked.instance_id, asked.since, asked.until, PAGE_MAX)
    count = 0
    while True:
        page = reading.decisions(query)
        yield from page.decisions
        count += len(page.decisions)
        if count > DECISIONS_MAX:
            raise InvalidQuery(
                "since", f"the range has more than {DECISIONS_MAX} decisions; ask for a shorter one"
            )
        if page.next_key is None:
            return
        query = query._replace(after=page.next_key)


def _signals(source: Source, asked: Asked, seq_max: int) -> Iterator[RecordedSignal]:
    """Walk the range, without what arrived since the decisions were read."""
    query = TimelineQuery(asked.instance_id, asked.since, asked.until, limit=PAGE)
    while True:
        page = source.timeline(query)
        yield from (row for row in page.signals if row.seq <= seq_max)
        if page.next_key is None:
            return
        query = query._replace(after=page.next_key)


def _facts(reading: HealthReading, asked: Asked, seq_max: int) -> dict[str, Fact]:
    """Read the facts of a range by their ids, as the fold reads them."""
    found: dict[str, Fact] = {}
    since, limit = asked.since, FACTS_A_QUERY
    while True:
        page = reading.facts([Span(asked.instance_id, since, asked.until, seq_max)], limit)
        found |= {fact.id: fact for fact in page}
        if len(found) > SIGNALS_MAX:
            raise InvalidQuery("since", f"it needs more than {SIGNALS_MAX} signals; ask for a shorter range")
        if len(page) < limit:
            return found
        if page[-1].occurred_at == since:
            limit *= 2  # more than that in one millisecond are read together
        since = page[-1].occurred_at


def _related(reading: HealthReading, asked: Asked, facts: Mapping[str, Fact], seq_max: int) -> list[Fact]:
    """Give the facts before the range, and every other report of the messages in it."""
    found = {key: fact for key, fact in facts.items() if fact.occurred_at < asked.since}
    messages = sorted({fact.message_id for fact in facts.values() if fact.message_id})
    for start in range(0, len(messages), MESSAGES_A_QUERY):
        keys = [(asked.instance_id, message) for message in messages[start : start + MESSAGES_A_QUERY]]
        reports = reading.reports(keys)
        found |= {fact.id: fact for fact in reports if fact.id not in facts and fact.seq <= seq_max}
    return sorted(found.values(), key=lambda fact: (fact.occurred_at, fact.seq))


def _rules(setting: Setting) -> contents.RulesFile:
    return contents.RulesFile(
        rule_set=setting.rule_set,
        window_ms=setting.window_ms,
        latency_rules=setting.latency_rules,
        constants=constants(setting.rules),
    )


def _start(standing: _Standing) -> contents.StartFile:
    return contents.StartFile(
        base=contents.kept(standing.base),
        checkpoint=contents.kept(standing.checkpoint),
        seq=standing.seq,
        actions=max((action.seq for action in standing.actions), default=0),
    )


def _lines(rows: Iterable[msgspec.Struct]) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    for row in rows:
        yield encoder.encode(row) + b"\n"


def _json(value: Any) -> Iterator[bytes]:
    yield msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _sealed(
    packed: Mapping[str, Packed], asked: Asked, setting: Setting, signals: int, decisions: int
) -> bytes:
    entries = {
        name: contents.FileEntry(
            sha256=file.sha256, size_bytes=file.member.size, packed_sha256=file.member.packed_sha256
        )
        for name, file in packed.items()
    }
    manifest = b"".join(
        _json(
            contents.Manifest(
                format=contents.FORMAT,
                sidecar_version=__version__,
                instance_id=asked.instance_id,
                since=iso(asked.since),
                until=iso(asked.until),
                rule_set=setting.rule_set,
                window_ms=setting.window_ms,
                latency_rules=setting.latency_rules,
                signals=signals,
                decisions=decisions,
                files=entries,
            )
        )
    )
    members = [packed[name].member for name in contents.FILES]
    members.append(stored(contents.MANIFEST, manifest))
    members.append(stored(contents.MANIFEST_DIGEST, contents.digest_line(manifest)))
    return assemble(members)

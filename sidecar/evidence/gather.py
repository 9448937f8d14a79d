"""Gathers a bundle: the asked range as people read it, and beside it exactly what its decisions stand on."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

import msgspec

from domain.errors import InvalidQuery
from domain.fact import Fact
from domain.health_ports import HealthReading, Span
from domain.recorded import Gap, RecordedSignal
from domain.rules import RULES, rule_set_id
from domain.timeline import TimelinePage, TimelineQuery
from domain.words import Millis
from sidecar import __version__
from sidecar.api.signals import gap_answer
from sidecar.api.times import iso, parse
from sidecar.evidence import contents
from sidecar.evidence.archive import Packed, assemble, pack, stored
from sidecar.evidence.forms import ConfigurationFile, FileEntry, Manifest
from sidecar.evidence.standing import Asked, Reading, rules_file, stand, start_file

SIGNALS_MAX: Final = 500_000
PAGE: Final = 1000
FACTS_A_QUERY: Final = 5000
MESSAGES_A_QUERY: Final = 1000


class Source(Protocol):
    """The store as gathering needs it."""

    def reading(self) -> AbstractContextManager[Reading]:
        """Open a read-only transaction."""
        ...

    def timeline(self, query: TimelineQuery) -> TimelinePage:
        """Read one page of an instance's signals."""
        ...

    def gaps(self, since: Millis, until: Millis, instance_id: str | None = None) -> list[Gap]:
        """Give the gaps that overlap a range."""
        ...


def gather(source: Source, asked: Asked, configuration: ConfigurationFile) -> bytes:
    """Give the archive. What was decided with is what the decisions themselves state.

    Raises:
        UnknownInstance: nothing was ever recorded of it.
        InvalidQuery: the range holds more than a bundle may.
        StoreUnavailable: the store did not answer.
    """
    with source.reading() as reading:
        standing = stand(reading, asked)
        first = min(asked.since, max(0, standing.begins_at - standing.window_ms))
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
        contents.RULES: [contents.json_text(rules_file(standing))],
        contents.CONFIGURATION: [contents.json_text(in_force(configuration, asked))],
        contents.START: [contents.json_text(start_file(standing))],
    }
    packed = {name: pack(name, pieces) for name, pieces in files.items()}
    return _sealed(packed, asked, len(inside), len(standing.decisions), len(gaps))


def in_force(configuration: ConfigurationFile, asked: Asked) -> ConfigurationFile:
    """Leave what was over before the range, or began behind it."""
    told = configuration.configurations
    wanted = [
        one
        for number, one in enumerate(told)
        if parse(one.since) <= asked.until
        and (number + 1 == len(told) or parse(told[number + 1].since) >= asked.since)
    ]
    return msgspec.structs.replace(configuration, configurations=wanted or told[-1:])


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


def _lines(rows: Iterable[msgspec.Struct]) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    for row in rows:
        yield encoder.encode(row) + b"\n"


def _sealed(packed: Mapping[str, Packed], asked: Asked, signals: int, decisions: int, gaps: int) -> bytes:
    entries = {
        name: FileEntry(
            sha256=file.sha256, size_bytes=file.member.size, packed_sha256=file.member.packed_sha256
        )
        for name, file in packed.items()
    }
    manifest = contents.json_text(
        Manifest(
            format=contents.FORMAT,
            sidecar_version=__version__,
            instance_id=asked.instance_id,
            since=iso(asked.since),
            until=iso(asked.until),
            rule_set=rule_set_id(RULES),
            signals=signals,
            decisions=decisions,
            gaps=gaps,
            files=entries,
        )
    )
    members = [packed[name].member for name in contents.FILES]
    members.append(stored(contents.MANIFEST, manifest))
    members.append(stored(contents.MANIFEST_DIGEST, contents.digest_line(manifest)))
    return assemble(members)

"""Takes a bundle apart: its form, every digest, and every line as this program would write it.

A line that says the same in other words, or more than its form knows, is refused: what nobody reads could
say anything.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from domain.decision import Decision
from domain.errors import DomainError
from domain.fact import Fact
from domain.health_ports import Checkpoint, OperatorAction
from domain.rule_constants import constants, with_constants
from domain.rules import RULES, RuleSet, rule_set_id
from domain.words import Millis
from sidecar.api.signals import GapAnswer
from sidecar.api.times import iso, parse
from sidecar.evidence import contents
from sidecar.evidence.archive import BundleBroken, Member, lines, take_apart, unpacked, whole
from sidecar.evidence.contents import DecisionLine, TimelineLine
from sidecar.evidence.forms import (
    ConfigurationFile,
    FileEntry,
    Manifest,
    RulesFile,
    StartFile,
    checkpoint_of,
)

FACTS_MAX: Final = 2_000_000
T = TypeVar("T")
ILL_FORMED: Final = (
    msgspec.MsgspecError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading foreign JSON into our types may raise."""


class Opened(NamedTuple):
    """What a bundle of sound form holds; `rules` are its own tables, `facts` all of the instance."""

    manifest: Manifest
    since: Millis
    until: Millis
    rules: RuleSet
    rules_file: RulesFile
    configuration: ConfigurationFile
    start: StartFile
    base: Checkpoint | None
    checkpoints: tuple[Checkpoint, ...]
    timeline: list[TimelineLine]
    facts: list[Fact]
    decision_lines: list[DecisionLine]
    decisions: list[Decision]
    actions: list[OperatorAction]


def opened(archive: bytes) -> Opened:
    """Take it apart.

    Raises:
        BundleBroken: it is no bundle, or was changed; nothing else can be said about it.
    """
    members = {member.name: member for member in take_apart(archive)}
    if tuple(members) != (*contents.FILES, contents.MANIFEST, contents.MANIFEST_DIGEST):
        raise BundleBroken("it holds other files than a bundle does")
    manifest = _manifest(members)
    try:
        return _opened(members, manifest)
    except (*ILL_FORMED, DomainError) as error:
        raise BundleBroken(f"its content makes no sense ({type(error).__name__})") from error


def _opened(members: Mapping[str, Member], manifest: Manifest) -> Opened:
    instance_id = manifest.instance_id
    rules_file = _value(members[contents.RULES], RulesFile)
    start = _value(members[contents.START], StartFile)
    timeline = list(_read(members[contents.TIMELINE], TimelineLine))
    related = [
        contents.related_fact(line, instance_id)
        for line in _read(members[contents.RELATED], contents.FactLine)
    ]
    decision_lines = list(_read(members[contents.DECISIONS], DecisionLine))
    gaps = sum(1 for _ in _read(members[contents.GAPS], GapAnswer))
    counted = (len(timeline), len(decision_lines), gaps)
    if counted != (manifest.signals, manifest.decisions, manifest.gaps):
        raise BundleBroken(
            f"its files hold other signals, decisions or gaps than {contents.MANIFEST} states: {counted[0]}, "
            f"{counted[1]} and {counted[2]} instead of {manifest.signals}, {manifest.decisions} and "
            f"{manifest.gaps}"
        )
    named = {line.instance_id for line in timeline} | {line.instance_id for line in decision_lines}
    if named - {instance_id}:
        raise BundleBroken("it holds lines of another instance")
    return Opened(
        manifest,
        parse(manifest.since),
        parse(manifest.until),
        _rules(rules_file, manifest),
        rules_file,
        _value(members[contents.CONFIGURATION], ConfigurationFile),
        start,
        None if start.base is None else checkpoint_of(start.base, instance_id, base=True),
        tuple(checkpoint_of(one, instance_id, base=False) for one in start.checkpoints),
        timeline,
        [contents.fact_of_line(line, instance_id) for line in timeline] + related,
        decision_lines,
        list(map(contents.decision_of, decision_lines)),
        [
            contents.action_of(line, instance_id)
            for line in _read(members[contents.ACTIONS], contents.ActionLine)
        ],
    )


def _manifest(members: Mapping[str, Member]) -> Manifest:
    text = whole(members[contents.MANIFEST])
    if whole(members[contents.MANIFEST_DIGEST]) != contents.digest_line(text):
        raise BundleBroken(f"{contents.MANIFEST} is not what {contents.MANIFEST_DIGEST} says")
    try:
        stated = msgspec.json.decode(text)
        told = str(stated["format"])[:40]
    except (*ILL_FORMED,) as error:
        raise BundleBroken(f"{contents.MANIFEST} is not of a form this version knows") from error
    if told != contents.FORMAT:
        raise BundleBroken(f"it is of format {told}, this version reads {contents.FORMAT}")
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
        sound_times = (
            iso(parse(manifest.since)) == manifest.since and iso(parse(manifest.until)) == manifest.until
        )
    except (*ILL_FORMED,) as error:
        raise BundleBroken(f"{contents.MANIFEST} is not of a form this version knows") from error
    if not sound_times or contents.json_text(manifest) != text:
        raise BundleBroken(f"{contents.MANIFEST} says more than a manifest does, or in another form")
    if tuple(manifest.files) != contents.FILES:
        raise BundleBroken(f"{contents.MANIFEST} lists other files than the bundle holds")
    for name, entry in manifest.files.items():
        _check_digest(members[name], entry)
    return manifest


def _check_digest(member: Member, entry: FileEntry) -> None:
    digest = hashlib.sha256()
    for piece in unpacked(member):
        digest.update(piece)
    found = FileEntry(sha256=digest.hexdigest(), size_bytes=member.size, packed_sha256=member.packed_sha256)
    if found != entry:
        raise BundleBroken(f"{member.name} is not what {contents.MANIFEST} says")


def _rules(file: RulesFile, manifest: Manifest) -> RuleSet:
    if file.constants.keys() != constants(RULES).keys():
        raise BundleBroken(
            "its rule tables have rows this version does not know; use the version that wrote it"
        )
    rules = with_constants(RULES, file.constants)
    if {file.rule_set, manifest.rule_set} != {rule_set_id(rules)}:
        raise BundleBroken("its rule tables are not those their hash names")
    return rules


def _value(member: Member, form: type[T]) -> T:
    text = whole(member)
    value = msgspec.json.decode(text, type=form)
    if contents.json_text(value) != text:
        raise BundleBroken(f"{member.name} says more than its form knows, or in another form")
    return value


def _read(member: Member, form: type[T]) -> Iterator[T]:
    decoder, encoder = msgspec.json.Decoder(form), msgspec.json.Encoder()
    for number, line in enumerate(lines(member)):
        if number >= FACTS_MAX:
            raise BundleBroken(f"{member.name} has more than {FACTS_MAX} lines")
        value = decoder.decode(line)
        _check_times(value)
        if encoder.encode(value) != line:
            raise BundleBroken(
                f"{member.name}, line {number + 1}, says more than its form knows, or in another form"
            )
        yield value


def _check_times(line: Any) -> None:
    """Refuse a time that is none, or not written as we write it: a ValueError."""
    for name in ("occurred_at", "recorded_at", "evaluated_at", "at", "since", "until"):
        text = getattr(line, name, None)
        if isinstance(text, str) and iso(parse(text)) != text:
            raise ValueError(name)

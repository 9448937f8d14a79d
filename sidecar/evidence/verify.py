"""Checks a bundle with nothing but itself: form, digests, rule tables, and every decision once more."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from domain.decision import Decision
from domain.errors import DomainError, PastRetention
from domain.fold_state import Setting, setting_of
from domain.replay import Difference, ReplayDecisions
from domain.rule_constants import constants, with_constants
from domain.rules import RULES
from sidecar.api.signals import GapAnswer
from sidecar.api.times import parse
from sidecar.evidence import contents
from sidecar.evidence.archive import (
    ARCHIVE_MAX_BYTES,
    LINE_MAX_BYTES,
    BundleBroken,
    Member,
    lines,
    take_apart,
    unpacked,
    whole,
)
from sidecar.evidence.recount import Held, Recount

FACTS_MAX: Final = 2_000_000
WINDOW_MIN_MS: Final = 60_000
WINDOW_MAX_MS: Final = 86_400_000
T = TypeVar("T")
_ILL_FORMED: Final = (
    msgspec.MsgspecError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
)
"""What reading foreign JSON into our types may raise."""


class Verified(NamedTuple):
    """What a sound bundle holds and what the replay of its decisions gave.

    Attributes:
        reproduced: decisions that came out the same.
        foreign: decisions made with other rules or windows than the bundle's; not replayed.
        past: decisions before the retention edge, whose facts were gone already; not replayed.
        differs: the first decision that did not come out the same, and its first difference.
    """

    sha256: str
    manifest: contents.Manifest
    reproduced: int
    foreign: int
    past: int
    differs: tuple[Decision, Difference] | None


def load(path: Path) -> bytes:
    """Read a bundle's file.

    Raises:
        BundleBroken: larger than a bundle may be.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        archive = file.read(ARCHIVE_MAX_BYTES + 1)
    if len(archive) > ARCHIVE_MAX_BYTES:
        raise BundleBroken(f"it is larger than {ARCHIVE_MAX_BYTES} bytes")
    return archive


def verify(archive: bytes, told: Callable[[int, int], object] = lambda _done, _of: None) -> Verified:
    """Check everything; `told` hears how many decisions were replayed.

    Raises:
        BundleBroken: it is no bundle, or was changed; nothing else can be said about it.
    """
    members = {member.name: member for member in take_apart(archive)}
    if tuple(members) != (*contents.FILES, contents.MANIFEST, contents.MANIFEST_DIGEST):
        raise BundleBroken("it holds other files than a bundle does")
    manifest = _manifest(members)
    try:
        setting = _setting(members, manifest)
        held = _held(members, manifest)
        decisions = [
            contents.decision_of(line) for line in _read(members[contents.DECISIONS], contents.DecisionLine)
        ]
        _check_bounds(held, decisions, manifest)
        recount = Recount(held, setting, parse(manifest.until))
    except (*_ILL_FORMED, DomainError) as error:
        raise BundleBroken(f"its content makes no sense ({type(error).__name__})") from error
    counts = {"reproduced": 0, "foreign": 0, "past": 0}
    differs: tuple[Decision, Difference] | None = None
    replay = ReplayDecisions(recount, setting)
    for number, decision in enumerate(decisions):
        told(number, len(decisions))
        outcome = _replayed(replay, decision, setting)
        if isinstance(outcome, Difference):
            differs = (decision, outcome)
            break
        counts[outcome] += 1
    return Verified(hashlib.sha256(archive).hexdigest(), manifest, **counts, differs=differs)


def _replayed(replay: ReplayDecisions, decision: Decision, setting: Setting) -> str | Difference:
    made_with = (decision.rule_set, decision.window_ms, decision.latency_rules)
    if made_with != (setting.rule_set, setting.window_ms, setting.latency_rules):
        return "foreign"
    try:
        replayed = replay.decision(decision)
    except PastRetention:
        return "past"
    except _ILL_FORMED as error:
        raise BundleBroken(f"decision {decision.id} makes no sense ({type(error).__name__})") from error
    return replayed.differences[0] if replayed.differences else "reproduced"


def _manifest(members: dict[str, Member]) -> contents.Manifest:
    text = whole(members[contents.MANIFEST])
    if whole(members[contents.MANIFEST_DIGEST]) != contents.digest_line(text):
        raise BundleBroken(f"{contents.MANIFEST} is not what {contents.MANIFEST_DIGEST} says")
    try:
        manifest = msgspec.json.decode(text, type=contents.Manifest)
    except msgspec.MsgspecError as error:
        raise BundleBroken(f"{contents.MANIFEST} is not of a form this version knows") from error
    if manifest.format != contents.FORMAT:
        raise BundleBroken(f"it is of format {manifest.format[:40]}, this version reads {contents.FORMAT}")
    if tuple(manifest.files) != contents.FILES:
        raise BundleBroken(f"{contents.MANIFEST} lists other files than the bundle holds")
    for name, entry in manifest.files.items():
        member = members[name]
        digest = hashlib.sha256()
        for piece in unpacked(member):
            digest.update(piece)
        found = contents.FileEntry(
            sha256=digest.hexdigest(), size_bytes=member.size, packed_sha256=member.packed_sha256
        )
        if found != entry:
            raise BundleBroken(f"{name} is not what {contents.MANIFEST} says")
    return manifest


def _setting(members: dict[str, Member], manifest: contents.Manifest) -> Setting:
    rules = msgspec.json.decode(whole(members[contents.RULES]), type=contents.RulesFile)
    if rules.constants.keys() != constants(RULES).keys():
        raise BundleBroken(
            "its rule tables have rows this version does not know; use the version that wrote it"
        )
    if not WINDOW_MIN_MS <= rules.window_ms <= WINDOW_MAX_MS:
        raise BundleBroken("its window is of a length no sidecar has")
    setting = setting_of(
        rules.window_ms,
        latency_rules=rules.latency_rules,
        rules=with_constants(RULES, rules.constants),
    )
    stated = (rules.rule_set, manifest.rule_set, manifest.window_ms, manifest.latency_rules)
    if stated != (setting.rule_set, setting.rule_set, setting.window_ms, setting.latency_rules):
        raise BundleBroken("its rule tables are not those their hash names")
    return setting


def _held(members: dict[str, Member], manifest: contents.Manifest) -> Held:
    instance_id = manifest.instance_id
    inside = [
        contents.fact_of_line(line, instance_id)
        for line in _read(members[contents.TIMELINE], contents.TimelineLine)
        if line.instance_id == instance_id
    ]
    related = [
        contents.related_fact(line, instance_id)
        for line in _read(members[contents.RELATED], contents.FactLine)
    ]
    actions = [
        contents.action_of(line, instance_id)
        for line in _read(members[contents.ACTIONS], contents.ActionLine)
    ]
    for _ in _read(members[contents.GAPS], GapAnswer):
        pass
    start = msgspec.json.decode(whole(members[contents.START], LINE_MAX_BYTES), type=contents.StartFile)
    since, until = parse(manifest.since), parse(manifest.until)
    if len(inside) != manifest.signals or any(not since <= fact.occurred_at <= until for fact in inside):
        raise BundleBroken(f"{contents.TIMELINE} holds other signals than {contents.MANIFEST} says")
    return Held(
        instance_id,
        inside + related,
        actions,
        contents.checkpoint_of(start.base, instance_id, base=True),
        contents.checkpoint_of(start.checkpoint, instance_id, base=False),
        start.seq,
        start.actions,
    )


def _check_bounds(held: Held, decisions: list[Decision], manifest: contents.Manifest) -> None:
    seqs = {fact.seq for fact in held.facts}
    ids = {fact.id for fact in held.facts}
    if not len(seqs) == len(ids) == len(held.facts) or max(seqs, default=0) > held.seq:
        raise BundleBroken("its signals are numbered twice, or beyond the last arrival")
    if len(decisions) != manifest.decisions:
        raise BundleBroken(f"{contents.DECISIONS} holds other decisions than {contents.MANIFEST} says")
    since, until = parse(manifest.since), parse(manifest.until)
    for decision in decisions:
        if decision.instance_id != held.instance_id or not since <= decision.evaluated_at <= until:
            raise BundleBroken(f"{contents.DECISIONS} holds decisions outside the range")


def _read(member: Member, form: type[T]) -> Iterator[T]:
    decoder = msgspec.json.Decoder(form)
    for number, line in enumerate(lines(member)):
        if number >= FACTS_MAX:
            raise BundleBroken(f"{member.name} has more than {FACTS_MAX} lines")
        yield decoder.decode(line)


def summary(verified: Verified) -> dict[str, Any]:
    """Give the result for programs."""
    manifest = verified.manifest
    difference = None
    if verified.differs is not None:
        decision, first = verified.differs
        difference = {"decisionId": decision.id, "path": first.path, "stored": first.stored}
        difference["recomputed"] = first.recomputed
    return {
        "sound": verified.differs is None,
        "sha256": verified.sha256,
        "instanceId": manifest.instance_id,
        "since": manifest.since,
        "until": manifest.until,
        "signals": manifest.signals,
        "decisions": manifest.decisions,
        "reproduced": verified.reproduced,
        "notReplayed": {"otherRules": verified.foreign, "pastRetention": verified.past},
        "difference": difference,
    }

"""Checks a bundle with nothing but itself, replays its decisions, and gives one of four verdicts.

sound      every digest holds, nothing contradicts itself, and every decision comes out of the signals again
unproven   nothing is wrong, but not everything could be judged: the reasons say what
differs    a decision does not come out of the signals
broken     no bundle, or changed: `BundleBroken`, nothing else can be said about it
"""

import hashlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from domain.decision import Decision
from domain.errors import DomainError, PastRetention
from domain.fold_state import Setting, setting_named
from domain.replay import Difference, ReplayDecisions
from domain.words import Millis
from sidecar.api.times import iso
from sidecar.evidence.archive import ARCHIVE_MAX_BYTES, BundleBroken
from sidecar.evidence.doubts import check, doubts, undecided
from sidecar.evidence.forms import Manifest
from sidecar.evidence.opened import ILL_FORMED, Opened, opened
from sidecar.evidence.recount import Held, Recount

UNDECIDED_SHOWN_MAX: Final = 5
RECOUNTS_MAX: Final = 4
"""Folds held at a time, one a setting: each holds all facts, and a stranger may name many settings."""


class Verdict(StrEnum):
    """What a bundle is worth."""

    SOUND = "sound"
    UNPROVEN = "unproven"
    DIFFERS = "differs"
    BROKEN = "broken"


class Verified(NamedTuple):
    """What a bundle of sound form holds and what the replay of its decisions gave.

    Attributes:
        reproduced: decisions that came out the same.
        foreign: decisions made with other rule tables than the bundle holds; not replayed.
        past: decisions before the retention edge, whose facts were gone already; not replayed.
        undecided: times of steps that the signals give and no decision tells of.
        doubts: what may have been changed, but need not.
        differs: the first decision that did not come out the same, and its first difference.
    """

    sha256: str
    manifest: Manifest
    evaluated_to: Millis | None
    reproduced: int
    foreign: int
    past: int
    undecided: tuple[Millis, ...]
    doubts: tuple[str, ...]
    differs: tuple[Decision, Difference] | None

    @property
    def verdict(self) -> Verdict:
        """Give the verdict."""
        if self.differs is not None:
            return Verdict.DIFFERS
        return Verdict.UNPROVEN if self.reasons else Verdict.SOUND

    @property
    def reasons(self) -> list[str]:
        """Say why it does not prove everything; empty when it does."""
        return list(_reasons(self))


def _reasons(verified: Verified) -> Iterator[str]:
    if not verified.manifest.decisions:
        yield "it holds no decision: nothing was there to replay"
    if verified.foreign:
        yield (
            f"{verified.foreign} decisions were made with other rule tables than the bundle holds "
            f"({verified.manifest.rule_set}): export and verify with the version that decided"
        )
    if verified.past:
        yield (
            f"{verified.past} decisions are older than the kept signals: export with a later --since to "
            "judge the others alone"
        )
    if verified.undecided:
        shown = ", ".join(map(iso, verified.undecided[:UNDECIDED_SHOWN_MAX]))
        yield (
            f"at {len(verified.undecided)} instants (the first: {shown}) the signals give a decision that is "
            "not in it: it was removed, or other settings were in force then"
        )
    yield from verified.doubts


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
    bundle = opened(archive)
    check(bundle)
    try:
        return _judged(bundle, hashlib.sha256(archive).hexdigest(), told)
    except (*ILL_FORMED, DomainError) as error:
        raise BundleBroken(f"its content makes no sense ({type(error).__name__})") from error


def _judged(bundle: Opened, sha256: str, told: Callable[[int, int], object]) -> Verified:
    recounts: dict[str, Recount] = {}
    counts = {"reproduced": 0, "foreign": 0, "past": 0}
    differs: tuple[Decision, Difference] | None = None
    for number, decision in enumerate(bundle.decisions):
        told(number, len(bundle.decisions))
        setting = _setting(bundle, decision)
        outcome = "foreign" if setting is None else _replayed(bundle, recounts, setting, decision)
        if isinstance(outcome, Difference):
            differs = (decision, outcome)
            break
        counts[outcome] += 1
    evaluated = bundle.start.evaluated
    in_force = None if evaluated is None else setting_named(evaluated.setting, bundle.rules)
    missing = []
    if in_force is not None and differs is None:
        missing = undecided(bundle, in_force, _recount(bundle, recounts, in_force))
    return Verified(
        sha256,
        bundle.manifest,
        None if evaluated is None else evaluated.at,
        **counts,
        undecided=tuple(missing),
        doubts=tuple(doubts(bundle)),
        differs=differs,
    )


def _setting(bundle: Opened, decision: Decision) -> Setting | None:
    switch = "latency" if decision.latency_rules else "plain"
    return setting_named(f"{decision.rule_set}/{decision.window_ms}/{switch}", bundle.rules)


def _recount(bundle: Opened, recounts: dict[str, Recount], setting: Setting) -> Recount:
    """Give the facts folded with a setting; folded once, unless many settings take turns."""
    if setting.id not in recounts:
        if len(recounts) >= RECOUNTS_MAX:
            del recounts[next(iter(recounts))]
        held = Held(
            bundle.manifest.instance_id,
            bundle.facts,
            bundle.actions,
            bundle.base,
            bundle.checkpoints,
            bundle.start.seq,
            bundle.start.actions,
        )
        recounts[setting.id] = Recount(held, setting, bundle.until)
    return recounts[setting.id]


def _replayed(
    bundle: Opened, recounts: dict[str, Recount], setting: Setting, decision: Decision
) -> str | Difference:
    replay = ReplayDecisions(_recount(bundle, recounts, setting), setting)
    try:
        replayed = replay.decision(decision)
    except PastRetention:
        return "past"
    return replayed.differences[0] if replayed.differences else "reproduced"


def summary(verified: Verified) -> dict[str, Any]:
    """Give the result for programs."""
    manifest = verified.manifest
    difference = None
    if verified.differs is not None:
        decision, first = verified.differs
        difference = {"decisionId": decision.id, "path": first.path, "stored": first.stored}
        difference["recomputed"] = first.recomputed
    evaluated_to = verified.evaluated_to
    return {
        "verdict": verified.verdict,
        "sound": verified.verdict is Verdict.SOUND,
        "reasons": verified.reasons,
        "sha256": verified.sha256,
        "instanceId": manifest.instance_id,
        "since": manifest.since,
        "until": manifest.until,
        "evaluatedTo": None if evaluated_to is None or evaluated_to < 0 else iso(evaluated_to),
        "ruleSet": manifest.rule_set,
        "signals": manifest.signals,
        "decisions": manifest.decisions,
        "gaps": manifest.gaps,
        "reproduced": verified.reproduced,
        "notReplayed": {"otherRules": verified.foreign, "pastRetention": verified.past},
        "undecided": [iso(at) for at in verified.undecided],
        "difference": difference,
    }

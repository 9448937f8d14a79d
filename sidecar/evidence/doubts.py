"""What a bundle says against itself, although every digest holds.

A contradiction no honest store can hold breaks the bundle. What a clock that was set back, or a change of
settings, may explain as well is a doubt: it is told, and the bundle proves less.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from domain import decide
from domain.decision import Decision, decision_id
from domain.fold_on import fold_on
from domain.fold_state import NEVER, Setting, setting_named
from domain.rules import RULES, rule_set_id
from domain.signal import TIME_MAX
from domain.words import Millis
from sidecar import __version__
from sidecar.api.times import iso, parse
from sidecar.configured import Configured
from sidecar.evidence import contents
from sidecar.evidence.archive import BundleBroken
from sidecar.evidence.opened import Opened
from sidecar.evidence.recount import Recount
from sidecar.evidence.told_settings import check_settings, unknown_settings

CLOCK_MS: Final[Millis] = 60_000
"""Clocks of several sidecars differ, and one may be stepped: so far times of recording may run back."""
WINDOW_MIN_MS: Final = 60_000
WINDOW_MAX_MS: Final = 86_400_000


def check(bundle: Opened) -> None:
    """Look for contradictions.

    Raises:
        BundleBroken: with the first that was found.
    """
    _check_signals(bundle)
    _check_decisions(bundle)
    _check_actions(bundle)
    check_settings(bundle)
    _check_evaluated(bundle)


def doubts(bundle: Opened) -> Iterator[str]:
    """Tell what may have been changed, but need not."""
    yield from _times_running_back(bundle)
    yield from unknown_settings(bundle)
    told = bundle.manifest.sidecar_version
    if bundle.manifest.rule_set != rule_set_id(RULES):
        yield (
            f"its rule tables ({bundle.manifest.rule_set}) are not those of this version "
            f"({rule_set_id(RULES)}): compare {contents.RULES} with those of {told}, or verify with it"
        )
    evaluated = bundle.start.evaluated
    if evaluated is not None and evaluated.setting.partition("/")[0] != bundle.manifest.rule_set:
        yield f"it was last evaluated with other rule tables: {evaluated.setting[:80]}"
    if told != __version__ and (odd := _odd_text(bundle)):
        yield f"{odd}, as this version says it; {told} wrote it, verify with that one"


def _check_signals(bundle: Opened) -> None:
    facts = bundle.facts
    seqs = {fact.seq for fact in facts}
    ids = {fact.id for fact in facts}
    numbered = min(seqs, default=1) >= 1 and max(seqs, default=0) <= bundle.start.seq
    if not len(seqs) == len(ids) == len(facts) or not numbered:
        raise BundleBroken("its signals are numbered twice, or beyond the last arrival")
    inside, related = facts[: len(bundle.timeline)], facts[len(bundle.timeline) :]
    if any(bundle.since <= fact.occurred_at <= bundle.until for fact in related):
        raise BundleBroken(f"{contents.RELATED} holds signals of the range: {contents.TIMELINE} hides them")
    keys = [(fact.occurred_at, fact.seq) for fact in inside]
    if any(not bundle.since <= at <= bundle.until for at, _ in keys) or keys != sorted(keys):
        raise BundleBroken(f"{contents.TIMELINE} holds signals outside the range, or out of order")
    # Another version may say the same fields in other words: then it is a doubt.
    if bundle.manifest.sidecar_version == __version__ and (odd := _odd_text(bundle)):
        raise BundleBroken(odd)


def _odd_text(bundle: Opened) -> str:
    for line in bundle.timeline:
        if (line.summary, line.level) != contents.told_again(line):
            return f"the summary of signal {line.id} does not say what its fields say"
    return ""


def _check_decisions(bundle: Opened) -> None:
    decisions, lines = bundle.decisions, bundle.decision_lines
    by_id = {decision.id: decision for decision in decisions}
    if len(by_id) != len(decisions):
        raise BundleBroken(f"{contents.DECISIONS} holds a decision twice")
    keys = [(decision.evaluated_at, line.arrival) for decision, line in zip(decisions, lines, strict=True)]
    if any(not bundle.since <= at <= bundle.until for at, _ in keys) or keys != sorted(keys, reverse=True):
        raise BundleBroken(f"{contents.DECISIONS} holds decisions outside the range, or out of order")
    others = bundle.start.other_decisions
    held = [(line.arrival, line.arrival) for line in lines]
    reached = 0
    for first, last in sorted([*held, *others]):
        if first != reached + 1 or last < first:
            raise BundleBroken(
                f"decision number {reached + 1} of the instance is neither in it nor said to lie outside the "
                "range: it was removed, or numbered anew"
            )
        reached = last
    for decision in decisions:
        _check_decision(decision, by_id, bundle)


def _check_decision(decision: Decision, by_id: dict[str, Decision], bundle: Opened) -> None:
    name = f"{decision.rule_set}/{decision.window_ms}/{'latency' if decision.latency_rules else 'plain'}"
    # A correction keeps what the old one was asked for, but not always in its id.
    possible = {decision.asked} if decision.supersedes is None else {True, False}
    ids = {
        decision_id(
            decision.instance_id,
            decision.evaluated_at,
            decision.reason,
            asked=asked,
            seq=decision.seq,
            supersedes=decision.supersedes,
            setting=name,
        )
        for asked in possible
    }
    if decision.id not in ids:
        raise BundleBroken(f"the id of decision {decision.id} does not follow from what it says")
    if decision.seq > bundle.start.seq:
        raise BundleBroken(f"decision {decision.id} knew signals beyond the last arrival")
    if not WINDOW_MIN_MS <= decision.window_ms <= WINDOW_MAX_MS:
        raise BundleBroken(f"decision {decision.id} states a window of a length no sidecar has")
    old = None if decision.supersedes is None else by_id.get(decision.supersedes)
    if decision.supersedes is not None and (old is None or old.evaluated_at != decision.evaluated_at):
        raise BundleBroken(f"decision {decision.supersedes}, which {decision.id} supersedes, was removed")


def _check_actions(bundle: Opened) -> None:
    actions = bundle.actions
    if len(actions) != bundle.start.actions:  # before a number that was made up is counted to
        raise BundleBroken(f"{contents.ACTIONS} does not hold every act of an operator, each once")
    numbered = [(action.id, action.seq) for action in sorted(actions, key=lambda action: action.seq)]
    kinds = {action.seq: action.kind for action in actions}
    expected = [(f"{seq:08}-{kinds.get(seq, '')}", seq) for seq in range(1, bundle.start.actions + 1)]
    if numbered != expected:
        raise BundleBroken(f"{contents.ACTIONS} does not hold every act of an operator, each once")


def _check_evaluated(bundle: Opened) -> None:
    """Hold how far it was evaluated against what was decided, for each decision was stored with it."""
    if any(point.at >= bundle.since for point in bundle.start.checkpoints):
        raise BundleBroken(f"{contents.START} begins inside the range: what led there is not judged")
    evaluated = bundle.start.evaluated
    if evaluated is None:
        if bundle.decisions:
            raise BundleBroken(f"{contents.START} says that it was never evaluated, but it was decided upon")
        return
    in_force = setting_named(evaluated.setting, bundle.rules)
    if in_force is not None and not WINDOW_MIN_MS <= in_force.window_ms <= WINDOW_MAX_MS:
        raise BundleBroken(f"{contents.START} states a window of a length no sidecar has")
    of_bundle = evaluated.setting.partition("/")[0] == bundle.manifest.rule_set
    if of_bundle and evaluated.setting not in {line.id for line in bundle.rules_file.settings}:
        raise BundleBroken(f"{contents.RULES} does not name what {contents.START} says is in force")
    known = max((decision.seq for decision in bundle.decisions), default=0)
    acted = max((decision.actions for decision in bundle.decisions), default=0)
    # Its last step may lie before a decision: late facts that undo a rest undo the step that ended it, too.
    if (
        not known <= evaluated.seq <= bundle.start.seq
        or evaluated.actions < max(acted, bundle.start.actions)
        or evaluated.at > TIME_MAX
    ):
        raise BundleBroken(f"{contents.START} says that less was evaluated than was decided upon, or more")


def _times_running_back(bundle: Opened) -> Iterator[str]:
    """Compare times of recording in order of arrival; a decision also stands behind the signals it knew."""
    signals = sorted((line.seq, parse(line.recorded_at), f"signal {line.id}") for line in bundle.timeline)
    decided = sorted(
        (line.arrival, one.recorded_at, f"decision {one.id}")
        for line, one in zip(bundle.decision_lines, bundle.decisions, strict=True)
    )
    back = _runs_back(signals) or _runs_back(decided)
    newest = list(accumulate((at for _, at, _ in signals), max))
    seqs = [seq for seq, _, _ in signals]
    for decision in bundle.decisions:
        known = bisect_right(seqs, decision.seq)
        if not back and known and decision.recorded_at < newest[known - 1] - CLOCK_MS:
            back = f"decision {decision.id} says it was recorded before signals it knew"
    if back:
        yield f"{back}: a clock was set back, or a time was changed"


def _runs_back(recorded: Sequence[tuple[int, Millis, str]]) -> str:
    latest, before = NEVER, ""
    for _, at, name in recorded:
        if at < latest - CLOCK_MS:
            return f"{name} says it was recorded at {iso(at)}, {before}, which came before, at {iso(latest)}"
        if at > latest:
            latest, before = at, name
    return ""


def undecided(bundle: Opened, setting: Setting, recount: Recount) -> list[Millis]:
    """Give the steps, up to the last known, that the signals give and no decision in force tells of.

    Only where one setting decided all along: what was in force when is otherwise not known.
    """
    evaluated = bundle.start.evaluated
    if evaluated is None or setting_named(evaluated.setting, bundle.rules) is None:
        return []
    if {line.id for line in bundle.rules_file.settings if line.decisions} - {evaluated.setting}:
        return []
    instance_id = bundle.manifest.instance_id
    stepped = max((one.evaluated_at for one in bundle.decisions if not one.asked), default=NEVER)
    way = recount.start.move(
        instance_id,
        min(bundle.until, max(evaluated.at, stepped)),
        seq_max=evaluated.seq,
        actions_max=evaluated.actions,
    )
    in_force: dict[Millis, list[Decision]] = {}
    superseded = {decision.supersedes for decision in bundle.decisions}
    for decision in bundle.decisions:
        if decision.id not in superseded and not decision.asked:
            in_force.setdefault(decision.evaluated_at, []).append(decision)
    since = max(bundle.since, _in_force_since(bundle.configuration.configurations))
    bounds = decide.Bounds(evaluated.seq, evaluated.actions, 0)
    missing = []
    for change in fold_on(recount, way, setting).changes:
        at = change.after.at
        if since <= at and not _tells(
            in_force.get(at, ()), decide.of_change(instance_id, change, bounds, setting)
        ):
            missing.append(at)
    return missing


def _tells(decisions: Sequence[Decision], expected: Decision) -> bool:
    return any(decision.content == expected.content for decision in decisions)


def _in_force_since(configurations: Sequence[Configured]) -> Millis:
    """Give when the last setting came into force, as far as the record of configurations goes."""
    since: Millis = 0
    for number, told in enumerate(configurations):
        if number and (told.rule_set, told.window_ms, told.latency_rules) != (
            configurations[number - 1].rule_set,
            configurations[number - 1].window_ms,
            configurations[number - 1].latency_rules,
        ):
            since = parse(told.since)
    return since

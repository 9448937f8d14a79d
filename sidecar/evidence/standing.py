"""What the decisions of a range stand on, read of one commit of the store."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from domain.decide import PAGE_MAX
from domain.decision_text import from_row
from domain.errors import InvalidQuery, UnknownInstance
from domain.fold_state import NEVER, setting_named
from domain.health_ports import (
    Checkpoint,
    DecisionQuery,
    DecisionRow,
    HealthReading,
    OperatorAction,
    SavedState,
    Span,
)
from domain.rule_constants import constants
from domain.rules import RULES, rule_set_id
from domain.words import Millis
from sidecar.evidence.forms import Evaluated, RulesFile, SettingLine, StartFile, kept, runs

DECISIONS_MAX: Final = 100_000


class Reading(HealthReading, Protocol):
    """One consistent view of the store, with what only a bundle asks."""

    def decided_elsewhere(self, instance_id: str, since: Millis, until: Millis) -> list[int]:
        """Give the arrival numbers of an instance's decisions dated outside these bounds, ascending."""
        ...


class Asked(NamedTuple):
    """Whose evidence, of when; bounds inclusive."""

    instance_id: str
    since: Millis
    until: Millis


class Standing(NamedTuple):
    """What the decisions of the range stand on, of one commit of the store."""

    decisions: list[DecisionRow]
    settings: list[SettingLine]
    actions: list[OperatorAction]
    base: Checkpoint | None
    checkpoints: list[Checkpoint]
    seq: int
    saved: SavedState | None
    elsewhere: list[int]

    @property
    def begins_at(self) -> Millis:
        """Time of the earliest state a replay begins with; before every fact where one begins with none."""
        edge = NEVER if self.base is None else self.base.at
        begun = {point.setting: point.at for point in self.checkpoints}
        return min((begun.get(line.id, edge) for line in self.settings if line.setting), default=edge)

    @property
    def window_ms(self) -> int:
        """Length of the longest window."""
        return max((line.window_ms for line in self.settings), default=0)


def stand(reading: Reading, asked: Asked) -> Standing:
    """Read it.

    Raises:
        UnknownInstance: nothing was ever recorded of it.
        InvalidQuery: the range holds more decisions than a bundle may.
    """
    seq = reading.last_seqs([asked.instance_id]).get(asked.instance_id)
    if seq is None:
        raise UnknownInstance(asked.instance_id)
    decisions = list(_decisions(reading, asked))
    actions = reading.actions([Span(asked.instance_id, 0, asked.until)])
    begin = _begin(reading, asked, decisions, actions)
    base = reading.base(asked.instance_id)
    edge = NEVER if base is None else base.at
    saved = reading.saved([asked.instance_id]).get(asked.instance_id)
    settings = _settings(decisions, saved)
    found = [reading.checkpoint(asked.instance_id, begin, line.id) for line in settings if line.setting]
    checkpoints = [point for point in found if point is not None and point.at > edge]
    elsewhere = reading.decided_elsewhere(asked.instance_id, asked.since, asked.until)
    return Standing(decisions, settings, actions, base, checkpoints, seq, saved, elsewhere)


def _settings(decisions: Sequence[DecisionRow], saved: SavedState | None) -> list[SettingLine]:
    """Count decisions by what they were made with; what is in force now is among it, with none."""
    counted: Counter[tuple[str, int, bool]] = Counter()
    if saved is not None and (now := setting_named(saved.setting)) is not None:
        counted[now.rule_set, now.window_ms, now.latency_rules] = 0
    for row in decisions:
        decision = from_row(row)
        counted[decision.rule_set, decision.window_ms, decision.latency_rules] += 1
    return [
        SettingLine(rule_set=rule_set, window_ms=window_ms, latency_rules=latency_rules, decisions=count)
        for (rule_set, window_ms, latency_rules), count in sorted(counted.items())
    ]


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


def rules_file(standing: Standing) -> RulesFile:
    """Give the rule tables, and what the decisions were made with."""
    return RulesFile(rule_set=rule_set_id(RULES), settings=standing.settings, constants=constants(RULES))


def start_file(standing: Standing) -> StartFile:
    """Give where the replay begins, and what was known."""
    saved = standing.saved
    return StartFile(
        base=None if standing.base is None else kept(standing.base),
        checkpoints=list(map(kept, standing.checkpoints)),
        seq=standing.seq,
        actions=max((action.seq for action in standing.actions), default=0),
        evaluated=None
        if saved is None
        else Evaluated(at=saved.at, seq=saved.seq, actions=saved.actions, setting=saved.setting),
        other_decisions=runs(standing.elsewhere),
    )

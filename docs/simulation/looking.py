"""What somebody who looks at an instance sees in the course of a day: by our fold, and by the reference.

Both get the same facts, and looking changes nothing they get: the dispatcher of these days heeds no advice.
The reference is the one of the recorded cases (`tests/vectors`): it scores at each fact and once a minute.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from docs.simulation.days import DAY, MIDNIGHT, MINUTE, Fault
from domain.fact import Fact
from domain.fold import fold
from domain.fold_material import Material, earliest_sent, entries_of, reports_of
from domain.fold_state import Change, Setting, initial, setting_of, standing
from domain.reputation import Reputation, is_at_risk
from domain.snapshot import EMPTY, LATENCY_COUNT, LATENCY_SUM, from_counts, kinds_of, measure
from domain.words import AlertCode, AlertSeverity, CooldownReason, Millis, TemperatureLevel
from tests.vectors.reference import evaluate_reputation

WINDOW_MS: Final = 30 * MINUTE
MINUTES: Final = DAY // MINUTE
SERIOUS: Final = frozenset({AlertSeverity.HIGH, AlertSeverity.CRITICAL})


class Look(NamedTuple):
    """What is seen at one minute; `alerts` are the serious ones."""

    at: Millis
    score: int
    level: TemperatureLevel
    reason: CooldownReason | None
    at_risk: bool
    alerts: tuple[AlertCode, ...]


class Rest(NamedTuple):
    """A time in cooldown: from, to, and the reasons it had."""

    since: Millis
    until: Millis
    reasons: tuple[CooldownReason, ...]


class Seen(NamedTuple):
    """A day as somebody saw it.

    Attributes:
        looks: one a minute.
        rests: times in cooldown, to the millisecond.
        entries: how often a cooldown was counted.
        changes: what the fold stored a decision for; none of the reference, which explains nothing.
    """

    looks: list[Look]
    rests: list[Rest]
    entries: int
    changes: list[Change]


def by_the_fold(facts: Sequence[Fact], fault: Fault) -> tuple[Seen, Setting]:
    """Fold the day, minute by minute."""
    setting = setting_of(WINDOW_MS, latency_rules=fault.latency_rules)
    entries = entries_of(facts, earliest_sent(facts) if fault.latency_rules else None)
    dates = [entry.at for entry in entries]
    reports = reports_of(entries)
    state, since = initial(setting.rules), MIDNIGHT - 1
    looks, changes = [], []
    for minute in range(1, MINUTES + 1):
        until = MIDNIGHT + minute * MINUTE
        gone = bisect_left(dates, since - WINDOW_MS), bisect_right(dates, until - WINDOW_MS - 1)
        came = bisect_right(dates, since), bisect_right(dates, until)
        folded = fold(state, Material(entries[slice(*gone)], entries[slice(*came)], reports), until, setting)
        state, since = folded.state, until
        changes += folded.changes
        looks.append(_look(standing(state, until, setting.rules).reputation, until))
    rests = _rests([(c.after.at, c.after.cooldown.reason) for c in changes])
    return Seen(looks, rests, state.cooldown.entries, changes), setting


def by_the_reference(facts: Sequence[Fact], fault: Fault) -> Seen:
    """Score at each fact and each minute, as the reference does."""
    counts = list(EMPTY)
    reputation = Reputation()
    gone = came = 0
    looks = []
    steps: list[tuple[Millis, CooldownReason | None]] = []
    times = sorted({*(f.occurred_at for f in facts), *(MIDNIGHT + m * MINUTE for m in range(1, MINUTES + 1))})
    for at in times:
        while gone < len(facts) and facts[gone].occurred_at < at - WINDOW_MS:
            _count(counts, facts[gone], -1, latency=fault.latency_rules)
            gone += 1
        arrived = came
        while came < len(facts) and facts[came].occurred_at <= at:
            _count(counts, facts[came], 1, latency=fault.latency_rules)
            came += 1
        on_the_minute = (at - MIDNIGHT) % MINUTE == 0 and at > MIDNIGHT
        for _ in range(came - arrived + on_the_minute):
            reputation = evaluate_reputation(reputation, from_counts(tuple(counts)), at)
        resting = reputation.level is TemperatureLevel.COOLDOWN
        steps.append((at, reputation.cooldown_reason if resting else None))
        if on_the_minute:
            looks.append(_look(reputation, at))
    return Seen(looks, _rests(steps), reputation.cooldown_count, [])


def _count(counts: list[int], fact: Fact, sign: int, *, latency: bool) -> None:
    for kind in kinds_of(fact):
        counts[kind] += sign
        if latency and fact.latency_ms is not None:
            measure(counts, kind, fact.latency_ms, sign)
    if not latency:
        counts[LATENCY_SUM] = counts[LATENCY_COUNT] = 0


def _look(reputation: Reputation, at: Millis) -> Look:
    alerts = tuple(alert.code for alert in reputation.alerts if alert.severity in SERIOUS)
    resting = reputation.level is TemperatureLevel.COOLDOWN
    reason = reputation.cooldown_reason if resting else None
    return Look(at, reputation.score, reputation.level, reason, is_at_risk(reputation), alerts)


def _rests(steps: Sequence[tuple[Millis, CooldownReason | None]]) -> list[Rest]:
    """Join neighbouring steps in cooldown to times of rest."""
    rests: list[Rest] = []
    since: Millis | None = None
    reasons: dict[CooldownReason, None] = {}
    for at, reason in [*steps, (MIDNIGHT + DAY, None)]:
        if reason is not None:
            since = at if since is None else since
            reasons[reason] = None
        elif since is not None:
            rests.append(Rest(since, at, tuple(reasons)))
            since, reasons = None, {}
    return rests

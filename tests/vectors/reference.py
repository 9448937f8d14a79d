"""Reputation and snapshot as the reference behaves: scored at every look, every report counted."""

from collections.abc import Iterable

from domain.cooldown import at_evaluation_of_reference, exit_of_reference
from domain.evaluation import evaluate
from domain.fact import Fact
from domain.reputation import Reputation
from domain.rules import RULES, RuleSet
from domain.snapshot import Snapshot, count
from domain.words import Millis, Source, TemperatureLevel

AUTO_EXIT_SCORE = 50


def count_every_report(facts: Iterable[Fact], since: Millis, until: Millis) -> Snapshot:
    """Count a window without telling repeats (Q11) or our own mark-as-read (Q12) apart.

    Latencies are added in order of arrival, whatever the dates: it shows in the last bit of a mean.
    """
    anonymous = [
        fact._replace(message_id=None, source=Source.WEBHOOK, seq=number, occurred_at=since)
        for number, fact in enumerate(facts)
        if since <= fact.occurred_at <= until
    ]
    return count(anonymous, since, since)


def evaluate_reputation(
    before: Reputation, snapshot: Snapshot, clock: Millis, rules: RuleSet = RULES
) -> Reputation:
    """Do steps A to H at once, at the clock (Q01, Q02, Q03, Q08)."""
    evaluated = evaluate(before.score, before.last_human_at, snapshot, clock, rules)
    after = before._replace(
        score=evaluated.score,
        level=evaluated.level,
        trend=evaluated.trend,
        alerts=evaluated.alerts,
        snapshot=snapshot,
        last_evaluated_at=clock,
        last_human_at=clock if snapshot.human_interactions > 0 else before.last_human_at,
    )
    if after.level is TemperatureLevel.COOLDOWN and after.score >= AUTO_EXIT_SCORE:
        after = exit_of_reference(after)
    return at_evaluation_of_reference(after, evaluated, clock, rules)

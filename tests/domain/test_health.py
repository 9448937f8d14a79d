"""Health: what an instance answers, what a step announces, and by which reason it was looked at."""

from collections.abc import Sequence

import pytest

from domain.decision import Decision
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import Setting
from domain.read_health import ReadInstanceHealth
from domain.words import (
    ActionKind,
    AlertCode,
    EvaluationReason,
    HealthEvent,
    Lifecycle,
    Millis,
    RiskLevel,
    SignalType,
    TemperatureLevel,
    Trend,
)
from tests.domain.arriving import arrive
from tests.domain.facts import burst, numbered
from tests.domain.worlds import START, WINDOW
from tests.fakes import InMemoryStore

SETTING = Setting(WINDOW)
HOUR: Millis = 3_600_000
DAY: Millis = 24 * HOUR


class Fleet:
    """A store with one instance, and the use cases on it."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.evaluate = EvaluateInstanceHealth(self.store, SETTING)
        self.read = ReadInstanceHealth(self.store, SETTING)
        self._seq = 1

    def arrive(self, kind: SignalType, count: int, at: Millis) -> list[Decision]:
        facts = numbered(burst(kind, count, at, prefix=f"{kind}{at}-"), self._seq)
        self._seq += count
        return list(arrive(self.store, self.evaluate, facts, at + count)[0].decisions)

    def wait(self, until: Millis) -> list[Decision]:
        """Look by time alone, as often as a step is due."""
        made: list[Decision] = []
        while (due := self.store._tables.states["i-1"].due_at) is not None and due <= until:
            made += [d for evaluated in self.evaluate.due(due) for d in evaluated.decisions]
        return made

    def alerts(self, at: Millis) -> set[AlertCode]:
        return {alert.code for alert in self.read.reputation("i-1", at).health.alerts}


def announced(decisions: Sequence[Decision]) -> list[tuple[HealthEvent, ...]]:
    return [decision.events for decision in decisions]


def test_a_cooldown_is_announced_when_it_begins_and_when_the_lifecycle_leaves_it() -> None:
    """Entered once, at risk at each step while it is so, recovered once (rules.md section 13)."""
    fleet = Fleet()
    fleet.arrive(SignalType.MESSAGE_SENT, 6, START)
    begun = fleet.arrive(SignalType.CONNECTION_DISCONNECTED, 5, START + 1000)

    later = fleet.wait(START + 2 * HOUR)

    assert announced(begun) == [(HealthEvent.ENTERED_COOLDOWN, HealthEvent.AT_RISK)]
    told = [event for decision in later for event in decision.events]
    assert told.count(HealthEvent.ENTERED_COOLDOWN) == 0
    assert told.count(HealthEvent.RECOVERED) == 1
    recovered = next(d for d in later if HealthEvent.RECOVERED in d.events)
    assert recovered.evaluated_at == begun[0].evaluated_at + HOUR
    assert recovered.after.lifecycle is Lifecycle.ACTIVE
    assert HealthEvent.AT_RISK not in recovered.events


def test_the_lifecycle_stays_in_cooldown_while_at_risk() -> None:
    """Out of cooldown at a score of 30 an instance is still at risk: its lifecycle waits (the fold, 12)."""
    fleet = Fleet()
    fleet.arrive(SignalType.CONNECTION_CONNECTED, 1, START)

    for number in range(2):  # two ended windows of four failures each: 50, 40, 30
        fleet.arrive(SignalType.MESSAGE_FAILED, 4, START + (number + 1) * HOUR)
        fleet.wait(START + (number + 1) * HOUR + WINDOW + 60_000)
    entered = fleet.evaluate.acted("i-1", ActionKind.ENTER_COOLDOWN, START + 3 * HOUR)
    left = fleet.evaluate.acted("i-1", ActionKind.LEAVE_COOLDOWN, START + 4 * HOUR)
    fleet.arrive(SignalType.MESSAGE_REPLIED, 4, START + 5 * HOUR)
    [first, *_] = fleet.wait(START + 6 * HOUR)

    assert (entered.after.score, entered.after.lifecycle) == (30, Lifecycle.COOLDOWN)
    assert (left.after.temperature_level, left.after.lifecycle) == (TemperatureLevel.COLD, Lifecycle.COOLDOWN)
    assert left.events == (HealthEvent.AT_RISK,)
    assert (first.after.score, first.after.lifecycle) == (33, Lifecycle.COOLDOWN)


def test_a_banned_instance_announces_nothing() -> None:
    """The lifecycle is skipped entirely; the score is still folded."""
    fleet = Fleet()
    fleet.arrive(SignalType.MESSAGE_SENT, 6, START)
    banned = fleet.evaluate.acted("i-1", ActionKind.BAN, START + 100)

    begun = fleet.arrive(SignalType.CONNECTION_DISCONNECTED, 5, START + 1000)

    assert banned.events == ()
    assert announced(begun) == [()]
    assert begun[0].after.lifecycle is Lifecycle.BANNED
    assert begun[0].after.risk_level is RiskLevel.HIGH


@pytest.mark.parametrize("reason", list(EvaluationReason))
def test_the_reason_is_a_label_and_changes_no_result(reason: EvaluationReason) -> None:
    """Whoever asks, and why, gets the same state; the row carries the reason."""
    fleet, other = Fleet(), Fleet()
    for one in (fleet, other):
        one.arrive(SignalType.MESSAGE_FAILED, 5, START)

    asked = fleet.evaluate.requested("i-1", reason, START + 1000)
    by_time = other.evaluate.requested("i-1", EvaluationReason.CRON, START + 1000)

    assert asked.reason is reason
    assert asked.content == by_time.content


def test_steps_carry_the_reason_that_brought_them() -> None:
    """A fact: WEBHOOK; time alone: CRON; an operator: OPERATOR."""
    fleet = Fleet()

    by_fact = fleet.arrive(SignalType.MESSAGE_SENT, 1, START)
    fleet.arrive(SignalType.MESSAGE_FAILED, 4, START + 1000)
    by_time = fleet.wait(START + 2 * WINDOW)
    by_hand = fleet.evaluate.acted("i-1", ActionKind.ENTER_COOLDOWN, START + 3 * WINDOW)

    assert {d.reason for d in by_fact} == {EvaluationReason.WEBHOOK}
    assert {d.reason for d in by_time} == {EvaluationReason.CRON}
    assert by_hand.reason is EvaluationReason.OPERATOR


@pytest.mark.parametrize(("later", "told"), [(8 * DAY - 1, False), (8 * DAY, True)])
def test_no_human_interaction_is_told_from_the_eighth_full_day_on(later: Millis, told: bool) -> None:
    """Of the latest reply in an ended point window, by the clock of the look (the fold, 6)."""
    fleet = Fleet()
    fleet.arrive(SignalType.MESSAGE_REPLIED, 1, START)
    fleet.wait(START + HOUR)

    assert (AlertCode.NO_HUMAN_INTERACTION in fleet.alerts(START + later)) is told


def test_score_and_level_speak_of_ended_windows_trend_and_other_alerts_of_the_last_half_hour() -> None:
    """Four failures: alert and trend at once, points and SCORE_DEGRADING as the window ends (the fold, 5)."""
    fleet = Fleet()
    fleet.arrive(SignalType.MESSAGE_FAILED, 4, START)

    now = fleet.read.reputation("i-1", START + 3).health
    ended = fleet.read.reputation("i-1", START + WINDOW).health
    later = fleet.read.reputation("i-1", START + WINDOW + 4).health

    assert (now.reputation_score, now.trend, now.pending_points) == (50, Trend.DOWN, -10)
    assert [alert.code for alert in now.alerts] == [AlertCode.HIGH_DELIVERY_FAILURES]
    assert (ended.reputation_score, ended.trend) == (40, Trend.DOWN)
    assert [alert.code for alert in ended.alerts] == [
        AlertCode.HIGH_DELIVERY_FAILURES,
        AlertCode.SCORE_DEGRADING,
    ]
    assert (later.trend, [alert.code for alert in later.alerts]) == (
        Trend.STABLE,
        [AlertCode.SCORE_DEGRADING],
    )

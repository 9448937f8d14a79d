"""When an instance rests: the project's variant, and the reference's where no recorded case reaches."""

import pytest

from domain.cooldown import Cooldown, at_evaluation_of_reference, at_step
from domain.evaluation import evaluate
from domain.reputation import Reputation
from domain.snapshot import Snapshot
from domain.words import CooldownReason, TemperatureLevel

DROP, SPIKE = CooldownReason.DELIVERY_DROP, CooldownReason.SEND_DELAY_SPIKE
MANUAL = CooldownReason.MANUAL_INTERVENTION
HOUR = 3_600_000


def test_entering_counts_and_stamps_once() -> None:
    """While it rests, another reason changes the reason and nothing else (the fold, 7 and 8)."""
    entered = at_step(Cooldown(2), DROP, 1000)

    assert entered == Cooldown(3, DROP, 1000)
    assert at_step(entered, SPIKE, 2000) == Cooldown(3, SPIKE, 1000)
    assert at_step(entered, DROP, 2000) is entered


@pytest.mark.parametrize(("at", "left"), [(HOUR - 1, False), (HOUR, True), (5 * HOUR, True)])
def test_a_cooldown_ends_at_the_first_step_an_hour_after_its_start(at: int, left: bool) -> None:
    """The hour itself is enough; the count stays (the fold, 9)."""
    assert at_step(Cooldown(1, DROP, 0), None, at) == (Cooldown(1) if left else Cooldown(1, DROP, 0))


def test_a_condition_holds_an_instance_beyond_its_hour() -> None:
    """Time alone does not end what still goes on."""
    assert at_step(Cooldown(1, DROP, 0), DROP, 2 * HOUR).reason is DROP


def test_an_operators_reason_stays_and_its_hour_counts() -> None:
    """No rule overwrites MANUAL_INTERVENTION; without a condition it ends like any other."""
    manual = Cooldown().entered(MANUAL, 0)

    assert at_step(manual, DROP, HOUR) == manual
    assert at_step(manual, None, HOUR) == Cooldown(1)


def test_outside_a_cooldown_nothing_ends() -> None:
    """No reason, no change, whatever the time."""
    assert at_step(Cooldown(4), None, 9 * HOUR) == Cooldown(4)
    assert Cooldown(4).ends_at() is None


@pytest.mark.parametrize("level", [TemperatureLevel.OVERHEATED, TemperatureLevel.COOLDOWN])
def test_the_reference_rests_on_a_hot_level_alone(level: TemperatureLevel) -> None:
    """Step H, last row: a score that is fine does not help while the level is too hot."""
    hot = Reputation(score=60, level=level)

    rested = at_evaluation_of_reference(hot, evaluate(60, None, Snapshot(), 0), 7)

    assert (rested.cooldown_reason, rested.cooldown_started_at) == (CooldownReason.SCORE_THRESHOLD, 7)

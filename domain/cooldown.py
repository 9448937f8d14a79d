"""When an instance should rest, in two variants: the project's, and the reference's for its vectors.

The project's (design section 3, the fold, 7 to 9) counts and stamps on the transition only, keeps a started
cooldown an hour, and leaves it at the first step where no condition holds. The reference's (rules.md
section 8, step H, and section 10) enters anew at each look and forgets at the next.
"""

from typing import NamedTuple

from domain.evaluation import Evaluation
from domain.reputation import HOT, Reputation
from domain.rules import RULES, RuleSet
from domain.words import CooldownReason, Millis, TemperatureLevel


class Cooldown(NamedTuple):
    """Whether an instance rests; `reason` None: it does not. `entries` counts the cooldowns so far."""

    entries: int = 0
    reason: CooldownReason | None = None
    started_at: Millis | None = None

    def entered(self, reason: CooldownReason, at: Millis) -> "Cooldown":
        """Give the cooldown after a condition to rest: begun, or with its reason changed (7, 8, 10)."""
        if self.reason is None:
            return Cooldown(self.entries + 1, reason, at)
        return self if reason is self.reason else self._replace(reason=reason)

    def left(self) -> "Cooldown":
        """Give the cooldown after it ended; the count stays."""
        return Cooldown(self.entries)

    def ends_at(self, rules: RuleSet = RULES) -> Millis | None:
        """Give the end of its minimum stay, None outside a cooldown."""
        return None if self.started_at is None else self.started_at + rules.cooldown_stay_ms


def at_step(
    cooldown: Cooldown, condition: CooldownReason | None, at: Millis, rules: RuleSet = RULES
) -> Cooldown:
    """Give the cooldown after a step (the fold, 7 to 9).

    Args:
        cooldown: before the step.
        condition: the reason to rest that holds now, None where there is none.
        at: the step's time.
        rules: for the minimum stay.
    """
    if condition is not None:
        return (
            cooldown
            if cooldown.reason is CooldownReason.MANUAL_INTERVENTION
            else cooldown.entered(condition, at)
        )
    ends_at = cooldown.ends_at(rules)
    return cooldown.left() if ends_at is not None and at >= ends_at else cooldown


def at_evaluation_of_reference(
    reputation: Reputation, evaluated: Evaluation, now: Millis, rules: RuleSet = RULES
) -> Reputation:
    """Give the reputation after step H of the reference: entered whenever a condition holds."""
    seen = {"messagesBlocked": float(reputation.snapshot.messages_blocked), "score": float(reputation.score)}
    if evaluated.window.cooldown_rule is not None:
        return enter_of_reference(reputation, evaluated.window.cooldown_rule.reason, now)
    for rule in rules.score_cooldowns:
        if all(condition.holds(seen) for condition in rule.when):
            return enter_of_reference(reputation, rule.reason, now)
    if reputation.level in HOT:
        return enter_of_reference(reputation, CooldownReason.SCORE_THRESHOLD, now)
    return reputation


def enter_of_reference(reputation: Reputation, reason: CooldownReason, now: Millis) -> Reputation:
    """Enter as the reference does: unconditionally, counting again (Q03)."""
    return reputation._replace(
        level=TemperatureLevel.COOLDOWN,
        cooldown_count=reputation.cooldown_count + 1,
        cooldown_reason=reason,
        cooldown_started_at=now,
    )


def exit_of_reference(reputation: Reputation) -> Reputation:
    """Leave as the reference does: COLD whatever the score, and only from COOLDOWN."""
    if reputation.level is not TemperatureLevel.COOLDOWN:
        return reputation
    return reputation._replace(level=TemperatureLevel.COLD, cooldown_reason=None, cooldown_started_at=None)

"""`sidecar explain`: how an instance stands, why, by which numbers and signals; what would end its rest."""

from itertools import islice
from typing import Final, NamedTuple

from domain.decision import SUPPORT
from domain.rules import RULES
from domain.words import CooldownReason, SignalType
from sidecar.api.health_answers import DecisionAnswer, ReputationAnswer, RuleAnswer
from sidecar.api.signals import SignalAnswer
from sidecar.api.times import iso, parse
from sidecar.cli.answers import Answers, TimelineAsked, signals_of
from sidecar.cli.errors import DONE
from sidecar.cli.finding import answering
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, print_line
from sidecar.cli.when import when
from sidecar.clock import now_ms

SIGNALS_MAX: Final = 20
"""Signals read a rule, the newest that support it; their number is told in full."""
SHOWN_MAX: Final = 12
"""Of them, how many are printed for people; JSON has all that were read."""
REST_RULES: Final = frozenset(rule.id for rule in (*RULES.window_cooldowns, *RULES.score_cooldowns))
_STAY_MINUTES: Final = RULES.cooldown_stay_ms // 60_000


class Rest(NamedTuple):
    """A cooldown: the rules behind it when it began, those that hold now, and what would end it."""

    reason: CooldownReason
    started_at: str
    not_before: str
    entered_by: list[RuleAnswer]
    holding: list[RuleAnswer]
    ends: str


def explain(place: Place, instance_id: str, at: str | None, *, as_json: bool) -> int:
    """Explain an instance, now or at a time."""
    now = now_ms()
    asked = None if at is None else when(at, "--at", now, now)
    with answering(place) as answers:
        reputation = answers.reputation(instance_id, asked)
        decision = _entering(answers, reputation)
        rest = _rest(reputation, decision)
        entered = _signals(answers, instance_id, rest.entered_by) if rest else {}
        now_firing = _signals(answers, instance_id, reputation.explanation)
    if as_json:
        cooldown = None if rest is None else _rest_json(rest)
        print_json(
            {
                "instanceId": instance_id,
                "reputation": reputation,
                "cooldown": cooldown,
                "decision": decision,
                "signals": _in_order({**entered, **now_firing}),
            }
        )
    else:
        _print(reputation, rest, decision)
        _print_signals("Signals behind its beginning to rest", _in_order(entered))
        new = {key: signal for key, signal in now_firing.items() if key not in entered}
        _print_signals("Signals behind the rules that fire now", _in_order(new))
    return DONE


def _entering(answers: Answers, reputation: ReputationAnswer) -> DecisionAnswer | None:
    """Find the decision that began the cooldown; the newest about that instant, late facts may correct it."""
    if reputation.cooldown_started_at is None:
        return None
    at = parse(reputation.cooldown_started_at)
    for decision in answers.decisions(reputation.instance_id, at, at):
        if not decision.asked and decision.after.cooldown_started_at == reputation.cooldown_started_at:
            return decision
    return None


def _rest(reputation: ReputationAnswer, decision: DecisionAnswer | None) -> Rest | None:
    reason, started_at = reputation.cooldown_reason, reputation.cooldown_started_at
    if reason is None or started_at is None:
        return None
    not_before = parse(started_at) + RULES.cooldown_stay_ms
    holding = [rule for rule in reputation.explanation if rule.id in REST_RULES]
    return Rest(
        reason,
        started_at,
        iso(not_before),
        list(decision.explanation) if decision else [],
        holding,
        _ends(holding, not_before, parse(reputation.at)),
    )


def _ends(holding: list[RuleAnswer], not_before: int, at: int) -> str:
    """Say what would end the rest (the fold, 9 and 10)."""
    stay = (
        f"not before {iso(not_before)}, {_STAY_MINUTES} minutes after its start"
        if at < not_before
        else f"its {_STAY_MINUTES} minutes are over"
    )
    if not holding:
        return f"{stay}; then the next step ends it, for no rule asks for rest now; or an operator ends it"
    names = ", ".join(_compared(rule) for rule in holding)
    help_ = "; a score below 30 rises by replies only" if any(r.measure == "score" for r in holding) else ""
    return f"{stay}; and not while this holds: {names}{help_}. Or an operator ends it"


def _signals(answers: Answers, instance_id: str, rules: list[RuleAnswer]) -> dict[str, SignalAnswer]:
    """Read the newest signals that support the rules, each once."""
    found: dict[str, SignalAnswer] = {}
    for rule in rules:
        types: tuple[SignalType, ...] = SUPPORT.get(rule.measure, ())
        if not types:
            continue
        since, until = parse(rule.since), parse(rule.until)
        asked = TimelineAsked(instance_id, since, until, frozenset(types), descending=True)
        named = set(rule.signal_ids)
        for signal in islice(signals_of(answers, asked, SIGNALS_MAX), SIGNALS_MAX):
            if not named or signal.id in named:
                found[signal.id] = signal
    return found


def _in_order(signals: dict[str, SignalAnswer]) -> list[SignalAnswer]:
    return sorted(signals.values(), key=lambda signal: (signal.occurred_at, signal.id))


def _rest_json(rest: Rest) -> dict[str, object]:
    return {
        "reason": rest.reason,
        "startedAt": rest.started_at,
        "notBefore": rest.not_before,
        "enteredBy": rest.entered_by,
        "holding": rest.holding,
        "ends": rest.ends,
    }


def _print(
    reputation: ReputationAnswer,
    rest: Rest | None,
    decision: DecisionAnswer | None,
) -> None:
    state = "does not rest" if rest is None else f"rests since {rest.started_at} for {rest.reason}"
    print_line(f"{reputation.instance_id} at {reputation.at}: {state}")
    print_line(
        f"  score {reputation.reputation_score} ({reputation.pending_points:+d} pending), "
        f"level {reputation.temperature_level}, trend {reputation.trend}, risk {reputation.risk_level}, "
        f"lifecycle {reputation.status.lifecycle}, connection {reputation.status.connection}, "
        f"cooldowns so far {reputation.cooldown_count}"
    )
    if rest is not None:
        about = f" (decision {decision.id})" if decision else ""
        print_line(f"Why it began to rest{about}:")
        _print_rules(rest.entered_by, "  an operator let it rest, or its decision is past retention")
        print_line(f"What would end it: {rest.ends}")
    print_line("Rules that fire now:")
    _print_rules(reputation.explanation, "  none")
    for alert in reputation.alerts:
        print_line(f"  alert {alert.severity} {alert.code}: {alert.message}")


def _print_signals(head: str, signals: list[SignalAnswer]) -> None:
    if not signals:
        return
    cut = f", the newest {SHOWN_MAX} (--json has more)" if len(signals) > SHOWN_MAX else ""
    print_line(f"{head}{cut}:")
    for signal in signals[-SHOWN_MAX:]:
        print_line(f"  {signal.occurred_at}  {signal.summary}  {signal.id}")


def _print_rules(rules: list[RuleAnswer], none: str) -> None:
    for rule in rules:
        print_line(
            f"  {_compared(rule)}; {rule.points:+d} points, {rule.signals} signals, "
            f"{rule.since} to {rule.until}"
        )
    if not rules:
        print_line(none)


def _compared(rule: RuleAnswer) -> str:
    """Say a rule as the comparisons it made: threshold beside what was observed."""
    parts = [
        f"{condition.measure} {condition.op} {condition.threshold:g} (observed {condition.observed:g})"
        for condition in rule.conditions
    ]
    return f"{rule.id}: {' and '.join(parts)}"

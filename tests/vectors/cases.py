"""One case of each vector file against the domain, in reference mode."""

from collections.abc import Callable
from typing import Final

from domain.cooldown import enter_of_reference, exit_of_reference
from domain.evaluation import evaluate_window, measures
from domain.reputation import (
    Reputation,
    can_dispatch,
    days_since_human_interaction,
    is_at_risk,
    is_healthy,
    requires_cooldown,
    risk_level,
    warm_up_phase,
)
from domain.rules import RULES, RuleSet
from domain.words import CooldownReason, Millis
from tests.vectors.reference import count_every_report, evaluate_reputation
from tests.vectors.reference_health import WINDOW_MS, Pipeline, signal_of
from tests.vectors.reference_traffic import dispatch_outcome, webhook_events
from tests.vectors.wire import (
    Json,
    alerts_json,
    fact_of,
    iso,
    js_date,
    millis,
    reputation_of,
    snapshot_json,
    snapshot_of,
)


def evaluate_window_case(case: Json, rules: RuleSet = RULES) -> Json:
    """A snapshot gives points, alerts and a reason to rest."""
    window = evaluate_window(measures(snapshot_of(case)), rules)
    return {
        "scoreDelta": window.score_delta,
        "alerts": alerts_json(window.alerts),
        "requiresCooldown": window.cooldown_rule is not None,
        "cooldownReason": window.cooldown_rule and window.cooldown_rule.reason.value,
    }


def evaluator_sequence_case(case: Json, rules: RuleSet = RULES) -> Json:
    """A state goes through evaluations and operator marks."""
    state = reputation_of(case["initial"]) if case.get("initial") else Reputation(score=rules.score_initial)
    steps = []
    for step in case["steps"]:
        clock = millis(step["at"])
        match step["op"]:
            case "evaluate":
                state = evaluate_reputation(state, snapshot_of(step.get("signals")), clock, rules)
            case "enter_cooldown":
                state = enter_of_reference(state, CooldownReason(step["reason"]), clock)
            case "exit_cooldown":
                state = exit_of_reference(state)
        steps.append(
            {
                "temperatureLevel": state.level.value,
                "trend": state.trend.value,
                "alerts": alerts_json(state.alerts),
                "cooldownCount": state.cooldown_count,
                "cooldownReason": state.cooldown_reason and state.cooldown_reason.value,
                "cooldownStartedAt": iso(state.cooldown_started_at),
                "lastEvaluatedAt": iso(state.last_evaluated_at),
                "lastHumanInteractionAt": iso(state.last_human_at),
                **_queries(state, clock, rules),
                "riskLevel": risk_level(state, rules).value.lower(),
                "canDispatch": [
                    {"at": iso(clock + offset), "value": can_dispatch(state)}
                    for offset in case.get("probe_offsets_ms", ())
                ],
            }
        )
    return {"steps": steps}


def entity_query_case(case: Json, rules: RuleSet = RULES) -> Json:
    """A stored state answers."""
    state = reputation_of(case["reputation"])
    return {
        **_queries(state, millis(case["now"]), rules),
        "canDispatch": can_dispatch(state),
        "riskLevel": risk_level(state, rules).value.lower(),
    }


def _queries(state: Reputation, now: Millis, rules: RuleSet) -> Json:
    return {
        "score": state.score,
        "isHealthy": is_healthy(state, rules),
        "isAtRisk": is_at_risk(state, rules),
        "requiresCooldown": requires_cooldown(state, rules),
        "daysSinceHumanInteraction": days_since_human_interaction(state, now),
        "warmUpPhase": warm_up_phase(state, rules).value,
    }


def snapshot_case(case: Json) -> Json:
    """Signals give a snapshot."""
    until = millis(case["now"])
    since = until - case.get("windowMs", WINDOW_MS)
    own = [s for s in case["signals"] if s["instanceId"] == case["instanceId"]]
    facts = [fact for seq, signal in enumerate(own) if (fact := fact_of(signal, seq)) is not None]
    dates = [at for signal in own if (at := _date(signal)) is not None]
    return {
        "snapshot": snapshot_json(count_every_report(facts, since, until)),
        "signalsInWindow": sum(since <= at <= until for at in dates),
    }


def event_to_signal_case(case: Json) -> Json:
    """An event gives a signal, or none."""
    return {"signal": signal_of(case)}


def timeline_case(case: Json) -> Json:
    """Bounds select signals; two orders."""
    since, until = millis(case["since"]), millis(case["until"])
    inside = [
        (at, arrival, signal["id"])
        for arrival, signal in enumerate(case["signals"])
        if signal["instanceId"] == case["instanceId"]
        and (at := _date(signal)) is not None
        and since <= at <= until
    ]
    arrived = [identity for _, _, identity in inside]
    return {
        "members": sorted(arrived),
        "inMemoryOrder": arrived,
        "orderedByOccurredAt": [identity for _, _, identity in sorted(inside)],
    }


def _date(signal: Json) -> Millis | None:
    """Give a signal's date, None for an invalid one."""
    recorded = signal.get("occurredAt")
    return None if recorded is None else js_date(recorded)


def health_case(case: Json) -> Json:
    """Facts and looks go through the whole use case."""
    pipeline = Pipeline(case)
    return {"steps": [pipeline.step(step) for step in case["steps"]]}


def webhook_case(case: Json) -> Json:
    """A provider's payload gives events."""
    return webhook_events(case["payload"], case["now"])


RUNNERS: Final[dict[str, Callable[[Json], Json]]] = {
    "evaluate_window/1": evaluate_window_case,
    "evaluator_sequences/1": evaluator_sequence_case,
    "entity_queries/1": entity_query_case,
    "snapshot_from_signals/1": snapshot_case,
    "event_to_signal/1": event_to_signal_case,
    "timeline/1": timeline_case,
    "health_pipeline/1": health_case,
    "turbozap_webhook_to_events/1": webhook_case,
    "dispatch_to_events/1": dispatch_outcome,
}
"""What runs a case, by the file's schema."""

EXCLUDED: Final = frozenset({"Q24"})
"""Accidents of JavaScript that no reference mode imitates."""

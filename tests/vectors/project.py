"""The project's own mode: what we expect where a quirk is fixed, beside what the reference gave.

Pure functions only (rules.md section 17, FIX): how the fold drives them is tested in `tests/domain`.
"""

from collections.abc import Callable
from typing import Final

from domain.cooldown import Cooldown, at_step
from domain.evaluation import evaluate, evaluate_window, measures
from domain.event import Event
from domain.redaction import Redactor, RemoteJidMode
from domain.reputation import Reputation
from domain.rules import RULES, holds
from domain.signal import to_signal
from domain.snapshot import Snapshot, count, from_json
from domain.words import CooldownReason, EventType, Source, TemperatureLevel
from tests.vectors.wire import Json, fact_of, iso, millis, reputation_of, snapshot_json

FIXED: Final = {
    "evaluator_sequences": {"Q01", "Q02", "Q03", "Q04"},
    "event_to_signal": {"Q20", "Q36"},
    "snapshot_from_signals": {"Q11", "Q12"},
    "timeline": {"Q29"},
}
"""Quirks whose cases have an expectation of ours, by file. Q08 needs the replies' own dates: `tests/domain`.
Q35 keeps the closed bounds in these functions."""


def sequence(case: Json) -> Json:
    """Each evaluation is a point window that ends, and the rolling window at that time."""
    state = reputation_of(case["initial"]) if case["initial"] else Reputation()
    level, score = state.level, state.score
    cooldown = Cooldown(state.cooldown_count, state.cooldown_reason, state.cooldown_started_at)
    human_at = state.last_human_at
    steps = []
    for step in case["steps"]:
        at = millis(step["at"])
        match step["op"]:
            case "evaluate":
                snapshot = from_json(step["signals"])
                given = evaluate(score, human_at, snapshot, at)
                score, level = given.score, given.level
                human_at = at if snapshot.human_interactions else human_at
                cooldown = at_step(cooldown, _condition(snapshot, score), at)
            case "enter_cooldown":
                cooldown = cooldown.entered(CooldownReason(step["reason"]), at)
            case "exit_cooldown" if cooldown.reason is not None:
                if score < 30:
                    score, level = RULES.score_initial, TemperatureLevel.COLD
                cooldown = cooldown.left()
        steps.append(
            {
                "score": score,
                "temperatureLevel": (TemperatureLevel.COOLDOWN if cooldown.reason else level).value,
                "cooldownCount": cooldown.entries,
                "cooldownReason": cooldown.reason and cooldown.reason.value,
                "cooldownStartedAt": iso(cooldown.started_at),
            }
        )
    return {"steps": steps}


def _condition(snapshot: Snapshot, score: int) -> CooldownReason | None:
    """Give the reason to rest: the window's, else the first of the score's rows that holds."""
    seen = measures(snapshot)
    window = evaluate_window(seen).cooldown_rule
    if window is not None:
        return window.reason
    seen["score"] = score
    return next((rule.reason for rule in RULES.score_cooldowns if holds(rule.when, seen)), None)


def signal(case: Json) -> Json:
    """Severity by type, context by the allow-list, the chat as a digest."""
    redactor = Redactor(RemoteJidMode.HASH, b"the key of the project vectors")
    event = Event(
        EventType(case["type"]),
        Source(case["source"]),
        case["instanceId"],
        millis(case["occurredAt"]),
        case.get("messageId"),
        case.get("remoteJid"),
        case["isGroup"],
        case.get("latencyMs"),
        case.get("metadata") or {},
    )
    made = to_signal(event, redactor=redactor, exchange_id="x", observed_at=0, known_codes=frozenset())
    assert made is not None
    return {
        "type": made.type.value,
        "severity": made.severity.value,
        "source": made.source.value,
        "remoteJid": made.remote_jid,
        "context": made.context,
    }


def snapshot_of(case: Json) -> Json:
    """A message counts once a type; our own mark-as-read counts for nothing."""
    until = millis(case["now"])
    own = [s for s in case["signals"] if s["instanceId"] == case["instanceId"]]
    facts = [fact for seq, row in enumerate(own) if (fact := fact_of(row, seq)) is not None]
    return snapshot_json(count(facts, until - case["windowMs"], until))


def timeline(case: Json) -> Json:
    """One order everywhere: date, then arrival."""
    since, until = millis(case["since"]), millis(case["until"])
    inside = sorted(
        (millis(row["occurredAt"]), arrival, row["id"])
        for arrival, row in enumerate(case["signals"])
        if row["instanceId"] == case["instanceId"] and since <= millis(row["occurredAt"]) <= until
    )
    return [identity for _, _, identity in inside]


RUNNERS: Final[dict[str, Callable[[Json], Json]]] = {
    "evaluator_sequences": sequence,
    "event_to_signal": signal,
    "snapshot_from_signals": snapshot_of,
    "timeline": timeline,
}

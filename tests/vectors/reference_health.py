"""The health use case as the reference has it: stored lifecycle, wall clock, every look evaluates."""

from typing import NamedTuple

from domain.fact import Fact
from domain.lifecycle import allowed_actions
from domain.reputation import (
    Reputation,
    can_dispatch,
    is_at_risk,
    requires_cooldown,
    risk_level,
    warm_up_phase,
)
from domain.signal import SEVERITY_OF, SIGNAL_OF
from domain.words import Connection, EventType, HealthEvent, Lifecycle, Millis, SignalType
from tests.vectors.reference import count_every_report, evaluate_reputation
from tests.vectors.wire import Json, alerts_json, fact_of, millis, normal, reputation_of, snapshot_json

WINDOW_MS = 30 * 60_000
INSTANCE_ID = "i-1"
COMPANY_ID = "c-1"
"""The one instance of the recorded pipelines, and whose it is; neither stands in a case's input."""

_CARRIED = ("source", "instanceId", "occurredAt", "messageId", "remoteJid", "isGroup", "latencyMs")


class Instance(NamedTuple):
    """The reference's stored instance."""

    lifecycle: Lifecycle
    connection: Connection


class Pipeline:
    """One instance's store, reputation and lifecycle over the steps of a case."""

    def __init__(self, case: Json) -> None:
        stored = case.get("instance")
        self._instance = stored and Instance(
            Lifecycle(stored["lifecycleStatus"]), Connection(stored["connectionStatus"])
        )
        self._reputation = reputation_of(case["reputation"]) if case.get("reputation") else Reputation()
        self._facts: list[Fact] = []
        self._stored = 0

    def step(self, step: Json) -> Json:
        """Do one step and give what the vectors recorded of it."""
        match step["op"]:
            case "append_signals":
                for signal in step["signals"]:
                    self._append(signal)
                return None
            case "ingest":
                return self._ingest(step)
            case "evaluate":
                return self._evaluate(millis(step["at"]), step["reason"], step.get("now", step["at"]))
            case "instance":
                return self._mark(step["call"])
        raise AssertionError(step["op"])

    def _append(self, signal: Json) -> None:
        self._stored += 1
        fact = fact_of(signal, self._stored)
        if fact is not None and fact.instance_id == INSTANCE_ID:
            self._facts.append(fact)

    def _ingest(self, step: Json) -> Json:
        event = step["event"]
        signal = signal_of(event)
        if signal is None:
            return {"ignored": True}
        self._append(signal)
        return self._evaluate(millis(step["at"]), "WEBHOOK", event["occurredAt"])

    def _evaluate(self, clock: Millis, reason: str, now: str) -> Json:
        if self._instance is None:
            return {"error": "Instance not found", "signalsStored": self._stored}
        snapshot = count_every_report(self._facts, clock - WINDOW_MS, clock)
        self._reputation = evaluate_reputation(self._reputation, snapshot, clock)
        events = [
            {
                "type": kind.value,
                "occurredAt": normal(now),
                "instanceId": INSTANCE_ID,
                "companyId": COMPANY_ID,
                "reason": reason,
            }
            for kind in self._live(self._reputation)
        ]
        reputation = self._reputation
        return {
            **self._status(),
            "reputationScore": reputation.score,
            "temperatureLevel": reputation.level.value,
            "riskLevel": risk_level(reputation).value,
            "alerts": alerts_json(reputation.alerts),
            "warmUpPhase": warm_up_phase(reputation).value,
            "cooldownReason": reputation.cooldown_reason and reputation.cooldown_reason.value,
            "signalsSnapshot": snapshot_json(snapshot),
            "cooldownCount": reputation.cooldown_count,
            "events": events,
        }

    def _live(self, reputation: Reputation) -> list[HealthEvent]:
        """Step the lifecycle (rules.md section 13) and give the events."""
        events: list[HealthEvent] = []
        if self._instance.lifecycle is Lifecycle.BANNED:
            return events
        resting = self._instance.lifecycle is Lifecycle.COOLDOWN
        if requires_cooldown(reputation) and not resting:
            self._instance = self._instance._replace(lifecycle=Lifecycle.COOLDOWN)
            events.append(HealthEvent.ENTERED_COOLDOWN)
        elif resting and not requires_cooldown(reputation) and not is_at_risk(reputation):
            self._instance = self._instance._replace(lifecycle=Lifecycle.ACTIVE)
            events.append(HealthEvent.RECOVERED)
        if is_at_risk(reputation):
            events.append(HealthEvent.AT_RISK)
        return events

    def _mark(self, call: str) -> Json:
        instance = self._instance
        connections = {
            "markConnecting": Connection.CONNECTING,
            "markConnected": Connection.CONNECTED,
            "markDisconnected": Connection.DISCONNECTED,
            "markQRCode": Connection.QRCODE,
            "markError": Connection.ERROR,
        }
        if call == "markBanned":
            instance = Instance(Lifecycle.BANNED, Connection.DISCONNECTED)
        elif instance.lifecycle is not Lifecycle.BANNED:
            instance = instance._replace(connection=connections.get(call, instance.connection))
            if call == "markConnected" and instance.lifecycle is Lifecycle.CREATED:
                instance = instance._replace(lifecycle=Lifecycle.ACTIVE)
            elif call == "enterCooldown":
                instance = instance._replace(lifecycle=Lifecycle.COOLDOWN)
            elif call == "exitCooldown" and instance.lifecycle is Lifecycle.COOLDOWN:
                instance = instance._replace(lifecycle=Lifecycle.ACTIVE)
        self._instance = instance
        return self._status()

    def _status(self) -> Json:
        instance, reputation = self._instance, self._reputation
        actions = allowed_actions(
            instance.lifecycle,
            instance.connection,
            can_dispatch=can_dispatch(reputation),
            at_risk=is_at_risk(reputation),
        )
        return {
            "status": {"lifecycle": instance.lifecycle.value, "connection": instance.connection.value},
            "actions": [action.value for action in actions],
        }


def signal_of(event: Json) -> Json:
    """Map an event to a signal as rules.md section 3 does: no redaction, metadata carried over (Q20)."""
    if event.get("type") not in EventType.__members__:
        return None
    signal_type = SIGNAL_OF.get(EventType(event["type"]))
    if signal_type is None or signal_type is SignalType.SEND_LATENCY_OBSERVED:  # ours, allowed by Q13
        return None
    severity = "LOW" if signal_type.value == "QRCODE_REGENERATED" else SEVERITY_OF[signal_type].value  # Q36
    carried = {key: event[key] for key in _CARRIED if key in event}
    if "occurredAt" in carried:
        carried["occurredAt"] = normal(carried["occurredAt"])
    return {
        "type": signal_type.value,
        "severity": severity,
        **carried,
        "context": event.get("metadata") or {},
    }

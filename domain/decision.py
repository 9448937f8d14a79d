"""A decision: what an evaluation concluded, with its evidence. Insert-only, and explainable by itself.

Stored when a step changed something, when an operator acted, or when it was asked for. Its id follows from
what it speaks of, so the same conclusion is never stored twice.
"""

import uuid
from typing import Final, NamedTuple

from domain.evaluation import Alert, Finding
from domain.identity import NAMESPACE
from domain.snapshot import Snapshot
from domain.words import (
    Connection,
    CooldownReason,
    EvaluationReason,
    HealthEvent,
    Lifecycle,
    Millis,
    RiskLevel,
    SignalType,
    TemperatureLevel,
    Trend,
    WarmUpPhase,
)

SIGNAL_IDS_MAX: Final = 20
"""Ids of supporting signals kept a rule; the count beside them is complete."""

SUPPORT: Final[dict[str, tuple[SignalType, ...]]] = {
    "deliveredRate": (SignalType.MESSAGE_SENT, SignalType.MESSAGE_DELIVERED),
    "readRate": (SignalType.MESSAGE_DELIVERED,),
    "replyRate": (SignalType.MESSAGE_SENT, SignalType.MESSAGE_REPLIED),
    "averageDeliveryLatencyMs": (SignalType.MESSAGE_DELIVERED,),
    "connectionDisconnects": (SignalType.CONNECTION_DISCONNECTED,),
    "deliveryFailures": (SignalType.MESSAGE_FAILED,),
    "humanInteractions": (SignalType.MESSAGE_REPLIED,),
    "groupInteractions": (SignalType.MESSAGE_REPLIED,),
}
"""Signals that support a finding, by the measure its rule is about; other measures rest on no signal."""


class View(NamedTuple):
    """How an instance stands, as a decision states it."""

    score: int
    temperature_level: TemperatureLevel
    trend: Trend
    risk_level: RiskLevel
    lifecycle: Lifecycle
    connection: Connection
    warm_up_phase: WarmUpPhase
    cooldown_reason: CooldownReason | None
    cooldown_count: int
    cooldown_started_at: Millis | None
    last_human_interaction_at: Millis | None
    pending_points: int
    alerts: tuple[Alert, ...]


class Explained(NamedTuple):
    """A rule that fired: the data the decision used.

    Attributes:
        since, until: window the rule looked at, inclusive.
        signal_ids: newest supporting signals, at most `SIGNAL_IDS_MAX`.
        signals: how many there are.
    """

    finding: Finding
    since: Millis
    until: Millis
    signal_ids: tuple[str, ...] = ()
    signals: int = 0


class EndedWindow(NamedTuple):
    """A point window that scored in a decision, `until` inclusive."""

    since: Millis
    until: Millis
    snapshot: Snapshot


class Decision(NamedTuple):
    """One decision.

    Attributes:
        evaluated_at: the time it speaks of; for a step, the step's.
        asked: on request, or by a look; not by a step of the fold.
        rule_set, window_ms, latency_rules: what it was decided with.
        seq, actions: arrival bounds of the facts and operator actions it knew.
        supersedes: the decision it corrects, after late facts.
        snapshot: the rolling window at that time.
        explanation: rules that fired: of the ended windows, then the reason to rest that holds.
        action_ids: operator actions of the step.
    """

    id: str
    instance_id: str
    evaluated_at: Millis
    recorded_at: Millis
    reason: EvaluationReason
    asked: bool
    rule_set: str
    window_ms: int
    latency_rules: bool
    seq: int
    actions: int
    supersedes: str | None
    before: View
    after: View
    snapshot: Snapshot
    ended_windows: tuple[EndedWindow, ...]
    explanation: tuple[Explained, ...]
    events: tuple[HealthEvent, ...] = ()
    action_ids: tuple[str, ...] = ()

    @property
    def signal_ids(self) -> tuple[str, ...]:
        """Give the supporting signals of all rules, each once."""
        return tuple(dict.fromkeys(i for row in self.explanation for i in row.signal_ids))

    @property
    def outcome(self) -> tuple[object, ...]:
        """Give what an operator or a dispatcher would act on: no counts, no rates, no pending points."""
        view = self.after
        return (
            view.score,
            view.temperature_level,
            view.lifecycle,
            view.connection,
            view.cooldown_reason,
            view.risk_level,
            view.warm_up_phase,
            tuple(alert.code for alert in view.alerts),
        )

    @property
    def content(self) -> tuple[object, ...]:
        """Give what two decisions of one time are compared by: all but ids, bounds and when it was stored."""
        explained = tuple((row.finding, row.since, row.until, row.signals) for row in self.explanation)
        return (
            self.before,
            self.after,
            self.snapshot,
            self.ended_windows,
            explained,
            self.events,
            self.action_ids,
        )


def decision_id(
    instance_id: str,
    evaluated_at: Millis,
    reason: EvaluationReason,
    *,
    asked: bool,
    seq: int,
    supersedes: str | None,
    setting: str,
) -> str:
    """Derive the id of a decision; what was asked for differs by what was known, a step does not."""
    known = seq if asked else 0
    basis = f"{instance_id}\x1f{evaluated_at}\x1f{reason if asked else ''}\x1f{known}\x1f{supersedes or ''}"
    return str(uuid.uuid5(NAMESPACE, f"decision\x1f{basis}\x1f{setting}"))

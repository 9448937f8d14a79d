"""An example of each body for the OpenAPI document: made of the types that are served, so it cannot drift.

One story throughout: `sales-1` sends, the provider refuses, and the number comes to rest for DELIVERY_DROP.
"""

from typing import Any, Final

import msgspec

from domain.recorded import Gap, RecordedSignal
from domain.snapshot import Snapshot
from domain.words import (
    AlertCode,
    AlertSeverity,
    Connection,
    CooldownReason,
    EvaluationReason,
    HealthAction,
    HealthEvent,
    Lifecycle,
    Millis,
    RiskLevel,
    Severity,
    SignalType,
    Source,
    TemperatureLevel,
    Trend,
    WarmUpPhase,
)
from sidecar.api import health_answers as answers
from sidecar.api.actions import EvaluateBody, NoBody
from sidecar.api.annotations import Annotation, AnnotationsAnswer
from sidecar.api.errors import ErrorAnswer, Problem
from sidecar.api.forgetting import ForgetBody, ForgetChatBody, ForgottenAnswer
from sidecar.api.health import DecisionDetail, DecisionsAnswer
from sidecar.api.instances import InstanceAnswer, InstancesAnswer
from sidecar.api.params import INSTANCE_EXAMPLE
from sidecar.api.posting import (
    AcceptedAnswer,
    BadItem,
    PostedSignal,
    PostedSignals,
    PostingErrorAnswer,
    PostingProblem,
)
from sidecar.api.probes import HealthAnswer
from sidecar.api.session import SignIn
from sidecar.api.signals import csv_rows, gap_answer, ndjson, signal_answer
from sidecar.api.timeline import TimelineAnswer
from sidecar.api.times import iso

_AT: Final[Millis] = 1_769_860_800_000
_SIGNAL_ID: Final = "9b2f6a52-6c1e-5d0b-9a57-0c9f6f1f2a11"
DECISION_EXAMPLE: Final = "5f0d6f3e-3a55-5a8e-8f0a-2d7f3a6e9c10"
_SPAN: Final = {"since": iso(_AT - 1_800_000), "until": iso(_AT)}

_ROW: Final = RecordedSignal(
    _SIGNAL_ID,
    SignalType.MESSAGE_FAILED,
    Severity.HIGH,
    Source.WEBHOOK,
    INSTANCE_EXAMPLE,
    _AT,
    _AT + 12,
    4711,
    "turbozap",
    "3EB0A1",
    "5b0c9e0e7d0f4a1b8a6f",
    context={"event": "messages.update", "code": "131049"},
)
_GAP: Final = Gap("w0", _AT - 60_000, _AT - 30_000, "disk_full", 12)

_SNAPSHOT: Final = answers.SnapshotFields(
    messages_sent=60, messages_delivered=9, messages_read=2, messages_replied=0, reactions_sent=0,
    messages_blocked=0, human_interactions=0, group_interactions=0, media_messages=4, text_messages=56,
    average_reply_time_in_seconds=0.0, average_delivery_latency_ms=0.0, delivery_failures=51,
    reactions_received=0, connection_disconnects=0, qrcode_regenerations=0, presence_sets=3,
    rate_limit_hits=0, average_send_latency_ms=41.5, connection_errors=0, connections_established=1,
)  # fmt: skip
_ALERT: Final = answers.AlertAnswer(
    code=AlertCode.DELIVERY_DROP,
    severity=AlertSeverity.HIGH,
    message="only 15.0 % of the messages were delivered",
    fact="15.0",
)
_RULE: Final = answers.RuleAnswer(
    id="C1",
    measure="deliveredRate",
    threshold=0.25,
    observed=0.15,
    points=0,
    conditions=[
        answers.ConditionAnswer(measure="deliveredRate", op="<", threshold=0.25, observed=0.15),
        answers.ConditionAnswer(measure="messagesSent", op=">=", threshold=20.0, observed=60.0),
    ],
    since=_SPAN["since"],
    until=_SPAN["until"],
    signal_ids=[_SIGNAL_ID],
    signals=69,
)
_AFTER: Final = answers.ViewAnswer(
    score=50,
    temperature_level=TemperatureLevel.COOLDOWN,
    trend=Trend.DOWN,
    risk_level=RiskLevel.HIGH,
    lifecycle=Lifecycle.COOLDOWN,
    connection=Connection.CONNECTED,
    warm_up_phase=WarmUpPhase.OBSERVER,
    cooldown_reason=CooldownReason.DELIVERY_DROP,
    cooldown_count=1,
    cooldown_started_at=iso(_AT),
    last_human_interaction_at=None,
    pending_points=-33,
    alerts=[_ALERT],
)
_BEFORE: Final = msgspec.structs.replace(
    _AFTER,
    temperature_level=TemperatureLevel.COLD,
    lifecycle=Lifecycle.ACTIVE,
    cooldown_reason=None,
    cooldown_count=0,
    cooldown_started_at=None,
    alerts=[],
)
_DECISION: Final = answers.DecisionAnswer(
    id=DECISION_EXAMPLE,
    instance_id=INSTANCE_EXAMPLE,
    evaluated_at=iso(_AT),
    recorded_at=iso(_AT + 12),
    reason=EvaluationReason.WEBHOOK,
    asked=False,
    rule_set="f37c816d8cc22afd",
    window_ms=1_800_000,
    latency_rules=False,
    supersedes=None,
    before=_BEFORE,
    after=_AFTER,
    snapshot=_SNAPSHOT,
    ended_windows=[],
    explanation=[_RULE],
    signal_ids=[_SIGNAL_ID],
    events=[HealthEvent.ENTERED_COOLDOWN],
    action_ids=[],
)
_REPUTATION: Final = answers.ReputationAnswer(
    instance_id=INSTANCE_EXAMPLE,
    at=iso(_AT),
    status=answers.StatusAnswer(lifecycle=Lifecycle.COOLDOWN, connection=Connection.CONNECTED),
    reputation_score=50,
    temperature_level=TemperatureLevel.COOLDOWN,
    trend=Trend.DOWN,
    risk_level=RiskLevel.HIGH,
    alerts=[_ALERT],
    actions=[HealthAction.BLOCK_DISPATCH],
    warm_up_phase=WarmUpPhase.OBSERVER,
    cooldown_reason=CooldownReason.DELIVERY_DROP,
    cooldown_count=1,
    cooldown_started_at=iso(_AT),
    last_human_interaction_at=None,
    pending_points=-33,
    signals_snapshot=_SNAPSHOT,
    explanation=[_RULE],
    folded_at=iso(_AT),
    decision_id=DECISION_EXAMPLE,
)
_BAD: Final = BadItem(index=0, message="not a signal; GET /openapi.json has its schema", field="type")

BODIES: Final[dict[type[msgspec.Struct], Any]] = {
    type(example): msgspec.to_builtins(example)
    for example in (
        InstancesAnswer(
            instances=[
                InstanceAnswer(
                    instance_id=INSTANCE_EXAMPLE,
                    provider="turbozap",
                    score=50,
                    temperature_level=TemperatureLevel.COOLDOWN,
                    trend=Trend.DOWN,
                    risk_level=RiskLevel.HIGH,
                    lifecycle=Lifecycle.COOLDOWN,
                    connection=Connection.CONNECTED,
                    cooldown_reason=CooldownReason.DELIVERY_DROP,
                    last_signal_at=iso(_AT),
                    last_evaluated_at=iso(_AT),
                )
            ],
            next_cursor=None,
        ),
        TimelineAnswer(
            instance_id=INSTANCE_EXAMPLE,
            **_SPAN,
            signals=[signal_answer(_ROW)],
            gaps=[gap_answer(_GAP)],
            next_cursor="WyI2Y2Y0OTBkYjZkYjQiLFsxLDIsMyw0XV0",
        ),
        AnnotationsAnswer(
            annotations=[
                Annotation(
                    time=_AT,
                    time_end=_AT + 3_600_000,
                    title=f"{INSTANCE_EXAMPLE} in cooldown",
                    text="DELIVERY_DROP, score 50",
                    tags="cooldown",
                )
            ],
            next_cursor=None,
        ),
        PostedSignals(
            signals=[
                PostedSignal(
                    type=SignalType.CONNECTION_DISCONNECTED,
                    instance_id=INSTANCE_EXAMPLE,
                    source=Source.PROVIDER,
                    occurred_at=iso(_AT),
                )
            ]
        ),
        AcceptedAnswer(ids=[_SIGNAL_ID]),
        PostingErrorAnswer(
            error=PostingProblem(
                code="invalid_signals",
                message="1 of 1 items are not signals; nothing was recorded",
                field="signals[0]",
                items=[_BAD],
            )
        ),
        answers.snapshot_answer(
            INSTANCE_EXAMPLE, _AT - 1_800_000, _AT, Snapshot(*msgspec.structs.astuple(_SNAPSHOT))
        ),
        _REPUTATION,
        _DECISION,
        DecisionsAnswer(decisions=[_DECISION], next_cursor=None),
        DecisionDetail(**msgspec.structs.asdict(_DECISION), reproduced=True, differences=[]),
        EvaluateBody(reason=EvaluationReason.PRE_DISPATCH),
        NoBody(),
        ForgetBody(remote_jid="5511999990000@s.whatsapp.net"),
        ForgetChatBody(remote_jid="5511999990000@s.whatsapp.net"),
        ForgottenAnswer(instances=1, seen=1200, blanked=14, scrubbed=True),
        HealthAnswer(status="degraded", reasons=["the oldest fact that is not recorded is 42 s old"]),
        SignIn(token="the value of SIDECAR_ADMIN_TOKEN"),  # noqa: S106 - a sentence, no secret
        ErrorAnswer(
            error=Problem(
                code="invalid_parameter", message="limit must be a whole number from 1 to 5000", field="limit"
            )
        ),
    )
}

TEXTS: Final = {
    "application/x-ndjson": ndjson([_ROW], [_GAP]).decode(),
    "text/csv": csv_rows([_ROW], header=True).decode(),
    "text/plain": "# TYPE reputation_signals counter\n",
    "text/event-stream": "event: signal\ndata: " + msgspec.json.encode(signal_answer(_ROW)).decode() + "\n\n",
}

"""Builders of test data: only the fields that matter are spelled out. Pure; append, never rewrite."""

from domain.event import Context
from domain.recorded import RecordedSignal
from domain.signal import SEVERITY_OF
from domain.words import Millis, SignalType, Source


def recorded_signal(
    seq: int,
    occurred_at: Millis,
    signal_type: SignalType = SignalType.MESSAGE_SENT,
    *,
    instance_id: str = "sales-1",
    source: Source = Source.DISPATCH,
    message_id: str | None = None,
    remote_jid: str | None = None,
    is_group: bool = False,
    latency_ms: int | None = None,
    context: Context | None = None,
    recorded_at: Millis | None = None,
) -> RecordedSignal:
    """Make a row of the timeline; its id is made of instance and arrival."""
    return RecordedSignal(
        f"{instance_id}#{seq}",
        signal_type,
        SEVERITY_OF[signal_type],
        source,
        instance_id,
        occurred_at,
        occurred_at if recorded_at is None else recorded_at,
        seq,
        "turbozap",
        message_id,
        remote_jid,
        is_group,
        latency_ms,
        {} if context is None else context,
    )

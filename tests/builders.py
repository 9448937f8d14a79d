"""Builders of test data: only the fields that matter are spelled out. Pure; append, never rewrite."""

from domain.event import Context
from domain.exchange import ExchangeFacts, Outcome
from domain.record_signal import Slice
from domain.recorded import Gap, Progress, RecordedSignal
from domain.signal import SEVERITY_OF, Signal
from domain.words import Direction, Millis, SignalType, Source


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


def redacted_signal(
    basis: str,
    occurred_at: Millis,
    signal_type: SignalType = SignalType.MESSAGE_SENT,
    *,
    instance_id: str = "sales-1",
    source: Source = Source.DISPATCH,
    message_id: str | None = None,
    context: Context | None = None,
    alias: str | None = None,
    polled: bool = False,
) -> Signal:
    """Make a fact as the journal carries it; `message_id` is the basis unless told otherwise."""
    return Signal(
        signal_type,
        source,
        instance_id,
        occurred_at,
        message_id,
        context={} if context is None else context,
        basis=basis,
        alias=alias,
        polled=polled,
    )


def exchange(
    *signals: Signal, exchange_id: str = "x-1", ended_at: Millis = 1_700_000_000_000
) -> ExchangeFacts:
    """Make a journaled exchange that was read and gave these signals."""
    return ExchangeFacts(
        exchange_id,
        ended_at,
        Direction.DISPATCH,
        "turbozap",
        "POST",
        "/send",
        200,
        None,
        1_000,
        800,
        Outcome.READ,
        signals=signals,
    )


def journal_slice(
    *exchanges: ExchangeFacts, journal: str = "w0", offset: int = 0, gaps: tuple[Gap, ...] = ()
) -> Slice:
    """Make what was read of one journal folder, ending at `offset`."""
    return Slice(Progress(journal, 1, offset), exchanges, gaps)

"""The near half of ingestion: events of one exchange become redacted signals."""

from domain.event import Event
from domain.exchange import Rejected
from domain.ingest_signal import IngestReputationSignal
from domain.redaction import Redactor, RemoteJidMode
from domain.words import EventType, SignalType, Source

NOW = 1_768_500_000_000
INGEST = IngestReputationSignal(Redactor(RemoteJidMode.HASH, b"0123456789abcdef"), frozenset({"slow-down"}))


def event(kind: EventType, instance_id: str = "sales-1", **fields: object) -> Event:
    return Event(kind, Source.WEBHOOK, instance_id, NOW)._replace(**fields)  # type: ignore[arg-type]  # by name


def test_signals_come_in_the_order_of_their_events_and_what_has_no_signal_is_left_out() -> None:
    """A joined group is no fact about a reputation; the others keep their order."""
    kinds = [EventType.MESSAGE_READ, EventType.GROUP_JOINED, EventType.MESSAGE_SENT]

    signals, rejected = INGEST([event(kind) for kind in kinds], "x-1", NOW)

    assert [signal.type for signal in signals] == [SignalType.MESSAGE_READ, SignalType.MESSAGE_SENT]
    assert rejected == ()


def test_a_refused_fact_is_given_back_with_its_reason_and_hides_no_other() -> None:
    """What cannot be stored is counted by the caller, never dropped in silence."""
    signals, rejected = INGEST(
        [
            event(EventType.MESSAGE_SENT, ""),
            event(EventType.MESSAGE_SENT),
            event(EventType.MESSAGE_READ, "\n"),
        ],
        "x-1",
        NOW,
    )

    assert len(signals) == 1
    assert rejected == (
        Rejected(Source.WEBHOOK, "instance_id_empty"),
        Rejected(Source.WEBHOOK, "instance_id_invalid"),
    )


def test_the_operators_codes_pass_and_the_exchange_identifies_what_nothing_else_does() -> None:
    """A code of the table is kept word by word; a fact without a message is known by its exchange."""
    signals, _ = INGEST([event(EventType.RATE_LIMIT_HIT, context={"code": "slow-down"})], "x-9", NOW)

    assert signals[0].context["code"] == "slow-down"
    assert signals[0].basis == "x-9"

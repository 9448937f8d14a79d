"""From a finished exchange to journaled facts, with a real reader and a real redactor."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from domain.exchange import ExchangeFacts, Outcome, Rejected, TraceContext, Unobserved
from domain.ingest_signal import IngestReputationSignal
from domain.redaction import Redactor, RemoteJidMode
from domain.words import Direction, SignalType, Source
from sidecar import providers
from sidecar.exchange import NO_BODY, Body, BodyState, Exchange, Release, Signature, WireError
from sidecar.journal.layout import LossReason
from sidecar.observation import TapCopier
from sidecar.observer import RouteReading, TrafficObserver
from sidecar.providers.contract import Reader

NOW = 1_768_500_000_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Kept:
    """A journal that keeps what it is given; releases at once."""

    def __init__(self) -> None:
        self.facts: list[ExchangeFacts] = []
        self.lost: list[tuple[LossReason, Source, int]] = []

    def append(self, facts: ExchangeFacts, release: Release) -> None:
        self.facts.append(facts)
        release()

    def lose(self, reason: LossReason, source: Source, count: int = 1) -> None:
        self.lost.append((reason, source, count))


def observer(journal: Kept, reader: Reader | None = None, secret: bytes | None = None) -> TrafficObserver:
    route = RouteReading(reader or providers.reader("turbozap"), secret)
    ingest = IngestReputationSignal(Redactor(RemoteJidMode.HASH, b"0123456789abcdef"))
    numbers = iter(range(1000))
    return TrafficObserver(
        {"dispatch": route, "webhook": route}, ingest, journal, lambda: f"x-{next(numbers)}", TapCopier
    )


def json_body(content: Any) -> Body:
    return Body(json.dumps(content).encode(), BodyState.WHOLE)


def send(target: bytes = b"/message/vendas-01/text", **fields: Any) -> Exchange:
    exchange = Exchange(
        route="dispatch",
        direction=Direction.DISPATCH,
        method=b"POST",
        target=target,
        request_headers=[
            (b"Content-Type", b"application/json"),
            (b"traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode()),
        ],
    )
    exchange.request_body = json_body({"to": "5511900000001", "text": "secret words"})
    exchange.status = exchange.answered = 200
    exchange.response_body = json_body({"success": True, "data": {"message_id": "3EB0", "status": "sent"}})
    exchange.ended_at = NOW
    exchange.first_byte_ns, exchange.sent_ns = 1_000, 2_001_000
    exchange.received_ns, exchange.ended_ns = 252_001_000, 253_001_000
    for name, value in fields.items():
        setattr(exchange, name, value)
    return exchange


def callback(**fields: Any) -> Exchange:
    exchange = Exchange(
        route="webhook",
        direction=Direction.WEBHOOK,
        method=b"POST",
        target=b"/hook",
        request_headers=[(b"Content-Type", b"application/json")],
    )
    exchange.request_body = json_body(
        {
            "event": "message.ack",
            "instance": "vendas-01",
            "timestamp": "2026-01-15T15:00:02Z",
            "data": {"message_id": "3EB0", "status": "read", "timestamp": "2026-01-15T15:00:03Z"},
        }
    )
    exchange.status = exchange.answered = 200
    exchange.ended_at = NOW
    for name, value in fields.items():
        setattr(exchange, name, value)
    return exchange


def observed(exchange: Exchange, **given: Any) -> tuple[Kept, list[str]]:
    journal, released = Kept(), []
    observer(journal, **given).ended(exchange, lambda: released.append("go"))
    return journal, released


def test_a_send_becomes_its_redacted_signals_and_how_it_went() -> None:
    """One journal entry an exchange, with nothing of its bodies."""
    journal, released = observed(send())

    (facts,) = journal.facts
    assert [signal.type for signal in facts.signals] == [
        SignalType.MESSAGE_SENT,
        SignalType.SEND_LATENCY_OBSERVED,
    ]
    assert (facts.template, facts.method, facts.status) == ("/message/{instance}/text", "POST", 200)
    assert (facts.duration_us, facts.upstream_us) == (253_000, 250_000)
    assert (facts.outcome, facts.fault) == (Outcome.READ, None)
    assert facts.trace == TraceContext(TRACE, "00f067aa0ba902b7", 1)
    assert facts.signals[1].latency_ms == 250
    assert released == ["go"]
    for secret in ("5511900000001", "secret words"):
        assert secret not in repr(facts)


def test_a_fact_that_names_no_instance_is_counted_as_rejected() -> None:
    """It is lost, accounted, and the rest of the exchange is not."""
    nameless = json_body({"event": "message.ack", "data": {"message_id": "3EB0", "status": "read"}})
    journal, _ = observed(callback(request_body=nameless))

    (facts,) = journal.facts
    assert facts.signals == ()
    assert facts.rejected == (Rejected(Source.WEBHOOK, "instance_id_empty"),)


@pytest.mark.parametrize("signature", [Signature.INVALID, Signature.MISSING])
def test_a_callback_that_did_not_verify_gives_no_signal_but_its_outcome(signature: Signature) -> None:
    """In observe mode a forged callback is forwarded, not recorded, and counted."""
    journal, _ = observed(callback(signature=signature))

    assert journal.facts[0].signals == ()
    assert journal.facts[0].signature == signature.value


def test_a_verified_callback_is_recorded() -> None:
    """The other half of the rule."""
    journal, _ = observed(callback(signature=Signature.VALID))

    assert [signal.type for signal in journal.facts[0].signals] == [SignalType.MESSAGE_READ]


def test_an_unreadable_callback_is_journaled_with_its_fault() -> None:
    """It counts, by reason, and says nothing it does not know."""
    journal, _ = observed(callback(request_body=Body(b"{", BodyState.WHOLE)))

    (facts,) = journal.facts
    assert (facts.outcome, facts.fault, facts.signals) == (Outcome.UNREADABLE, "body_unreadable", ())


def test_bodies_that_were_not_wholly_seen_are_told() -> None:
    """Which body and why."""
    cut = Body(b'{"to":', BodyState.CUT)
    undecodable = Body(b"", BodyState.UNDECODABLE)
    journal, _ = observed(send(request_body=cut, response_body=undecodable))

    assert journal.facts[0].unobserved == (
        Unobserved("request", "cut"),
        Unobserved("response", "undecodable"),
    )


@pytest.mark.parametrize(
    ("exchange", "body"),
    [
        (callback(request_body=Body(b"{", BodyState.WHOLE)), "request"),
        (send(request_body=Body(b"to=1", BodyState.WHOLE)), "request"),
        (send(response_body=Body(b"<html>", BodyState.WHOLE)), "response"),
        (
            send(
                b"/instance/vendas-01/status",
                method=b"GET",
                request_body=NO_BODY,
                response_body=Body(b"<", BodyState.WHOLE),
            ),
            "response",
        ),
        (send(response_body=json_body({"success": "maybe"})), "response"),
    ],
)
def test_a_body_without_sense_is_told_as_unreadable(exchange: Exchange, body: str) -> None:
    """It was seen to its last byte, and is not what the provider's tables know."""
    journal, _ = observed(exchange)

    assert journal.facts[0].fault == "body_unreadable"
    assert journal.facts[0].unobserved == (Unobserved(body, "unreadable"),)


def test_a_wire_failure_is_a_failed_message_and_an_exchange_without_upstream_time() -> None:
    """The timeline tells what happened to the message."""
    journal, _ = observed(
        send(
            error=WireError.NETWORK_ERROR,
            status=None,
            answered=502,
            received_ns=0,
            response_body=Body(b"", BodyState.EMPTY),
        )
    )

    (facts,) = journal.facts
    assert [(s.type, s.context["code"]) for s in facts.signals] == [
        (SignalType.MESSAGE_FAILED, "NETWORK_ERROR")
    ]
    assert (facts.error, facts.status, facts.upstream_us) == ("NETWORK_ERROR", 502, None)


def test_a_method_nobody_knows_never_becomes_a_label() -> None:
    """Labels are a closed set."""
    journal, _ = observed(send(method=b"BREW"))

    assert journal.facts[0].method == "_OTHER"


class Crashing:
    """A reader with a bug."""

    name = "turbozap"

    def read(self, exchange: Exchange) -> Any:
        raise ZeroDivisionError

    def verification(self, exchange: Exchange, secret: bytes) -> None:
        return None


@pytest.mark.parametrize(
    ("make", "source"), [(send, Source.DISPATCH), (callback, Source.WEBHOOK)], ids=["dispatch", "webhook"]
)
def test_a_crashing_reader_releases_the_answer_and_counts_the_loss(
    make: Callable[[], Exchange], source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash in observing costs facts, counted, and never traffic."""
    with caplog.at_level(logging.ERROR):
        journal, released = observed(make(), reader=Crashing())

    assert released == ["go"]
    assert journal.facts == []
    assert journal.lost == [(LossReason.OBSERVER_CRASH, source, 1)]
    assert [record.message for record in caplog.records] == ["observer.crashed"]


def test_only_callbacks_of_a_route_with_a_secret_are_verified() -> None:
    """Dispatchers sign nothing."""
    with_secret = observer(Kept(), secret=b"s3cret-s3cret")

    assert with_secret.verification(callback()) is not None
    assert with_secret.verification(send()) is None
    assert observer(Kept()).verification(callback()) is None

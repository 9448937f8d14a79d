"""What a record says on the wire: decoded with the protocol's classes, compared with the SDK's encoder."""

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord as SdkLogRecord
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from domain.exchange import ExchangeFacts, TraceContext
from domain.recorded import RecordedSignal
from domain.signal import TIME_MAX
from domain.words import (
    CooldownReason,
    EvaluationReason,
    Lifecycle,
    RiskLevel,
    SignalType,
    TemperatureLevel,
    Trend,
)
from exporters.announced import Evaluation
from exporters.otel.attributes import add_attribute
from exporters.otel.log_records import LogRecordEncoder
from exporters.otel.resource import resource, scope
from exporters.otel.sampling import sampler
from exporters.otel.spans import SpanEncoder
from tests.builders import recorded_signal
from tests.exporters.otel.receiver import attributes, exchange, plain

AT = 1_790_000_000_123
FULL = recorded_signal(
    7,
    AT,
    SignalType.MESSAGE_FAILED,
    message_id="M1",
    remote_jid="0123456789abcdef",
    is_group=True,
    latency_ms=900,
    context={"code": "463", "httpStatus": 500, "action": "SEND_TEXT"},
    recorded_at=AT + 500,
)._replace(trace_id="ab" * 16)


def decoded(signal: RecordedSignal) -> LogRecord:
    """Encode and decode one signal."""
    record = LogRecord()
    LogRecordEncoder().signal(record, signal)
    again: LogRecord = LogRecord.FromString(record.SerializeToString())
    return again


def test_a_signal_is_an_event_with_the_attributes_of_the_contract() -> None:
    """Name, times, severity number, typed attributes, trace; no body and no severity text."""
    record = decoded(FULL)

    assert record.event_name == "reputation.signal"
    assert record.time_unix_nano == AT * 1_000_000
    assert record.observed_time_unix_nano == (AT + 500) * 1_000_000
    assert record.severity_number == 17
    assert record.severity_text == ""
    assert not record.HasField("body")
    assert record.trace_id.hex() == "ab" * 16
    assert attributes(record) == {
        "reputation.signal.id": "sales-1#7",
        "reputation.signal.type": "MESSAGE_FAILED",
        "reputation.signal.severity": "HIGH",
        "reputation.signal.source": "DISPATCH",
        "reputation.instance.id": "sales-1",
        "reputation.provider.name": "turbozap",
        "reputation.remote.is_group": True,
        "reputation.signal.latency_ms": 900.0,
        "reputation.signal.context": {"code": "463", "httpStatus": 500, "action": "SEND_TEXT"},
        "messaging.system": "whatsapp",
        "messaging.message.id": "M1",
        "messaging.message.conversation_id": "0123456789abcdef",
        "error.type": "463",
        "http.response.status_code": 500,
    }
    assert isinstance(attributes(record)["reputation.signal.latency_ms"], float)


def test_absent_values_are_left_out_of_the_event() -> None:
    """No empty text and no null."""
    record = decoded(recorded_signal(1, AT))

    assert attributes(record).keys() == {
        "reputation.signal.id",
        "reputation.signal.type",
        "reputation.signal.severity",
        "reputation.signal.source",
        "reputation.instance.id",
        "reputation.provider.name",
        "reputation.remote.is_group",
        "messaging.system",
    }
    assert record.trace_id == b""


@pytest.mark.parametrize(
    ("signal_type", "number"),
    [(SignalType.MESSAGE_SENT, 9), (SignalType.QRCODE_REGENERATED, 13), (SignalType.RATE_LIMIT_HIT, 17)],
)
def test_severity_numbers_follow_the_severity(signal_type: SignalType, number: int) -> None:
    """LOW INFO, MEDIUM WARN, HIGH ERROR."""
    assert decoded(recorded_signal(1, AT, signal_type)).severity_number == number


def test_our_records_say_what_the_sdk_would_say() -> None:
    """Request, resource, scope and record equal what the SDK's encoder makes, attribute order apart."""
    ours = ExportLogsServiceRequest()
    of_resource = ours.resource_logs.add(resource=resource("1.2.3", {}))
    of_scope = of_resource.scope_logs.add(scope=scope("1.2.3"))
    LogRecordEncoder().signal(of_scope.log_records.add(), FULL)
    record = SdkLogRecord(
        timestamp=AT * 1_000_000,
        observed_timestamp=(AT + 500) * 1_000_000,
        context=Context(),
        severity_number=SeverityNumber.ERROR,
        event_name="reputation.signal",
        attributes=attributes(decoded(FULL)),
    )
    own = {"service.name": "reputation-sidecar", "service.version": "1.2.3"}
    theirs = encode_logs(
        [
            ReadableLogRecord(
                record, Resource.create(dict(own)), InstrumentationScope("reputation_sidecar", "1.2.3")
            )
        ]
    )

    for request in (ours, theirs):
        logs = request.resource_logs[0].scope_logs[0].log_records[0]
        for attributed in (logs, request.resource_logs[0].resource):
            ordered = sorted(attributed.attributes, key=lambda item: item.key)
            del attributed.attributes[:]
            attributed.attributes.extend(ordered)
        logs.ClearField("trace_id")  # the SDK takes it from a span in the context; held by another test
        logs.ClearField("body")  # the SDK sends an empty one
    assert ours == theirs


def test_a_decision_is_an_event_with_its_evidence() -> None:
    """Result, what it was before, and the rules that fired."""
    decision = Evaluation(
        "d1",
        "sales-1",
        AT,
        EvaluationReason.CRON,
        28,
        TemperatureLevel.COOLDOWN,
        Trend.DOWN,
        RiskLevel.HIGH,
        Lifecycle.COOLDOWN,
        CooldownReason.BLOCK_SPIKE,
        41,
        ("BLOCK_SPIKE",),
        ("W1", "S2"),
        "d0",
    )

    record = LogRecord()
    LogRecordEncoder().evaluation(record, decision)

    assert record.event_name == "reputation.evaluation"
    assert record.time_unix_nano == AT * 1_000_000
    assert attributes(record) == {
        "reputation.instance.id": "sales-1",
        "reputation.evaluation.id": "d1",
        "reputation.evaluation.reason": "CRON",
        "reputation.evaluation.alerts": ["BLOCK_SPIKE"],
        "reputation.evaluation.rules": ["W1", "S2"],
        "reputation.evaluation.supersedes": "d0",
        "reputation.score": 28,
        "reputation.previous_score": 41,
        "reputation.temperature": "COOLDOWN",
        "reputation.trend": "DOWN",
        "reputation.risk": "HIGH",
        "reputation.lifecycle": "COOLDOWN",
        "reputation.cooldown.reason": "BLOCK_SPIKE",
    }


@settings(max_examples=200, deadline=None)
@given(
    st.text(min_size=1, max_size=300),
    st.one_of(
        st.text(max_size=5000),
        st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1),
        st.booleans(),
        st.floats(allow_nan=False),
        st.dictionaries(st.text(max_size=20), st.one_of(st.text(max_size=200), st.integers(0, 999))),
        st.lists(st.text(max_size=20)).map(tuple),
    ),
)
def test_any_value_decodes_to_what_was_encoded(key: str, value: Any) -> None:
    """Every text, number, map and array survives the wire."""
    holder = KeyValueList()
    add_attribute(holder.values, key, value)
    [item] = KeyValueList.FromString(holder.SerializeToString()).values

    assert item.key == key
    assert plain(item.value) == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize(
    ("odd", "shown"), [("\ud800", "?"), ("a\udfffb\u00e9", "a?b\u00e9"), ("\U0001f600", "\U0001f600")]
)
def test_odd_ids_and_times_never_break_a_batch(odd: str, shown: str) -> None:
    """A lone surrogate in any text, the last time the store can hold and huge numbers are encodable."""
    signal = recorded_signal(
        1,
        TIME_MAX,
        SignalType.MESSAGE_FAILED,
        instance_id=odd,
        message_id=odd,
        remote_jid=odd,
        context={"code": odd, odd: 1 << 70},
    )

    record = decoded(signal)

    found = attributes(record)
    assert found["reputation.instance.id"] == shown
    assert found["messaging.message.id"] == shown
    assert found["messaging.message.conversation_id"] == shown
    assert found["reputation.signal.context"] == {"code": shown, shown: (1 << 63) - 1}
    assert found["error.type"] == shown
    assert record.time_unix_nano == (1 << 64) - 1


def test_what_is_remembered_of_one_signal_does_not_leak_into_the_next() -> None:
    """Two signals that share their constant part and context each have their own ids and times."""
    encoder = LogRecordEncoder()
    records = [LogRecord() for _ in range(3)]
    signals = [
        FULL,
        FULL._replace(id="other", message_id=None, trace_id=None),
        recorded_signal(9, AT + 1, context={"action": "SEND_TEXT"}),
    ]

    for record, signal in zip(records, signals, strict=True):
        encoder.signal(record, signal)

    for record, signal in zip(records, signals, strict=True):
        assert attributes(record) == attributes(decoded(signal))
        assert record.trace_id == decoded(signal).trace_id


def spans_of(facts: ExchangeFacts) -> list[Span]:
    """Encode and decode the spans of one exchange."""
    made = ScopeSpans()
    SpanEncoder(sampler("always_on", "")).exchange(made.spans, facts)
    return list(ScopeSpans.FromString(made.SerializeToString()).spans)


def test_an_exchange_is_a_server_span_with_a_client_span_under_it() -> None:
    """Names, kinds, times and attributes of the HTTP conventions; both join the incoming trace."""
    trace = TraceContext("ab" * 16, "cd" * 8, 1)

    server, client = spans_of(exchange(trace=trace))

    assert (server.name, server.kind) == ("POST /send/text", Span.SPAN_KIND_SERVER)
    assert (client.name, client.kind) == ("POST", Span.SPAN_KIND_CLIENT)
    assert server.trace_id.hex() == client.trace_id.hex() == "ab" * 16
    assert server.parent_span_id.hex() == "cd" * 8
    assert client.parent_span_id == server.span_id
    assert server.span_id != client.span_id
    assert server.end_time_unix_nano == client.end_time_unix_nano == AT * 1_000_000
    assert server.end_time_unix_nano - server.start_time_unix_nano == 30_000_000
    assert client.end_time_unix_nano - client.start_time_unix_nano == 20_000_000
    assert server.flags == 0x301
    assert client.flags == 0x101
    assert (
        attributes(server)
        == attributes(client)
        == {
            "http.request.method": "POST",
            "http.route": "/send/text",
            "http.response.status_code": 200,
            "reputation.provider.name": "turbozap",
            "reputation.exchange.direction": "outbound",
        }
    )


def test_without_an_incoming_trace_the_ids_come_from_the_exchange() -> None:
    """Announcing an exchange again gives the same spans; another exchange gives others."""
    first, again, other = spans_of(exchange()), spans_of(exchange()), spans_of(exchange(id="x2"))

    assert first == again
    assert first[0].trace_id != other[0].trace_id
    assert len(first[0].trace_id) == 16
    assert len(first[0].span_id) == 8
    assert first[0].parent_span_id == b""


@pytest.mark.parametrize(
    ("status", "error", "server_status", "client_status", "server_error", "client_error"),
    [
        (200, None, Status.STATUS_CODE_UNSET, Status.STATUS_CODE_UNSET, None, None),
        (429, None, Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR, None, "429"),
        (500, None, Status.STATUS_CODE_ERROR, Status.STATUS_CODE_ERROR, "500", "500"),
        (504, "TIMEOUT", Status.STATUS_CODE_ERROR, Status.STATUS_CODE_ERROR, "TIMEOUT", "TIMEOUT"),
        (None, "CLIENT_CLOSED", Status.STATUS_CODE_ERROR, Status.STATUS_CODE_ERROR, *["CLIENT_CLOSED"] * 2),
    ],
)
def test_span_status_follows_the_http_conventions(
    status: int | None,
    error: str | None,
    server_status: int,
    client_status: int,
    server_error: str | None,
    client_error: str | None,
) -> None:
    """A server span fails from 500, a client span from 400, both without an answer."""
    server, client = spans_of(exchange(status=status, error=error))

    assert (server.status.code, client.status.code) == (server_status, client_status)
    assert attributes(server).get("error.type") == server_error
    assert attributes(client).get("error.type") == client_error


def test_an_exchange_that_never_reached_the_provider_has_no_client_span() -> None:
    """A refused callback was answered by the sidecar itself."""
    [server] = spans_of(exchange(status=401, error="SIGNATURE_REJECTED", upstream_us=None))

    assert server.status.code == Status.STATUS_CODE_UNSET
    assert attributes(server)["error.type"] == "SIGNATURE_REJECTED"


def test_unknown_methods_and_routes_do_not_reach_the_span_name() -> None:
    """Span names stay of low cardinality."""
    server, client = spans_of(exchange(method="_OTHER", template="_OTHER"))

    assert (server.name, client.name) == ("HTTP", "HTTP")
    assert "http.route" not in attributes(server)


@pytest.mark.parametrize(
    ("name", "argument", "flags", "wanted"),
    [
        ("", "", None, True),
        ("", "", 0, False),
        ("", "", 3, True),
        ("always_on", "", 0, True),
        ("always_off", "", 1, False),
        ("parentbased_always_off", "", None, False),
        ("parentbased_always_off", "", 1, True),
        ("traceidratio", "0", 1, False),
        ("traceidratio", "1", 0, True),
        ("parentbased_traceidratio", "0.0", 1, True),
        ("parentbased_traceidratio", "0.0", None, False),
        ("traceidratio", "", 0, True),
    ],
)
def test_standard_samplers_decide_as_specified(
    name: str, argument: str, flags: int | None, wanted: bool
) -> None:
    """Parent based follows the caller's flag, the others do not look at it."""
    incoming = None if flags is None else TraceContext("ab" * 16, "cd" * 8, flags)

    assert sampler(name, argument)(incoming, bytes.fromhex("ab" * 16)) is wanted


def test_a_ratio_takes_about_its_part_of_the_traces() -> None:
    """A quarter of random trace ids at 0.25."""
    decide = sampler("traceidratio", "0.25")
    ids = [hashlib.sha256(b"%d" % number).digest()[:16] for number in range(4000)]

    assert 850 < sum(decide(None, trace_id) for trace_id in ids) < 1150


@pytest.mark.parametrize(("name", "argument"), [("jaeger", ""), ("traceidratio", "2"), ("traceidratio", "x")])
def test_an_unknown_sampler_is_refused(name: str, argument: str) -> None:
    """A mistake is told at the start, not guessed away."""
    with pytest.raises(ValueError, match="OTEL_TRACES_SAMPLER"):
        sampler(name, argument)

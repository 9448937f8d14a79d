"""The log sink: one canonical line a fact, keys of the contract, in one write."""

import json
from typing import Any

import pytest

from domain.exchange import ExchangeFacts, Outcome, TraceContext, Unknown
from domain.recorded import RecordedSignal
from domain.words import (
    CooldownReason,
    Direction,
    EvaluationReason,
    Lifecycle,
    RiskLevel,
    SignalType,
    Source,
    TemperatureLevel,
    Trend,
)
from exporters.announced import Evaluation
from exporters.log import DRIFT_EVERY_MS, DRIFT_NAMES_MAX, LogSink
from tests.builders import recorded_signal

AT = 1_790_000_000_123
HOUR = 3_600_000


class Lines:
    """Takes what the sink writes."""

    def __init__(self) -> None:
        self.writes: list[tuple[bytes, int]] = []

    def write(self, data: bytes, lines: int = 1) -> None:
        """Keep a write."""
        self.writes.append((data, lines))

    @property
    def events(self) -> list[dict[str, Any]]:
        """All lines, decoded."""
        return [json.loads(line) for data, _ in self.writes for line in data.splitlines()]


def exchange(**changes: Any) -> ExchangeFacts:
    """Make an exchange that went well."""
    plain = ExchangeFacts(
        "x1", AT, Direction.DISPATCH, "turbozap", "POST", "/send/text", 200, None, 2500, 2000, Outcome.READ
    )
    return plain._replace(**changes)


def test_a_signal_line_has_exactly_the_keys_of_the_contract() -> None:
    """All fields set: every key, spelled as in the attribute table, times in UTC with microseconds."""
    out = Lines()
    signal = recorded_signal(
        7,
        AT,
        SignalType.MESSAGE_DELIVERED,
        source=Source.WEBHOOK,
        message_id="M1",
        remote_jid="0123456789abcdef",
        is_group=True,
        latency_ms=900,
        context={"event": "receipt"},
        recorded_at=AT + 1000,
    )._replace(trace_id="ab" * 16)

    LogSink(out).signals([signal])

    assert out.events == [
        {
            "timestamp": "2026-09-21T14:13:21.123000Z",
            "level": "info",
            "event": "reputation.signal",
            "signal_id": "sales-1#7",
            "type": "MESSAGE_DELIVERED",
            "severity": "LOW",
            "source": "WEBHOOK",
            "instance_id": "sales-1",
            "provider": "turbozap",
            "occurred_at": "2026-09-21T14:13:20.123000Z",
            "is_group": True,
            "message_id": "M1",
            "remote_jid": "0123456789abcdef",
            "latency_ms": 900,
            "context": {"event": "receipt"},
            "trace_id": "abababababababababababababababab",
        }
    ]


def test_absent_values_are_left_out() -> None:
    """No null and no empty text stands for "unknown"."""
    out = Lines()

    LogSink(out).signals([recorded_signal(1, AT)])

    [event] = out.events
    assert event.keys().isdisjoint(
        {"message_id", "remote_jid", "latency_ms", "context", "trace_id", "error_type"}
    )


@pytest.mark.parametrize(
    ("signal_type", "level"),
    [
        (SignalType.MESSAGE_SENT, "info"),
        (SignalType.QRCODE_REGENERATED, "warning"),
        (SignalType.MESSAGE_FAILED, "error"),
        (SignalType.RATE_LIMIT_HIT, "error"),
    ],
)
def test_the_level_follows_the_severity(signal_type: SignalType, level: str) -> None:
    """LOW info, MEDIUM warning, HIGH error."""
    out = Lines()

    LogSink(out).signals([recorded_signal(1, AT, signal_type)])

    assert out.events[0]["level"] == level


@pytest.mark.parametrize(
    ("context", "error_type", "status"),
    [
        ({"code": "463", "httpStatus": 500}, "463", 500),
        ({"httpStatus": 429}, "429", 429),
        ({"httpStatus": "503"}, "503", 503),
        ({"code": "TIMEOUT"}, "TIMEOUT", None),
        ({}, "other", None),
    ],
)
def test_a_failure_names_its_error(context: dict[str, Any], error_type: str, status: int | None) -> None:
    """The code where there is one, else the status."""
    out = Lines()

    LogSink(out).signals([recorded_signal(1, AT, SignalType.MESSAGE_FAILED, context=context)])

    [event] = out.events
    assert event["error_type"] == error_type
    assert event.get("http_response_status_code") == status


def test_a_batch_is_one_write_in_order() -> None:
    """A batch costs one queue entry however many lines it has."""
    out = Lines()
    batch = [recorded_signal(seq, AT + seq) for seq in range(1, 501)]

    LogSink(out).signals(batch)

    [(data, count)] = out.writes
    assert count == 500
    assert data.endswith(b"\n")
    assert [event["signal_id"] for event in out.events] == [signal.id for signal in batch]


def test_nothing_is_written_for_an_empty_batch() -> None:
    """No empty lines."""
    out = Lines()
    sink = LogSink(out)

    sink.signals([])
    sink.evaluations([])
    sink.exchanges([exchange()])

    assert out.writes == []


def test_a_decision_line_tells_result_and_evidence() -> None:
    """Score before and after, cooldown, alerts, rules."""
    out = Lines()
    decision = Evaluation(
        "d1",
        "sales-1",
        AT,
        EvaluationReason.WEBHOOK,
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

    LogSink(out).evaluations([decision])

    assert out.events == [
        {
            "timestamp": "2026-09-21T14:13:20.123000Z",
            "level": "info",
            "event": "reputation.evaluation",
            "decision_id": "d1",
            "instance_id": "sales-1",
            "reason": "WEBHOOK",
            "score": 28,
            "temperature_level": "COOLDOWN",
            "trend": "DOWN",
            "risk_level": "HIGH",
            "lifecycle": "COOLDOWN",
            "score_before": 41,
            "cooldown_reason": "BLOCK_SPIKE",
            "alerts": ["BLOCK_SPIKE"],
            "rules": ["W1", "S2"],
            "supersedes": "d0",
        }
    ]


def test_an_exchange_the_wire_could_not_complete_is_a_warning() -> None:
    """Route template, error and trace; never a path."""
    out = Lines()
    failed = exchange(
        status=504, error="CONNECT_TIMEOUT", upstream_us=None, trace=TraceContext("ab" * 16, "cd" * 8, 1)
    )

    LogSink(out).exchanges([exchange(), failed])

    assert out.events == [
        {
            "timestamp": "2026-09-21T14:13:20.123000Z",
            "level": "warning",
            "event": "exchange.failed",
            "exchange_id": "x1",
            "direction": "dispatch",
            "provider": "turbozap",
            "http_request_method": "POST",
            "http_route": "/send/text",
            "error_type": "CONNECT_TIMEOUT",
            "duration_ms": 2.5,
            "http_response_status_code": 504,
            "trace_id": "ab" * 16,
            "span_id": "cd" * 8,
            "trace_flags": "01",
        }
    ]


def test_schema_drift_is_told_once_an_hour_a_name() -> None:
    """A changed gateway is heard of without a line a callback."""
    out = Lines()
    sink = LogSink(out)
    drifted = exchange(unknown=(Unknown("event", "newsletter"),))

    for minutes in (0, 1, 59, 60, 61):
        sink.exchanges([drifted._replace(ended_at=AT + minutes * 60_000)])
    sink.exchanges([drifted._replace(unknown=(Unknown("event", "call"),))])

    told = [(event["event"], event["name"], event["level"]) for event in out.events]
    assert told == [("schema_drift", name, "warning") for name in ("newsletter", "newsletter", "call")]


def test_a_hundred_thousand_invented_names_are_a_thousand_lines_an_hour() -> None:
    """Beyond the bound one line tells of all others, and a name already told is not told again."""
    out = Lines()
    sink = LogSink(out)

    def storm(at: int) -> list[str]:
        before = len(out.events)
        for start in range(0, 100_000, 1000):
            names = tuple(Unknown("event", f"n{n}") for n in range(start, start + 1000))
            sink.exchanges([exchange(unknown=names)._replace(ended_at=at)])
        return [event["name"] for event in out.events[before:]]

    first = storm(AT)
    assert first == [f"n{n}" for n in range(DRIFT_NAMES_MAX)] + ["other"]
    assert storm(AT + 60_000) == []
    assert len(storm(AT + DRIFT_EVERY_MS)) == DRIFT_NAMES_MAX + 1


def test_an_id_that_is_no_text_json_can_hold_does_not_cost_the_batch() -> None:
    """A lone surrogate is shown escaped; the other lines stay whole."""
    out = Lines()
    rows: list[RecordedSignal] = [
        recorded_signal(1, AT, message_id="\ud800"),
        recorded_signal(2, AT, message_id="fine"),
    ]

    LogSink(out).signals(rows)

    assert "\\ud800" in out.events[0]["message_id"]
    assert out.events[1]["message_id"] == "fine"


def test_pretty_lines_are_for_people() -> None:
    """Console form: a line a signal, no JSON."""
    out = Lines()

    LogSink(out, pretty=True).signals([recorded_signal(1, AT), recorded_signal(2, AT)])

    [(data, count)] = out.writes
    assert count == 2
    assert len(data.splitlines()) == 2
    assert b"reputation.signal" in data
    assert not data.startswith(b"{")

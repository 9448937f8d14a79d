"""Signals and decisions as OTLP LogRecords (opentelemetry.proto.logs.v1), names of the telemetry contract.

No severity text and no body: an event says all in its name and attributes. Absent values are left out.
What is the same for many signals is made once and merged into each: a merge is one call.
"""

from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE

from domain.event import Context
from domain.recorded import RecordedSignal
from domain.words import Severity
from exporters.announced import Evaluation, error_type, http_status
from exporters.otel.attributes import NS_PER_MS, Value, add_attribute, fill, text, time_ns

SEVERITY_NUMBER: Final = {
    Severity.LOW: SeverityNumber.SEVERITY_NUMBER_INFO,
    Severity.MEDIUM: SeverityNumber.SEVERITY_NUMBER_WARN,
    Severity.HIGH: SeverityNumber.SEVERITY_NUMBER_ERROR,
}
CACHE_MAX: Final = 1024


class LogRecordEncoder:
    """Fills log records; remembers the parts that come again, at most 1024 of each kind."""

    def __init__(self) -> None:
        self._constant: dict[tuple[str, str, str, bool], LogRecord] = {}
        self._contexts: dict[tuple[tuple[str, str | int], ...], KeyValue] = {}

    def signal(self, record: LogRecord, signal: RecordedSignal) -> None:
        """Fill an empty record as a `reputation.signal`."""
        record.MergeFrom(self._same_for(signal))
        record.time_unix_nano = time_ns(signal.occurred_at * NS_PER_MS)
        record.observed_time_unix_nano = time_ns(signal.recorded_at * NS_PER_MS)
        attributes = record.attributes
        add = attributes.add
        add(key="reputation.signal.id").value.string_value = text(signal.id)
        add(key="reputation.instance.id").value.string_value = text(signal.instance_id)
        if signal.message_id is not None:
            add(key="messaging.message.id").value.string_value = text(signal.message_id)
        if signal.remote_jid is not None:
            add(key="messaging.message.conversation_id").value.string_value = text(signal.remote_jid)
        if signal.latency_ms is not None:
            add(key="reputation.signal.latency_ms").value.double_value = signal.latency_ms
        if signal.context:
            attributes.append(self._context(signal.context))
        if signal.severity is not Severity.LOW and (error := error_type(signal)) is not None:
            add(key=ERROR_TYPE).value.string_value = text(error)
            if (status := http_status(signal)) is not None:
                add(key=HTTP_RESPONSE_STATUS_CODE).value.int_value = status
        if signal.trace_id is not None:
            record.trace_id = bytes.fromhex(signal.trace_id)

    def evaluation(self, record: LogRecord, evaluation: Evaluation) -> None:
        """Fill an empty record as a `reputation.evaluation`."""
        record.event_name = "reputation.evaluation"
        record.severity_number = SEVERITY_NUMBER[Severity.LOW]
        record.time_unix_nano = record.observed_time_unix_nano = time_ns(evaluation.evaluated_at * NS_PER_MS)
        for key, value in _evaluation_attributes(evaluation):
            add_attribute(record.attributes, key, value)

    def _same_for(self, signal: RecordedSignal) -> LogRecord:
        key = (signal.type, signal.source, signal.provider, signal.is_group)
        known = self._constant.get(key)
        if known is None:
            known = LogRecord(
                event_name="reputation.signal", severity_number=SEVERITY_NUMBER[signal.severity]
            )
            values: dict[str, Value] = {
                "reputation.signal.type": signal.type.value,
                "reputation.signal.severity": signal.severity.value,
                "reputation.signal.source": signal.source.value,
                "reputation.provider.name": signal.provider,
                "reputation.remote.is_group": signal.is_group,
                "messaging.system": "whatsapp",
            }
            for name, value in values.items():
                add_attribute(known.attributes, name, value)
            if len(self._constant) >= CACHE_MAX:
                self._constant.clear()
            self._constant[key] = known
        return known

    def _context(self, context: Context) -> KeyValue:
        key = tuple(context.items())
        known = self._contexts.get(key)
        if known is None:
            known = KeyValue(key="reputation.signal.context")
            fill(known.value, context)
            if len(self._contexts) >= CACHE_MAX:
                self._contexts.clear()
            self._contexts[key] = known
        return known


def _evaluation_attributes(evaluation: Evaluation) -> Iterable[tuple[str, Value]]:
    yield "reputation.instance.id", evaluation.instance_id
    yield "reputation.evaluation.id", evaluation.id
    yield "reputation.evaluation.reason", evaluation.reason.value
    yield "reputation.score", evaluation.score
    yield "reputation.temperature", evaluation.temperature_level.value
    yield "reputation.trend", evaluation.trend.value
    yield "reputation.risk", evaluation.risk_level.value
    yield "reputation.lifecycle", evaluation.lifecycle.value
    if evaluation.score_before is not None:
        yield "reputation.previous_score", evaluation.score_before
    if evaluation.cooldown_reason is not None:
        yield "reputation.cooldown.reason", evaluation.cooldown_reason.value
    if evaluation.alerts:
        yield "reputation.evaluation.alerts", evaluation.alerts
    if evaluation.rules:
        yield "reputation.evaluation.rules", evaluation.rules
    if evaluation.supersedes is not None:
        yield "reputation.evaluation.supersedes", evaluation.supersedes

"""Signals and decisions as OTLP LogRecords (opentelemetry.proto.logs.v1), names of the telemetry contract.

No severity text and no body: an event says all in its name and attributes. Absent values are left out.
"""

from collections.abc import Iterable
from typing import Final

from domain.event import Context
from domain.recorded import RecordedSignal
from domain.words import Severity
from exporters.announced import Evaluation, error_type, http_status
from exporters.otel.wire_format import NS_PER_MS, Attribute, TwoTimes, Value, delimited, number, tag

SEVERITY_NUMBER: Final = {Severity.LOW: 9, Severity.MEDIUM: 13, Severity.HIGH: 17}
"""INFO, WARN, ERROR."""
CACHE_MAX: Final = 1024

_TIME, _SEVERITY, _ATTRIBUTES, _TRACE_ID, _OBSERVED, _EVENT_NAME = 1, 2, 6, 9, 11, 12


def _attribute(key: str) -> Attribute:
    return Attribute(_ATTRIBUTES, key)


_SIGNAL_ID: Final = _attribute("reputation.signal.id")
_SIGNAL_TYPE: Final = _attribute("reputation.signal.type")
_SIGNAL_SEVERITY: Final = _attribute("reputation.signal.severity")
_SIGNAL_SOURCE: Final = _attribute("reputation.signal.source")
_LATENCY: Final = _attribute("reputation.signal.latency_ms")
_CONTEXT: Final = _attribute("reputation.signal.context")
_INSTANCE: Final = _attribute("reputation.instance.id")
_PROVIDER: Final = _attribute("reputation.provider.name")
_MESSAGE: Final = _attribute("messaging.message.id")
_CONVERSATION: Final = _attribute("messaging.message.conversation_id")
_ERROR_TYPE: Final = _attribute("error.type")
_STATUS: Final = _attribute("http.response.status_code")
_GROUP: Final = {flag: _attribute("reputation.remote.is_group").of(flag) for flag in (False, True)}
_TIMES: Final = TwoTimes(_TIME, _OBSERVED)
_TRACE: Final = tag(_TRACE_ID, 2) + b"\x10"
_SYSTEM: Final = _attribute("messaging.system").of("whatsapp")


class LogRecordEncoder:
    """Encodes log records; remembers the parts that come again, at most 1024 of each kind."""

    def __init__(self) -> None:
        self._constant: dict[tuple[str, str, str], bytes] = {}
        self._contexts: dict[tuple[tuple[str, str | int], ...], bytes] = {}

    def signal(self, signal: RecordedSignal) -> bytes:
        """Encode a `reputation.signal`."""
        parts = [
            self._same_for(signal),
            _TIMES.of(signal.occurred_at * NS_PER_MS, signal.recorded_at * NS_PER_MS),
            _SIGNAL_ID.of_text(signal.id),
            _INSTANCE.of_text(signal.instance_id),
            _GROUP[signal.is_group],
        ]
        if signal.message_id is not None:
            parts.append(_MESSAGE.of_text(signal.message_id))
        if signal.remote_jid is not None:
            parts.append(_CONVERSATION.of_text(signal.remote_jid))
        if signal.latency_ms is not None:
            parts.append(_LATENCY.of_double(signal.latency_ms))
        if signal.context:
            parts.append(self._context(signal.context))
        if signal.severity is not Severity.LOW and (error := error_type(signal)) is not None:
            parts.append(_ERROR_TYPE.of_text(error))
            if (status := http_status(signal)) is not None:
                parts.append(_STATUS.of(status))
        if signal.trace_id is not None:
            parts.append(_TRACE + bytes.fromhex(signal.trace_id))
        return b"".join(parts)

    def evaluation(self, evaluation: Evaluation) -> bytes:
        """Encode a `reputation.evaluation`."""
        parts = [
            delimited(_EVENT_NAME, b"reputation.evaluation"),
            number(_SEVERITY, SEVERITY_NUMBER[Severity.LOW]),
            _TIMES.of(evaluation.evaluated_at * NS_PER_MS, evaluation.evaluated_at * NS_PER_MS),
        ]
        parts += (_attribute(key).of(value) for key, value in _evaluation_attributes(evaluation))
        return b"".join(parts)

    def _same_for(self, signal: RecordedSignal) -> bytes:
        key = (signal.type, signal.source, signal.provider)
        known = self._constant.get(key)
        if known is None:
            known = b"".join(
                (
                    delimited(_EVENT_NAME, b"reputation.signal"),
                    number(_SEVERITY, SEVERITY_NUMBER[signal.severity]),
                    _SIGNAL_TYPE.of_text(signal.type),
                    _SIGNAL_SEVERITY.of_text(signal.severity),
                    _SIGNAL_SOURCE.of_text(signal.source),
                    _PROVIDER.of_text(signal.provider),
                    _SYSTEM,
                )
            )
            if len(self._constant) >= CACHE_MAX:
                self._constant.clear()
            self._constant[key] = known
        return known

    def _context(self, context: Context) -> bytes:
        key = tuple(context.items())
        known = self._contexts.get(key)
        if known is None:
            known = _CONTEXT.of(context)
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


def logs_request(resource: bytes, scope: bytes, records: Iterable[bytes]) -> bytes:
    """Wrap records into an ExportLogsServiceRequest.

    Args:
        resource: an encoded Resource.
        scope: an encoded InstrumentationScope.
        records: encoded LogRecords.
    """
    scope_logs = delimited(1, scope) + b"".join(delimited(2, record) for record in records)
    return delimited(1, delimited(1, resource) + delimited(2, scope_logs))

"""The log as a sink: one canonical line a signal, a decision and a failed exchange.

    reputation.signal       level by severity: LOW info, MEDIUM warning, HIGH error
    reputation.evaluation   info
    exchange.failed         warning: the wire could not complete an exchange
    schema_drift            warning: a name no reader table knows, once an hour a name

Keys are those of the telemetry contract; absent values are left out. The lines of a batch leave in one write,
encoded by orjson directly.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeAlias

import orjson
import structlog

from domain.exchange import ExchangeFacts, Unknown
from domain.recorded import RecordedSignal
from domain.words import Millis, Severity
from exporters.announced import Evaluation, error_type, http_status

LEVEL_OF: Final = {Severity.LOW: "info", Severity.MEDIUM: "warning", Severity.HIGH: "error"}

SECONDS_MAX: Final = 1024
"""Seconds whose text is remembered."""
DRIFT_EVERY_MS: Final[Millis] = 3_600_000
DRIFT_NAMES_MAX: Final = 1024
"""Names told apart within an hour; all further ones are told as one, `other`."""
OTHER_NAME: Final = "other"

Line: TypeAlias = dict[str, Any]


class LineOut(Protocol):
    """Takes whole lines; must not wait or raise (`sidecar.log_lines.LineWriter`)."""

    def write(self, data: bytes, lines: int = 1) -> None:
        """Queue `lines` lines, each ending in a line feed."""
        ...


class LogSink:
    """Writes canonical lines.

    Args:
        out: where they go.
        pretty: for people instead of JSON.
    """

    def __init__(self, out: LineOut, *, pretty: bool = False) -> None:
        self._out = out
        self._encode: Callable[[Line], bytes] = _pretty() if pretty else _json
        self._seconds: dict[int, str] = {}
        self._recorded: tuple[Millis, str] = (-1, "")
        self._drift_told_at: dict[tuple[str, str, str], Millis] = {}
        self._drift_swept_at: Millis = 0

    def signals(self, signals: Sequence[RecordedSignal]) -> None:
        """Write one line a signal, in the order given."""
        self._write(map(self._signal, signals))

    def evaluations(self, evaluations: Sequence[Evaluation]) -> None:
        """Write one line a stored decision."""
        self._write(map(self._evaluation, evaluations))

    def exchanges(self, exchanges: Sequence[ExchangeFacts]) -> None:
        """Write a line for each exchange the wire could not complete, and for names not seen this hour.

        Signals tell of all the others.
        """
        self._write(
            line
            for exchange in exchanges
            if exchange.error is not None or exchange.unknown
            for line in self._troubles(exchange)
        )

    def _write(self, lines: Iterable[Line]) -> None:
        # One growing buffer: keeping each line's bytes until a join costs ten times as much, because orjson
        # shrinks every kept result with a realloc.
        data, count = bytearray(), 0
        for line in lines:
            data += self._encode(line)
            count += 1
        if count:
            self._out.write(bytes(data), count)

    def _signal(self, signal: RecordedSignal) -> Line:
        recorded_at, recorded = self._recorded
        if recorded_at != signal.recorded_at:  # once a batch
            recorded = self._time(signal.recorded_at)
            self._recorded = (signal.recorded_at, recorded)
        line: Line = {
            "timestamp": recorded,
            "level": LEVEL_OF[signal.severity],
            "event": "reputation.signal",
            "signal_id": signal.id,
            "type": signal.type,
            "severity": signal.severity,
            "source": signal.source,
            "instance_id": signal.instance_id,
            "provider": signal.provider,
            "occurred_at": self._time(signal.occurred_at),
            "is_group": signal.is_group,
        }
        if signal.message_id is not None:
            line["message_id"] = signal.message_id
        if signal.remote_jid is not None:
            line["remote_jid"] = signal.remote_jid
        if signal.latency_ms is not None:
            line["latency_ms"] = signal.latency_ms
        if signal.severity is not Severity.LOW and (error := error_type(signal)) is not None:
            line["error_type"] = error
            if (status := http_status(signal)) is not None:
                line["http_response_status_code"] = status
        if signal.context:
            line["context"] = signal.context
        if signal.trace_id is not None:
            line["trace_id"] = signal.trace_id
        return line

    def _evaluation(self, evaluation: Evaluation) -> Line:
        line: Line = {
            "timestamp": self._time(evaluation.evaluated_at),
            "level": "info",
            "event": "reputation.evaluation",
            "decision_id": evaluation.id,
            "instance_id": evaluation.instance_id,
            "reason": evaluation.reason,
            "score": evaluation.score,
            "temperature_level": evaluation.temperature_level,
            "trend": evaluation.trend,
            "risk_level": evaluation.risk_level,
            "lifecycle": evaluation.lifecycle,
        }
        if evaluation.score_before is not None:
            line["score_before"] = evaluation.score_before
        if evaluation.cooldown_reason is not None:
            line["cooldown_reason"] = evaluation.cooldown_reason
        if evaluation.alerts:
            line["alerts"] = evaluation.alerts
        if evaluation.rules:
            line["rules"] = evaluation.rules
        if evaluation.supersedes is not None:
            line["supersedes"] = evaluation.supersedes
        return line

    def _troubles(self, exchange: ExchangeFacts) -> Iterator[Line]:
        if exchange.error is not None:
            yield self._failed(exchange)
        for unknown in exchange.unknown:
            name = self._drift_name(exchange.provider, unknown, exchange.ended_at)
            if name is not None:
                yield {
                    "timestamp": self._time(exchange.ended_at),
                    "level": "warning",
                    "event": "schema_drift",
                    "provider": exchange.provider,
                    "kind": unknown.kind,
                    "name": name,
                }

    def _drift_name(self, provider: str, unknown: Unknown, now: Millis) -> str | None:
        """Give the name to tell of now; None when it was told within the hour.

        However many names a gateway invents, an hour has DRIFT_NAMES_MAX lines and one a provider and kind.
        """
        told = self._drift_told_at
        key = (provider, unknown.kind, unknown.name)
        if key not in told and len(told) >= DRIFT_NAMES_MAX:
            if now - self._drift_swept_at >= DRIFT_EVERY_MS:
                self._drift_swept_at = now
                self._drift_told_at = told = {k: at for k, at in told.items() if now - at < DRIFT_EVERY_MS}
            if len(told) >= DRIFT_NAMES_MAX:
                key = (provider, unknown.kind, OTHER_NAME)
        told_at = told.get(key)
        if told_at is not None and now - told_at < DRIFT_EVERY_MS:
            return None
        told[key] = now
        return key[2]

    def _failed(self, exchange: ExchangeFacts) -> Line:
        line: Line = {
            "timestamp": self._time(exchange.ended_at),
            "level": "warning",
            "event": "exchange.failed",
            "exchange_id": exchange.id,
            "direction": exchange.direction,
            "provider": exchange.provider,
            "http_request_method": exchange.method,
            "http_route": exchange.template,
            "error_type": exchange.error,
            "duration_ms": exchange.duration_us / 1000,
        }
        if exchange.status is not None:
            line["http_response_status_code"] = exchange.status
        if exchange.trace is not None:
            line["trace_id"] = exchange.trace.trace_id
            line["span_id"] = exchange.trace.span_id
            line["trace_flags"] = f"{exchange.trace.flags:02x}"
        return line

    def _time(self, at: Millis) -> str:
        """Give RFC 3339 UTC with microseconds; facts of one second share the expensive part."""
        second, millis = divmod(at, 1000)
        prefix = self._seconds.get(second)
        if prefix is None:
            if len(self._seconds) >= SECONDS_MAX:
                self._seconds.clear()
            prefix = self._seconds[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{prefix}.{millis:03d}000Z"


def _json(line: Line) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate from a foreign id: shown escaped rather than lost
        shown = {key: repr(value) for key, value in line.items()}
        return orjson.dumps(shown, option=orjson.OPT_APPEND_NEWLINE)


def _pretty() -> Callable[[Line], bytes]:
    render = structlog.dev.ConsoleRenderer()
    return lambda line: f"{render(None, '', dict(line))}\n".encode("utf-8", "replace")

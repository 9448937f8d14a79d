"""A recorded signal as the API shows it: JSON object, NDJSON line, CSV row. One type, one order of fields."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType

from domain.recorded import Gap, RecordedSignal
from domain.words import Severity, SignalType, Source
from sidecar.api.times import iso

IsoTime = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        description="UTC, milliseconds",
        examples=["2026-01-31T12:00:00.000Z"],
    ),
]
Level = Annotated[str, msgspec.Meta(description="info, warning or error, from the severity; for Grafana")]

LEVELS: Final = {Severity.LOW: "info", Severity.MEDIUM: "warning", Severity.HIGH: "error"}

_WORDS: Final = {
    (kind, source): f"{kind.value.replace('_', ' ').lower()} ({source.value.lower()})"
    for kind in SignalType
    for source in Source
}
_DETAILS: Final = {
    "httpStatus": ", HTTP %s",
    "messageType": ", %s",
    "status": ", %s",
    "presence": ", %s",
    "code": ", code %s",
    "codeMeaning": " (%s)",
    "reasonCode": ", reason %s",
}
"""Context keys worth a place in the one-line summary, in order."""


class SignalAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One recorded signal. Absent values are left out; `isGroup` and `context` are always there."""

    id: str
    type: SignalType
    severity: Severity
    source: Source
    instance_id: str
    occurred_at: IsoTime
    recorded_at: IsoTime
    message_id: str | UnsetType = UNSET
    remote_jid: str | UnsetType = UNSET
    is_group: bool
    latency_ms: int | UnsetType = UNSET
    context: dict[str, str | int]
    summary: str
    level: Level


class GapAnswer(msgspec.Struct, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """Facts that were lost: how many, when, why."""

    since: IsoTime
    until: IsoTime
    reason: str
    count: int


class GapLine(msgspec.Struct, frozen=True, kw_only=True):
    """A gap in an NDJSON stream."""

    gap: GapAnswer


def signal_answer(row: RecordedSignal) -> SignalAnswer:
    """Give a row in the form of the API."""
    return SignalAnswer(
        id=row.id,
        type=row.type,
        severity=row.severity,
        source=row.source,
        instance_id=row.instance_id,
        occurred_at=iso(row.occurred_at),
        recorded_at=iso(row.recorded_at),
        message_id=UNSET if row.message_id is None else row.message_id,
        remote_jid=UNSET if row.remote_jid is None else row.remote_jid,
        is_group=row.is_group,
        latency_ms=UNSET if row.latency_ms is None else row.latency_ms,
        context=row.context,
        summary=summary(row),
        level=LEVELS[row.severity],
    )


def gap_answer(gap: Gap) -> GapAnswer:
    """Give a gap in the form of the API."""
    return GapAnswer(since=iso(gap.since), until=iso(gap.until), reason=gap.reason, count=gap.lost)


def summary(row: RecordedSignal) -> str:
    """Say a signal in one line: what, seen where, and what its context adds. Facts only."""
    context = row.context
    text = _WORDS[row.type, row.source]
    for key, form in _DETAILS.items():
        if key in context:
            text += form % context[key]
    if row.is_group:
        text += ", group"
    if row.latency_ms is not None:
        text += f", {row.latency_ms} ms"
    return text


def ndjson(signals: Iterable[RecordedSignal], gaps: Sequence[Gap] = ()) -> bytes:
    """Print gaps, then signals, one JSON object a line."""
    lines: list[GapLine | SignalAnswer] = [GapLine(gap=gap_answer(gap)) for gap in gaps]
    lines += [signal_answer(row) for row in signals]
    return msgspec.json.Encoder().encode_lines(lines)


CSV_HEADER: Final = (
    "id", "type", "severity", "source", "instanceId", "occurredAt", "recordedAt", "messageId", "remoteJid",
    "isGroup", "latencyMs", "context", "summary", "level",
)  # fmt: skip


def csv_rows(signals: Iterable[RecordedSignal], *, header: bool) -> bytes:
    """Print signals as RFC 4180 rows in the JSON's order, context as JSON text; absent values are empty."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\r\n")
    if header:
        writer.writerow(CSV_HEADER)
    writer.writerows(
        (
            row.id,
            row.type.value,
            row.severity.value,
            row.source.value,
            row.instance_id,
            iso(row.occurred_at),
            iso(row.recorded_at),
            row.message_id or "",
            row.remote_jid or "",
            "true" if row.is_group else "false",
            "" if row.latency_ms is None else row.latency_ms,
            msgspec.json.encode(row.context).decode(),
            summary(row),
            LEVELS[row.severity],
        )
        for row in signals
    )
    return sink.getvalue().encode()

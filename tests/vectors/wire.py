"""Values of the vectors' JSON, read and written the way the reference does."""

import re
from datetime import UTC, datetime
from typing import Any, TypeAlias

from domain.evaluation import Alert
from domain.fact import Fact
from domain.reputation import Reputation
from domain.snapshot import REFERENCE_FIELDS, Snapshot, from_json, to_json
from domain.words import (
    AlertCode,
    AlertSeverity,
    CooldownReason,
    Millis,
    SignalType,
    Source,
    TemperatureLevel,
    Trend,
)

Json: TypeAlias = Any
"""JSON of a vector file; narrowed where it is used."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MORE_THAN_MILLIS = re.compile(r"(\.\d{3})\d+")


def millis(text: str) -> Millis:
    """Read an ISO-8601 time; digits beyond milliseconds are cut off."""
    moment = datetime.fromisoformat(_MORE_THAN_MILLIS.sub(r"\1", text))
    difference = moment - EPOCH
    return (difference.days * 86_400 + difference.seconds) * 1000 + difference.microseconds // 1000


def iso(at: Millis | None) -> str | None:
    """Write a time with milliseconds and `Z`; an invalid date is None."""
    if at is None:
        return None
    seconds, rest = divmod(at, 1000)
    days, seconds = divmod(seconds, 86_400)
    day = datetime.fromordinal(EPOCH.toordinal() + days)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{day.year:04}-{day.month:02}-{day.day:02}T{clock}.{rest:03}Z"


def js_date(value: Json) -> Millis | None:
    """Do what `new Date(value)` does for the values a provider sends; None is an invalid date."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return int(value)
    if not isinstance(value, str):
        return None
    try:
        return millis(value)
    except ValueError:
        return None


def snapshot_json(snapshot: Snapshot) -> Json:
    """Write the 18 fields of the reference."""
    fields = to_json(snapshot)
    return {name: fields[name] for name in REFERENCE_FIELDS}


def alerts_json(alerts: tuple[Alert, ...]) -> Json:
    """Write alerts as the vectors have them."""
    return [{"code": a.code.value, "severity": a.severity.value, "fact": a.fact} for a in alerts]


def reputation_of(stored: Json) -> Reputation:
    """Read a stored state; the score is clamped on load."""
    return Reputation(
        score=max(0, min(100, stored["score"])),
        level=TemperatureLevel(stored["temperatureLevel"]),
        trend=Trend(stored["trend"]),
        alerts=tuple(Alert(AlertCode(a["code"]), AlertSeverity(a["severity"])) for a in stored["alerts"]),
        snapshot=from_json(stored["signals"]),
        last_evaluated_at=_time(stored["lastEvaluatedAt"]),
        last_human_at=_time(stored["lastHumanInteractionAt"]),
        cooldown_count=stored["cooldownCount"],
        cooldown_reason=CooldownReason(stored["cooldownReason"]) if stored["cooldownReason"] else None,
        cooldown_started_at=_time(stored["cooldownStartedAt"]),
    )


def fact_of(signal: Json, seq: int) -> Fact | None:
    """Read a signal as a fact; None where no window can ever hold it (no valid date, no known type)."""
    if signal["type"] not in SignalType.__members__ or signal.get("occurredAt") is None:
        return None
    latency = signal.get("latencyMs")
    return Fact(
        signal["instanceId"],
        signal.get("id", str(seq)),
        seq,
        SignalType(signal["type"]),
        Source(signal["source"]),
        millis(signal["occurredAt"]),
        signal.get("messageId"),
        bool(signal.get("isGroup")),
        latency if isinstance(latency, int | float) and not isinstance(latency, bool) else None,  # type: ignore[arg-type]  # the reference takes fractions
    )


def _time(text: str | None) -> Millis | None:
    return None if text is None else millis(text)

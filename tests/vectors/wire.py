"""Values of the vectors' JSON, read and written the way the reference does."""

import re
from typing import Any, Final, TypeAlias

from domain.evaluation import Alert
from domain.fact import Fact
from domain.reputation import Reputation
from domain.snapshot import FIELD_OF, REFERENCE_FIELDS, Snapshot, from_json, to_json
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

ABSENT: Final = object()
"""What JavaScript calls undefined: left out of the JSON, where null stays."""

DAY_MS: Final = 86_400_000
TIME_MAX: Final = 8_640_000_000_000_000
"""Furthest time from 1970, either way, that a JavaScript date can hold."""

_ISO: Final = re.compile(
    r"(?P<year>\d{4}|[+-]\d{6})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|(?P<sign>[+-])(?P<zone_hour>\d\d):?(?P<zone_minute>\d\d))?)?",
    re.IGNORECASE | re.ASCII,
)


def millis(text: str) -> Millis:
    """Read an ISO-8601 time; digits beyond milliseconds are cut off, a missing zone is UTC.

    Raises:
        ValueError: it is none.
    """
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError(f"not a time: {text!r}")
    read = {name: int(value) for name, value in found.groupdict("0").items() if value.lstrip("+-").isdigit()}
    month = int(found["month"] or 1)
    day = int(found["day"] or 1)
    hour, minute, second = read["hour"], read["minute"], read["second"]
    at_midnight = hour == 24 and minute == second == 0
    if not (1 <= month <= 12 and 1 <= day <= 31 and (hour < 24 or at_midnight) and max(minute, second) < 60):
        raise ValueError(f"no such time: {text!r}")
    fraction = int((found["fraction"] or "0")[:3].ljust(3, "0"))
    zone = (read["zone_hour"] * 60 + read["zone_minute"]) * (-1 if found["sign"] == "-" else 1)
    days = _days(read["year"], month) + day - 1
    return days * DAY_MS + ((hour * 60 + minute - zone) * 60 + second) * 1000 + fraction


def iso(at: Millis | None) -> str | None:
    """Write a time with milliseconds and `Z`; None stays None, years beyond four digits carry a sign."""
    if at is None:
        return None
    days, rest = divmod(at, DAY_MS)
    year = 1970 + days * 400 // 146_097
    while _days(year, 1) > days:
        year -= 1
    while _days(year + 1, 1) <= days:
        year += 1
    month = next(month for month in range(12, 0, -1) if _days(year, month) <= days)
    day = days - _days(year, month) + 1
    seconds, fraction = divmod(rest, 1000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:03}"
    written = f"{year:04}" if 0 <= year <= 9999 else f"{year:+07}"
    return f"{written}-{month:02}-{day:02}T{clock}Z"


def js_date(value: Json) -> Millis | None:
    """Do what `new Date(value)` does for the values a provider sends; None is an invalid date."""
    if value is None or isinstance(value, bool):
        return int(bool(value))
    if isinstance(value, int | float):
        return int(value) if abs(value) <= TIME_MAX else None
    if not isinstance(value, str):
        return None
    try:
        at = millis(value)
    except ValueError:
        return None
    return at if abs(at) <= TIME_MAX else None


def normal(time: Json) -> str | None:
    """Give a recorded time the way a date is written; null, an invalid date, stays null."""
    return None if time is None else iso(js_date(time))


def truthy(value: Json) -> bool:
    """Tell what JavaScript takes for true: empty lists and objects too."""
    return value is not ABSENT and (isinstance(value, list | dict) or bool(value))


def snapshot_of(counts: Json) -> Snapshot:
    """Read a snapshot: absent and null counts are 0, other fields must not matter."""
    return from_json({name: value for name, value in (counts or {}).items() if name in FIELD_OF and value})


def snapshot_json(snapshot: Snapshot) -> Json:
    """Write the 18 fields of the reference."""
    fields = to_json(snapshot)
    return {name: fields[name] for name in REFERENCE_FIELDS}


def alerts_json(alerts: tuple[Alert, ...]) -> Json:
    """Write alerts as the vectors have them."""
    return [{"code": a.code.value, "severity": a.severity.value, "fact": a.fact} for a in alerts]


def reputation_of(stored: Json) -> Reputation:
    """Read a stored state; the score is clamped on load."""
    alerts = stored.get("alerts") or ()
    return Reputation(
        score=max(0, min(100, stored["score"])),
        level=TemperatureLevel(stored["temperatureLevel"]),
        trend=Trend(stored["trend"]),
        alerts=tuple(
            Alert(AlertCode(a["code"]), AlertSeverity(a["severity"]), a.get("fact")) for a in alerts
        ),
        snapshot=snapshot_of(stored.get("signals")),
        last_evaluated_at=_time(stored.get("lastEvaluatedAt")),
        last_human_at=_time(stored.get("lastHumanInteractionAt")),
        cooldown_count=stored.get("cooldownCount") or 0,
        cooldown_reason=CooldownReason(stored["cooldownReason"]) if stored.get("cooldownReason") else None,
        cooldown_started_at=_time(stored.get("cooldownStartedAt")),
    )


def fact_of(signal: Json, seq: int) -> Fact | None:
    """Read a signal as a fact; None where no window can ever hold it (no valid date, no known type)."""
    at = _time(signal.get("occurredAt"))
    if signal.get("type") not in SignalType.__members__ or at is None:
        return None
    latency = signal.get("latencyMs")
    source = signal.get("source")
    return Fact(
        signal["instanceId"],
        signal.get("id", str(seq)),
        seq,
        SignalType(signal["type"]),
        Source(source) if source in Source.__members__ else Source.WEBHOOK,
        at,
        signal.get("messageId"),
        bool(signal.get("isGroup")),
        latency if isinstance(latency, int | float) and not isinstance(latency, bool) else None,  # type: ignore[arg-type]  # the reference takes fractions
    )


def _time(text: str | None) -> Millis | None:
    return None if text is None else js_date(text)


def _days(year: int, month: int) -> int:
    """Give the days from 1970 to the first of a month, of any year of our calendar."""
    shifted = year - (month < 3)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468

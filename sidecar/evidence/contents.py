"""The files of a bundle and the form of their lines: JSON by line, camelCase, times of people in ISO-8601."""

import hashlib
from typing import Any, Final

import msgspec

from domain.decision import Decision
from domain.decision_text import from_row, to_row
from domain.fact import Fact
from domain.health_ports import DecisionRow, OperatorAction
from domain.recorded import RecordedSignal
from domain.words import ActionKind, EvaluationReason, SignalType, Source
from sidecar.api.signals import LEVELS, IsoTime, SignalAnswer, signal_answer, summary
from sidecar.api.times import iso, parse

FORMAT: Final = "reputation-evidence/2"
MANIFEST: Final = "manifest.json"
MANIFEST_DIGEST: Final = "manifest.sha256"
TIMELINE: Final = "timeline.ndjson"
RELATED: Final = "related.ndjson"
DECISIONS: Final = "decisions.ndjson"
ACTIONS: Final = "actions.ndjson"
GAPS: Final = "gaps.ndjson"
RULES: Final = "rules.json"
CONFIGURATION: Final = "configuration.json"
START: Final = "start.json"
FILES: Final = (TIMELINE, RELATED, DECISIONS, ACTIONS, GAPS, RULES, CONFIGURATION, START)
"""All but the manifest and its digest, in the order of the archive."""


class TimelineLine(SignalAnswer, frozen=True, kw_only=True, rename="camel"):
    """A signal as the API shows it, with its arrival.

    `messageRef` stands for a message id that was forgotten, so that its reports still count as one.
    """

    context: dict[str, Any]
    seq: int
    message_ref: str | msgspec.UnsetType = msgspec.UNSET


class FactLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A fact outside the asked range that the fold must know, without what it does not read."""

    id: str
    seq: int
    type: SignalType
    source: Source
    occurred_at: IsoTime
    message_id: str | None = None
    is_group: bool = False
    latency_ms: int | None = None


class DecisionLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A decision as it is stored; `body` holds states, snapshot and explanation."""

    id: str
    instance_id: str
    evaluated_at: IsoTime
    recorded_at: IsoTime
    arrival: int
    reason: EvaluationReason
    rule_set: str
    seq: int
    actions: int
    supersedes: str | None
    body: msgspec.Raw


class ActionLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an operator did."""

    id: str
    seq: int
    kind: ActionKind
    at: IsoTime


def timeline_line(row: RecordedSignal, fact: Fact) -> TimelineLine:
    """Give a signal's line, of its row and of what the fold reads of it."""
    forgotten = row.message_id is None and fact.message_id is not None
    ref = fact.message_id if forgotten and fact.message_id else msgspec.UNSET
    return TimelineLine(**msgspec.structs.asdict(signal_answer(row)), seq=row.seq, message_ref=ref)


def told_again(line: TimelineLine) -> tuple[str, str]:
    """Give what summary and level of a signal must say, by its other fields."""
    row = RecordedSignal(
        line.id,
        line.type,
        line.severity,
        line.source,
        line.instance_id,
        0,
        0,
        line.seq,
        "",
        is_group=line.is_group,
        latency_ms=None if isinstance(line.latency_ms, msgspec.UnsetType) else line.latency_ms,
        context=line.context,
    )
    return summary(row), LEVELS[line.severity]


def fact_of_line(line: TimelineLine, instance_id: str) -> Fact:
    """Give as much of a signal as the fold reads; an unreadable time is a ValueError."""
    return Fact(
        instance_id,
        line.id,
        line.seq,
        line.type,
        line.source,
        parse(line.occurred_at),
        _given(line.message_id) or _given(line.message_ref),
        line.is_group,
        None if isinstance(line.latency_ms, msgspec.UnsetType) else line.latency_ms,
    )


def _given(text: str | msgspec.UnsetType) -> str | None:
    return None if isinstance(text, msgspec.UnsetType) else text


def related_line(fact: Fact) -> FactLine:
    """Give a related fact's line."""
    return FactLine(
        id=fact.id,
        seq=fact.seq,
        type=fact.type,
        source=fact.source,
        occurred_at=iso(fact.occurred_at),
        message_id=fact.message_id,
        is_group=fact.is_group,
        latency_ms=fact.latency_ms,
    )


def related_fact(line: FactLine, instance_id: str) -> Fact:
    """Read a related fact; an unreadable time is a ValueError."""
    return Fact(
        instance_id,
        line.id,
        line.seq,
        line.type,
        line.source,
        parse(line.occurred_at),
        line.message_id,
        line.is_group,
        line.latency_ms,
    )


def decision_line(row: DecisionRow) -> DecisionLine:
    """Give a decision's line."""
    given = row._asdict() | {
        "evaluated_at": iso(row.evaluated_at),
        "recorded_at": iso(row.recorded_at),
        "body": msgspec.Raw(row.body.encode()),
    }
    return DecisionLine(**given)


def decision_of(line: DecisionLine) -> Decision:
    """Read a decision; a body that is none, or that no decision is written as, is an error of those kinds.

    Raises:
        ValueError, LookupError, TypeError: see above.
    """
    given: dict[str, Any] = msgspec.structs.asdict(line) | {
        "evaluated_at": parse(line.evaluated_at),
        "recorded_at": parse(line.recorded_at),
        "body": bytes(line.body).decode(),
    }
    row = DecisionRow(**given)
    decision = from_row(row)
    if to_row(decision).body != row.body:
        raise ValueError(decision.id)
    return decision


def action_line(action: OperatorAction) -> ActionLine:
    """Give an operator action's line."""
    return ActionLine(id=action.id, seq=action.seq, kind=action.kind, at=iso(action.at))


def action_of(line: ActionLine, instance_id: str) -> OperatorAction:
    """Read an operator action; an unreadable time is a ValueError."""
    return OperatorAction(instance_id, line.id, line.seq, line.kind, parse(line.at))


def digest_line(manifest: bytes) -> bytes:
    """Give the file that vouches for the manifest, as `sha256sum -c` reads it."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def json_text(value: Any) -> bytes:
    """Write a file that is one value; equal values give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"

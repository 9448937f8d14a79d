"""A decision as JSON: the body a store keeps, and back."""

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from domain.decision import Decision, EndedWindow, Explained, View
from domain.evaluation import Alert, Finding
from domain.health_ports import DecisionRow
from domain.rules import Condition, Op
from domain.snapshot import camel, from_json
from domain.words import (
    AlertCode,
    AlertSeverity,
    Connection,
    CooldownReason,
    HealthEvent,
    Lifecycle,
    RiskLevel,
    TemperatureLevel,
    Trend,
    WarmUpPhase,
)

_IN_ROW: Final = frozenset(
    {
        "id", "instance_id", "evaluated_at", "recorded_at", "reason", "rule_set", "seq", "actions",
        "supersedes",
    }
)  # fmt: skip
"""Fields with a column of their own; the rest is the body."""


def plain(value: object) -> Any:
    """Turn named tuples, tuples and enums into what JSON knows; camelCase names, times as numbers."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        fields: tuple[str, ...] | None = getattr(value, "_fields", None)
        if fields is None:
            return [plain(item) for item in value]
        return {camel(name): plain(item) for name, item in zip(fields, value, strict=True)}
    return value


def to_row(decision: Decision) -> DecisionRow:
    """Give the row of a decision."""
    body = {
        camel(name): plain(value)
        for name, value in zip(decision._fields, decision, strict=True)
        if name not in _IN_ROW
    }
    return DecisionRow(
        decision.id,
        decision.instance_id,
        decision.evaluated_at,
        decision.recorded_at,
        0,
        decision.reason,
        decision.rule_set,
        decision.seq,
        decision.actions,
        decision.supersedes,
        json.dumps(body, separators=(",", ":")),
    )


def from_row(row: DecisionRow) -> Decision:
    """Read a decision back."""
    body: Mapping[str, Any] = json.loads(row.body)
    return Decision(
        row.id,
        row.instance_id,
        row.evaluated_at,
        row.recorded_at,
        row.reason,
        body["asked"],
        row.rule_set,
        body["windowMs"],
        body["latencyRules"],
        row.seq,
        row.actions,
        row.supersedes,
        _view(body["before"]),
        _view(body["after"]),
        from_json(body["snapshot"]),
        tuple(
            EndedWindow(ended["since"], ended["until"], from_json(ended["snapshot"]))
            for ended in body["endedWindows"]
        ),
        tuple(_explained(item) for item in body["explanation"]),
        tuple(HealthEvent(name) for name in body["events"]),
        tuple(body["actionIds"]),
    )


def _view(view: Mapping[str, Any]) -> View:
    reason = view["cooldownReason"]
    return View(
        view["score"],
        TemperatureLevel(view["temperatureLevel"]),
        Trend(view["trend"]),
        RiskLevel(view["riskLevel"]),
        Lifecycle(view["lifecycle"]),
        Connection(view["connection"]),
        WarmUpPhase(view["warmUpPhase"]),
        None if reason is None else CooldownReason(reason),
        view["cooldownCount"],
        view["cooldownStartedAt"],
        view["lastHumanInteractionAt"],
        view["pendingPoints"],
        tuple(Alert(AlertCode(a["code"]), AlertSeverity(a["severity"]), a["fact"]) for a in view["alerts"]),
    )


def _explained(item: Mapping[str, Any]) -> Explained:
    finding = item["finding"]
    conditions = tuple(
        (Condition(row["measure"], Op(row["op"]), row["threshold"]), observed)
        for row, observed in finding["conditions"]
    )
    return Explained(
        Finding(
            finding["rule"],
            finding["measure"],
            finding["threshold"],
            finding["observed"],
            finding["points"],
            conditions,
        ),
        item["since"],
        item["until"],
        tuple(item["signalIds"]),
        item["signals"],
    )

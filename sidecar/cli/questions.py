"""`sidecar instances`, `timeline`, `decisions` and `explain`: questions to a running sidecar."""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from sidecar.cli.asking import PAGE, Admin, instance_path, print_json

PLAIN_WIDTH: Final = 200
_LEVEL_STYLE: Final = {"error": "red", "warning": "yellow", "info": ""}


def instances(admin: Admin, *, as_json: bool) -> None:
    """List the instances, those in cooldown and low scores first."""
    found = admin.pages("/v1/instances", "instances", {"limit": PAGE}, None)
    if as_json:
        print_json(found)
        return
    found.sort(key=lambda one: (one["cooldownReason"] is None, one["score"], one["instanceId"]))
    table = _table(
        "instance", "score", "level", "trend", "risk", "lifecycle", "connection", "cooldown", "last signal"
    )
    for one in found:
        table.add_row(
            one["instanceId"], str(one["score"]), one["temperatureLevel"], one["trend"], one["riskLevel"],
            one["lifecycle"], one["connection"], one["cooldownReason"] or "", one["lastSignalAt"] or "",
        )  # fmt: skip
    _console().print(table)


def timeline(admin: Admin, instance: str, query: Mapping[str, object], most: int, *, as_json: bool) -> None:
    """Show what happened to an instance, in order."""
    path = instance_path(instance, "/timeline")
    found = admin.pages(path, "signals", {**query, "limit": min(most, PAGE)}, most)
    if as_json:
        print_json(found)
        return
    table = _table("time (UTC)", "what", "source", "message")
    for one in found:
        table.add_row(
            one["occurredAt"],
            one["summary"],
            one["source"],
            one.get("messageId", ""),
            style=_LEVEL_STYLE[one["level"]],
        )
    _console().print(table)


def decisions(admin: Admin, instance: str, query: Mapping[str, object], most: int, *, as_json: bool) -> None:
    """Show what was decided about an instance, newest first."""
    path = instance_path(instance, "/decisions")
    found = admin.pages(path, "decisions", {**query, "limit": min(most, 100)}, most)
    if as_json:
        print_json(found)
        return
    table = _table("time (UTC)", "reason", "score", "level", "cooldown", "rules", "decision")
    for one in found:
        before, after = one["before"], one["after"]
        table.add_row(
            one["evaluatedAt"],
            one["reason"],
            f"{before['score']} → {after['score']}",
            after["temperatureLevel"],
            after["cooldownReason"] or "",
            " ".join(rule["id"] for rule in one["explanation"]),
            one["id"],
        )
    _console().print(table)


def explain(admin: Admin, instance: str, *, as_json: bool) -> None:
    """Say how an instance stands and why: rule, threshold, observed value, and the signals behind it."""
    state = admin.get(instance_path(instance, "/reputation"))
    newest = admin.get(instance_path(instance, "/decisions"), {"since": 0, "limit": 20})["decisions"]
    behind = next(
        (one for one in newest if one["after"]["cooldownReason"] != one["before"]["cooldownReason"]), None
    )
    if as_json:
        print_json({"reputation": state, "decision": behind})
        return
    console = _console()
    status = state["status"]
    console.print(
        f"{instance}: score {state['reputationScore']}, level {state['temperatureLevel']}, "
        f"trend {state['trend']}, risk {state['riskLevel']}, {status['lifecycle']}, {status['connection']}"
    )
    for alert in state["alerts"]:
        console.print(f"  alert {alert['code']} ({alert['severity']}): {alert['message']}")
    for rule in state["explanation"]:
        console.print(f"  {_rule(rule)}")
    if state["cooldownReason"]:
        console.print(f"In cooldown since {state['cooldownStartedAt']} for {state['cooldownReason']}.")
        console.print(f"It ends: {_ending(state)}")
    if behind is not None:
        console.print(f"Last entered or left by decision {behind['id']} at {behind['evaluatedAt']}:")
        for rule in behind["explanation"]:
            console.print(f"  {_rule(rule)}")
            for signal in rule.get("signalIds", [])[:5]:
                console.print(f"    signal {signal}")


def _turned(decision: dict[str, Any]) -> bool:
    """Tell whether a decision began or ended a cooldown, or changed its reason."""
    reason: bool = decision["after"]["cooldownReason"] != decision["before"]["cooldownReason"]
    return reason


def _rule(rule: dict[str, Any]) -> str:
    said = ", ".join(
        f"{part['measure']} {part['op']} {part['threshold']:g} (observed {part['observed']:g})"
        for part in rule["conditions"]
    )
    points = rule.get("points")
    return f"rule {rule['id']}: {said}" + (f", {points:+g} points" if points else "")


def _ending(state: dict[str, Any]) -> str:
    """Say what would end the cooldown (the fold, 9)."""
    if state["cooldownReason"] == "MANUAL_INTERVENTION":
        return "an hour after its start at the earliest, or when an operator ends it."
    if state["reputationScore"] < 30:
        return "below 30 only replies of people lift the score, or an operator ends it."
    return "at the first step an hour or more after its start at which no condition above holds any more."


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column in {"instance", "time (UTC)"})
    return table


def _console() -> Console:
    """Write to stdout; what an instance is called is never taken for markup."""
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(width=PLAIN_WIDTH, highlight=False, markup=False)

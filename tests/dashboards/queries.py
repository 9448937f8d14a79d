"""Reads what boards, rules, alerts and runbooks ask for, so that it can be compared with what there is."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from dashboards.native.asking import expressions, infinity, panels, with_values
from exporters.prometheus.catalogue import CATALOGUE, Kind

__all__ = ["expressions", "infinity", "panels", "with_values"]

ROOT = Path(__file__).parent.parent.parent / "dashboards"
BOARDS = sorted((ROOT / "grafana" / "boards").glob("*.json"))
ALERTS = ROOT / "prometheus" / "alerts.yml"
RULES = ROOT / "prometheus" / "rules.yml"
RUNBOOKS = ROOT / "runbooks"

TARGET_LABELS = {"job", "instance"}
FOREIGN = {
    "up": TARGET_LABELS,
    "process_cpu_seconds_total": TARGET_LABELS,
    "process_resident_memory_bytes": TARGET_LABELS,
}
NAME = re.compile(
    r"\b(?:[a-z_]+:)?(?:reputation|http_server|http_client)_[a-z0-9_]+(?::[a-z0-9_]+)?\b|\bprocess_[a-z_]+\b|\bup\b"
)


class Alert(NamedTuple):
    """One alert, as its file spells it."""

    name: str
    block: str

    def field(self, key: str) -> str:
        """Give the text behind a key, in quotes or not; empty when it is missing."""
        found = re.search(rf"^\s+{key}: (.+)$", self.block, re.MULTILINE)
        return found.group(1).strip().strip('"') if found else ""


def alerts() -> list[Alert]:
    """Read the alerts."""
    blocks = re.split(r"^\s+- alert: ", ALERTS.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return [Alert(*block.split("\n", 1)) for block in blocks]


def recorded() -> dict[str, set[str]]:
    """Give the labels of each recording rule: its level, before the colon."""
    names = re.findall(r"record: (\S+)", RULES.read_text("utf-8"))
    labels = {
        "job": {"job"},
        "job_instance_id": {"job", "instance_id"},
        "job_direction": {"job", "direction"},
    }
    return {name: labels[name.split(":")[0]] for name in names}


def known() -> dict[str, set[str]]:
    """Give every series name a query may use, with its labels."""
    names: dict[str, set[str]] = dict(FOREIGN) | recorded()
    for metric in CATALOGUE:
        labels = set(metric.labels) | TARGET_LABELS
        if metric.kind is Kind.HISTOGRAM:
            names |= {
                f"{metric.name}_bucket": labels | {"le"},
                f"{metric.name}_sum": labels,
                f"{metric.name}_count": labels,
            }
        else:
            names[metric.shown_as] = labels
    return names


def metric_names(text: str) -> set[str]:
    """Give the series names in a query; what stands in quotes is no name."""
    return set(NAME.findall(re.sub(r"\"[^\"]*\"", '""', text)))


def label_names(expr: str) -> set[str]:
    """Give the labels a query matches on or groups by."""
    matched = re.findall(r"[{,]\s*([a-z_]+)\s*(?:=~|!~|!=|=)", expr)
    grouped = [
        name.strip()
        for names in re.findall(r"\b(?:by|on|without)\s*\(([^)]*)\)", expr)
        for name in names.split(",")
    ]
    return set(matched) | {name for name in grouped if name}


def board(path: Path) -> dict[str, Any]:
    """Read a board."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content

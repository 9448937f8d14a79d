"""Prints the tables of docs/telemetry.md from the code; `python -m tests.telemetry_docs` writes them."""

import re
from dataclasses import fields
from pathlib import Path

from exporters.prometheus.catalogue import CATALOGUE, Kind
from sidecar.telemetry import CATALOGUE as EVENTS
from tests.dashboards.queries import RULES, alerts, metric_names

PAGE = Path(__file__).parent.parent / "docs" / "telemetry.md"


def metrics_table() -> str:
    """Every metric: name, type, labels, meaning, and the alerts that watch it."""
    rows = ["| metric | type | labels | meaning | alerts |", "|---|---|---|---|---|"]
    watched = _watched()
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        meaning = metric.help
        if metric.kind is Kind.HISTOGRAM:
            meaning += " Buckets: " + " ".join(f"{bound:g}" for bound in metric.buckets) + "."
        watchers = ", ".join(sorted(watched.get(metric.shown_as, ())))
        rows.append(f"| `{metric.shown_as}` | {metric.kind} | {labels} | {meaning} | {watchers} |")
    return "\n".join(rows)


def _watched() -> dict[str, set[str]]:
    """Give the alerts of each metric, over recording rules too."""
    rules = dict(block.split("\n", 1) for block in RULES.read_text("utf-8").split("- record: ")[1:])
    watched: dict[str, set[str]] = {}
    for alert in alerts():
        names = metric_names(alert.block.split("for:")[0])
        names |= {name for rule in names & rules.keys() for name in metric_names(rules[rule])}
        for name in names:
            for shown in {name, name.removesuffix("_bucket"), name.removesuffix("_count")}:
                watched.setdefault(shown, set()).add(alert.name)
    return watched


def events_table() -> str:
    """Every event of the sidecar itself: name, level, fields, meaning."""
    rows = ["| event | level | fields | meaning |", "|---|---|---|---|"]
    for name, event in sorted(EVENTS.items()):
        keys = ", ".join(f"`{field.name}`" for field in fields(event))
        rows.append(f"| `{name}` | {event.LEVEL} | {keys} | {event.__doc__} |")
    return "\n".join(rows)


TABLES = {"metrics": metrics_table, "events": events_table}


def printed(page: str) -> str:
    """Give the page with its tables printed anew."""
    for name, table in TABLES.items():
        marks = f"<!-- {name}: printed from the code -->\n", f"<!-- end of {name} -->"
        pattern = re.compile(re.escape(marks[0]) + ".*?" + re.escape(marks[1]), re.DOTALL)
        page, found = pattern.subn(lambda _, t=table, m=marks: f"{m[0]}{t()}\n{m[1]}", page)  # type: ignore[misc]
        if found != 1:
            raise ValueError(f"docs/telemetry.md must hold the marks of the {name} table once, found {found}")
    return page


if __name__ == "__main__":
    PAGE.write_text(printed(PAGE.read_text("utf-8")), "utf-8")

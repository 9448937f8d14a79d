"""Prints the tables of docs/telemetry.md from the code; `python -m tests.telemetry_docs` writes them."""

import re
from dataclasses import fields
from pathlib import Path

from exporters.prometheus.catalogue import CATALOGUE, Kind
from sidecar.telemetry import CATALOGUE as EVENTS

PAGE = Path(__file__).parent.parent / "docs" / "telemetry.md"


def metrics_table() -> str:
    """Every metric: name, type, labels, meaning."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        meaning = metric.help
        if metric.kind is Kind.HISTOGRAM:
            meaning += " Buckets: " + " ".join(f"{bound:g}" for bound in metric.buckets) + "."
        rows.append(f"| `{metric.shown_as}` | {metric.kind} | {labels} | {meaning} |")
    return "\n".join(rows)


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

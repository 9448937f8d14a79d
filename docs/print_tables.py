"""Renews what the docs print from the code: `make docs`. `tests/test_docs.py` fails while they differ."""

import re
from pathlib import Path

from docs.cli_reference import commands_reference
from exporters.prometheus.catalogue import CATALOGUE
from sidecar.reference import settings_table

README = Path(__file__).parent.parent / "README.md"
CLI = Path(__file__).parent / "cli.md"
DECISIONS = Path(__file__).parent / "adr" / "README.md"


def metrics_table() -> str:
    """Give the table of all metrics."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.shown_as}` | {metric.kind.value} | {labels} | {metric.help} |")
    return "\n".join(rows)


def decisions_table() -> str:
    """Give the index of all decision records: number, title, status."""
    rows = ["| record | status |", "|---|---|"]
    for record in sorted(DECISIONS.parent.glob("[0-9]*.md")):
        title, _, status = record.read_text("utf-8").split("\n")[:3]
        rows.append(f"| [{title.removeprefix('# ')}]({record.name}) | {status.removeprefix('Status: ')} |")
    return "\n".join(rows)


def renewed(text: str) -> str:
    """Give a page with everything that is printed into it as it is now."""
    printed = {
        "settings": settings_table(),
        "metrics": metrics_table(),
        "commands": commands_reference(),
        "decisions": decisions_table(),
    }
    for name, table in printed.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        text = marked.sub(lambda found, table=table: found[1] + table + found[2], text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    for page in (README, CLI, DECISIONS):
        page.write_text(renewed(page.read_text("utf-8")), "utf-8")

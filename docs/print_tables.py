"""Renews what the docs print from the code: `make docs`. `tests/test_docs.py` fails while they differ."""

import re
from pathlib import Path

from docs.cli_reference import commands_reference
from exporters.prometheus.catalogue import CATALOGUE
from sidecar.reference import settings_table

README = Path(__file__).parent.parent / "README.md"
CLI = Path(__file__).parent / "cli.md"


def metrics_table() -> str:
    """Give the table of all metrics."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.shown_as}` | {metric.kind.value} | {labels} | {metric.help} |")
    return "\n".join(rows)


def renewed(text: str) -> str:
    """Give a page with everything that is printed into it as it is now."""
    printed = {"settings": settings_table(), "metrics": metrics_table(), "commands": commands_reference()}
    for name, table in printed.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        text = marked.sub(lambda found, table=table: found[1] + table + found[2], text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    for page in (README, CLI):
        page.write_text(renewed(page.read_text("utf-8")), "utf-8")

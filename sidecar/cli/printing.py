"""Printing results: aligned columns for people, JSON for programs. Never wrapped, never cut."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sidecar.cli.visible import visible


def print_json(result: Any) -> None:
    """Print one JSON value on a line of its own, the same whoever gave it."""
    sys.stdout.write(msgspec.json.encode(_whole(msgspec.to_builtins(result))).decode() + "\n")


def _whole(value: Any) -> Any:
    """Give whole numbers as such: an answer read from JSON has 3.0 where its maker has 3."""
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def print_line(text: str = "") -> None:
    """Print a line; control characters in it are shown, not obeyed."""
    sys.stdout.write(visible(text) + "\n")


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a head, each column as wide as its widest cell; an absent value is a dash."""
    cells = [[("-" if cell is None else str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    for row in [list(head), *cells]:
        aligned = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print_line("  ".join(aligned).rstrip())


def size(number: int) -> str:
    """Give a number of bytes as people read it."""
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"

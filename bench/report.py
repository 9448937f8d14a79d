"""One table: what was measured, beside its aim."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table


class Row(NamedTuple):
    """One number; `met` is None where there is nothing to meet."""

    what: str
    value: str
    aim: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """How to measure.

    Attributes:
        folder: empty, removed afterwards.
        quick: smaller and shorter, for trying the harness; its numbers mean little.
        seconds: length of one load.
        rounds: how often contenders take turns; the median counts.
        curves: where growth curves are drawn; None: nowhere.
    """

    folder: Path
    quick: bool = False
    seconds: float = 5.0
    rounds: int = 3
    curves: Path | None = None


def at_least(what: str, value: float, aim: float, unit: str = "x") -> Row:
    """Compare with a lower bound."""
    return Row(what, f"{value:.2f} {unit}", f"at least {aim:g} {unit}", value >= aim)


def at_most(what: str, value: float, aim: float, unit: str = "x") -> Row:
    """Compare with an upper bound."""
    return Row(what, f"{value:.2f} {unit}", f"at most {aim:g} {unit}", value <= aim)


def note(what: str, value: str) -> Row:
    """Tell something that has no aim."""
    return Row(what, value)


def show(console: Console, title: str, rows: Sequence[Row]) -> None:
    """Print a section."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    table.add_column("measured")
    table.add_column("value", justify="right")
    table.add_column("aim")
    table.add_column("")
    for row in rows:
        table.add_row(row.what, row.value, row.aim, {None: "", True: "met", False: "missed"}[row.met])
    console.print(table)


def markdown(title: str, rows: Sequence[Row]) -> str:
    """Give a section as a table for a page."""
    lines = [f"### {title}", "", "| measured | value | aim | |", "|---|---:|---|---|"]
    for row in rows:
        met = {None: "", True: "met", False: "**missed**"}[row.met]
        lines.append(f"| {row.what} | {row.value} | {row.aim} | {met} |")
    return "\n".join([*lines, ""])

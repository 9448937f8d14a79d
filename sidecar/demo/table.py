"""Shows what the sidecar says while the demo runs: a live table on a terminal, a line now and then elsewhere.

Every number comes from the sidecar's admin listener, none from the simulators.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from domain.words import Millis
from sidecar.demo.reading import Reading, Row, millis

LINE_EVERY_MS: Final = 5000
ANSWER_AFTER_SECONDS: Final = 2.0
"""How long the store may take to open before its silence is worth a line."""
_MESSAGES: Final = {
    "sent": "MESSAGE_SENT",
    "delivered": "MESSAGE_DELIVERED",
    "read": "MESSAGE_READ",
    "replied": "MESSAGE_REPLIED",
}


class _Column(NamedTuple):
    key: str
    width_min: int


_STATE: Final = {
    "score": _Column("score", 88),
    "level": _Column("temperatureLevel", 100),
    "cooldown": _Column("cooldownReason", 124),
    "connection": _Column("connection", 140),
    "trend": _Column("trend", 150),
}
"""State of the instance list, and from which width of the terminal it is shown."""
_NUMBERS: Final = frozenset({*_MESSAGES, "failed", "rate limits", "score", "last signal"})


class Display:
    """Takes readings and shows them; `close` leaves the last one standing."""

    def __init__(self, console: Console, urls: Mapping[str, str]) -> None:
        """Begin to show; `urls` are the addresses to open, by what they show."""
        self._console = console
        self._urls = urls
        self._live: Live | None = None
        self._next_line_at: Millis = 0
        if console.is_terminal:
            self._live = Live(console=console, refresh_per_second=4, transient=True)
            self._live.start()
        else:
            for what, url in urls.items():
                console.print(f"{what}: {url}", soft_wrap=True, highlight=False)

    def show(self, reading: Reading | None, now: Millis, elapsed_s: float) -> None:
        """Show a reading; None when the sidecar did not answer."""
        if self._live is not None:
            self._live.update(self._screen(reading, now, elapsed_s))
        elif now >= self._next_line_at and (reading is not None or elapsed_s > ANSWER_AFTER_SECONDS):
            self._next_line_at = now + LINE_EVERY_MS
            text = f"{elapsed_s:4.0f} s  " + ("no answer" if reading is None else str(reading.ledger))
            self._console.print(text, soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Stop the live part."""
        if self._live is not None:
            self._live.stop()

    def _screen(self, reading: Reading | None, now: Millis, elapsed_s: float) -> Group:
        parts: list[Table | Text] = []
        if reading is None:
            parts.append(Text("the sidecar does not answer", style="red"))
        else:
            parts += [
                instance_table(reading, now, self._console.width),
                Text(str(reading.ledger)),
            ]
        parts += [Text(f"{what}: {url}", style="cyan") for what, url in self._urls.items()]
        parts.append(Text(f"{elapsed_s:.0f} s; Ctrl-C ends the demo", style="dim"))
        return Group(*parts)


def instance_table(reading: Reading, now: Millis, width: int) -> Table:
    """Lay out one row an instance; a narrow terminal goes without parts of its state."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    state = [name for name, column in _STATE.items() if width >= column.width_min]
    names = ["instance", *_MESSAGES, "failed", "rate limits", *state, "last signal"]
    for name in names:
        table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=name == "instance")
    for instance, row in reading.rows.items():
        cells = {
            "instance": instance,
            "last signal": _ago(row.state.get("lastSignalAt"), now),
            **_counts(row),
            **_state(row.state),
        }
        table.add_row(*(cells[name] for name in names))
    return table


def _counts(row: Row) -> dict[str, str]:
    # A send that was refused has no message id, so failures are counted as facts; the others once a message.
    counts = {name: row.messages[word] for name, word in _MESSAGES.items()}
    counts |= {"failed": row.facts["MESSAGE_FAILED"], "rate limits": row.rate_limits}
    return {name: str(count) for name, count in counts.items()}


def _state(state: Mapping[str, Any]) -> dict[str, str]:
    known = {name: state.get(column.key) for name, column in _STATE.items()}
    return {name: "" if value is None else str(value) for name, value in known.items()}


def _ago(at: Any, now: Millis) -> str:
    """Say how many seconds ago an ISO-8601 time was; empty when there is none."""
    if not isinstance(at, str):
        return ""
    try:
        return f"{max(0, now - millis(at)) / 1000:.0f} s"
    except ValueError:
        return ""

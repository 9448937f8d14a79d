"""What the demo shows."""

import io
from collections import Counter

import pytest
from rich.console import Console

from sidecar.demo.reading import Ledger, Reading, Row
from sidecar.demo.summary import Ends, summarize
from sidecar.demo.table import LINE_EVERY_MS, Display, instance_table

NOW = 1_768_489_205_000
ROW = Row(
    Counter({"MESSAGE_SENT": 12, "MESSAGE_DELIVERED": 11, "MESSAGE_READ": 7, "MESSAGE_REPLIED": 3}),
    Counter({"MESSAGE_SENT": 24, "MESSAGE_FAILED": 5}),
    4,
    {
        "instanceId": "promo-limited",
        "score": 42,
        "temperatureLevel": "WARMING",
        "cooldownReason": None,
        "lastSignalAt": "2026-01-15T15:00:00.000Z",
    },
)
READING = Reading(Ledger(10, 7, 2, 1, 0), {"promo-limited": ROW}, {"ingest: bad_instance": 1})
ENDS = Ends(
    Counter({("a", 200): 3}), Counter({("a", 200): 3}), 0, 5, 5, Counter({"posted": 5, "retried": 1}), 1
)


def shown(width: int) -> str:
    """Give the table as text."""
    console = Console(width=width, file=io.StringIO())
    with console.capture() as capture:
        console.print(instance_table(READING, NOW, width))
    return capture.get()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_row_shows_every_count_at_any_width(width: int) -> None:
    """Counts and the age of the last signal fit 80 columns already; nothing is cut."""
    text = shown(width)

    row = next(line for line in text.splitlines() if "promo-limited" in line)
    assert row.split()[1:7] == ["12", "11", "7", "3", "5", "4"]
    assert row.rstrip().endswith("5 s")
    assert "…" not in text


def test_a_wide_terminal_also_shows_the_state() -> None:
    """Score and level come with the width; what the API does not give stays empty."""
    assert "WARMING" not in shown(80)
    assert "WARMING" in shown(160)
    assert "None" not in shown(160)


def test_without_a_terminal_a_line_comes_now_and_then() -> None:
    """Plain output: the addresses once, then the ledger at most every five seconds."""
    console = Console(width=160, file=(out := io.StringIO()))
    display = Display(console, {"metrics": "http://127.0.0.1:9/metrics"})

    for step in range(11):
        display.show(READING, NOW + step * LINE_EVERY_MS // 5, step)
    display.show(None, NOW + 3 * LINE_EVERY_MS, 15.0)
    display.close()

    lines = out.getvalue().splitlines()
    assert lines[0] == "metrics: http://127.0.0.1:9/metrics"
    assert [line.split()[0] for line in lines[1:]] == ["0", "5", "10", "15"]
    assert "observed 10 = recorded 7 + repeated 2 + lost 1 + pending 0" in lines[1]
    assert "no answer" in lines[-1]


def test_on_a_terminal_the_table_is_drawn_in_place() -> None:
    """A terminal gets table, ledger and addresses."""
    console = Console(width=120, file=(out := io.StringIO()), force_terminal=True)
    display = Display(console, {"metrics": "http://127.0.0.1:9/metrics"})

    display.show(READING, NOW, 1.0)
    display.close()

    assert "promo-limited" in out.getvalue()
    assert "http://127.0.0.1:9/metrics" in out.getvalue()
    assert "Ctrl-C" in out.getvalue()


def summary(
    reading: Reading | None = READING, stored: int | None = 7, ends: Ends = ENDS, code: int = 0
) -> list[str]:
    """Give the problems of a summary."""
    return summarize(Console(width=160, file=io.StringIO()), reading, stored, ends, code)


def test_a_run_that_adds_up_has_no_problem() -> None:
    """Ledger balanced, nothing pending, timelines and both ends agree."""
    assert summary() == []


@pytest.mark.parametrize(
    ("problems", "word"),
    [
        (summary(reading=None), "could not be read"),
        (summary(READING._replace(ledger=Ledger(10, 7, 2, 0, 0))), "does not balance"),
        (summary(READING._replace(ledger=Ledger(10, 7, 2, 0, 1))), "pending"),
        (summary(READING._replace(ledger=Ledger()), stored=0), "observed nothing"),
        (summary(stored=6), "timelines hold 6"),
        (summary(stored=None), "timelines hold None"),
        (summary(ends=ENDS._replace(served=Counter({("a", 200): 4}))), "disagree on the answers"),
        (summary(ends=ENDS._replace(unanswered=2)), "2 calls had no answer"),
        (summary(ends=ENDS._replace(taken=6)), "disagree on callbacks"),
        (summary(code=1), "exit code 1"),
    ],
)
def test_each_thing_that_does_not_add_up_is_named(problems: list[str], word: str) -> None:
    """One wrong number gives exactly one problem that names it."""
    assert len(problems) == 1
    assert word in problems[0]


def test_the_summary_prints_the_ledger_and_each_loss() -> None:
    """The last words hold the ledger, losses by reason, calls by status and callbacks."""
    console = Console(width=160, file=(out := io.StringIO()))

    summarize(console, READING, 7, ENDS, 0)

    text = out.getvalue()
    assert "observed 10 = recorded 7 + repeated 2 + lost 1 + pending 0" in text
    assert "lost, ingest: bad_instance: 1" in text
    assert "3 x 200" in text
    assert "1 retried" in text

"""Prints the transcript of docs/cli.md from a data directory whose times are fixed."""

import tempfile
import textwrap
from pathlib import Path

from tests.sidecar.cli.commands import RESTING, history, run

LINE_MAX = 116


def transcript(data_dir: Path) -> str:
    """Run `explain` and `decisions` on a number that rests; give what a terminal shows."""
    asked = (
        ("explain", RESTING, "--at", "2025-10-09T09:03:20Z"),
        ("decisions", RESTING, "--until", "2025-10-09T09:03:20Z", "--limit", "1"),
        ("replay", RESTING),
    )
    shown = []
    for words in asked:
        ran = run(*words, "--data-dir", str(data_dir))
        shown += [f"$ sidecar {' '.join(words)}", *map(_folded, ran.out.splitlines())]
    return "\n".join(["```console", *shown, "```"])


def _folded(line: str) -> str:
    """Fold a line that is wider than the page."""
    return textwrap.fill(line, LINE_MAX, subsequent_indent="      ", replace_whitespace=False)


def renewed(page: str, data_dir: Path) -> str:
    """Give docs/cli.md with the transcript as it is now."""
    head, _, rest = page.partition("<!-- transcript -->\n")
    _, _, tail = rest.partition("<!-- /transcript -->")
    return f"{head}<!-- transcript -->\n{transcript(data_dir)}\n<!-- /transcript -->{tail}"


if __name__ == "__main__":
    path = Path(__file__).parents[3] / "docs" / "cli.md"
    with tempfile.TemporaryDirectory() as made:
        path.write_text(renewed(path.read_text("utf-8"), history(Path(made), RESTING)), "utf-8")

"""Reads the attack corpus: one file a case, in the notation of its README."""

import re
from pathlib import Path
from typing import NamedTuple

from sidecar.wire import Reason

CORPUS = Path(__file__).parents[2] / "wire_corpus"
_REPEATED = re.compile(r"\{([^{}]*)\*(\d+)\}", re.DOTALL)


class Case(NamedTuple):
    """One file of the corpus."""

    expect: str
    data: bytes
    nginx_refuses: bool

    @property
    def reason(self) -> Reason:
        return Reason(self.expect.split()[1])

    @property
    def passing(self) -> int:
        """How many messages pass."""
        last = self.expect.split()[-1]
        return int(last) if last.isdigit() else 0


def read_case(path: Path) -> Case:
    head, _, text = path.read_text("ascii").partition("\n\n")
    text = text.replace("\n", "")
    while (repeated := _REPEATED.search(text)) is not None:
        text = text[: repeated.start()] + repeated[1] * int(repeated[2]) + text[repeated.end() :]
    expect = next(line for line in head.splitlines() if line.startswith("expect: "))
    return Case(
        expect.removeprefix("expect: "),
        text.encode("ascii").decode("unicode_escape").encode("latin-1"),
        "\nnginx: refuses" in head,
    )

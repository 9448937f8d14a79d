"""Puts an address in front of every alert's runbook: `python -m dashboards.runbook_address https://...`.

`make dashboards RUNBOOKS_URL=https://...` does it, then prints the Kubernetes manifest anew. Every page of
`dashboards/runbooks` must be found below that address under its own name.
"""

import re
import sys
from pathlib import Path
from typing import Final

PROMETHEUS: Final = Path(__file__).parent / "prometheus"
FILES: Final = (PROMETHEUS / "alerts.yml", *sorted((PROMETHEUS / "tests").glob("*_test.yml")))

_ADDRESS: Final = re.compile(r"https?://[^\s'\"\\]+")
_LINK: Final = re.compile(r"(runbook_url: )\S+/(Reputation\w+\.md)")


def addressed(text: str, address: str) -> str:
    """Give rules or their tests with another address in front of their runbooks."""
    return _LINK.sub(lambda link: f"{link[1]}{address.rstrip('/')}/{link[2]}", text)


def main() -> int:
    """Rewrite the committed files; give the exit status."""
    address = sys.argv[1] if len(sys.argv) == 2 else ""
    if not _ADDRESS.fullmatch(address):
        sys.stderr.write(
            f"the runbooks' address must be an http or https URL, got {address!r}; "
            "try RUNBOOKS_URL=https://wiki.example.org/runbooks\n"
        )
        return 2
    for file in FILES:
        file.write_text(addressed(file.read_text("utf-8"), address), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

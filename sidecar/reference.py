"""Prints the reference tables of the docs from the code: `python -m sidecar.reference NAME`.

The README holds what is printed between two markers; `tests/test_docs.py` compares. Nothing at run time
imports this.
"""

import sys
from typing import Final

from sidecar.settings import options


def settings_table() -> str:
    """Give the table of all settings."""
    rows = ["| name | default | bounds | meaning |", "|---|---|---|---|"]
    for option in options():
        default = "unset" if option.default in (None, ()) else f"`{_shown(option.default)}`"
        twin = f" (or `{option.env}_FILE`)" if option.secret else ""
        rows.append(f"| `{option.env}`{twin} | {default} | {option.bounds} | {option.meaning} |")
    return "\n".join(rows)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


TABLES: Final = {"settings": settings_table}


def main() -> None:
    """Print one table."""
    sys.stdout.write(TABLES[sys.argv[1]]() + "\n")


if __name__ == "__main__":
    main()

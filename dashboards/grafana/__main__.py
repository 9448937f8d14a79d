"""Writes the boards as JSON in normal form: `python -m dashboards.grafana [DIR]`."""

import json
import sys
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana import audit, fleet, sidecar

FOLDER: Final = Path(__file__).parent / "boards"


def boards() -> dict[str, dict[str, Any]]:
    """Give each board's JSON by file name."""
    made = {
        "fleet.json": fleet.build(),
        "instance-audit.json": audit.build(),
        "sidecar.json": sidecar.build(),
    }
    encoder = JSONEncoder(sort_keys=True)
    decoded: dict[str, dict[str, Any]] = {
        name: json.loads(encoder.encode(board.build())) for name, board in made.items()
    }
    decoded["instance-audit.json"]["annotations"] = {"list": [audit.annotation()]}
    return decoded


def normal_form(board: dict[str, Any]) -> str:
    """Give the text that is committed."""
    return json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, board in boards().items():
        (folder / name).write_text(normal_form(board), "utf-8")


if __name__ == "__main__":
    main()

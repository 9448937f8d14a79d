"""`python -m tests.vectors DIR`: run every vector file of a directory against the domain.

Prints passed and failed per file and the failing names; exit code 1 on any failure, 2 without vectors.
"""

import json
import sys
from pathlib import Path

from tests.vectors.cases import EXCLUDED, RUNNERS


def main(arguments: list[str]) -> int:
    """Run them."""
    directory = Path(arguments[0]) if arguments else Path(__file__).parent / "data"
    files = sorted(directory.glob("*.json"))
    if not files:
        print(f"no vector files in {directory}", file=sys.stderr)  # noqa: T201 - a command's output
        return 2
    failed = False
    for file in files:
        failed |= bool(_run(file))
    return int(failed)


def _run(file: Path) -> list[str]:
    document = json.loads(file.read_text("utf-8"))
    runner = RUNNERS.get(document["schema"])
    if runner is None:
        print(f"{file.name}: unknown schema {document['schema']}")  # noqa: T201 - a command's output
        return [document["schema"]]
    cases = [case for case in document["cases"] if not EXCLUDED & set(case.get("quirks", ()))]
    failing = []
    for case in cases:
        try:
            passed = runner(case["input"]) == case["expected"]
        except Exception as error:  # noqa: BLE001 - a broken case must not hide the others
            passed = False
            print(f"  {case['name']}: {error!r}")  # noqa: T201 - a command's output
        if not passed:
            failing.append(case["name"])
    excluded = len(document["cases"]) - len(cases)
    tail = f", {excluded} excluded" if excluded else ""
    print(f"{file.name}: {len(cases) - len(failing)} passed, {len(failing)} failed{tail}")  # noqa: T201
    for name in failing:
        print(f"  failed: {name}")  # noqa: T201 - a command's output
    return failing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m tests.vectors [DIR]`: run every vector file of a directory, or one file, against the domain.

Runs in reference mode: the domain's pure functions with the reference's counting and cooldown, so that every
case is executable. Left out are only accidents of JavaScript, by quirk id. Prints passed and failed a file,
the failing names with the first difference, and a sum.

Exit code: 0 all passed, 1 a case failed or a file is no vector file, 2 nothing to run.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from tests.vectors.cases import EXCLUDED, RUNNERS
from tests.vectors.wire import Json

DATA = Path(__file__).parent / "data"


class Counted(NamedTuple):
    """What became of the cases of a file."""

    passed: int = 0
    failed: int = 0
    excluded: int = 0


class UnreadableFileError(Exception):
    """A file that is no vector file; the message says why."""


def main(arguments: list[str]) -> int:
    """Run them."""
    if len(arguments) > 1:
        _say("usage: python -m tests.vectors [DIR]", sys.stderr)
        return 2
    place = Path(arguments[0]) if arguments and arguments[0] else DATA
    files = [place] if place.is_file() else sorted(place.rglob("*.json"))
    if not files:
        _say(f"no vector files in {place}" if place.is_dir() else f"no such directory: {place}", sys.stderr)
        return 2
    counted, unreadable = [], 0
    for file in files:
        name = file.name if file == place else str(file.relative_to(place))
        try:
            counted.append(_run(name, file))
        except UnreadableFileError as why:
            unreadable += 1
            _say(f"{name}: not run: {why}")
    passed, failed, excluded = (sum(numbers) for numbers in zip(Counted(), *counted, strict=True))
    _say(f"{len(files)} files: {passed} passed, {failed} failed, {excluded} excluded, {unreadable} not run")
    if excluded:
        quirks = ", ".join(sorted(EXCLUDED))
        _say(f"excluded by quirk id: {quirks} (accidents of JavaScript that no mode imitates)")
    if failed or unreadable:
        return 1
    return 0 if passed else 2


def _run(name: str, file: Path) -> Counted:
    schema, cases = _read(file)
    passed, excluded, failing = 0, 0, []
    for case in cases:
        if EXCLUDED & set(case.get("quirks") or ()):
            excluded += 1
            continue
        difference = _tried(schema, case)
        if difference is None:
            passed += 1
        else:
            failing.append((case["name"], difference))
    tail = f", {excluded} excluded" if excluded else ""
    _say(f"{name}: {passed} passed, {len(failing)} failed{tail}")
    for failed, difference in failing:
        _say(f"  failed: {failed}")
        _say(f"    {difference}")
    return Counted(passed, len(failing), excluded)


def _read(file: Path) -> tuple[str, list[Json]]:
    """Read a file and check its form.

    Raises:
        UnreadableFileError: it is none of ours.
    """
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableFileError(f"no JSON: {error}") from error
    if not isinstance(document, dict):
        raise UnreadableFileError('expected an object with "schema" and "cases"')
    schema, cases = document.get("schema"), document.get("cases")
    if not isinstance(schema, str) or schema not in RUNNERS:
        raise UnreadableFileError(f"unknown schema {schema!r}, known are {', '.join(sorted(RUNNERS))}")
    if not isinstance(cases, list):
        raise UnreadableFileError('"cases" is no list')
    for number, case in enumerate(cases):
        if not isinstance(case, dict) or not {"name", "input", "expected"} <= case.keys():
            raise UnreadableFileError(f'case {number} lacks "name", "input" or "expected"')
    return schema, cases


def _tried(schema: str, case: Json) -> str | None:
    """Run a case and give the first difference, None when there is none."""
    try:
        given = RUNNERS[schema](case["input"])
    except Exception as error:  # noqa: BLE001 - a broken case must not hide the others
        return f"raised {error!r}"
    return next(_differences("", case["expected"], given), None)


def _differences(path: str, expected: Json, given: Json) -> Iterator[str]:
    """Compare JSON values: 1 equals 1.0, but true equals nothing but true."""
    if isinstance(expected, dict) and isinstance(given, dict):
        for key in expected | given:
            if key not in expected or key not in given:
                yield f"{path}.{key} {'missing' if key in expected else 'not expected'}"
            else:
                yield from _differences(f"{path}.{key}", expected[key], given[key])
    elif isinstance(expected, list) and isinstance(given, list) and len(expected) == len(given):
        for index, (one, other) in enumerate(zip(expected, given, strict=True)):
            yield from _differences(f"{path}[{index}]", one, other)
    elif expected != given or isinstance(expected, bool) != isinstance(given, bool):
        yield f"{path} expected {json.dumps(expected)}, got {json.dumps(given)}"


def _say(line: str, stream: TextIO | None = None) -> None:
    print(line, file=stream)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The command that runs any directory of vector files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vectors.__main__ import DATA, main
from tests.vectors.wire import Json

ROOT = DATA.parent.parent.parent


def two_cases() -> Json:
    document = json.loads((DATA / "evaluate_window.json").read_text("utf-8"))
    return {**document, "cases": document["cases"][:2]}


def write(directory: Path, document: Json, name: str = "some.json") -> Path:
    file = directory / name
    file.write_text(json.dumps(document), "utf-8")
    return file


def test_the_recorded_cases_pass_and_only_accidents_of_javascript_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All 609 are accounted for: 607 passed, two excluded, and the output says by which quirk."""
    code = main([])

    told = capsys.readouterr().out
    assert code == 0
    assert "9 files: 607 passed, 0 failed, 2 excluded, 0 not run" in told
    assert "excluded by quirk id: Q24" in told


def test_a_wrong_expectation_is_named_with_its_first_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One wrong case: its name, where it differs, exit code 1; the other case counts as passed."""
    document = two_cases()
    document["cases"][1]["expected"]["scoreDelta"] = 7
    write(tmp_path, document)

    code = main([str(tmp_path)])

    told = capsys.readouterr().out.splitlines()
    assert code == 1
    assert told[0] == "some.json: 1 passed, 1 failed"
    assert told[1] == f"  failed: {document['cases'][1]['name']}"
    assert told[2] == "    .scoreDelta expected 7, got 0"


@pytest.mark.parametrize("number", [0, False, None, "0"])
def test_a_boolean_or_text_is_no_number(tmp_path: Path, number: object) -> None:
    """1 equals 1.0, but true, null and "0" equal only themselves."""
    document = two_cases()
    document["cases"][0]["expected"]["scoreDelta"] = number

    assert main([str(write(tmp_path, document))]) == (0 if number == 0 and number is not False else 1)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda _: "{", "no JSON"),
        (lambda _: "[]", "expected an object"),
        (
            lambda whole: json.dumps({**whole, "schema": "evaluate_window/2"}),
            "unknown schema 'evaluate_window/2'",
        ),
        (lambda whole: json.dumps({"cases": whole["cases"]}), "unknown schema None"),
        (lambda whole: json.dumps({**whole, "schema": ["a"]}), "unknown schema ['a']"),
        (lambda whole: json.dumps({**whole, "cases": {}}), '"cases" is no list'),
        (lambda whole: json.dumps({**whole, "cases": [{"name": "x", "input": {}}]}), "case 0 lacks"),
    ],
)
def test_a_file_that_is_no_vector_file_is_told_and_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: Callable[[Json], str], why: str
) -> None:
    """Its name and what is wrong with it; the files beside it still run; exit code 1."""
    (tmp_path / "a.json").write_text(broken(two_cases()), "utf-8")
    write(tmp_path, two_cases(), "b.json")

    code = main([str(tmp_path)])

    told = capsys.readouterr().out
    assert code == 1
    assert f"a.json: not run: {why}" in told
    assert "b.json: 2 passed, 0 failed" in told


def test_a_case_that_cannot_be_run_fails_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An input without what its schema needs is a failure of that case, not of the run."""
    write(tmp_path, {"schema": "timeline/1", "cases": [{"name": "no bounds", "input": {}, "expected": {}}]})

    code = main([str(tmp_path)])

    told = capsys.readouterr().out
    assert code == 1
    assert "failed: no bounds" in told
    assert "raised KeyError" in told


def test_nothing_to_run_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path, an empty directory, a file without cases, too many arguments: exit code 2."""
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path / "none")]) == 2
    assert main(["a", "b"]) == 2
    write(tmp_path, {"schema": "timeline/1", "cases": []})
    assert main([str(tmp_path)]) == 2
    assert "no such directory" in capsys.readouterr().err


def test_make_passes_the_directory_on(tmp_path: Path) -> None:
    """`make vectors DIR=...` runs that directory, blanks in its name included, and fails when a case does."""
    directory = tmp_path / "some vectors"
    directory.mkdir()
    write(directory, two_cases())
    command = [
        "make",
        "-s",
        "vectors",
        f"DIR={directory}",
        f"BIN={Path(sys.executable).parent}",
        "READY=Makefile",
    ]
    environment = {"PATH": os.environ["PATH"]}

    passed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    document = two_cases()
    document["cases"][0]["expected"] = {}
    write(directory, document)
    failed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert (passed.returncode, "some.json: 2 passed, 0 failed" in passed.stdout) == (0, True)
    assert failed.returncode != 0
    assert "some.json: 1 passed, 1 failed" in failed.stdout

"""`sidecar export`: every form says what the store holds, and a broken export is continued."""

import json
from pathlib import Path

import pytest
from pyarrow import parquet

from domain.timeline import GetReputationTimeline, TimelineQuery
from sidecar.api.signals import csv_rows, ndjson
from sidecar.api.times import parse
from sidecar.bootstrap.offline import open_answers, open_reader
from sidecar.cli import exporting
from sidecar.cli.answers import Answers
from sidecar.cli.errors import CommandFailed
from sidecar.cli.export_file import Mark, PartialFile
from sidecar.cli.forms import CsvForm, NdjsonForm
from sidecar.config import load
from tests.sidecar.cli.commands import END, OTHER, RESTING, START, history, run


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two instances of 32 signals each and one gap."""
    return history(tmp_path_factory.mktemp("export"), RESTING, OTHER)


def export(data_dir: Path, *args: str) -> list[str]:
    return ["export", *args, "--until", str(END), "--data-dir", str(data_dir)]


def answers_of(data_dir: Path) -> Answers:
    return open_answers(load({"data_dir": str(data_dir)}, env={}, serving=False).settings)


def test_lines_and_rows_are_those_the_api_streams(data_dir: Path, tmp_path: Path) -> None:
    """Byte for byte, gaps included: one reader serves both."""
    lines, rows = tmp_path / "a.ndjson", tmp_path / "a.csv"
    store = open_reader(load({"data_dir": str(data_dir)}, env={}, serving=False).settings)
    try:
        page = GetReputationTimeline(store)(TimelineQuery(RESTING, 0, END, limit=500))
    finally:
        store.close()

    assert run(*export(data_dir, RESTING, "--output", str(lines))).status == 0
    assert run(*export(data_dir, RESTING, "--output", str(rows))).status == 0

    assert lines.read_bytes() == ndjson(page.signals, page.gaps)
    assert rows.read_bytes() == csv_rows(page.signals, header=True)
    assert len(page.signals) == 32


def test_without_an_instance_all_are_written_in_order(data_dir: Path, tmp_path: Path) -> None:
    """The whole is the parts, one behind the other."""
    whole, parts = tmp_path / "all.ndjson", b""
    run(*export(data_dir, "--output", str(whole)))
    for instance in (RESTING, OTHER):
        part = tmp_path / "part.ndjson"
        run(*export(data_dir, instance, "--output", str(part)))
        parts += part.read_bytes()

    assert whole.read_bytes() == parts


def test_parquet_holds_the_same_with_types(data_dir: Path, tmp_path: Path) -> None:
    """Times are times, numbers numbers, context is JSON text."""
    run(*export(data_dir, "--output", str(tmp_path / "a.ndjson")))
    ran = run(*export(data_dir, "--output", str(tmp_path / "a.parquet"), "--json"))
    lines = [json.loads(line) for line in (tmp_path / "a.ndjson").read_text().splitlines()]
    signals = [line for line in lines if "gap" not in line]

    table = parquet.read_table(tmp_path / "a.parquet")

    assert ran.json["signals"] == len(signals) == table.num_rows == 64
    assert table["id"].to_pylist() == [one["id"] for one in signals]
    assert [int(at.timestamp() * 1000) for at in table["occurredAt"].to_pylist()] == [
        parse(one["occurredAt"]) for one in signals
    ]
    assert [json.loads(text) for text in table["context"].to_pylist()] == [one["context"] for one in signals]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ndjson", "a.parquet"]


class BreaksAfter:
    """Answers that fail behind a number of pages, as a database that goes away."""

    def __init__(self, answers: Answers, pages: int) -> None:
        self._answers, self._pages = answers, pages

    def timeline(self, *asked: object) -> object:
        if not self._pages:
            raise CommandFailed("the database went away")
        self._pages -= 1
        return self._answers.timeline(*asked)  # type: ignore[arg-type]  # passed on as it came

    def __getattr__(self, name: str) -> object:
        return getattr(self._answers, name)


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
@pytest.mark.parametrize("pages", [0, 1, 4, 5, 7, 9])
def test_a_second_run_continues_after_a_break_anywhere(
    data_dir: Path, tmp_path: Path, form: str, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result equals that of an unbroken export; what a crash left behind the mark is cut off."""
    monkeypatch.setattr(exporting, "PAGE", 7)
    unbroken, broken = tmp_path / f"unbroken.{form}", tmp_path / f"broken.{form}"
    assert run(*export(data_dir, "--output", str(unbroken))).status == 0
    question = {"instance": None, "form": form, "since": None, "until": str(END)}
    written = CsvForm() if form == "csv" else NdjsonForm()
    answers = answers_of(data_dir)
    try:
        with (
            pytest.raises(CommandFailed),
            PartialFile(broken, question, (0, END), written.head(), restart=False) as partial,
        ):
            exporting._fill(partial, BreaksAfter(answers, pages), None, written, lambda _done, _of: None)  # type: ignore[arg-type]  # has what is asked of it
    finally:
        answers.close()
    with (tmp_path / f"broken.{form}.partial").open("ab") as file:
        file.write(b'{"half a li')

    ran = run(*export(data_dir, "--output", str(broken), "--json"))

    assert ran.status == 0, ran.err
    assert ran.json["signals"] == 64
    assert (ran.json["resumedAt"] > 0) == (pages > 0)
    assert broken.read_bytes() == unbroken.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {unbroken.name, broken.name}


def test_another_question_is_not_continued(data_dir: Path, tmp_path: Path) -> None:
    """Two questions never share a file; --restart begins anew."""
    path = tmp_path / "a.ndjson"
    with PartialFile(path, {"instance": "else"}, (0, 1), b"", restart=False) as partial:
        partial.append(b"x\n", Mark("else", 1, "id", 1))

    refused = run(*export(data_dir, "--output", str(path)))
    begun = run(*export(data_dir, "--output", str(path), "--restart", "--json"))

    assert refused.status == 2
    assert "--restart" in refused.err
    assert (begun.json["signals"], begun.json["resumedAt"]) == (64, 0)


def test_two_exports_into_one_file_are_told_apart(data_dir: Path, tmp_path: Path) -> None:
    """The second one waits, it does not mix in."""
    path = tmp_path / "a.ndjson"
    with PartialFile(path, {}, (0, 1), b"", restart=False):
        ran = run(*export(data_dir, "--output", str(path)))

    assert ran.status == 1
    assert "another export" in ran.err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--format", "xml"), "ndjson, csv, parquet"),
        (("--format", "parquet"), "--output"),
        (("--since", "2030-01-01", "--output", "x.csv"), "--since must not lie after"),
    ],
)
def test_what_makes_no_sense_is_refused(data_dir: Path, args: tuple[str, ...], told: str) -> None:
    """With what to write instead; nothing is made."""
    ran = run(*export(data_dir, *args))

    assert ran.status == 2
    assert told in ran.err
    assert not Path("x.csv.partial").exists()


def test_stdout_takes_lines_for_a_pipe(data_dir: Path) -> None:
    """Without --output, and since cuts on the left, inclusive."""
    ran = run(*export(data_dir, OTHER, "--since", str(START + 20_000)))

    signals = [line for line in map(json.loads, ran.out.splitlines()) if "gap" not in line]
    assert signals[0]["occurredAt"] == "2025-10-09T08:53:40.000Z"
    assert len(signals) == 30

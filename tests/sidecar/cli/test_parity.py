"""Whoever answers, the running sidecar or the store it left: a command prints the same."""

from pathlib import Path

import pytest

from tests.e2e.sidecars import until, world
from tests.sidecar.cli.commands import END, MINUTE, OTHER, RESTING, START, history, run

AT = str(START + 10 * MINUTE)
RANGE = ("--since", str(START), "--until", str(END))
QUESTIONS = (
    ("instances",),
    ("instances", "--json"),
    ("timeline", RESTING, *RANGE),
    ("timeline", OTHER, *RANGE, "--json", "--desc", "--limit", "9"),
    ("timeline", OTHER, *RANGE, "--type", "MESSAGE_FAILED,MESSAGE_SENT", "--severity", "HIGH", "--json"),
    ("timeline", RESTING, *RANGE, "--message", f"{RESTING}-5"),
    ("timeline", "nobody", *RANGE),
    ("explain", RESTING, "--at", AT),
    ("explain", OTHER, "--at", AT, "--json"),
    ("explain", "nobody"),
    ("explain", RESTING, "--at", "x"),
    ("decisions", RESTING, *RANGE),
    ("decisions", OTHER, "--limit", "1", "--json"),
    ("replay", RESTING, "--json"),
    ("replay", OTHER),
    ("replay", "nobody"),
    ("export", *RANGE),
    ("export", OTHER, *RANGE, "--format", "csv"),
)


def has_recorded(data_dir: str, signals: int) -> bool:
    """Tell whether so many signals are there, and every number was evaluated."""
    held = run("store", "--data-dir", data_dir, "--json")
    if held.status or held.json["tables"].get("reputation_signal") != signals:
        return False
    return all(one["lastEvaluatedAt"] for one in run("instances", "--json", "--data-dir", data_dir).json)


@pytest.mark.slow  # a real sidecar, and each question put three times
def test_every_reading_command_prints_the_same_online_and_offline(tmp_path: Path) -> None:
    """Result, complaint and exit code."""
    with world(tmp_path) as (_, sidecar, _):
        data_dir = str(sidecar.data_dir)
        source = history(tmp_path / "source", RESTING, OTHER)
        run("export", "-o", str(tmp_path / "x.ndjson"), *RANGE, "--data-dir", str(source))
        handed = run("import", str(tmp_path / "x.ndjson"), "--data-dir", data_dir, "--json")
        assert handed.json["taken"] == 64
        url = f"http://{sidecar.listeners['admin']}"
        until(lambda: has_recorded(data_dir, 64))
        asked = [run(*words, "--url", url) for words in QUESTIONS]
        found = [run(*words, "--data-dir", data_dir) for words in QUESTIONS]
    offline = [run(*words, "--data-dir", data_dir) for words in QUESTIONS]

    for words, online, by_directory, alone in zip(QUESTIONS, asked, found, offline, strict=True):
        assert online == by_directory == alone, words
    assert sum(ran.status == 0 for ran in offline) == len(QUESTIONS) - 4
    assert all(
        ran.out
        for words, ran in zip(QUESTIONS, offline, strict=True)
        if "nobody" not in words and "x" not in words
    )


@pytest.mark.parametrize(
    "words", [("export", "--bundle", RESTING), ("replay", RESTING, "--rules", "{rules}")]
)
def test_what_reads_the_store_itself_works_beside_a_running_sidecar(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    """It takes no lock and writes nothing."""
    source = history(tmp_path / "source", RESTING)
    run("export", "-o", str(tmp_path / "x.ndjson"), *RANGE, "--data-dir", str(source))
    rules = tmp_path / "rules.toml"
    rules.write_text('"C1.deliveredRate" = 0.0\n')
    with world(tmp_path) as (_, sidecar, _):
        where = ("--data-dir", str(sidecar.data_dir))
        run("import", str(tmp_path / "x.ndjson"), *where)
        until(lambda: has_recorded(str(sidecar.data_dir), 32))
        asked = [word.format(rules=rules) for word in words]
        more = ("-o", str(tmp_path / "b.zip")) if "--bundle" in words else ()

        ran = run(*asked, *more, *RANGE, *where)

    assert ran.status == 0, ran.err
    assert RESTING in ran.out

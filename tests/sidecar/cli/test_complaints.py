"""What a command says when it cannot do what was asked: a sentence, a remedy, an exit code; JSON if asked."""

import gzip
import json
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.sidecars import world
from tests.sidecar.cli.commands import END, RESTING, START, history, run, spawn

TOKEN = "a-token-of-some-length"
RANGE = ("--since", str(START), "--until", str(END))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one resting instance."""
    return history(tmp_path_factory.mktemp("complaints"), RESTING)


@pytest.fixture(scope="module")
def exported(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Its signals in each form, and its evidence."""
    folder = tmp_path_factory.mktemp("forms")
    paths = {form: folder / f"x.{form}" for form in ("ndjson", "csv", "parquet", "zip")}
    for form, path in paths.items():
        more = ("--bundle",) if form == "zip" else ()
        assert run("export", RESTING, *more, "-o", str(path), *RANGE, "--data-dir", str(data_dir)).status == 0
    return paths


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("csv", "is a CSV table; import takes NDJSON"),
        ("parquet", "is a Parquet file; import takes NDJSON"),
        ("zip", "`sidecar verify` reads it"),
        ("gz", "unpack it first"),
        ("json", "one object a line"),
        ("sqlite", "name it as sqlite:///FILE"),
        ("bin", "is no text"),
    ],
)
def test_another_kind_of_file_is_named_in_one_sentence(
    exported: dict[str, Path], tmp_path: Path, form: str, told: str
) -> None:
    """Instead of a hundred lines that are no JSON; and no store is made for it."""
    path = exported.get(form, tmp_path / f"x.{form}")
    if form == "gz":
        path.write_bytes(gzip.compress(b"{}\n"))
    elif form == "json":
        path.write_text("[{}]")
    elif form == "bin":
        path.write_bytes(b"\x7fELF\0\0\0")
    elif form == "sqlite":
        sqlite3.connect(path).execute("CREATE TABLE x (y)").connection.close()

    ran = run("import", str(path), "--data-dir", str(tmp_path / "d"))

    assert ran.status == 2
    assert told in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_a_csv_table_through_a_pipe_is_named_too(exported: dict[str, Path], tmp_path: Path) -> None:
    """Stdin has no name and no size."""
    ran = run("import", "-", "--data-dir", str(tmp_path), stdin=exported["csv"].read_text())

    assert ran.status == 2
    assert ran.err.startswith("sidecar: stdin is a CSV table")


@pytest.mark.parametrize(
    ("source", "status", "told"),
    [
        ("sqlite:////no/such/file.db", 2, "there is no file /no/such/file.db"),
        ("postgresql://u:secret@127.0.0.1:9/x", 3, "SOURCE cannot be read"),
        ("sqlite:///{empty}", 1, "has no table reputation_signal"),
        ("sqlite:///{junk}", 3, "SOURCE cannot be read"),
    ],
)
def test_a_source_in_trouble_is_not_taken_for_the_store(
    tmp_path: Path, source: str, status: int, told: str
) -> None:
    """The operator looks at the right database; its password is not shown."""
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE x (y)").connection.close()
    (tmp_path / "junk.db").write_text("no database " * 100)
    source = source.format(empty=tmp_path / "empty.db", junk=tmp_path / "junk.db")

    ran = run("import", source, "--data-dir", str(tmp_path / "d"))

    assert ran.status == status, ran.err
    assert told in ran.err
    assert "secret" not in ran.err
    assert "the store" not in ran.err


@pytest.mark.parametrize("url", ["postgresql://u:secret@127.0.0.1:9/x", "sqlite:///{junk}"])
def test_a_store_in_trouble_is_told_with_its_remedy(tmp_path: Path, url: str) -> None:
    """What failed, and where to look."""
    (tmp_path / "junk.db").write_text("no database " * 100)

    ran = run("instances", data_dir=str(tmp_path), database_url=url.format(junk=tmp_path / "junk.db"))

    assert ran.status == 3
    assert "the store cannot be used" in ran.err
    assert "sidecar doctor" in ran.err
    assert "secret" not in ran.err


@pytest.mark.parametrize("command", ["timeline", "decisions", "explain", "replay", "export"])
def test_a_name_nobody_heard_of_is_told(data_dir: Path, tmp_path: Path, command: str) -> None:
    """Nothing printed and exit 0 looks like a quiet number."""
    ran = run(command, "nobody", "--data-dir", str(data_dir))
    file = ("-o", str(tmp_path / "x.csv")) if command == "export" else ()
    parsed = run(command, "nobody", *file, "--json", "--data-dir", str(data_dir))

    assert (ran.status, parsed.status) == (1, 1)
    assert "no signal of this instance was ever recorded: nobody" in ran.err
    assert parsed.json["error"]["exitCode"] == 1


@pytest.mark.parametrize("command", ["timeline", "decisions"])
def test_a_known_number_with_nothing_in_range_says_so(data_dir: Path, command: str) -> None:
    """With how to ask for more; it is no failure."""
    asked = (command, RESTING, "--until", str(START - 1), "--data-dir", str(data_dir))

    ran, parsed = run(*asked), run(*asked, "--json")

    assert (ran.status, ran.out) == (0, "")
    assert "--since and --until widen it" in ran.err
    assert parsed.json == []


def test_a_wrong_token_is_told_apart_from_a_missing_one(tmp_path: Path) -> None:
    """Set is not right."""
    with world(tmp_path, admin_token=TOKEN) as (_, sidecar, _):
        url = f"http://{sidecar.listeners['admin']}"
        missing = run("instances", "--url", url)
        wrong = run("instances", "--url", url, "--json", admin_token="another-token")

    assert (missing.status, wrong.status) == (2, 2)
    assert "wants its token; set SIDECAR_ADMIN_TOKEN" in missing.err
    assert "refuses the token it was shown; correct SIDECAR_ADMIN_TOKEN" in wrong.err
    assert "another-token" not in wrong.err + wrong.out


def test_a_broken_configuration_file_is_told_apart_from_a_missing_one(tmp_path: Path) -> None:
    """Only one of them does not exist."""
    (tmp_path / "bad.toml").write_text("window_ms = \n")

    broken = run("check", "--config", str(tmp_path / "bad.toml"))
    missing = run("check", "--config", str(tmp_path / "none.toml"))

    assert "correct it there" in broken.err
    assert "name an existing file" not in broken.err
    assert "name a readable TOML file" in missing.err


@pytest.mark.parametrize(
    "args",
    [
        ("export", RESTING, "--bundle", "--url", "http://127.0.0.1:9"),
        ("export", RESTING, "--bundle", "--format", "csv"),
        ("export", RESTING, "--bundle", "--restart"),
        ("timeline", RESTING, "--follow", "--limit", "3"),
        ("timeline", RESTING, "--follow", "--desc"),
        ("timeline", RESTING, "--follow", "--until", "1h"),
        ("replay", "--rules", "x.toml", "--url", "http://127.0.0.1:9"),
        ("export", RESTING, "-o", "{tmp}/a.xyz"),
        ("export", RESTING, "-o", "{tmp}/a"),
    ],
)
def test_what_would_be_ignored_is_refused(data_dir: Path, tmp_path: Path, args: tuple[str, ...]) -> None:
    """An option that changes nothing looks as if it had been obeyed."""
    words = [word.format(tmp=tmp_path) for word in args]

    ran = run(*words, "--data-dir", str(data_dir))

    assert ran.status == 2
    assert ran.err.startswith("sidecar: ")
    assert ";" in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "form"), [("a.jsonl", None), ("a.xyz", "ndjson"), ("A.NDJSON", None)])
def test_a_form_that_is_named_is_honoured(
    data_dir: Path, tmp_path: Path, exported: dict[str, Path], name: str, form: str | None
) -> None:
    """By the option, or by any usual ending."""
    more = ("--format", form) if form else ()

    ran = run("export", RESTING, *more, "-o", str(tmp_path / name), *RANGE, "--data-dir", str(data_dir))

    assert ran.status == 0, ran.err
    assert (tmp_path / name).read_bytes() == exported["ndjson"].read_bytes()


FAILING: dict[str, tuple[str, ...]] = {
    "no bundle": ("verify", "{tmp}/none.zip"),
    "a directory as bundle": ("verify", "{tmp}"),
    "no such option": ("instances", "--nonsense"),
    "no such command": ("nonsense",),
    "too little": ("explain",),
    "not a number": ("decisions", "x", "--limit", "many"),
    "no store": ("store", "--data-dir", "{tmp}/none"),
    "nobody answers": ("instances", "--url", "http://127.0.0.1:9"),
    "no URL": ("instances", "--url", "nonsense"),
    "no time": ("timeline", "x", "--since", "yesterday"),
    "no journal": ("journal", "verify", "--data-dir", "{tmp}/none"),
    "no act": ("journal", "polish"),
    "a fault in the settings": ("doctor", "--config", "{tmp}/none.toml"),
    "nothing to forget": ("forget",),
    "no rules": ("replay", "--rules", "{tmp}/none.toml", "--data-dir", "{tmp}"),
    "no source": ("import", "{tmp}/none", "--data-dir", "{tmp}/d"),
    "no directory to write": ("export", "-o", "{tmp}/none/x.csv", "--data-dir", "{tmp}/none"),
    "a migration of nothing": ("migrate", "--window-ms", "3"),
    "no provider": ("check",),
    "no start": ("run",),
    "no data directory to start with": (
        "run",
        "--provider-url",
        "http://127.0.0.1:9",
        "--data-dir",
        "/proc/x",
    ),
    "no journal there": ("journal", "verify", "--data-dir", "{tmp}"),
    "a demo that cannot listen": ("demo", "--duration", "1", "--admin-listen", "nonsense"),
}


@pytest.mark.parametrize("name", FAILING)
@pytest.mark.slow  # processes: what parses the words is part of what is tested
def test_who_asks_for_json_gets_json_whatever_happens(tmp_path: Path, name: str) -> None:
    """One JSON value on stdout, a documented exit code, and no traceback."""
    ran = spawn(*(word.format(tmp=tmp_path) for word in FAILING[name]), "--json")

    assert ran.status in {1, 2, 3}, ran
    assert isinstance(json.loads(ran.out), dict)


def test_a_name_that_is_no_utf_8_is_a_sentence(data_dir: Path) -> None:
    """As a terminal of another encoding sends it."""
    ran = run("timeline", "caf\udce9", "--data-dir", str(data_dir))

    assert ran.status == 2
    assert "no UTF-8" in ran.err


@pytest.mark.parametrize("target", ["{tmp}", "{tmp}/none/x.zip"])
def test_a_bundle_that_cannot_be_written_names_the_file_that_was_asked_for(
    data_dir: Path, tmp_path: Path, target: str
) -> None:
    """Not the draft beside it."""
    path = target.format(tmp=tmp_path)

    ran = run("export", "--bundle", RESTING, "-o", path, "--data-dir", str(data_dir))

    assert ran.status in {1, 2}
    assert ran.err.startswith(f"sidecar: {path} ")
    assert "--output" in ran.err


def test_settings_are_shown_as_one_would_write_them() -> None:
    """Nothing of Python shows."""
    ran = run("check", provider_url="http://127.0.0.1:3000")

    assert ran.status == 0
    assert not {"None", "True", "False", "()", "[]"} & set(ran.out.split())
    assert any(line.split()[1:2] == ["true"] for line in ran.out.splitlines() if "METRICS_PUBLIC" in line)
    assert any(line.split()[1:2] == ["-"] for line in ran.out.splitlines() if "DISPATCHER_URL" in line)


def test_the_demo_says_where_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback where no temporary directory can be written, but how to go on."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))

    ran = run("demo", "--duration", "1")

    assert ran.status == 1
    assert "name one with --data-dir" in ran.err

"""What docs and runbooks say about the command line is what it does; and how the command line behaves."""

import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from docs.print_tables import renewed
from sidecar.cli import errors
from sidecar.cli.app import app
from tests.sidecar.cli.commands import RESTING, clean_environment, history, run, spawn
from tests.sidecar.cli.transcript import renewed as with_transcript

ROOT = Path(__file__).parents[3]
GROUP: Any = typer.main.get_command(app)
PAGES = [
    path
    for pattern in ("*.md", "docs/**/*.md", "dashboards/**/*.md", "deploy/**/*.md")
    for path in sorted(ROOT.glob(pattern))
]


def written_commands(text: str) -> list[str]:
    """Find command lines: in code spans, and at the start of a line of a code block."""
    spans = re.findall(r"`(sidecar [a-z-][^`\n]*)`", text)
    lines = re.findall(
        r"^(?:\$ )?(sidecar [a-z-].*)$", "\n".join(re.findall(r"```.*?```", text, re.DOTALL)), re.MULTILINE
    )
    return [*spans, *lines]


def test_every_command_that_is_written_anywhere_exists() -> None:
    """An alert at night names a command and flags that are really there."""
    wrong, seen = [], set()
    for page in PAGES:
        for line in written_commands(page.read_text("utf-8")):
            name, *words = shlex.split(line.split(" # ")[0])[1:]
            if name.startswith("--"):
                continue
            seen.add(name)
            try:
                if name not in GROUP.commands:
                    raise LookupError(name)  # noqa: TRY301 - told with the others below
                if words:
                    GROUP.commands[name].make_context(name, list(words))
            except Exception as error:  # noqa: BLE001 - whatever refuses it is the finding
                wrong.append(f"{page.relative_to(ROOT)}: {line!r}: {error}")

    assert wrong == []
    assert {"doctor", "journal", "verify", "replay", "explain", "export", "import"} <= seen


def test_the_runbook_of_an_unbalanced_ledger_verifies_the_journal() -> None:
    """`sidecar verify` is about bundles."""
    runbook = (ROOT / "dashboards/runbooks/ReputationLedgerUnbalanced.md").read_text("utf-8")

    assert "`sidecar journal verify`" in runbook


def test_the_reference_of_all_commands_is_that_of_the_code() -> None:
    """`make docs` mends it."""
    page = (ROOT / "docs/cli.md").read_text("utf-8")

    assert renewed(page) == page
    assert all(f"### `sidecar {name}" in page for name in GROUP.commands)


def test_the_transcript_in_the_docs_is_what_a_terminal_shows(tmp_path: Path) -> None:
    """Rule, threshold, observed value and signals of a number in cooldown; `make docs` mends it."""
    page = (ROOT / "docs/cli.md").read_text("utf-8")

    assert with_transcript(page, history(tmp_path, RESTING)) == page
    assert "C1: deliveredRate < 0.25 (observed " in page


def test_every_exit_code_is_documented() -> None:
    """Scripts rely on them."""
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    codes = [
        errors.DONE,
        errors.FAILED,
        errors.CONFIGURATION,
        errors.UNREACHABLE,
        errors.UNPROVEN,
        errors.INTERRUPTED,
    ]

    assert re.findall(r"^\| (\d+) \|", page, re.MULTILINE) == [str(code) for code in codes]


def test_every_command_explains_itself_and_speaks_json() -> None:
    """No command is left out, and none without a sentence."""
    for name, command in GROUP.commands.items():
        assert command.help, name
        assert "--json" in {option for param in command.params for option in param.opts}, name


@pytest.mark.parametrize("name", sorted(GROUP.commands))
def test_help_of_every_command_is_printed(name: str) -> None:
    """With exit 0, whatever the settings are."""
    ran = run(name, "--help", workers="nonsense")

    assert ran.status == 0
    assert name in ran.out


HEAVY = (
    "aiohttp",
    "sqlalchemy",
    "uvloop",
    "opentelemetry",
    "alembic",
    "prometheus_client",
    "psycopg",
    "pyarrow",
)


def test_help_loads_nothing_heavy_and_comes_at_once() -> None:
    """Asking what there is must not cost the start of a server: 0.3 s of CPU, most of it rich's."""
    code = (
        "import sys, time, runpy\n"
        "sys.argv = ['sidecar', '--help']\n"
        "try: runpy.run_module('sidecar', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)\n"
        "print(time.process_time())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True, check=True
    )

    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert loaded.isdisjoint(HEAVY)
    assert float(done.stdout.splitlines()[-1]) < 0.6  # twice the aim: CPUs of test machines differ


def test_completion_knows_commands_and_flags() -> None:
    """As bash asks for it behind `sidecar --install-completion`."""

    def completed(words: str) -> str:
        asking = {
            "_SIDECAR_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        code = "from sidecar.__main__ import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**clean_environment(), **asking},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout

    assert "export" in completed("sidecar exp").split()
    assert "--bundle" in completed("sidecar export --bun").split()


def test_a_reader_that_has_seen_enough_costs_no_complaint(tmp_path: Path) -> None:
    """`sidecar export | head` ends in silence."""
    data_dir = history(tmp_path, *(f"n{number}" for number in range(60)))
    command = [sys.executable, "-m", "sidecar", "export", "--data-dir", str(data_dir)]
    env = {**clean_environment(), "SIDECAR_ADMIN_LISTEN": "127.0.0.1:0"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()
        status = process.wait(30)

    assert complaint == b""
    assert status == 0


def test_ctrl_c_is_a_sentence_and_130(tmp_path: Path) -> None:
    """Nothing of Python shows."""
    pipe = tmp_path / "pipe"
    command = [sys.executable, "-m", "sidecar", "import", "-", "--data-dir", str(tmp_path / "d")]
    env = {**clean_environment(), "SIDECAR_ADMIN_LISTEN": "127.0.0.1:0"}
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 30
        while not (tmp_path / "d" / "reputation.sqlite").exists() and time.monotonic() < deadline:
            process.poll()
        process.send_signal(signal.SIGINT)
        complaint = process.stderr.read()
        status = process.wait(30)

    assert complaint == b"sidecar: interrupted\n"
    assert status == errors.INTERRUPTED
    assert not pipe.exists()


def test_wrong_usage_is_told_with_exit_2() -> None:
    """By typer itself, in a sentence."""
    ran = spawn("export", "--no-such-flag")

    assert ran.status == 2
    assert "--no-such-flag" in ran.err

"""The commands as a user runs them: real processes, a real sidecar behind them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sidecars import Answer, Seen, Sidecar, until, world
from tests.sidecar.cli.commands import Ran, run

TOKEN = "a-token-of-some-length"
SEND = json.dumps({"to": "5511900000001", "text": "x"}).encode()


def failing(seen: Seen) -> Answer:
    """A gateway that refuses every send."""
    del seen
    return Answer(400, {"Content-Type": "application/json"}, b'{"success":false,"error":{"message":"no"}}')


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar with one instance that fails and that an operator sent to rest."""
    with world(tmp_path_factory.mktemp("cli"), gateway=failing, admin_token=TOKEN) as (_, sidecar, _):
        for _ in range(3):
            sidecar.request("dispatch", "POST", "/message/vendas-01/text", SEND)
        bearer = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        until(
            lambda: (
                sidecar.request("admin", "POST", "/v1/instances/vendas-01/cooldown", b"{}", bearer).status
                == 200
            )
        )
        yield sidecar


def ask(running: Sidecar, *args: str) -> Ran:
    return run(*args, "--url", f"http://{running.listeners['admin']}", admin_token=TOKEN)


def test_instances_lists_what_needs_attention(running: Sidecar) -> None:
    """For people as a table, for programs as JSON."""
    shown, parsed = ask(running, "instances"), ask(running, "instances", "--json")

    assert (shown.status, parsed.status) == (0, 0), shown.err + parsed.err
    assert "vendas-01" in shown.out
    assert "MANUAL_INTERVENTION" in shown.out
    assert [one["instanceId"] for one in json.loads(parsed.out)] == ["vendas-01"]


def test_timeline_shows_the_signals_and_takes_filters(running: Sidecar) -> None:
    """The same answer as the API's, over as many pages as it takes."""
    shown = ask(running, "timeline", "vendas-01")
    parsed = ask(running, "timeline", "vendas-01", "--type", "MESSAGE_FAILED", "--limit", "2", "--json")

    assert "message failed" in shown.out
    assert [one["type"] for one in json.loads(parsed.out)] == ["MESSAGE_FAILED"] * 2


def test_explain_tells_the_reason_and_what_would_end_it(running: Sidecar) -> None:
    """Why is this number in cooldown?"""
    shown = ask(running, "explain", "vendas-01")

    assert shown.status == 0, shown.err
    assert "for MANUAL_INTERVENTION" in shown.out
    assert "an operator ends it" in shown.out


def test_decisions_are_listed_newest_first(running: Sidecar) -> None:
    """The operator's act stands on top."""
    found = json.loads(ask(running, "decisions", "vendas-01", "--json").out)

    assert found[0]["reason"] == "OPERATOR"


@pytest.mark.parametrize(
    ("args", "status", "told"),
    [
        (("explain", "nobody"), 1, "no signal of this instance"),
        (("timeline", "vendas-01", "--since", "yesterday"), 2, "since must be"),
    ],
)
def test_errors_are_sentences(running: Sidecar, args: tuple[str, ...], status: int, told: str) -> None:
    """Never a traceback."""
    ran = ask(running, *args)

    assert ran.status == status
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_a_missing_token_is_told_with_its_remedy(running: Sidecar) -> None:
    """The sidecar is there, only closed."""
    ran = run("instances", "--url", f"http://{running.listeners['admin']}")

    assert ran.status == 2
    assert "SIDECAR_ADMIN_TOKEN" in ran.err


def test_where_no_sidecar_runs_that_is_said_with_status_3() -> None:
    """Scripts tell "not reachable" from "failed"."""
    ran = run("instances", "--url", "http://127.0.0.1:9")

    assert ran.status == 3
    assert "no sidecar answers at http://127.0.0.1:9" in ran.err


def test_migrate_makes_the_schema_once(tmp_path: Path) -> None:
    """The second run finds nothing to do."""
    first = run("migrate", "--data-dir", str(tmp_path), "--json")
    second = run("migrate", "--data-dir", str(tmp_path))

    assert json.loads(first.out)["applied"]
    assert (second.status, second.out) == (0, "the schema is up to date\n")


def test_migrate_beside_a_running_sidecar_is_refused_with_status_3(running: Sidecar) -> None:
    """One SQLite file serves one process."""
    ran = run("migrate", "--data-dir", str(running.data_dir))

    assert ran.status == 3
    assert "another sidecar" in ran.err


def test_the_journal_of_a_running_sidecar_can_be_looked_at(running: Sidecar) -> None:
    """Inspecting and verifying change nothing and need no stop."""
    inspected = run("journal", "inspect", "--data-dir", str(running.data_dir))
    verified = run("journal", "verify", "--data-dir", str(running.data_dir), "--json")

    assert (inspected.status, verified.status) == (0, 0), inspected.err + verified.err
    assert "its worker lives" in inspected.out
    assert json.loads(verified.out)["sound"] is True


def test_verify_finds_damage_and_repair_says_what_it_did(tmp_path: Path) -> None:
    """What a start would do is known before it."""
    folder = tmp_path / "journal" / "w0-1768500000000-17"
    folder.mkdir(parents=True)
    (folder / "00000001.seg").write_bytes(os.urandom(5000))

    verified = run("journal", "verify", "--data-dir", str(tmp_path))
    repaired = run("journal", "repair", "--data-dir", str(tmp_path))

    assert verified.status == 1
    assert "DAMAGED" in verified.out
    assert repaired.status == 0
    assert repaired.out != "nothing to repair\n"


@pytest.mark.parametrize(
    "args", [("journal", "polish"), ("journal", "verify", "--data-dir", "/does/not/exist")]
)
def test_wrong_usage_exits_2(args: tuple[str, ...]) -> None:
    """With the choices or the remedy."""
    ran = run(*args)

    assert ran.status == 2
    assert ran.err.startswith("sidecar: ")

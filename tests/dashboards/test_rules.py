"""Rules and alerts: checked and tested by Prometheus' own tool, each alert complete, each runbook useful."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from dashboards.runbook_address import FILES, addressed
from dashboards.runbook_address import main as name_address
from sidecar.cli.app import app
from sidecar.cli.journal import ACTIONS
from sidecar.settings import options
from sidecar.telemetry import CATALOGUE as EVENTS
from tests.dashboards import queries
from tests.dashboards.promtool import needs_promtool

ALERTS = queries.alerts()
TESTS = sorted((queries.ROOT / "prometheus" / "tests").glob("*_test.yml"))
IDS = [alert.name for alert in ALERTS]

each_alert = pytest.mark.parametrize("alert", ALERTS, ids=IDS)


@needs_promtool
@pytest.mark.parametrize("name", ["rules.yml", "alerts.yml"])
def test_promtool_accepts_the_rules(name: str) -> None:
    """Syntax and lint, faults are fatal."""
    file = queries.ROOT / "prometheus" / name

    checked = subprocess.run(
        ["promtool", "check", "rules", "--lint-fatal", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_promtool
def test_promtool_accepts_the_configuration() -> None:
    """The scrape configuration names rule files that exist."""
    file = queries.ROOT / "prometheus" / "prometheus.yml"

    checked = subprocess.run(
        ["promtool", "check", "config", str(file)], capture_output=True, text=True, check=False, timeout=60
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_promtool
@pytest.mark.parametrize("file", TESTS, ids=[path.stem for path in TESTS])
def test_promtool_tests_pass(file: Path) -> None:
    """Silent one step before the limit, firing on it, silent after recovery and without data."""
    ran = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=120
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


@each_alert
def test_an_alert_is_complete(alert: queries.Alert) -> None:
    """Name, severity, `for`, texts that end, and a runbook named after it."""
    assert re.fullmatch(r"Reputation[A-Z][A-Za-z]+", alert.name)
    assert re.search(r"severity: (critical|warning|info)", alert.block)
    assert re.fullmatch(r"\d+m", alert.field("for"))
    assert alert.field("summary").endswith(".")
    assert alert.field("description").endswith(".")
    assert re.fullmatch(rf"https?://\S+/{alert.name}\.md", alert.field("runbook_url"))


@each_alert
def test_an_alert_asks_for_metrics_and_labels_that_exist(alert: queries.Alert) -> None:
    """Compared with the exporter's catalogue, the recording rules and the event catalogue."""
    known = queries.known()
    expr = alert.block.split("for:")[0]
    names = queries.metric_names(expr)

    assert names
    assert names <= known.keys()
    allowed = set().union(*(known[name] for name in names))
    assert queries.label_names(expr) <= allowed
    used = set(re.findall(r"\$labels\.(\w+)", alert.block))
    assert used <= allowed
    for event in re.findall(r'event="([^"]+)"', expr):
        assert event in EVENTS


@each_alert
def test_an_alert_is_tested_before_on_and_behind_its_limit(alert: queries.Alert) -> None:
    """At least one silent moment, one firing with its texts, and a case without data."""
    text = "\n".join(path.read_text("utf-8") for path in TESTS if path.stem != "no_data_test")
    silent = re.findall(rf"alertname: {alert.name}, exp_alerts: \[\]", text)
    firing = re.findall(rf"alertname: {alert.name}\n\s+exp_alerts:\n\s+- exp_labels", text)

    assert len(silent) >= 2
    assert firing
    assert f"alertname: {alert.name}" in (
        queries.ROOT / "prometheus" / "tests" / "no_data_test.yml"
    ).read_text("utf-8")


@each_alert
def test_an_alert_has_a_runbook_that_says_what_to_do(alert: queries.Alert) -> None:
    """Meaning, cost, how to find out, steps, and when it is over."""
    page = (queries.RUNBOOKS / f"{alert.name}.md").read_text("utf-8")

    assert page.startswith(f"# {alert.name}\n")
    for part in ("**What it costs.**", "## Find out", "## Do", "## Over when"):
        assert part in page
    assert len(re.findall(r"^\d\. ", page, re.MULTILINE)) >= 2
    assert len(re.findall(r"^- \*\*", page, re.MULTILINE)) >= 2


@pytest.mark.parametrize("page", sorted(queries.RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_what_runbooks_tell_to_run_exists(page: Path, openapi: dict[str, Any]) -> None:
    """Commands, settings, requests with their parameters, and log lines; at night nobody guesses."""
    text = page.read_text("utf-8")
    commands = get_command(app).commands.keys()  # type: ignore[attr-defined]  # several commands make a group
    settings = {option.env for option in options()} | {"SIDECAR_CONFIG", "SIDECAR_ADMIN_TOKEN_FILE"}

    for command, action in re.findall(r"`sidecar ([a-z]+) ?([a-z]+)?[^`]*`", text):
        assert command in commands, command
        assert command != "journal" or action in ACTIONS
    assert set(re.findall(r"\bSIDECAR_[A-Z_]+\b", text)) <= settings
    for path, query in re.findall(r"\$ADMIN(/[^\s\"?`]*)\??([^\s\"`]*)", text):
        operations = openapi["paths"][path.replace("$INSTANCE", "{instanceId}")]
        asked = {pair.split("=")[0] for pair in query.split("&") if pair}
        known = (
            {parameter["name"] for parameter in operations["get"].get("parameters", ())} if asked else asked
        )
        assert asked <= known, path
        assert not path.endswith("/timeline") or "since" in asked, "half an hour is too short at night"
        assert "-X DELETE" not in text or "delete" in openapi["paths"]["/v1/instances/{instanceId}/cooldown"]
    for lines in re.findall(r"log lines? ((?:`[a-z._]+`(?:, | and )?)+)", text):
        assert set(re.findall(r"`([^`]+)`", lines)) <= EVENTS.keys(), lines


@each_alert
def test_a_description_names_what_the_alert_is_about(alert: queries.Alert) -> None:
    """The instance, the sidecar, or what the traffic goes between: a pager shows one line."""
    subjects = ("instance_id", "instance", "provider", "direction", "name")
    if "absent(" in alert.block:
        return

    shown = alert.field("summary") + alert.field("description")

    assert any(f"$labels.{subject} " in shown for subject in subjects)
    for subject in ("instance_id", "instance"):
        if f"$labels.{subject} " in alert.field("summary"):
            assert f"$labels.{subject} " in alert.field("description")


def test_every_runbook_stands_below_one_address_and_that_can_be_named() -> None:
    """`make dashboards RUNBOOKS_URL=...` reaches each link of the alerts and of what is expected of them."""
    links = {alert.field("runbook_url").rpartition("/")[0] for alert in ALERTS}
    assert len(links) == 1
    [before] = links

    for file in FILES:
        text = file.read_text("utf-8")
        moved = addressed(text, "https://wiki.test/sidecar/")
        assert moved.count("https://wiki.test/sidecar/Reputation") == text.count(f"{before}/Reputation")
        assert before not in moved
        assert addressed(moved, before) == text


@pytest.mark.parametrize("address", ["", "wiki.test", "ftp://wiki.test", "https://wiki.test/a b"])
def test_an_address_no_browser_opens_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is rewritten; the message says what is expected."""
    monkeypatch.setattr("sys.argv", ["runbook_address", address])

    assert name_address() == 2
    assert "RUNBOOKS_URL=https://" in capsys.readouterr().err


def test_no_runbook_is_left_over() -> None:
    """Every page belongs to an alert."""
    pages = {path.stem for path in queries.RUNBOOKS.glob("*.md")} - {"README"}

    assert pages == set(IDS)


@pytest.mark.parametrize("page", sorted(queries.RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_runbooks_speak_of_things_that_exist(page: Path) -> None:
    """Metrics, panels and other alerts they point to."""
    text = page.read_text("utf-8")
    titles = {
        queries.board(path)["title"].split(" / ")[1]: {
            panel["title"] for panel in queries.panels(queries.board(path))
        }
        for path in queries.BOARDS
    }

    assert queries.metric_names(text) <= queries.known().keys()
    for board, panels in re.findall(r"board \*([^*]+)\*[^.:]*?, panels? ((?:\*[^*]+\*(?: and )?)+)", text):
        for panel in re.findall(r"\*([^*]+)\*", panels):
            assert panel in titles[board], (board, panel)
    for other in re.findall(r"\bReputation[A-Z]\w+", text):
        assert other in IDS

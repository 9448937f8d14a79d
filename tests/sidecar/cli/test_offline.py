"""Reading commands where no sidecar runs: the store answers, and nothing in the directory changes."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from domain.rules import RULES
from sidecar.api.times import iso
from tests.sidecar.cli.commands import END, OTHER, RESTING, START, history, run


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two instances, one of an odd name."""
    return history(tmp_path_factory.mktemp("offline"), RESTING, OTHER)


def test_instances_are_read_from_the_store(data_dir: Path) -> None:
    """An operator can look although the sidecar is down."""
    ran = run("instances", "--data-dir", str(data_dir), "--json")

    assert [one["instanceId"] for one in ran.json] == [RESTING, OTHER]
    assert {one["cooldownReason"] for one in ran.json} == {"MANUAL_INTERVENTION"}


def test_the_timeline_pages_and_says_when_there_is_more(data_dir: Path) -> None:
    """A cut answer never looks complete."""
    bounds = ("--since", str(START), "--until", str(END))
    cut = run("timeline", OTHER, *bounds, "--limit", "5", "--data-dir", str(data_dir), "--json")
    whole = run("timeline", OTHER, *bounds, "--data-dir", str(data_dir), "--json")
    shown = run("timeline", OTHER, *bounds, "--type", "MESSAGE_FAILED", "--data-dir", str(data_dir))

    assert len(cut.json) == 5
    assert "there is more" in cut.err
    assert len(whole.json) == 32
    assert cut.json == whole.json[:5]
    assert "7 facts lost" in whole.err
    assert shown.out.count("message failed") == 4


def test_explain_names_rule_threshold_observed_value_and_signals(data_dir: Path) -> None:
    """Why did this number rest a second after its delivery dropped?"""
    at = START + 10 * 60_000

    ran = run("explain", RESTING, "--at", str(at), "--data-dir", str(data_dir))
    parsed = run("explain", RESTING, "--at", str(at), "--data-dir", str(data_dir), "--json").json

    assert ran.status == 0, ran.err
    assert "for DELIVERY_DROP" in ran.out
    assert "C1: deliveredRate < 0.25 (observed 0." in ran.out
    assert "messagesSent >= 20" in ran.out
    entered = parsed["cooldown"]["enteredBy"]
    ids = {signal["id"] for signal in parsed["signals"]}
    assert [rule["id"] for rule in entered] == ["C1"]
    assert set(entered[0]["signalIds"]) & ids
    started = parsed["reputation"]["cooldownStartedAt"]
    assert parsed["decision"]["evaluatedAt"] == started
    assert f"not before {parsed['cooldown']['notBefore']}" in ran.out


def test_explain_tells_what_would_end_the_cooldown(data_dir: Path) -> None:
    """An hour is the least, and then the rule that still holds is named."""
    early = run("explain", RESTING, "--at", str(START + 10 * 60_000), "--data-dir", str(data_dir), "--json")
    late = run(
        "explain",
        RESTING,
        "--at",
        str(END + RULES.cooldown_stay_ms - 1),
        "--data-dir",
        str(data_dir),
        "--json",
    )

    assert "not while this holds: C1" in early.json["cooldown"]["ends"]
    assert "C5: score < 30 (observed" in late.json["cooldown"]["ends"]
    assert "rises by replies only" in late.json["cooldown"]["ends"]


def test_decisions_are_listed_with_their_rules(data_dir: Path) -> None:
    """Newest first, and a cut list is said to be cut."""
    ran = run("decisions", RESTING, "--data-dir", str(data_dir), "--json")
    cut = run("decisions", RESTING, "--limit", "1", "--data-dir", str(data_dir))

    assert ran.json[0]["reason"] == "OPERATOR"
    assert ran.json[0]["evaluatedAt"] == iso(END)
    assert any(rule["id"] == "C1" for one in ran.json for rule in one["explanation"])
    assert "older decisions" in cut.err


def test_replay_reproduces_every_decision(data_dir: Path) -> None:
    """The stored signals prove what was decided."""
    ran = run("replay", RESTING, "--data-dir", str(data_dir), "--json")

    assert ran.status == 0, ran.err
    assert ran.json["reproduced"] is True
    assert ran.json["decisions"] >= 2


def test_replay_asks_each_decision_for_its_own_window(data_dir: Path) -> None:
    """A shell with other settings than the sidecar's proves the same."""
    ran = run("replay", RESTING, "--data-dir", str(data_dir), "--json", window_ms="300000")

    assert ran.status == 0, ran.err
    assert ran.json["reproduced"] is True


def changed_decisions(data_dir: Path, copy: Path, statement: str) -> Path:
    """Give a copy of the data directory with its decisions changed."""
    shutil.copytree(data_dir, copy)
    with sqlite3.connect(copy / "reputation.sqlite") as connection:
        connection.execute(statement)
    connection.close()
    return copy


def test_a_changed_decision_exits_1_with_the_first_difference(data_dir: Path, tmp_path: Path) -> None:
    """A difference is found, named and told to scripts."""
    changed = changed_decisions(
        data_dir,
        tmp_path / "copy",
        """UPDATE reputation_decision SET body = replace(body, '"cooldownReason":"DELIVERY_DROP"',
           '"cooldownReason":"SCORE_THRESHOLD"') WHERE arrival > 1""",
    )

    ran = run("replay", RESTING, "--data-dir", str(changed), "--json")

    assert ran.status == 1
    assert ran.json["reproduced"] is False
    assert ran.json["difference"]["stored"] == "SCORE_THRESHOLD"


def test_decisions_of_other_rule_tables_exit_4_and_name_the_remedy(data_dir: Path, tmp_path: Path) -> None:
    """They are not wrong, only not to be judged by this version."""
    changed = changed_decisions(
        data_dir, tmp_path / "copy", "UPDATE reputation_decision SET ruleSet = 'older'"
    )

    shown = run("replay", RESTING, "--data-dir", str(changed))
    parsed = run("replay", RESTING, "--data-dir", str(changed), "--json")

    assert (shown.status, parsed.status) == (4, 4)
    assert "use the version that decided" in shown.out
    assert parsed.json["notReplayed"]["otherRules"] == parsed.json["decisions"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("rules.toml", '"C1.deliveredRate" = 0.0\n'), ("rules.json", '{"C1": {"deliveredRate": 0.0}}')],
)
def test_replay_with_other_rules_lists_where_they_part(
    data_dir: Path, tmp_path: Path, name: str, text: str
) -> None:
    """Without the delivery rule the number would not have rested then."""
    rules = tmp_path / name
    rules.write_text(text)

    ran = run("replay", RESTING, "--rules", str(rules), "--data-dir", str(data_dir), "--json")

    assert ran.status == 0, ran.err
    turns = ran.json["instances"][RESTING]
    assert turns[0]["decided"]["cooldownReason"] == "DELIVERY_DROP"
    assert turns[0]["instead"] is None or turns[0]["instead"]["cooldownReason"] is None
    assert ran.json["ruleSet"] != ran.json["otherRuleSet"]


@pytest.mark.parametrize("text", ['"C9.nothing" = 1\n', '"C1.deliveredRate" = "low"\n', "not toml"])
def test_other_rules_that_make_no_sense_are_refused(data_dir: Path, tmp_path: Path, text: str) -> None:
    """A misspelt constant must not silently change nothing."""
    rules = tmp_path / "rules.toml"
    rules.write_text(text)

    ran = run("replay", RESTING, "--rules", str(rules), "--data-dir", str(data_dir))

    assert ran.status == 2
    assert ran.out == ""


def test_store_says_what_is_held(data_dir: Path) -> None:
    """Size, revision, rows and dates."""
    held = run("store", "--data-dir", str(data_dir), "--json").json

    assert held["backend"] == "sqlite"
    assert held["tables"]["reputation_signal"] == 64
    assert held["revision"] == held["latestRevision"]
    assert held["sizeBytes"] > 4096
    assert held["oldestSignalAt"] == iso(START)


def test_reading_leaves_no_trace_where_there_is_nothing(tmp_path: Path) -> None:
    """A misspelt directory is told, not made."""
    missing = tmp_path / "nowhere"

    ran = run("instances", "--data-dir", str(missing))

    assert ran.status == 3
    assert "there is no store" in ran.err
    assert not missing.exists()


def test_follow_needs_a_running_sidecar(data_dir: Path) -> None:
    """Nothing would ever come."""
    ran = run("timeline", RESTING, "--follow", "--data-dir", str(data_dir))

    assert ran.status == 3
    assert "--follow" in ran.err


def test_an_unknown_instance_is_a_sentence(data_dir: Path) -> None:
    """With where to look."""
    ran = run("explain", "nobody", "--data-dir", str(data_dir))

    assert ran.status == 1
    assert "no signal of this instance was ever recorded" in ran.err

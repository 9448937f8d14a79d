"""`sidecar export --bundle` and `sidecar verify`: what was decided is proven by the file alone."""

import gc
import hashlib
import io
import json
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.decision import decision_id
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import initial, setting_of, to_text
from domain.forget import ForgetPersonalIds
from domain.record_signal import RecordReputationSignal
from domain.retain import DropPastRetention
from domain.rule_constants import constants, with_constants
from domain.rules import RULES
from domain.words import ActionKind, SignalType, Source
from exporters.sql.store import SqlStore
from sidecar.api.times import iso, parse
from sidecar.configured import configured, tell_configuration, told_configurations
from sidecar.data_dir import DataDir
from sidecar.evidence import contents
from sidecar.evidence.archive import BundleBroken, Member, assemble, pack, stored, take_apart
from sidecar.evidence.forms import ConfigurationFile
from sidecar.evidence.gather import gather
from sidecar.evidence.recount import Recount
from sidecar.evidence.standing import Asked
from sidecar.evidence.verify import RECOUNTS_MAX, Verdict, verify
from sidecar.settings import Settings
from tests.builders import exchange, journal_slice, redacted_signal
from tests.e2e.sidecars import until, world
from tests.sidecar.cli.commands import END, MINUTE, RESTING, START, facts_of, history, run

HALF_HOUR = 30 * MINUTE
SECRET = "a-token-nobody-may-see"
BAD_STATE = {"at": 1, "seq": 1, "actions": 0, "setting": "x", "state": "[[["}
START_FILE: dict[str, Any] = {
    "base": None,
    "checkpoints": [],
    "seq": 1,
    "actions": 0,
    "evaluated": None,
    "otherDecisions": [],
}
NOBODY_TOLD = ConfigurationFile(taken_from="export", configurations=[])


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one resting instance."""
    return history(tmp_path_factory.mktemp("evidence"), RESTING)


def bundled(
    data_dir: Path, path: Path, *args: str, admin_token: str = "", window_ms: str = "1800000"
) -> Path:
    where = ("-o", str(path), "--data-dir", str(data_dir))
    asked = ("export", "--bundle", RESTING, "--until", str(END), *where, *args)
    ran = run(*asked, admin_token=admin_token, window_ms=window_ms)
    assert ran.status == 0, ran.out + ran.err
    assert "SOUND" in ran.out
    return path


@pytest.fixture(scope="module")
def bundle(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence of that instance."""
    return bundled(data_dir, tmp_path_factory.mktemp("bundle") / "b.zip", admin_token=SECRET)


def resealed(archive: bytes, changed: dict[str, bytes], **stated: object) -> bytes:
    """Forge a bundle: other content, with a manifest that vouches for it and states what is wanted."""
    members = {member.name: member for member in take_apart(archive)}
    manifest = json.loads(members[contents.MANIFEST].packed) | stated
    for name, content in changed.items():
        packed = pack(name, [content])
        members[name] = packed.member
        manifest["files"][name] = {
            "sha256": packed.sha256,
            "sizeBytes": len(content),
            "packedSha256": packed.member.packed_sha256,
        }
    text = contents.json_text(manifest)
    members[contents.MANIFEST] = stored(contents.MANIFEST, text)
    members[contents.MANIFEST_DIGEST] = stored(contents.MANIFEST_DIGEST, contents.digest_line(text))
    return assemble(list(members.values()))


def content(bundle: Path, name: str) -> bytes:
    with zipfile.ZipFile(bundle) as archive:
        return archive.read(name)


def content_of(archive: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read(name)


def test_a_bundle_verifies_away_from_its_sidecar(bundle: Path, tmp_path: Path) -> None:
    """No store, no configuration: the file alone, and it says how many decisions came out again."""
    moved = tmp_path / "elsewhere.zip"
    shutil.copy(bundle, moved)

    shown = run("verify", str(moved), data_dir=str(tmp_path / "none"))
    parsed = run("verify", str(moved), "--json", data_dir=str(tmp_path / "none")).json

    assert shown.status == 0
    assert "SOUND: every digest holds" in shown.out
    assert parsed["reproduced"] == parsed["decisions"] >= 3
    assert parsed["sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert not (tmp_path / "none").exists()


def test_any_tool_opens_it_and_the_manifest_names_every_digest(bundle: Path) -> None:
    """An auditor needs unzip and sha256sum, not us."""
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        for name, entry in manifest["files"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == entry["sha256"]
        assert archive.read("manifest.sha256").decode().split() == [
            hashlib.sha256(archive.read("manifest.json")).hexdigest(),
            "manifest.json",
        ]
        assert set(archive.namelist()) == {*manifest["files"], "manifest.json", "manifest.sha256"}


def test_it_holds_timeline_decisions_gaps_rules_and_settings_without_secrets(bundle: Path) -> None:
    """Everything that was decided with, and nothing that opens a door."""
    timeline = [json.loads(line) for line in content(bundle, "timeline.ndjson").splitlines()]
    rules = json.loads(content(bundle, "rules.json"))
    settings = json.loads(content(bundle, "configuration.json"))

    assert len(timeline) == 32
    assert {one["instanceId"] for one in timeline} == {RESTING}
    assert json.loads(content(bundle, "gaps.ndjson"))["count"] == 7
    assert rules["constants"]["C1.deliveredRate"] == 0.25
    assert settings["takenFrom"] == "export"
    assert settings["configurations"][0]["settings"]["admin_token"] == "(hidden)"
    assert SECRET.encode() not in bundle.read_bytes()
    assert all(SECRET.encode() not in content(bundle, name) for name in contents.FILES)


def test_the_same_evidence_is_the_same_file(data_dir: Path, tmp_path: Path) -> None:
    """Two people who ask the same can compare one hash."""
    first = bundled(data_dir, tmp_path / "1.zip")
    second = bundled(data_dir, tmp_path / "2.zip")

    assert first.read_bytes() == second.read_bytes()


def test_a_flipped_bit_anywhere_makes_it_fail(bundle: Path) -> None:
    """Every byte of the file is vouched for: heads, names, packed content, manifest, directory."""
    archive = bundle.read_bytes()
    step = max(1, len(archive) // 1500)
    dense = {*range(120), *range(len(archive) - 800, len(archive)), *range(0, len(archive), step)}

    silent = []
    for position in sorted(dense):
        changed = bytearray(archive)
        changed[position] ^= 1 << position % 8
        try:
            verify(bytes(changed))
        except BundleBroken:
            continue
        silent.append(position)

    assert silent == []
    assert len(dense) > 2000


@pytest.mark.parametrize("cut", [0, 1, 21, 22, 1000])
def test_a_cut_or_longer_file_makes_it_fail(bundle: Path, tmp_path: Path, cut: int) -> None:
    """A half download proves nothing; the command says so with exit 1."""
    archive = bundle.read_bytes()
    path = tmp_path / "cut.zip"
    path.write_bytes(archive[: len(archive) - cut] if cut else archive + b"\0")

    ran = run("verify", str(path))

    assert ran.status == 1
    assert ran.out.startswith("BROKEN")


def test_a_forged_decision_is_found_although_every_digest_holds(bundle: Path, tmp_path: Path) -> None:
    """Who recomputes the manifest still cannot make the signals give another decision."""
    lines = content(bundle, "decisions.ndjson").splitlines(keepends=True)
    forged = [
        line.replace(b'"cooldownReason":"DELIVERY_DROP"', b'"cooldownReason":"CONNECTION_INSTABILITY"')
        for line in lines
    ]
    assert forged != lines
    path = tmp_path / "forged.zip"
    path.write_bytes(resealed(bundle.read_bytes(), {"decisions.ndjson": b"".join(forged)}))

    ran = run("verify", str(path))
    parsed = run("verify", str(path), "--json").json

    assert ran.status == 1
    assert "DIFFERS" in ran.out
    assert parsed["sound"] is False
    assert parsed["difference"]["stored"] == "CONNECTION_INSTABILITY"
    assert parsed["difference"]["recomputed"] == "DELIVERY_DROP"


def test_a_removed_signal_is_found_although_every_digest_holds(bundle: Path, tmp_path: Path) -> None:
    """The decisions stand on every one of them."""
    lines = content(bundle, "timeline.ndjson").splitlines(keepends=True)
    kept = [line for line in lines if b"MESSAGE_FAILED" not in line]
    archive = bundle.read_bytes()
    manifest = json.loads(content(bundle, "manifest.json"))
    assert manifest["signals"] == len(lines) > len(kept)
    path = tmp_path / "removed.zip"
    path.write_bytes(resealed(archive, {"timeline.ndjson": b"".join(kept)}))

    assert "other signals" in run("verify", str(path)).out

    path.write_bytes(resealed(archive, {"timeline.ndjson": b"".join(kept)}, signals=len(kept)))

    assert "DIFFERS" in run("verify", str(path)).out


def test_other_rules_under_the_same_hash_are_found(bundle: Path, tmp_path: Path) -> None:
    """The constants must be those the hash names."""
    rules = json.loads(content(bundle, "rules.json"))
    rules["constants"]["C1.deliveredRate"] = 0.9
    path = tmp_path / "rules.zip"
    path.write_bytes(resealed(bundle.read_bytes(), {"rules.json": contents.json_text(rules)}))

    ran = run("verify", str(path))

    assert ran.status == 1
    assert "not those their hash names" in ran.out


def test_a_later_range_begins_at_a_state_and_still_verifies(data_dir: Path, tmp_path: Path) -> None:
    """Only what the range stands on is carried: earlier facts without what the fold does not read."""
    path = bundled(data_dir, tmp_path / "late.zip", "--since", str(START + 7 * MINUTE))

    timeline = content(path, "timeline.ndjson").splitlines()
    related = [json.loads(line) for line in content(path, "related.ndjson").splitlines()]
    assert 0 < len(timeline) < 32
    assert len(timeline) + len(related) == 32
    assert all("context" not in one for one in related)
    assert run("verify", str(path), "--json").json["reproduced"] >= 1


@pytest.mark.parametrize("seed", range(3))
def test_late_facts_operators_and_retention_leave_every_range_provable(tmp_path: Path, seed: int) -> None:
    """Facts in any order of arrival, corrected decisions, acts of operators, a dropped past."""
    draw = random.Random(seed)
    data = DataDir(tmp_path)
    store = SqlStore(data.database_url, sidecar_id=data.sidecar_id())
    store.open()
    record, evaluate = RecordReputationSignal(store), EvaluateInstanceHealth(store, setting_of(HALF_HOUR))
    facts = [
        fact._replace(occurred_at=fact.occurred_at + day * 6 * HALF_HOUR, message_id=f"{fact.basis}-{day}")
        for day in range(4)
        for fact in facts_of(RESTING)
    ]
    facts = [fact._replace(basis=fact.message_id or "") for fact in facts]
    facts.sort(key=lambda fact: fact.occurred_at + draw.randrange(20 * MINUTE) * draw.randrange(2))
    now = START
    try:
        for number in range(0, len(facts), 4):
            part = facts[number : number + 4]
            now = max(now, *(fact.occurred_at for fact in part)) + 1 + draw.randrange(1000)
            piece = journal_slice(exchange(*part, exchange_id=f"x-{number}"), offset=number)
            evaluate.touched(record([piece], now).signals, now)
            if not draw.randrange(4):
                act = draw.choice((ActionKind.ENTER_COOLDOWN, ActionKind.LEAVE_COOLDOWN))
                evaluate.acted(RESTING, act, now)
        end = max(fact.occurred_at for fact in facts) + 1
        if seed == 1:
            assert ForgetPersonalIds(store)(instance_id=RESTING).blanked
        edge = START + 8 * HALF_HOUR
        dropped = DropPastRetention(store, setting_of(HALF_HOUR), 1)(edge + 48 * HALF_HOUR)
        for _ in range(4):
            first, last = sorted(draw.randrange(START, end) for _ in range(2))
            archive = gather(store, Asked(RESTING, first, last), NOBODY_TOLD)

            verified = verify(archive)

            assert verified.differs is None
            assert verified.reproduced + verified.past == verified.manifest.decisions
        whole = verify(gather(store, Asked(RESTING, 0, end), NOBODY_TOLD))
        assert whole.differs is None
        assert min(whole.reproduced, whole.past) >= 3
    finally:
        store.close()
    assert dropped


@pytest.mark.parametrize("window_ms", ["300000", "86400000"])
def test_whoever_exports_with_other_settings_gets_the_same_truth(
    data_dir: Path, bundle: Path, tmp_path: Path, window_ms: str
) -> None:
    """What decided is what the decisions state, not what this shell says."""
    path = bundled(data_dir, tmp_path / "window.zip", window_ms=window_ms)

    parsed = run("verify", str(path), "--json", window_ms=window_ms).json

    assert parsed["reproduced"] == parsed["decisions"] >= 3
    assert content(path, "rules.json") == content(bundle, "rules.json")
    assert json.loads(content(path, "rules.json"))["settings"][0]["windowMs"] == HALF_HOUR


def test_decisions_of_several_windows_are_each_replayed_with_their_own(tmp_path: Path) -> None:
    """A sidecar whose window was changed half way proves both halves."""
    data = DataDir(history(tmp_path / "data", RESTING))
    store = SqlStore(data.database_url, sidecar_id=data.sidecar_id())
    store.open()
    try:
        EvaluateInstanceHealth(store, setting_of(5 * MINUTE)).acted(
            RESTING, ActionKind.LEAVE_COOLDOWN, END + MINUTE
        )
        archive = gather(store, Asked(RESTING, 0, END + 2 * MINUTE), NOBODY_TOLD)
    finally:
        store.close()

    verified = verify(archive)

    assert verified.verdict is Verdict.SOUND, verified
    rules = json.loads(content_of(archive, "rules.json"))
    assert [one["windowMs"] for one in rules["settings"]] == [5 * MINUTE, HALF_HOUR]
    assert all(one["decisions"] for one in rules["settings"])


def test_however_many_settings_decided_few_folds_are_held_at_a_time(tmp_path: Path) -> None:
    """Each holds every fact in order; who names a thousand settings must not fill the auditor's memory."""
    data = DataDir(history(tmp_path / "data", RESTING))
    store = SqlStore(data.database_url, sidecar_id=data.sidecar_id())
    store.open()
    windows = RECOUNTS_MAX + 3
    try:
        for number in range(windows):
            EvaluateInstanceHealth(store, setting_of((2 + number) * MINUTE)).acted(
                RESTING, ActionKind.ENTER_COOLDOWN, END + number * MINUTE
            )
        archive = gather(store, Asked(RESTING, 0, END + windows * MINUTE), NOBODY_TOLD)
    finally:
        store.close()
    held: list[int] = []

    verified = verify(
        archive, lambda *_: held.append(sum(isinstance(one, Recount) for one in gc.get_objects()))
    )

    assert verified.verdict is Verdict.SOUND, verified
    assert max(held) == RECOUNTS_MAX


def test_what_the_recorder_ran_with_is_told_by_its_own_record(tmp_path: Path) -> None:
    """Beside a sidecar with other settings the configuration is the sidecar's, not the shell's."""
    source = history(tmp_path / "source", RESTING)
    run("export", "-o", str(tmp_path / "x.ndjson"), "--since", str(START), "--data-dir", str(source))
    with world(tmp_path, window_ms="300000", latency_rules="on", retention_days="3650") as (_, sidecar, _):
        where = ("--data-dir", str(sidecar.data_dir))
        sidecar.with_store()
        run("import", str(tmp_path / "x.ndjson"), *where)
        until(lambda: run("decisions", RESTING, *where).out)
        sidecar.settled()
        path = tmp_path / "b.zip"

        ran = run("export", "--bundle", RESTING, "-o", str(path), *where, "--json")
        reputation = sidecar.get(f"/v1/instances/{RESTING}/reputation?at={START + 10 * MINUTE}")
    explained = run("explain", RESTING, "--at", str(START + 10 * MINUTE), *where, "--json")

    assert ran.status == 0, ran.out
    assert ran.json["reproduced"] == ran.json["decisions"] >= 1
    told = json.loads(content(path, "configuration.json"))
    assert told["takenFrom"] == "recorder"
    [configured] = told["configurations"]
    assert (configured["windowMs"], configured["latencyRules"]) == (300_000, True)
    assert configured["settings"]["retention_days"] == 3650
    assert explained.json["reputation"]["explanation"] == reputation["explanation"]


def test_a_record_of_configurations_grows_only_when_something_changed(tmp_path: Path) -> None:
    """Restarts leave one line; a change leaves another; damage costs a line, never an answer."""
    first, second = Settings(window_ms=300_000), Settings(window_ms=600_000)
    for at, settings in ((1000, first), (2000, first), (3000, second), (4000, first)):
        tell_configuration(tmp_path, configured(settings, at))
    with (tmp_path / "configured.ndjson").open("ab") as file:
        file.write(b'{"since": "no\n')

    told = told_configurations(tmp_path)

    assert [(one.since[17:23], one.window_ms) for one in told] == [
        ("01.000", 300_000),
        ("03.000", 600_000),
        ("04.000", 300_000),
    ]
    assert (tmp_path / "configured.ndjson").stat().st_mode & 0o077 == 0


def test_a_bundle_holds_the_configurations_that_were_in_force_in_its_range(
    data_dir: Path, tmp_path: Path
) -> None:
    """Not what was over before it, nor what began behind it."""
    copy = tmp_path / "copy"
    shutil.copytree(data_dir, copy)
    for at, days in ((START - 9, 1), (START - 5, 2), (START + MINUTE, 3), (END + 1, 4)):
        tell_configuration(copy, configured(Settings(retention_days=days), at))
    path = bundled(copy, tmp_path / "b.zip", "--since", str(START))

    told = json.loads(content(path, "configuration.json"))

    assert [one["settings"]["retention_days"] for one in told["configurations"]] == [2, 3]


def foreign(lines: list[dict[str, Any]]) -> None:
    """Say that other rule tables decided, with ids that follow from it."""
    for line in lines:
        line["ruleSet"] = "0" * len(line["ruleSet"])
        line["id"] = decision_id(
            RESTING,
            parse(line["evaluatedAt"]),
            line["reason"],
            asked=line["body"]["asked"],
            seq=line["seq"],
            supersedes=line["supersedes"],
            setting=f"{line['ruleSet']}/{HALF_HOUR}/plain",
        )


def decisions_of(bundle: Path) -> list[dict[str, Any]]:
    """Read the lines of decisions."""
    return [json.loads(line) for line in content(bundle, "decisions.ndjson").splitlines()]


def ndjson(lines: list[dict[str, Any]]) -> bytes:
    """Write lines as a bundle does."""
    return b"".join(
        json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for line in lines
    )


def test_decisions_of_foreign_rules_are_not_called_sound(bundle: Path, tmp_path: Path) -> None:
    """Forged with every digest recomputed: nothing was replayed, so nothing is proven; exit 4."""
    lines = decisions_of(bundle)
    foreign(lines)
    rules = json.loads(content(bundle, "rules.json"))
    [own] = rules["settings"]
    rules["settings"] = [{**own, "ruleSet": lines[0]["ruleSet"]}, {**own, "decisions": 0}]
    path = tmp_path / "foreign.zip"
    forged = {"decisions.ndjson": ndjson(lines), "rules.json": contents.json_text(rules)}
    path.write_bytes(resealed(bundle.read_bytes(), forged))

    ran = run("verify", str(path))
    parsed = run("verify", str(path), "--json").json

    assert ran.status == 4
    assert "UNPROVEN" in ran.out
    assert "SOUND" not in ran.out
    assert (parsed["verdict"], parsed["sound"], parsed["reproduced"]) == ("unproven", False, 0)
    assert parsed["notReplayed"]["otherRules"] == parsed["decisions"]
    assert "other rule tables" in parsed["reasons"][0]


def test_a_bundle_without_a_decision_is_not_called_sound(data_dir: Path, tmp_path: Path) -> None:
    """Nothing was there to replay; the word and the exit code say so, also when it is written."""
    path = tmp_path / "quiet.zip"
    where = ("--data-dir", str(data_dir), "--until", str(START - 1))

    written = run("export", "--bundle", RESTING, "-o", str(path), *where)

    assert written.status == run("verify", str(path)).status == 4
    assert "it holds no decision" in written.out


def test_a_removed_decision_is_found_by_number_link_and_signals(bundle: Path, tmp_path: Path) -> None:
    """Who closes the hole in the numbers is told of by the signals, however little he says was evaluated."""
    archive = bundle.read_bytes()
    lines = decisions_of(bundle)
    [gone] = [line for line in lines if line["body"]["after"]["cooldownReason"] == "DELIVERY_DROP"][:1]
    kept = [line for line in lines if line is not gone]
    start, rules = (json.loads(content(bundle, name)) for name in ("start.json", "rules.json"))
    rules["settings"][0]["decisions"] -= 1
    forged = {"decisions.ndjson": ndjson(kept), "rules.json": contents.json_text(rules)}
    path = tmp_path / "removed.zip"
    path.write_bytes(resealed(archive, forged, decisions=len(kept)))

    holed = run("verify", str(path))
    start["otherDecisions"] = [[gone["arrival"], gone["arrival"]]]
    path.write_bytes(
        resealed(archive, {**forged, "start.json": contents.json_text(start)}, decisions=len(kept))
    )
    closed = run("verify", str(path))
    start["evaluated"]["at"] = START
    forged["start.json"] = contents.json_text(start)
    path.write_bytes(resealed(archive, forged, decisions=len(kept)))
    cut = run("verify", str(path))

    assert (holed.status, closed.status, cut.status) == (1, 4, 4)
    assert f"decision number {gone['arrival']} of the instance" in holed.out
    assert f"the first: {gone['evaluatedAt']}" in closed.out
    assert f"the first: {gone['evaluatedAt']}" in cut.out


def test_a_decision_that_was_dropped_from_the_store_is_found_when_it_is_exported(tmp_path: Path) -> None:
    """Decisions are never deleted: a row that is missing is told of."""
    data_dir = history(tmp_path / "data", RESTING)
    with sqlite3.connect(data_dir / "reputation.sqlite") as connection:
        connection.execute("DELETE FROM reputation_decision WHERE arrival = 1")
    connection.close()

    ran = run("export", "--bundle", RESTING, "-o", str(tmp_path / "x.zip"), "--data-dir", str(data_dir))

    assert ran.status == 1
    assert "decision number 1" in ran.out


def changed_line(bundle: Path, name: str, **changed: object) -> bytes:
    """Change members of the first line of a file."""
    first, *rest = content(bundle, name).splitlines(keepends=True)
    return ndjson([{**json.loads(first), **changed}]) + b"".join(rest)


def changed_settings(bundle: Path, **changed: object) -> bytes:
    """Change settings in configuration.json."""
    told = json.loads(content(bundle, "configuration.json"))
    told["configurations"][0]["settings"].update(changed)
    return contents.json_text(told)


def changed_start(bundle: Path, **changed: Callable[[Any], object]) -> bytes:
    """Change members of start.json."""
    told = json.loads(content(bundle, "start.json"))
    return contents.json_text(told | {name: change(told[name]) for name, change in changed.items()})


def begun(bundle: Path) -> dict[str, Any]:
    """Give a state to begin with, dated inside the range."""
    in_force = json.loads(content(bundle, "start.json"))["evaluated"]["setting"]
    state = to_text(initial(RULES))
    return {"at": START, "seq": 1, "actions": 0, "setting": in_force, "state": state}


FORGERIES: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "junk beside the settings": (
        "configuration.json",
        lambda b: content(b, "configuration.json").replace(b"{", b'{"junk": [1, 2],', 1),
        "says more than its form",
    ),
    "a setting out of bounds": (
        "configuration.json",
        lambda b: changed_settings(b, retention_days=-1),
        "gives retention_days a value",
    ),
    "a secret": (
        "configuration.json",
        lambda b: changed_settings(b, admin_token="visible"),
        "gives admin_token a value",
    ),
    "another window": (
        "configuration.json",
        lambda b: changed_settings(b, window_ms=60_000),
        "contradicts itself",
    ),
    "a decision twice": (
        "decisions.ndjson",
        lambda b: (
            content(b, "decisions.ndjson").splitlines(keepends=True)[0] + content(b, "decisions.ndjson")
        ),
        "a decision twice",
    ),
    "another id": (
        "decisions.ndjson",
        lambda b: changed_line(b, "decisions.ndjson", id="x"),
        "does not follow",
    ),
    "another reason": (
        "decisions.ndjson",
        lambda b: changed_line(b, "decisions.ndjson", supersedes="x"),
        "does not follow",
    ),
    "more than a decision says": (
        "decisions.ndjson",
        lambda b: changed_line(b, "decisions.ndjson", note="signed off by legal"),
        "says more than its form",
    ),
    "another summary": (
        "timeline.ndjson",
        lambda b: changed_line(b, "timeline.ndjson", summary="message read (webhook)"),
        "the summary of signal",
    ),
    "another level": (
        "timeline.ndjson",
        lambda b: changed_line(b, "timeline.ndjson", level="error"),
        "the summary of signal",
    ),
    "a signal of another number": (
        "timeline.ndjson",
        lambda b: changed_line(b, "timeline.ndjson", instanceId="other"),
        "another instance",
    ),
    "no date": (
        "timeline.ndjson",
        lambda b: changed_line(b, "timeline.ndjson", occurredAt="2025-13-45T00:00:00.000Z"),
        "makes no sense",
    ),
    "no act of an operator": ("actions.ndjson", lambda _: b"", "every act of an operator"),
    "a signal without a number": (
        "timeline.ndjson",
        lambda b: changed_line(b, "timeline.ndjson", seq=0),
        "numbered twice, or beyond",
    ),
    "evaluated beyond all times": (
        "start.json",
        lambda b: changed_start(b, evaluated=lambda told: {**told, "at": 10**15}),
        "less was evaluated than was decided upon, or more",
    ),
    "a beginning inside the range": (
        "start.json",
        lambda b: changed_start(b, checkpoints=lambda _: [begun(b)]),
        "begins inside the range",
    ),
    "signals out of order": (
        "timeline.ndjson",
        lambda b: b"".join(reversed(content(b, "timeline.ndjson").splitlines(keepends=True))),
        "out of order",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_contradicts_itself_is_broken_although_every_digest_holds(
    bundle: Path, tmp_path: Path, name: str
) -> None:
    """Who recomputes every digest must still say nothing that the rest of the bundle denies."""
    file, forge, told = FORGERIES[name]
    forged = forge(bundle)
    assert forged != content(bundle, file)
    stated: dict[str, object] = {"decisions": len(forged.splitlines())} if "twice" in name else {}
    path = tmp_path / "forged.zip"
    path.write_bytes(resealed(bundle.read_bytes(), {file: forged}, **stated))

    ran = run("verify", str(path))

    assert ran.status == 1, ran.out
    assert ran.out.startswith("BROKEN")
    assert told in ran.out


def test_signals_of_the_range_cannot_be_moved_where_nobody_reads_them(bundle: Path, tmp_path: Path) -> None:
    """The fold would count them, and every decision come out, beside a timeline that tells of none."""
    lines = [json.loads(line) for line in content(bundle, "timeline.ndjson").splitlines()]
    names = ("id", "seq", "type", "source", "occurredAt", "messageId", "isGroup", "latencyMs")
    kept = [{name: line[name] for name in names if line.get(name)} for line in lines]
    path = tmp_path / "hidden.zip"
    forged = {"timeline.ndjson": b"", "related.ndjson": ndjson(kept)}
    path.write_bytes(resealed(bundle.read_bytes(), forged, signals=0))

    ran = run("verify", str(path))

    assert ran.status == 1
    assert "related.ndjson holds signals of the range" in ran.out


def test_what_a_bundle_says_cannot_pose_as_the_verdict(bundle: Path, tmp_path: Path) -> None:
    """Control characters of a stranger's file are shown: no line is its own, none erased or turned round."""
    path = tmp_path / "posing.zip"
    posing = "\x1b[2K\r\n\u202eSOUND: every digest holds\x9b"
    path.write_bytes(
        resealed(
            bundle.read_bytes(),
            {"timeline.ndjson": changed_line(bundle, "timeline.ndjson", id=posing, level="x")},
        )
    )

    ran = run("verify", str(path))

    assert ran.status == 1
    [line] = ran.out.splitlines()
    assert line.startswith("BROKEN")
    assert "\\x1b[2K\\r\\n\\u202eSOUND: every digest holds\\x9b" in line


def test_late_facts_that_undo_a_rest_leave_its_end_provable(tmp_path: Path) -> None:
    """Its last step moves back before decisions that were made: these are superseded, nothing was forged."""
    data = DataDir(tmp_path / "data")
    store = SqlStore(data.database_url, sidecar_id=data.sidecar_id())
    store.open()
    evaluate, record = EvaluateInstanceHealth(store, setting_of(HALF_HOUR)), RecordReputationSignal(store)
    failures = [fact for fact in facts_of(RESTING) if fact.type is SignalType.MESSAGE_FAILED]
    facts = [fact for fact in facts_of(RESTING) if fact not in failures[2:]]
    sent = [fact for fact in facts if fact.type is SignalType.MESSAGE_SENT]
    late = [
        redacted_signal(
            f"late-{fact.message_id}",
            fact.occurred_at + 1500,
            SignalType.MESSAGE_DELIVERED,
            instance_id=RESTING,
            source=Source.WEBHOOK,
            message_id=fact.message_id,
        )
        for fact in sent[8:]
    ]
    try:
        for number, (arrived, at) in enumerate([(facts, END), (late, END + 300 * MINUTE)], 1):
            for due in range(END, at, MINUTE):
                evaluate.due(due)
            piece = journal_slice(exchange(*arrived, exchange_id=f"x{number}"), offset=number)
            evaluate.touched(record([piece], at).signals, at)
        archive = gather(store, Asked(RESTING, 0, END + 300 * MINUTE), NOBODY_TOLD)
    finally:
        store.close()

    verified = verify(archive)

    decisions = [json.loads(line) for line in content_of(archive, "decisions.ndjson").splitlines()]
    assert decisions[0]["supersedes"]
    assert verified.evaluated_to is not None
    assert verified.evaluated_to < parse(decisions[0]["evaluatedAt"])
    assert verified.verdict is Verdict.SOUND, verified


BELIEVED = {
    "timeline.ndjson": {"id", "remoteJid", "recordedAt", "context", "messageId", "latencyMs", "isGroup"},
    "decisions.ndjson": {"recordedAt"},
    "gaps.ndjson": {"from", "to", "reason", "count"},
    "configuration.json": {"configurations", "takenFrom"},
    "start.json": {"seq", "at", "actions"},
}
"""Members that nothing else in a bundle follows from (docs/cli.md says so)."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Walk every member of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*path, name)
        yield from places(one, (*path, name))


def odd(value: Any, draw: random.Random) -> Any:
    """Make something else of a JSON value: near it, or absurd."""
    match value:
        case bool():
            return not value
        case int() | float():
            return draw.choice([value + 1, value - 1, -1, 2**31, 10**9, 2**63, 2**70, None, "x"])
        case str():
            return draw.choice([value + "x", value[:-1], value[::-1], "", None, 3])
        case list():
            return draw.choice([[], value + value[:1], value[:-1], None])
        case dict():
            name = draw.choice([*value, "other"])
            return {key: one for key, one in value.items() if key != name} | (
                {"z": 1} if draw.randrange(2) else {}
            )
        case _:
            return draw.choice([1, "x", {}])


@pytest.mark.parametrize("seed", range(6))
def test_any_member_that_is_changed_is_found_unless_it_is_believed(bundle: Path, seed: int) -> None:
    """60 changes each, all digests right: one of four verdicts at once, sound only where docs/cli.md says."""
    draw = random.Random(seed)
    archive = bundle.read_bytes()
    unfound, judged = [], 0
    for _ in range(60):
        name = draw.choice([one for one in contents.FILES if content(bundle, one)])
        values = [json.loads(line) for line in content(bundle, name).splitlines()] if "nd" in name else None
        value = json.loads(content(bundle, name)) if values is None else draw.choice(values)
        path = draw.choice(list(places(value)))
        holder = value
        for step in path[:-1]:
            holder = holder[step]
        before = holder[path[-1]]
        holder[path[-1]] = odd(before, draw)
        if holder[path[-1]] == before:
            continue
        try:
            changed = contents.json_text(value) if values is None else ndjson(values)
        except OverflowError:
            continue  # a number that we cannot write, and so nobody can read
        judged += 1
        try:
            verdict = verify(resealed(archive, {name: changed})).verdict
        except BundleBroken:
            continue
        if verdict is Verdict.SOUND and path[-1 if name == "start.json" else 0] not in BELIEVED.get(name, ()):
            unfound.append((name, path, before, holder[path[-1]]))

    assert unfound == []
    assert judged > 30


@pytest.mark.parametrize("back_ms", [61_000, -61_000, 59_000])
def test_times_of_recording_that_run_back_are_told(bundle: Path, tmp_path: Path, back_ms: int) -> None:
    """More than a minute apart from their neighbours they prove nothing; a clock may have been set back."""
    lines = [json.loads(line) for line in content(bundle, "timeline.ndjson").splitlines()]
    lines[5]["recordedAt"] = iso(parse(lines[5 if back_ms < 0 else 4]["recordedAt"]) - back_ms)
    path = tmp_path / "times.zip"
    path.write_bytes(resealed(bundle.read_bytes(), {"timeline.ndjson": ndjson(lines)}))

    ran = run("verify", str(path))

    assert ran.status == (0 if back_ms == 59_000 else 4), ran.out
    assert ("a clock was set back" in ran.out) == (ran.status == 4)


@pytest.mark.parametrize("changed", [{"junk": 1}, {"window_ms2": None}])
def test_settings_that_this_version_does_not_have_are_doubted(
    bundle: Path, tmp_path: Path, changed: dict[str, object]
) -> None:
    """They were made up, or another state of the program told them: in any case they prove nothing."""
    path = tmp_path / "junk.zip"
    path.write_bytes(
        resealed(bundle.read_bytes(), {"configuration.json": changed_settings(bundle, **changed)})
    )

    ran = run("verify", str(path))

    assert ran.status == 4
    assert f"not the settings of this version: {next(iter(changed))}" in ran.out


def test_a_summary_of_another_version_is_doubted_not_refused(bundle: Path, tmp_path: Path) -> None:
    """It may have said the same fields in other words."""
    forged = changed_line(bundle, "timeline.ndjson", summary="a message went out")
    path = tmp_path / "older.zip"
    path.write_bytes(resealed(bundle.read_bytes(), {"timeline.ndjson": forged}, sidecarVersion="0.0.1"))

    ran = run("verify", str(path))

    assert ran.status == 4
    assert "0.0.1 wrote it" in ran.out


def test_rule_tables_that_are_not_ours_are_doubted_although_all_decisions_come_out(tmp_path: Path) -> None:
    """A whole history folded with friendlier numbers is consistent: the reader must know whose they are."""
    rules = with_constants(RULES, {"C1.deliveredRate": 0.01})
    other = setting_of(HALF_HOUR, rules=rules)
    data = DataDir(tmp_path / "data")
    store = SqlStore(data.database_url, sidecar_id=data.sidecar_id())
    store.open()
    try:
        piece = journal_slice(exchange(*facts_of(RESTING), exchange_id="x"), offset=1)
        recorded = RecordReputationSignal(store)([piece], END)
        EvaluateInstanceHealth(store, other).touched(recorded.signals, END)
        archive = gather(store, Asked(RESTING, 0, END), NOBODY_TOLD)
    finally:
        store.close()
    file = json.loads(content_of(archive, "rules.json"))
    file |= {"ruleSet": other.rule_set, "constants": constants(rules)}
    forged = resealed(archive, {"rules.json": contents.json_text(file)}, ruleSet=other.rule_set)

    verified = verify(forged)

    assert verified.reproduced == verified.manifest.decisions >= 1
    assert verified.verdict is Verdict.UNPROVEN
    assert "are not those of this version" in verified.reasons[0]


def test_decisions_of_settings_that_no_recorder_told_are_doubted(data_dir: Path, tmp_path: Path) -> None:
    """The record says one window, the decisions another: somebody else decided, or it was changed."""
    copy = tmp_path / "copy"
    shutil.copytree(data_dir, copy)
    tell_configuration(copy, configured(Settings(window_ms=300_000), START))
    path = tmp_path / "b.zip"

    ran = run("export", "--bundle", RESTING, "--until", str(END), "-o", str(path), "--data-dir", str(copy))

    assert ran.status == 4
    assert "does not name" in ran.out


def test_a_bomb_is_refused_within_bounds(tmp_path: Path) -> None:
    """A file that unpacks to more than it says, or than a bundle may hold, costs nothing."""
    packed = pack(contents.TIMELINE, [bytes(1 << 20)] * 64).member
    lying = Member(packed.name, packed.packed, packed.crc, 10)
    huge = Member(packed.name, packed.packed, packed.crc, 3 << 30)
    names = (*contents.FILES, contents.MANIFEST, contents.MANIFEST_DIGEST)
    for number, bomb in enumerate((lying, huge)):
        members = [bomb if name == bomb.name else pack(name, [b"{}\n"]).member for name in names]
        path = tmp_path / f"{number}.zip"
        path.write_bytes(assemble(members))

        assert run("verify", str(path)).status == 1


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "timeline.ndjson/../x", "x\0y"])
def test_a_name_that_leads_elsewhere_is_refused(bundle: Path, name: str) -> None:
    """Nothing is ever extracted, and no other name is taken."""
    members = take_apart(bundle.read_bytes())
    members[0] = members[0]._replace(name=name)

    with pytest.raises(BundleBroken, match="other files"):
        verify(assemble(members))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("decisions.ndjson", b"[" * 100_000 + b"\n"),
        ("decisions.ndjson", b"{}\n"),
        ("timeline.ndjson", b'{"a": ' * 50_000 + b"\n"),
        ("start.json", b"{}"),
        ("start.json", contents.json_text({**START_FILE, "base": BAD_STATE})),
        ("configuration.json", b"null"),
        ("rules.json", b"null"),
        ("actions.ndjson", b"\xff\xfe\n"),
        ("gaps.ndjson", b"no end"),
    ],
)  # fmt: skip
def test_content_that_makes_no_sense_is_one_sentence(
    bundle: Path, tmp_path: Path, name: str, text: bytes
) -> None:
    """Whatever stands in it: accepted, or refused as broken; never another error."""
    path = tmp_path / "odd.zip"
    path.write_bytes(resealed(bundle.read_bytes(), {name: text}))

    ran = run("verify", str(path))

    assert ran.status == 1
    assert ran.out.startswith("BROKEN")
    assert ran.err == ""


def test_what_is_no_bundle_is_told(tmp_path: Path) -> None:
    """Any other file, or none."""
    (tmp_path / "x").write_text("hello")

    assert run("verify", str(tmp_path / "x")).status == 1
    missing = run("verify", str(tmp_path / "missing"))
    assert missing.status == 2
    assert "there is no file" in missing.err

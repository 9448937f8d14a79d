"""`sidecar export --bundle` and `sidecar verify`: what was decided is proven by the file alone."""

import hashlib
import json
import random
import shutil
import zipfile
from pathlib import Path

import pytest

from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import setting_of
from domain.forget import ForgetPersonalIds
from domain.record_signal import RecordReputationSignal
from domain.retain import DropPastRetention
from domain.words import ActionKind
from exporters.sql.store import SqlStore
from sidecar.data_dir import DataDir
from sidecar.evidence import contents
from sidecar.evidence.archive import BundleBroken, Member, assemble, pack, stored, take_apart
from sidecar.evidence.gather import Asked, gather
from sidecar.evidence.verify import verify
from tests.builders import exchange, journal_slice
from tests.sidecar.cli.commands import END, MINUTE, RESTING, START, facts_of, history, run

HALF_HOUR = 30 * MINUTE
SECRET = "a-token-nobody-may-see"
BAD_STATE = {"at": 1, "seq": 1, "actions": 0, "setting": "x", "state": "[[["}
BAD_START = json.dumps({"base": BAD_STATE, "checkpoint": None, "seq": 1, "actions": 0}).encode()


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
    text = json.dumps(manifest).encode()
    members[contents.MANIFEST] = stored(contents.MANIFEST, text)
    members[contents.MANIFEST_DIGEST] = stored(contents.MANIFEST_DIGEST, contents.digest_line(text))
    return assemble(list(members.values()))


def content(bundle: Path, name: str) -> bytes:
    with zipfile.ZipFile(bundle) as archive:
        return archive.read(name)


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
    assert settings["admin_token"] == "(hidden)"
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
    path.write_bytes(resealed(bundle.read_bytes(), {"rules.json": json.dumps(rules).encode()}))

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
            archive = gather(store, Asked(RESTING, first, last), setting_of(HALF_HOUR), {})

            verified = verify(archive)

            assert verified.differs is None
            assert verified.reproduced + verified.past == verified.manifest.decisions
        whole = verify(gather(store, Asked(RESTING, 0, end), setting_of(HALF_HOUR), {}))
        assert whole.differs is None
        assert min(whole.reproduced, whole.past) >= 3
    finally:
        store.close()
    assert dropped


def test_decisions_of_another_window_are_told_not_replayed(data_dir: Path, tmp_path: Path) -> None:
    """What cannot be judged with the bundle's rules is counted, never called sound."""
    path = bundled(data_dir, tmp_path / "window.zip", window_ms="300000")

    parsed = run("verify", str(path), "--json").json

    assert parsed["reproduced"] == 0
    assert parsed["notReplayed"]["otherRules"] == parsed["decisions"]


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
        ("start.json", BAD_START),
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
    assert missing.status == 1
    assert "missing" in missing.err

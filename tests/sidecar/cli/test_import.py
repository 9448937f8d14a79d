"""`sidecar import`: what was exported comes back, whoever takes it; bad rows are named, no other is lost."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sidecars import Sidecar, until, world
from tests.postgres import execute
from tests.sidecar.cli.commands import END, OTHER, RESTING, START, Ran, history, run


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 signals of two instances, and a gap before each one's part."""
    data_dir = history(tmp_path_factory.mktemp("from"), RESTING, OTHER)
    path = tmp_path_factory.mktemp("exported") / "all.ndjson"
    assert run("export", "-o", str(path), "--until", str(END), "--data-dir", str(data_dir)).status == 0
    return path


def signals_of(text: str) -> dict[str, Any]:
    """Give signals by id, without when they were recorded."""
    rows = [json.loads(line) for line in text.splitlines()]
    return {
        row["id"]: {k: v for k, v in row.items() if k != "recordedAt"} for row in rows if "gap" not in row
    }


def taken(path: Path | str, data_dir: Path, admin_token: str = "") -> Ran:
    return run("import", str(path), "--data-dir", str(data_dir), "--json", admin_token=admin_token)


def test_what_was_exported_comes_back_and_only_once(exported: Path, tmp_path: Path) -> None:
    """Ids, chats, context: all but the time of recording; the second run adds nothing."""
    first, second = taken(exported, tmp_path), taken(exported, tmp_path)
    again = run("export", "--until", str(END), "--data-dir", str(tmp_path))

    assert (first.status, first.json["recorded"], first.json["known"]) == (0, 64, 0)
    assert (second.status, second.json["recorded"], second.json["known"]) == (0, 0, 64)
    assert signals_of(again.out) == signals_of(exported.read_text())


def test_what_was_imported_is_evaluated(exported: Path, tmp_path: Path) -> None:
    """The same facts give the same rest, and its decisions are reproduced."""
    taken(exported, tmp_path)

    listed = run("instances", "--data-dir", str(tmp_path), "--json").json
    then = run("explain", RESTING, "--at", str(START + 600_000), "--data-dir", str(tmp_path), "--json").json

    assert [one["instanceId"] for one in listed] == [RESTING, OTHER]
    assert all(one["lastEvaluatedAt"] for one in listed)
    assert then["cooldown"]["reason"] == "DELIVERY_DROP"
    assert run("replay", RESTING, "--data-dir", str(tmp_path)).status == 0


def test_facts_return_into_the_store_they_came_from_without_a_double(tmp_path: Path) -> None:
    """An export that is imported again over itself changes nothing."""
    data_dir = history(tmp_path / "d", RESTING)
    path = tmp_path / "x.ndjson"
    run("export", RESTING, "-o", str(path), "--data-dir", str(data_dir))

    ran = taken(path, data_dir)

    assert (ran.json["recorded"], ran.json["known"]) == (0, 32)


TOKEN = "a-token-of-some-length"
GOOD = {
    "type": "MESSAGE_SENT",
    "instanceId": "a",
    "source": "DISPATCH",
    "occurredAt": START,
    "messageId": "G",
}
BAD_LINES = (
    ("{", "is not JSON"),
    ("[1]", "is not a JSON object"),
    ("[" * 20_000, "is not JSON"),
    (json.dumps({**GOOD, "occurredAt": None}), "occurredAt is missing"),
    (json.dumps({**GOOD, "type": "MESSAGE_EATEN"}), "type: not a signal"),
    (json.dumps({**GOOD, "occurredAt": "yesterday"}), "occurredAt: "),
    (json.dumps({**GOOD, "instanceId": ""}), "instanceId: "),
    (json.dumps({**GOOD, "latencyMs": -1}), "latencyMs: "),
    ('"' + "x" * (300 << 10) + '"', "is longer than"),
    ("\xff\xfe", "is not JSON"),
)


def test_bad_rows_are_named_by_line_and_cost_nothing_else(tmp_path: Path) -> None:
    """Each with its reason, and exit 1; every good row is there."""
    lines = []
    for number, (bad, _) in enumerate(BAD_LINES):
        lines += [json.dumps({**GOOD, "messageId": f"M{number}"}), bad.replace('"G"', f'"B{number}"'), ""]
    path = tmp_path / "mixed.ndjson"
    path.write_text("\n".join(lines), "latin-1")

    parsed = taken(path, tmp_path / "d")
    shown = run("import", str(path), "--data-dir", str(tmp_path / "d"))

    rows = {row["place"]: row["reason"] for row in parsed.json["badRows"]}
    assert parsed.status == shown.status == 1
    assert parsed.json["recorded"] == len(BAD_LINES)
    assert set(rows) == {f"line {3 * number + 2}" for number in range(len(BAD_LINES))}
    for number, (_, reason) in enumerate(BAD_LINES):
        assert reason in rows[f"line {3 * number + 2}"]
        assert f"line {3 * number + 2}: " in shown.err


def test_nothing_personal_enters(tmp_path: Path) -> None:
    """Chats become digests, free text becomes `other`; a digest stays what it is."""
    phone, digest = "5511999990000@s.whatsapp.net", "0123456789abcdef"
    context = {
        "status": "call Maria",
        "code": "5511999990000",
        "note": "secret",
        "endpoint": "POST /a/{instance}",
    }
    rows = [
        {**GOOD, "remoteJid": phone, "messageId": "wamid.NTUxMTk5OTk5MDAwMA==", "context": context},
        {**GOOD, "remoteJid": digest, "messageId": "M2"},
        {**GOOD, "remoteJid": "1234567890123456", "messageId": "M3"},
    ]
    path = tmp_path / "p.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    assert taken(path, tmp_path / "d").status == 0

    kept = run("export", "--data-dir", str(tmp_path / "d")).out
    found = [json.loads(line) for line in kept.splitlines()]
    assert not any(word in kept for word in (phone, "551199", "Maria", "secret", "NTUx"))
    assert found[0]["context"] == {"status": "other", "code": "other", "endpoint": "POST /a/{instance}"}
    assert [one["remoteJid"] for one in found[1:]] == [digest, "1234567890123456"]


def test_lines_come_from_a_pipe_too(exported: Path, tmp_path: Path) -> None:
    """`-` is stdin."""
    ran = run("import", "-", "--json", "--data-dir", str(tmp_path), stdin=exported.read_text())

    assert ran.json["recorded"] == 64


@pytest.mark.parametrize(
    ("source", "status"),
    [("missing.ndjson", 2), ("sqlite:////no/such/file.db", 2), ("mysql://x/y", 2)],
)
def test_a_source_that_cannot_be_read_is_told(tmp_path: Path, source: str, status: int) -> None:
    """Before anything is recorded."""
    ran = run("import", source, "--data-dir", str(tmp_path / "d"))

    assert ran.status == status
    assert ran.err.startswith("sidecar: ")


def test_another_sidecars_store_is_imported_with_its_ids(exported: Path, tmp_path: Path) -> None:
    """Two machines become one."""
    taken(exported, tmp_path / "a")
    url = f"sqlite:///{tmp_path / 'a' / 'reputation.sqlite'}"

    ran = taken(url, tmp_path / "b")
    again = run("export", "--until", str(END), "--data-dir", str(tmp_path / "b"))

    assert ran.json["recorded"] == 64
    assert signals_of(again.out) == signals_of(exported.read_text())


REFERENCE = """
CREATE TYPE "Kind" AS ENUM ('MESSAGE_SENT', 'MESSAGE_DELIVERED', 'CONNECTION_DISCONNECTED', 'EATEN');
CREATE TABLE "reputation_signal" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(), "instanceId" TEXT NOT NULL,
    "occurredAt" TIMESTAMP(3) NOT NULL,
    "type" "Kind" NOT NULL, "severity" TEXT NOT NULL DEFAULT 'LOW', "source" TEXT NOT NULL DEFAULT 'WEBHOOK',
    "context" JSONB, "messageId" TEXT, "remoteJid" TEXT, "isGroup" BOOLEAN NOT NULL DEFAULT false,
    "latencyMs" INTEGER, CONSTRAINT "reputation_signal_pkey" PRIMARY KEY ("id"));
INSERT INTO "reputation_signal"
    ("instanceId", "occurredAt", "type", "source", "messageId", "remoteJid", "context")
    SELECT 'sales-1', timestamp '2026-01-31 12:00:00.5' + n * interval '1 second', 'MESSAGE_SENT', 'DISPATCH',
        'M' || n, '5511999990000@s.whatsapp.net', '{"httpStatus": 200, "text": "hello"}'
    FROM generate_series(1, 2500) AS n;
INSERT INTO "reputation_signal" ("instanceId", "occurredAt", "type", "messageId")
    SELECT 'sales-1', timestamp '2026-01-31 12:00:02', 'MESSAGE_DELIVERED', 'M1' FROM generate_series(1, 3);
INSERT INTO "reputation_signal" ("instanceId", "occurredAt", "type", "source") VALUES
    ('sales-2', '2026-01-31 12:00:00', 'CONNECTION_DISCONNECTED', 'PROVIDER'),
    ('sales-2', '2026-01-31 12:00:00', 'EATEN', 'PROVIDER');
"""


@pytest.mark.postgres
def test_the_reference_implementations_table_is_imported(database_url: str, tmp_path: Path) -> None:
    """With its enums, uuids and timestamps; what it stored twice is one fact, chats become digests."""
    execute(database_url, *(part for part in REFERENCE.split(";\n") if part.strip()))

    first = taken(database_url, tmp_path)
    second = taken(database_url, tmp_path)
    rows = signals_of(run("export", "--data-dir", str(tmp_path)).out)

    assert first.status == 1
    assert [row["reason"][:18] for row in first.json["badRows"]] == ["type: not a signal"]
    assert (first.json["read"], first.json["recorded"], second.json["recorded"]) == (2505, 2502, 0)
    assert len(rows) == 2502
    earliest = min(row["occurredAt"] for row in rows.values() if row["type"] == "MESSAGE_SENT")
    assert earliest == "2026-01-31T12:00:01.500Z"
    assert {json.dumps(row["context"]) for row in rows.values() if row["type"] == "MESSAGE_SENT"} == {
        '{"httpStatus": 200}'
    }
    assert "551199" not in json.dumps(rows)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A running sidecar that knows nothing yet."""
    with world(tmp_path_factory.mktemp("running"), admin_token=TOKEN) as (_, sidecar, _):
        yield sidecar


def test_a_running_sidecar_takes_what_is_imported(exported: Path, running: Sidecar) -> None:
    """It is found by its data directory; what it holds in the end is what a store without it would."""
    where = ("--data-dir", str(running.data_dir))
    bad = exported.with_name("bad.ndjson")
    bad.write_text(exported.read_text() + json.dumps({**GOOD, "instanceId": ""}) + "\n")

    first, second = (taken(path, Path(running.data_dir), TOKEN) for path in (bad, exported))

    def stored() -> dict[str, Any]:
        return signals_of(run("export", "--until", str(END), *where, admin_token=TOKEN).out)

    assert first.status == 1, first.err
    assert first.json["through"].startswith("the sidecar at http://127.0.0.1:")
    assert (first.json["taken"], first.json["bad"]) == (64, 1)
    assert first.json["badRows"][0]["place"] == "line 67"
    assert second.status == 0
    until(lambda: len(stored()) >= 64)
    assert stored() == signals_of(exported.read_text())
    count = sqlite3.connect(f"file:{running.data_dir}/reputation.sqlite?mode=ro", uri=True)
    try:
        assert count.execute("SELECT count(*) FROM reputation_signal").fetchone() == (64,)
    finally:
        count.close()

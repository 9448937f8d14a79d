"""`sidecar forget`: ids go, from the store, its files and the journal; facts and decisions stay."""

import asyncio
import json
from pathlib import Path

import pytest

from domain.redaction import Redactor, RemoteJidMode
from domain.words import SignalType
from sidecar.data_dir import DataDir
from sidecar.journal.writer import JournalWriter
from tests.builders import exchange, redacted_signal
from tests.e2e.sidecars import until, world
from tests.sidecar.cli.commands import END, JID, OTHER, RESTING, Ran, history, run

PHONE = "5511999990000"
WAITING = "waiting-message-1"


def signals(data_dir: Path, instance: str) -> list[dict[str, object]]:
    ran = run("timeline", instance, "--since", "0", "--data-dir", str(data_dir), "--json")
    found: list[dict[str, object]] = ran.json
    return found


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def journaled(data_dir: Path) -> None:
    """Leave a fact in the journal, as a sidecar killed before it recorded it."""

    async def write() -> None:
        writer = JournalWriter(data_dir, 0, max_bytes=8 << 20)
        fact = redacted_signal(WAITING, END + 1000, SignalType.MESSAGE_READ, instance_id=RESTING)
        fact = fact._replace(message_id=WAITING, remote_jid=JID)
        written = asyncio.Event()
        writer.append(exchange(fact, exchange_id="waiting"), written.set)
        await asyncio.wait_for(written.wait(), 10)
        await writer.close()

    asyncio.run(write())


def forget(data_dir: Path, *args: str) -> Ran:
    return run("forget", *args, "--data-dir", str(data_dir), "--json")


def test_a_numbers_ids_are_gone_from_every_file_and_its_decisions_are_reproduced(tmp_path: Path) -> None:
    """What waited in the journal is recorded first, and forgotten with the rest."""
    history(tmp_path, RESTING, OTHER)
    journaled(tmp_path)
    assert WAITING.encode() in bytes_of(tmp_path / "journal")

    ran = forget(tmp_path, "--instance", RESTING)

    assert ran.status == 0, ran.err
    assert (ran.json["blanked"], ran.json["seen"], ran.json["scrubbed"]) == (33, 33, True)
    kept = bytes_of(tmp_path)
    assert WAITING.encode() not in kept
    assert f"{RESTING}-5".encode() not in kept
    assert f"{OTHER}-5".encode() in kept
    assert len(signals(tmp_path, RESTING)) == 33
    assert not any("messageId" in one or "remoteJid" in one for one in signals(tmp_path, RESTING))
    assert run("replay", RESTING, "--data-dir", str(tmp_path)).status == 0
    assert forget(tmp_path, "--instance", RESTING).json["blanked"] == 0


def test_a_chat_is_found_by_its_phone_number(tmp_path: Path) -> None:
    """Its digest is that of the data directory's key; other chats stay."""
    key = DataDir(tmp_path).pseudonym_key(None)
    digest = Redactor(RemoteJidMode.HASH, key).remote_jid(f"{PHONE}@s.whatsapp.net")
    history(tmp_path, RESTING, OTHER)
    line = {
        "type": "MESSAGE_READ",
        "instanceId": OTHER,
        "occurredAt": END,
        "messageId": "R1",
        "remoteJid": digest,
    }
    (tmp_path / "one.ndjson").write_text(json.dumps(line) + "\n")
    assert run("import", str(tmp_path / "one.ndjson"), "--data-dir", str(tmp_path)).status == 0
    (tmp_path / "one.ndjson").unlink()

    blanked = forget(tmp_path, "--jid", PHONE).json["blanked"]

    assert blanked == 1
    assert digest is not None
    assert digest.encode() not in bytes_of(tmp_path)
    assert any(one.get("remoteJid") == JID for one in signals(tmp_path, OTHER))


def test_a_running_sidecar_does_it_itself(tmp_path: Path) -> None:
    """One writer a store; the operator is told what is not reached."""
    history(tmp_path / "source", RESTING)
    run("export", "-o", str(tmp_path / "x.ndjson"), "--data-dir", str(tmp_path / "source"))
    with world(tmp_path) as (_, sidecar, _):
        data_dir = Path(sidecar.with_store().data_dir)
        run("import", str(tmp_path / "x.ndjson"), "--data-dir", str(data_dir))
        until(lambda: len(signals(data_dir, RESTING)) == 32)

        ran = run("forget", "--jid", JID, "--instance", RESTING, "--data-dir", str(data_dir))
        refused = sidecar.request("admin", "POST", "/v1/forget", b"{}", {"Content-Type": "application/json"})
        rest = forget(data_dir, "--instance", RESTING)

        assert ran.status == 0, ran.err
        assert ran.out.startswith("1 of 32 signals lost their ids")
        assert "journal's open segments" in ran.err
        assert refused.status == 400
        assert rest.json["blanked"] == 31
        assert not any("messageId" in one for one in signals(data_dir, RESTING))
        assert run("replay", RESTING, "--data-dir", str(data_dir)).status == 0


@pytest.mark.parametrize("args", [(), ("--jid", "")])
def test_nothing_named_is_refused(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Forgetting everything is not offered."""
    ran = forget(tmp_path / "d", *args)

    assert ran.status == 2
    assert "--instance ID" in ran.err
    assert not (tmp_path / "d").exists()


def test_a_mistyped_directory_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    """An erasure that reached nothing must not look like one that did."""
    missing = tmp_path / "typo"
    (empty := tmp_path / "empty").mkdir()

    refused = forget(missing, "--jid", PHONE)
    without_store = forget(empty, "--jid", PHONE)

    assert (refused.status, missing.exists()) == (2, False)
    assert "--data-dir" in refused.err
    assert (without_store.status, list(empty.iterdir())) == (3, [])
    assert "no store" in without_store.err

"""Commands as processes, and data directories with a history, for the tests of this folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from typer.testing import CliRunner

from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import setting_of
from domain.record_signal import RecordReputationSignal
from domain.recorded import Gap
from domain.signal import Signal
from domain.words import ActionKind, Millis, SignalType, Source
from exporters.sql.store import SqlStore
from sidecar.cli.app import app
from sidecar.data_dir import DataDir
from tests.builders import exchange, journal_slice, redacted_signal

START: Final[Millis] = 1_760_000_000_000
"""2025-10-09T08:53:20Z: the first fact of every history."""
MINUTE: Final[Millis] = 60_000
END: Final[Millis] = START + 20 * MINUTE
RESTING = "promo-1"
OTHER = "vendas/2"
SENDS: Final = 24
JID: Final = "0123456789abcdef"
"""What is stored of the chat that every reply of the history came from."""


class Ran(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def variables(settings: dict[str, str], plain: dict[str, str] | None) -> dict[str, str]:
    """Give the variables of a command: no setting of this machine reaches it."""
    # Nothing answers at port 0: a sidecar of this machine must not answer for the directory under test.
    given = {"ADMIN_LISTEN": "127.0.0.1:0", **{name.upper(): value for name, value in settings.items()}}
    return {**(plain or {}), **{f"SIDECAR_{name}": value for name, value in given.items()}}


def run(*args: str, plain: dict[str, str] | None = None, stdin: str | None = None, **settings: str) -> Ran:
    """Run a command in this process, as the console script would; `plain` are other variables."""
    unset: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith(("SIDECAR_", "OTEL_"))
    }
    done = CliRunner().invoke(
        app, args, input=stdin, env={**unset, **variables(settings, plain)}, catch_exceptions=False
    )
    return Ran(done.exit_code, done.stdout, done.stderr)


def spawn(*args: str, **settings: str) -> Ran:
    """Run a command as a process of its own, where that is what matters."""
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", *args],
        env={**clean_environment(), **variables(settings, None)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def clean_environment() -> dict[str, str]:
    """Give this process's environment without any setting."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "OTEL_"))}


def facts_of(instance_id: str) -> list[Signal]:
    """Make a bad quarter of an hour: 24 sends, hardly delivered, four failures, one reply of a group."""

    def fact(n: int, after_ms: int, kind: SignalType, source: Source) -> Signal:
        message = f"{instance_id}-{n}"
        at = START + n * 20_000 + after_ms
        return redacted_signal(message, at, kind, instance_id=instance_id, source=source, message_id=message)

    facts = [fact(n, 0, SignalType.MESSAGE_SENT, Source.DISPATCH) for n in range(SENDS)]
    facts += [fact(n, 1500, SignalType.MESSAGE_DELIVERED, Source.WEBHOOK) for n in range(3)]
    facts += [fact(n, 500, SignalType.MESSAGE_FAILED, Source.WEBHOOK) for n in range(4, 8)]
    reply = redacted_signal(
        "reply-1",
        START + 9 * MINUTE,
        SignalType.MESSAGE_REPLIED,
        instance_id=instance_id,
        source=Source.WEBHOOK,
    )
    facts.append(reply._replace(remote_jid=JID, is_group=True, message_id=f"{instance_id}-reply"))
    return sorted(facts, key=lambda fact: fact.occurred_at)


def history(data_dir: Path, *instance_ids: str) -> Path:
    """Record and evaluate a history, as a sidecar that has stopped since would have left it."""
    data = DataDir(data_dir)
    store = SqlStore(data.database_url, sidecar_id=data.sidecar_id())
    store.open()
    record = RecordReputationSignal(store)
    evaluate = EvaluateInstanceHealth(store, setting_of(1_800_000))
    try:
        for instance_id in instance_ids or (RESTING,):
            facts = facts_of(instance_id)
            for number in range(0, len(facts), 5):
                part = facts[number : number + 5]
                now = part[-1].occurred_at + 1000
                piece = journal_slice(exchange(*part, exchange_id=f"{instance_id}-{number}"), offset=number)
                evaluate.touched(record([piece], now).signals, now)
            evaluate.acted(instance_id, ActionKind.ENTER_COOLDOWN, END)
        gap = Gap("gap-1", START + MINUTE, START + 2 * MINUTE, "disk_full", 7)
        with store.recording() as recording:
            recording.advance([], [gap])
    finally:
        store.close()
    return data_dir

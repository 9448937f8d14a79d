"""A long history in a real store, written in bulk; `python -m tests.sidecar.api.history FOLDER` serves one.

It prints its port, and ends when its standard input does. A process of its own, so that its memory is the
API's alone.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Final, NamedTuple

import psutil

from exporters.sql.store import SqlStore
from sidecar.clock import now_ms
from tests.sidecar.api.fleet import evaluation_over
from tests.sidecar.api.serving import admin

INSTANCE: Final = "long-history"
FILE: Final = "reputation.sqlite"
FILL: Final = """
INSERT INTO reputation_signal ("instanceId", id, "occurredAt", type, severity, source, context, "messageId",
  "isGroup", "latencyMs", provider, "recordedAt", seq)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
SELECT :instance, printf('%08x-0000-5000-8000-%012x', (i * 2654435761) % 4294967296, i),
  :now + (i - :rows) * 20,
  CASE i % 3 WHEN 0 THEN 'MESSAGE_SENT' WHEN 1 THEN 'MESSAGE_DELIVERED' ELSE 'MESSAGE_FAILED' END,
  CASE i % 3 WHEN 2 THEN 'HIGH' ELSE 'LOW' END, 'WEBHOOK', '{"event":"messages.update","code":"131049"}',
  printf('3EB0%08X', i), i % 5 = 0, i % 900, 'turbozap', :now + (i - :rows) * 20 + 12, i
FROM n
"""


def fill(folder: Path, rows: int) -> None:
    """Write a history as the recorder would have; the newest of its signals happens now."""
    url = f"sqlite:///{folder / FILE}"
    store = SqlStore(url, sidecar_id="test")
    store.open()
    store.close()
    connection = sqlite3.connect(folder / FILE)
    with connection:
        connection.execute(FILL, {"rows": rows, "instance": INSTANCE, "now": now_ms()})
    connection.close()


class Serving(NamedTuple):
    """A process that serves a history."""

    address: str
    process: psutil.Process


@contextmanager
def served_history(folder: Path) -> Iterator[Serving]:
    """Serve a filled folder in a process of its own."""
    command = [sys.executable, "-m", "tests.sidecar.api.history", str(folder)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        yield Serving(process.stdout.readline().strip(), psutil.Process(process.pid))
        process.communicate(timeout=30)
    assert process.returncode == 0


async def _serve(folder: Path) -> None:
    store = SqlStore(f"sqlite:///{folder / FILE}", sidecar_id="test")
    store.open()
    try:
        async with admin(store, clock=now_ms, evaluation=evaluation_over(store)) as api:
            sys.stdout.write(f"{api.base.removeprefix('http://')}\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)
    finally:
        store.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))

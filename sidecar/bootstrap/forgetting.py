"""What `sidecar forget` does where no sidecar runs: record what waits in the journal, then forget."""

import threading
from collections.abc import Collection
from typing import Final

from domain.errors import StoreUnavailable
from domain.evaluate_health import EvaluateInstanceHealth
from domain.forget import ForgetPersonalIds, Forgotten
from domain.record_signal import RecordReputationSignal
from exporters.sql.store import SqlStore
from sidecar.bootstrap.offline import kept_setting, open_store
from sidecar.cli.errors import UNREACHABLE, CommandFailed
from sidecar.clock import now_ms
from sidecar.data_dir import DataDir
from sidecar.journal.tail import JournalTail
from sidecar.recorder_lock import RecorderLock
from sidecar.settings import Settings

FACTS_A_BATCH: Final = 2000
RECORDS_A_BATCH: Final = 2000
IDLE_LOOKS: Final = 80
"""About two seconds."""


def forget_offline(settings: Settings, instance_id: str | None, jids: Collection[str]) -> Forgotten:
    """Drain the journal, so that nothing is recorded with its ids later, and blank what is stored.

    The journal's folders of workers that are gone are removed once they are recorded.

    Raises:
        StoreUnavailable: another process holds the store, or it does not answer.
        CommandFailed: a sidecar began to run on the data directory meanwhile.
    """
    data = DataDir(settings.data_dir)
    lock = RecorderLock(data)
    try:
        lock.take()
    except StoreUnavailable as error:
        raise CommandFailed(
            f"a sidecar is starting on {data.path}; run this again, it is then asked to do it", UNREACHABLE
        ) from error
    try:
        store, _ = open_store(settings)
        try:
            _drain(store, data, settings)
            return ForgetPersonalIds(store)(instance_id=instance_id, remote_jids=jids)
        finally:
            store.close()
    finally:
        lock.release()


def _drain(store: SqlStore, data: DataDir, settings: Settings) -> None:
    record = RecordReputationSignal(store)
    evaluate = EvaluateInstanceHealth(store, kept_setting(settings))
    tail = JournalTail(data.path, store.progress(), sync=lambda: _is_safe(store))
    wait = threading.Event().wait
    idle = 0
    try:
        # A folder is removed only some looks after its last record: its worker must be known to be gone.
        while idle < IDLE_LOOKS:
            batch = tail.read(FACTS_A_BATCH, RECORDS_A_BATCH)
            if not batch:
                idle += 1
                wait(tail.pause_seconds)
                continue
            recorded = record(batch, now_ms())
            tail.settle(recorded.progress)
            evaluate.touched(recorded.signals, now_ms())
            idle = 0
    finally:
        tail.close()


def _is_safe(store: SqlStore) -> bool:
    try:
        store.sync()
    except StoreUnavailable:
        return False
    return True

"""Builds the recorder's process."""

import os
import platform
import socket
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from domain.errors import StoreUnavailable
from domain.exchange import ExchangeFacts
from domain.record_signal import Recorded
from domain.recorded import Progress, RecordedSignal
from domain.redaction import Redactor, RemoteJidMode
from domain.words import Millis
from exporters.log import LogSink
from exporters.prometheus.inputs import BuildInfo, ScrapeInputs
from exporters.prometheus.metrics import Metrics
from exporters.sql.store import SqlStore
from sidecar import __version__, telemetry
from sidecar.addresses import parse_address
from sidecar.api import AdminParts, Hub, make_app
from sidecar.bootstrap.gauges import InstanceBoard, JournalBoard
from sidecar.clock import now_ms
from sidecar.data_dir import DataDir
from sidecar.journal.tail import JournalTail
from sidecar.logs import LogFormat, configure, is_pretty
from sidecar.recorder import Recorder
from sidecar.recorder_process import Readiness, RecorderProcess
from sidecar.recording import BatchRecording, Sink
from sidecar.settings import Settings

READER_THREADS: Final = 4
LOCK_WAIT_SECONDS: Final = 1.0
STORE_LOCK_WAIT_MS: Final = 1000
"""How long one try waits for another holder; the recorder tries again for as long as it takes."""


def build_recorder(settings: Settings, admin: socket.socket) -> RecorderProcess:
    """Wire the recorder's process together. Nothing is opened yet."""
    data = DataDir(settings.data_dir)
    log_format = LogFormat(settings.log_format)
    lines = configure(log_format, sys.stdout, held=True)
    url = settings.database_url or data.database_url
    store = SqlStore(url, sidecar_id=data.sidecar_id(), lock_wait_ms=STORE_LOCK_WAIT_MS)
    hub, lock = Hub(), _Lock(data)
    board = InstanceBoard(store, settings.max_instance_series)

    def open_store() -> BatchRecording:
        lock.take()
        store.open()
        metrics.known_instances(
            one.instance_id for one in store.instances(None, settings.max_instance_series)
        )
        sinks: list[Sink] = [LogSink(lines, pretty=is_pretty(log_format, sys.stdout)), metrics, _HubSink(hub)]
        return BatchRecording(store, sinks, metrics, _Unevaluated(), now_ms, settings.retention_days)

    def open_tail(progress: Mapping[str, Progress]) -> JournalTail:
        return JournalTail(data.path, progress)

    recorder = Recorder(open_store, open_tail, now_ms)
    journal = JournalBoard(recorder)
    metrics = Metrics(
        ScrapeInputs(
            instances=board.gauges,
            workers=journal.workers,
            ledger=journal.ledger,
            journal=journal.journal,
            events=telemetry.counts,
        ),
        BuildInfo(__version__, "", platform.python_version(), url.split(":", 1)[0].split("+", 1)[0]),
        now=now_ms,
        lock=recorder.lock,
        max_instance_series=settings.max_instance_series,
        providers=sorted({route.provider for route in settings.all_routes()}),
    )

    def render(accept: list[str]) -> tuple[bytes, str]:
        board.refresh()
        return metrics.render(accept)

    lines.report_drops_to(lambda reason, n: metrics.export_dropped("log", reason, n))
    readiness = Readiness(recorder, journal.lag_ms)
    readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="reader")
    app = make_app(
        AdminParts(
            store=store,
            readers=readers,
            render_metrics=render,
            health=readiness,
            redactor=Redactor(RemoteJidMode(settings.remote_jid), data.pseudonym_key(settings.pseudonym_key)),
            hub=hub,
            token=settings.admin_token,
            metrics_public=settings.metrics_public,
            loopback=parse_address(settings.admin_listen).is_loopback,
        )
    )
    closers = [lambda: readers.shutdown(wait=False, cancel_futures=True), store.close, lock.release]
    return RecorderProcess(recorder, app, admin, readiness, lines, closers)


class _HubSink:
    """Feeds the event streams."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def exchanges(self, exchanges: Sequence[ExchangeFacts]) -> None:
        """Streams show signals and decisions only."""

    def signals(self, signals: Sequence[RecordedSignal]) -> None:
        """Send signals to whoever follows."""
        self._hub.publish(signals)


class _Unevaluated:
    def touched(self, recorded: Recorded, now: Millis) -> None:
        pass

    def due(self, now: Millis) -> None:
        pass


class _Lock:
    """Holds the data directory's recorder lock from the first success on."""

    def __init__(self, data: DataDir) -> None:
        self._data = data
        self._descriptor: int | None = None

    def take(self) -> None:
        """Become the one recorder of the directory.

        Raises:
            StoreUnavailable: another one still holds it (an older sidecar that drains).
        """
        if self._descriptor is None:
            self._descriptor = self._data.lock_recorder(LOCK_WAIT_SECONDS)
        if self._descriptor is None:
            raise StoreUnavailable("another sidecar still records in this data directory")

    def release(self) -> None:
        """Let a successor record."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

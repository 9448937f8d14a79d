"""Builds the recorder's process."""

import platform
import socket
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from domain.ingest_signal import IngestReputationSignal
from domain.record_signal import Recorded
from domain.recorded import Progress
from domain.redaction import Redactor, RemoteJidMode
from domain.words import Millis
from exporters.log import LogSink
from exporters.prometheus.inputs import BuildInfo, ScrapeInputs
from exporters.prometheus.metrics import Metrics
from exporters.sql.store import SqlStore
from sidecar import __version__, telemetry
from sidecar.addresses import parse_address
from sidecar.api import AdminParts, Hub, make_app
from sidecar.api.parts import Posting
from sidecar.bootstrap.announcing import HubSink, open_otlp
from sidecar.bootstrap.gauges import InstanceBoard, JournalBoard
from sidecar.clock import now_ms
from sidecar.data_dir import DataDir
from sidecar.journal.tail import JournalTail
from sidecar.journal.writer import JournalWriter
from sidecar.logs import LogFormat, configure, is_pretty
from sidecar.own_journal import OwnJournal
from sidecar.providers import codes
from sidecar.recorder import Recorder
from sidecar.recorder_lock import RecorderLock
from sidecar.recorder_process import Readiness, RecorderProcess
from sidecar.recording import BatchRecording, Sink
from sidecar.settings import Settings

READER_THREADS: Final = 4
STORE_LOCK_WAIT_MS: Final = 1000
"""How long one try waits for another holder of the SQLite file; the recorder tries again."""


def build_recorder(settings: Settings, admin: socket.socket) -> RecorderProcess:
    """Wire the recorder's process together; call it inside the running loop. The store is opened later.

    Raises:
        ValueError, ImportError, OSError: the database URL, an OTEL_* variable or a file cannot be used.
    """
    data = DataDir(settings.data_dir)
    log_format = LogFormat(settings.log_format)
    lines = configure(log_format, sys.stdout, held=True)
    url = settings.database_url or data.database_url
    store = SqlStore(url, sidecar_id=data.sidecar_id(), lock_wait_ms=STORE_LOCK_WAIT_MS)
    board = InstanceBoard(store, settings.max_instance_series)
    lock, hub = RecorderLock(data), Hub()
    sinks: list[Sink] = [LogSink(lines, pretty=is_pretty(log_format, sys.stdout)), HubSink(hub)]

    def open_store() -> BatchRecording:
        lock.take()
        store.open()
        known = store.instances(None, settings.max_instance_series)
        metrics.known_instances(one.instance_id for one in known)
        return BatchRecording(store, sinks, metrics, _Unevaluated(), now_ms, settings.retention_days)

    def open_tail(progress: Mapping[str, Progress]) -> JournalTail:
        return JournalTail(data.path, progress)

    recorder = Recorder(open_store, open_tail, now_ms)
    journal = JournalBoard(recorder, settings.workers)
    metrics = _metrics(settings, url, recorder, journal, board)
    lines.report_drops_to(lambda reason, n: metrics.export_dropped("log", reason, n))
    otlp = open_otlp(metrics)
    sinks += [metrics] if otlp is None else [metrics, otlp]
    own = OwnJournal(
        JournalWriter(
            data.path,
            settings.workers,
            max_bytes=settings.journal_max_bytes,
            sync_ms=settings.journal_sync_ms,
        )
    )
    readiness = Readiness(recorder, journal.lag_ms)
    readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="reader")
    redactor = Redactor(RemoteJidMode(settings.remote_jid), data.pseudonym_key(settings.pseudonym_key))
    table = codes.load(Path(settings.codes_file) if settings.codes_file else None)

    def render(accept: list[str]) -> tuple[bytes, str]:
        board.refresh()
        return metrics.render(accept)

    app = make_app(
        AdminParts(
            store=store,
            readers=readers,
            render_metrics=render,
            health=readiness,
            redactor=redactor,
            hub=hub,
            token=settings.admin_token,
            metrics_public=settings.metrics_public,
            loopback=parse_address(settings.admin_listen).is_loopback,
            window_ms=settings.window_ms,
            posting=Posting(IngestReputationSignal(redactor, table.known), own.append),
        )
    )
    closers: list[Callable[[], object]] = [] if otlp is None else [otlp.close]
    closers += [lambda: readers.shutdown(wait=False, cancel_futures=True), store.close, lock.release]
    return RecorderProcess(recorder, app, admin, readiness, own, lines, closers)


def _metrics(
    settings: Settings, url: str, recorder: Recorder, journal: JournalBoard, board: InstanceBoard
) -> Metrics:
    return Metrics(
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


class _Unevaluated:
    def touched(self, recorded: Recorded, now: Millis) -> None: ...
    def due(self, now: Millis) -> None: ...

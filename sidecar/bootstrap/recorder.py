"""Builds the recorder's process."""

import platform
import socket
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from domain.errors import StoreUnavailable
from domain.evaluate_health import EvaluateInstanceHealth
from domain.forget import ForgetPersonalIds
from domain.ingest_signal import IngestReputationSignal
from domain.read_health import ReadInstanceHealth
from domain.recorded import Progress
from domain.redaction import Redactor, RemoteJidMode
from domain.replay import ReplayDecisions
from domain.retain import DropPastRetention
from exporters.log import LogSink
from exporters.prometheus.inputs import BuildInfo, QueueGauges, ScrapeInputs
from exporters.prometheus.metrics import Metrics
from exporters.sql.store import SqlStore
from sidecar import __revision__, __version__, telemetry
from sidecar.addresses import parse_address
from sidecar.api import AdminParts, Hub, make_app, refusals
from sidecar.api.parts import Evaluation, Posting
from sidecar.bootstrap.announcing import DecisionSinks, HubSink, open_otlp
from sidecar.bootstrap.gauges import InstanceBoard, JournalBoard
from sidecar.clock import now_ms
from sidecar.configured import configured, setting_for, tell_configuration
from sidecar.data_dir import DataDir
from sidecar.evaluating import AnnouncedEvaluation
from sidecar.journal.tail import JournalTail
from sidecar.journal.writer import JournalWriter
from sidecar.log_lines import QUEUE_MAX_BYTES, LineWriter
from sidecar.logs import LogFormat, configure, is_pretty
from sidecar.own_journal import OwnJournal
from sidecar.providers import codes
from sidecar.recorder import Recorder
from sidecar.recorder_lock import RecorderLock
from sidecar.recorder_process import Readiness, RecorderProcess
from sidecar.recording import BatchRecording, Sink
from sidecar.retention import Retention
from sidecar.settings import Settings

READER_THREADS: Final = 7
"""Four for questions, two for exports, one for changes (`sidecar.api.readers`)."""
STORE_LOCK_WAIT_MS: Final = 1000
"""How long one try waits for another holder of the SQLite file; the recorder tries again."""

STORE_PATIENCE_MS: Final = 2000
"""How long a question asked right behind the ready line waits for the store, instead of a 503."""


def build_recorder(settings: Settings, admin: socket.socket) -> RecorderProcess:
    """Wire the recorder's process together; call it inside the running loop. The store is opened later.

    Raises:
        ValueError, ImportError, OSError: the database URL, an OTEL_* variable or a file cannot be used.
    """
    data = DataDir(settings.data_dir)
    lines = configure(LogFormat(settings.log_format), sys.stdout, held=True)
    return _Builder(settings, data, lines).process(admin)


class _Builder:
    """Makes the parts in the order they need each other."""

    def __init__(self, settings: Settings, data: DataDir, lines: LineWriter) -> None:
        self._settings = settings
        self._data = data
        self._lines = lines
        self._lock, self._hub = RecorderLock(data), Hub()
        self._app: web.Application | None = None
        url = settings.database_url or data.database_url
        self._store = SqlStore(
            url,
            sidecar_id=data.sidecar_id(),
            lock_wait_ms=STORE_LOCK_WAIT_MS,
            patience_ms=STORE_PATIENCE_MS,
        )
        self._setting = setting_for(settings)
        self._board = InstanceBoard(
            self._store, settings.max_instance_series, lambda: self._metrics.placed_instances
        )
        self._recorder = Recorder(self._open_store, self._open_tail, now_ms)
        self._journal = JournalBoard(self._recorder, settings.workers, settings.journal_max_bytes)
        self._metrics = self._make_metrics(url.split(":", 1)[0].split("+", 1)[0])
        lines.report_drops_to(lambda reason, n: self._metrics.export_dropped("log", reason, n))
        self._log = LogSink(lines, pretty=is_pretty(LogFormat(settings.log_format), sys.stdout))
        self._otlp = open_otlp(self._metrics)
        self._sinks: list[Sink] = [self._log, HubSink(self._hub), self._metrics]
        if self._otlp is not None:
            self._sinks.append(self._otlp)
        decisions = DecisionSinks(self._log, self._otlp, self._hub, self._board)
        evaluate = EvaluateInstanceHealth(self._store, self._setting)
        self._evaluation = AnnouncedEvaluation(evaluate, decisions, self._metrics)
        drop = DropPastRetention(self._store, self._setting, settings.retention_days)
        self._retention = Retention(drop, now_ms)

    def process(self, admin: socket.socket) -> RecorderProcess:
        """Give the whole, with what must be closed at the end."""
        settings = self._settings
        own = OwnJournal(
            JournalWriter(
                self._data.path,
                settings.workers,
                max_bytes=settings.journal_max_bytes,
                sync_ms=settings.journal_sync_ms,
            )
        )
        readiness = Readiness(self._recorder, self._journal.lag_ms)
        readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="reader")
        closers: list[Callable[[], object]] = [self._retention.stop]
        if self._otlp is not None:
            closers.append(self._otlp.close)
        closers += [lambda: readers.shutdown(wait=False, cancel_futures=True)]
        closers += [self._store.close, self._lock.release]
        app = self._app = make_app(self._parts(readiness, readers, own))
        return RecorderProcess(self._recorder, app, admin, readiness, own, self._lines, closers)

    def _parts(self, readiness: Readiness, readers: ThreadPoolExecutor, own: OwnJournal) -> AdminParts:
        settings = self._settings
        key = self._data.pseudonym_key(settings.pseudonym_key)
        redactor = Redactor(RemoteJidMode(settings.remote_jid), key)
        table = codes.load(Path(settings.codes_file) if settings.codes_file else None)
        reading = ReadInstanceHealth(self._store, self._setting)
        replay = ReplayDecisions(self._store, self._setting)
        return AdminParts(
            store=self._store,
            readers=readers,
            render_metrics=self._render,
            health=readiness,
            redactor=redactor,
            hub=self._hub,
            token=settings.admin_token,
            metrics_public=settings.metrics_public,
            loopback=parse_address(settings.admin_listen).is_loopback,
            window_ms=settings.window_ms,
            lag_ms=self._journal.lag_ms,
            posting=Posting(IngestReputationSignal(redactor, table.known), own.append),
            evaluation=Evaluation(self._evaluation, reading, replay),
            forgetting=ForgetPersonalIds(self._store),
        )

    def _open_store(self) -> BatchRecording:
        self._lock.take()
        self._store.open()
        with suppress(OSError):  # a full disk costs those who look there; recording goes on
            tell_configuration(self._data.path, configured(self._settings, now_ms()))
        self._metrics.known_instances(self._board.recent())
        self._board.refresh()  # half a millisecond an instance, once: not on the first scrape's account
        self._retention.start()
        return BatchRecording(self._store, self._sinks, self._metrics, self._evaluation, now_ms)

    def _open_tail(self, progress: Mapping[str, Progress]) -> JournalTail:
        return JournalTail(self._data.path, progress, sync=self._stored_safely)

    def _stored_safely(self) -> bool:
        """Sync the store before the journal lets go of what it holds; False makes it wait."""
        try:
            self._store.sync()
        except FileNotFoundError:
            return True  # no write-ahead log: everything is in the synced database
        except (StoreUnavailable, OSError):
            return False
        return True

    def _render(self, accept: list[str]) -> tuple[bytes, str]:
        self._board.refresh()
        return self._metrics.render(accept)

    def _queues(self) -> list[QueueGauges]:
        queues = {"log_bytes": (self._lines.queued_bytes, QUEUE_MAX_BYTES)}
        if self._otlp is not None:
            queues |= self._otlp.queues
        return [QueueGauges(name, depth, capacity) for name, (depth, capacity) in queues.items()]

    def _make_metrics(self, store: str) -> Metrics:
        settings = self._settings
        return Metrics(
            ScrapeInputs(
                instances=self._board.gauges,
                workers=self._journal.workers,
                ledger=self._journal.ledger,
                journal=self._journal.journal,
                queues=self._queues,
                events=telemetry.counts,
                api_refusals=lambda: refusals(self._app) if self._app is not None else {},
            ),
            BuildInfo(__version__, __revision__, platform.python_version(), store),
            now=now_ms,
            lock=self._recorder.lock,
            max_instance_series=settings.max_instance_series,
            providers=sorted({route.provider for route in settings.all_routes()}),
        )

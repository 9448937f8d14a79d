"""What `sidecar import` uses of the database: the store as its one writer, and a foreign table to read."""

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from domain.errors import StoreUnavailable
from domain.evaluate_health import EvaluateInstanceHealth
from domain.ingest_signal import IngestReputationSignal
from domain.record_signal import RecordReputationSignal, Slice
from domain.recorded import Progress
from exporters.sql.engine import UnusableUrl
from exporters.sql.foreign import ForeignTable
from sidecar.api.posting import checked, exchange_of
from sidecar.bootstrap.offline import kept_setting, open_store, redactor_for
from sidecar.cli.errors import CONFIGURATION, FAILED, UNREACHABLE, CommandFailed, complain
from sidecar.cli.taking import Taken
from sidecar.clock import now_ms
from sidecar.providers import codes
from sidecar.settings import Settings

FOLDER = "import"
"""Under this name the store accounts what was imported without a sidecar; no worker is called so."""


class StoreTaking:
    """Implements `sidecar.cli.taking.Taking` where no sidecar runs: records and evaluates by itself.

    Raises:
        StoreUnavailable: another process holds the store, or it does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self.where = "the store"
        self._store, _ = open_store(settings)
        table = codes.load(Path(settings.codes_file) if settings.codes_file else None)
        self._ingest = IngestReputationSignal(redactor_for(settings), table.known)
        self._record = RecordReputationSignal(self._store)
        self._evaluate = EvaluateInstanceHealth(self._store, kept_setting(settings))
        self._progress = self._store.progress().get(FOLDER, Progress(FOLDER))

    def take(self, items: Sequence[msgspec.Raw]) -> Taken:
        """Record the good items of a batch in one transaction, and evaluate their instances."""
        now = now_ms()
        exchange_id = f"import-{uuid.uuid4().hex}"
        signals, bad = checked(items, self._ingest, exchange_id, now)
        if not signals:
            return Taken(bad, 0)
        piece = Slice(self._progress, [exchange_of(exchange_id, now, signals, 0)])
        recorded = self._record([piece], now)
        self._progress = recorded.progress[0]
        self._evaluate.touched(recorded.signals, now)
        if recorded.refused:
            complain(f"the store refused {len(recorded.refused)} facts for their content; each is a gap")
        known: Counter[object] = Counter(recorded.repeated)
        return Taken(bad, known.total())

    def close(self) -> None:
        """Evaluate what an earlier failure left behind, and close the store."""
        try:
            while self._evaluate.due(now_ms()):
                pass
        finally:
            self._store.close()


def open_table(url: str) -> ForeignTable:
    """Open a database's `reputation_signal` table for reading.

    Raises:
        CommandFailed: it cannot be read as one.
    """
    try:
        table = ForeignTable(url)
    except UnusableUrl as error:
        raise CommandFailed(f"SOURCE: {error}", CONFIGURATION) from error
    try:
        missing = table.open()
    except FileNotFoundError as error:
        raise CommandFailed(
            f"SOURCE: there is no file {error.filename}; sqlite:///relative and sqlite:////absolute name one",
            CONFIGURATION,
        ) from error
    except StoreUnavailable as error:
        table.close()
        raise source_away(error) from error
    if missing:
        table.close()
        raise CommandFailed(
            f"SOURCE has no table reputation_signal with the columns {', '.join(missing)}; name the database "
            "of the reference implementation or of a sidecar",
            FAILED,
        )
    return table


def table_rows(table: ForeignTable) -> Iterator[dict[str, Any]]:
    """Give its rows.

    Raises:
        CommandFailed: the database there does not answer any more.
    """
    try:
        yield from table.rows()
    except StoreUnavailable as error:
        raise source_away(error) from error


def source_away(error: StoreUnavailable) -> CommandFailed:
    """Say that it is the source which does not answer, not the store."""
    return CommandFailed(
        f"SOURCE cannot be read: {error}; see that this database runs, that the URL names it with a user who "
        "may read it, then run the import again: it adds nothing twice",
        UNREACHABLE,
    )

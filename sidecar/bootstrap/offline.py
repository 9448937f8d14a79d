"""Opens the store for commands that work without a running sidecar."""

from exporters.sql.store import SqlStore
from sidecar.data_dir import DataDir
from sidecar.settings import Settings

LOCK_WAIT_MS = 1000


def open_store(settings: Settings) -> tuple[SqlStore, list[str]]:
    """Open the store, its schema brought up to date; give it with the revisions that were applied.

    Raises:
        StoreUnavailable: it does not answer, or another process holds it.
        ValueError, ImportError: the URL cannot be served, or a driver is missing.
    """
    data = DataDir(settings.data_dir)
    url = settings.database_url or data.database_url
    store = SqlStore(url, sidecar_id=data.sidecar_id(), lock_wait_ms=LOCK_WAIT_MS)
    return store, store.open()

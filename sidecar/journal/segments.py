"""The writing side of one journal folder: making it, appending to its current segment, rotating.

Plain synchronous file calls. Errors are `OSError`; what they mean for facts is decided in `writer`.
"""

import contextlib
import errno
import fcntl
import os
from collections import deque
from pathlib import Path
from typing import Final

from sidecar.journal.layout import OWNER, PAGE, SEGMENT_HEAD, journal_dir, segment_path
from sidecar.journal.worker_page import WorkerPage

_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC


class OwnFolder:
    """A folder made and locked by this process. `close` gives the lock up."""

    def __init__(self, path: Path, owner_fd: int) -> None:
        self.path = path
        self._owner_fd = owner_fd
        self._fd = -1
        self._stale: deque[int] = deque()
        self.number = 0
        self.size = 0

    @classmethod
    def make(cls, data_dir: Path, name: str, page: WorkerPage) -> "OwnFolder":
        """Make the folder, lock it, move the page into it, and only then let readers see it.

        Raises:
            OSError: nothing visible was left behind; may be tried again with the same name.
        """
        base = journal_dir(data_dir)
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        hidden = base / f".{name}"  # readers take an unlocked folder for a dead one: it appears locked
        _remove_hidden(hidden)
        hidden.mkdir(mode=0o700)
        owner_fd = os.open(hidden / OWNER, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(owner_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            page.attach(hidden / PAGE)
            path = base / name
            hidden.rename(path)
        except OSError:
            os.close(owner_fd)
            raise
        with contextlib.suppress(OSError):
            _sync_dir(base)
        return cls(path, owner_fd)

    @property
    def writable(self) -> bool:
        """Whether a segment is open."""
        return self._fd >= 0

    def rotate(self) -> None:
        """Start the next segment with nothing but its head; the caller puts a STATE record first.

        Raises:
            OSError: the folder stays without an open segment.
        """
        self.abandon()
        self.number += 1  # numbers may skip: a name that could not be used is not tried twice
        path = segment_path(self.path, self.number)
        fd = os.open(path, _APPEND, 0o600)
        try:
            _write_head(fd)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self._fd = fd
        self.size = len(SEGMENT_HEAD)

    def write(self, data: bytes) -> tuple[int, OSError | None]:
        """Append; give how many bytes went in and, when not all, the error that stopped it."""
        written = 0
        while written < len(data):
            try:
                more = os.write(self._fd, memoryview(data)[written:] if written else data)
            except OSError as error:
                return written, error
            written += more
            self.size += more
        return written, None

    def cut_to(self, size: int) -> None:
        """Cut the unfinished record off, or leave the segment if even that fails."""
        try:
            os.ftruncate(self._fd, size)
        except OSError:
            self.abandon()
        self.size = size

    def abandon(self) -> None:
        """Leave the current segment; the next write needs `rotate`."""
        if self._fd >= 0:
            self._stale.append(self._fd)
            self._fd = -1

    def sync(self) -> None:
        """Flush to the disk what was written so far; blocks, may run in a thread beside `write`.

        Raises:
            OSError: the disk refused.
        """
        changed = bool(self._stale) or self.number == 1
        while self._stale:
            fd = self._stale.popleft()
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        if self._fd >= 0:
            os.fsync(self._fd)  # closed by this method only, so it stays open until the next call
        if changed:
            _sync_dir(self.path)

    def close(self) -> None:
        """Sync, and give up the lock: from now on the folder is the recorder's.

        Raises:
            OSError: the last sync failed; the lock is given up all the same.
        """
        self.abandon()
        try:
            self.sync()
        finally:
            os.close(self._owner_fd)


def _write_head(fd: int) -> None:
    if os.write(fd, SEGMENT_HEAD) != len(SEGMENT_HEAD):
        raise OSError(errno.ENOSPC, "no room for the head of a segment")


def _remove_hidden(hidden: Path) -> None:
    if hidden.exists():
        for leftover in hidden.iterdir():
            leftover.unlink()
        hidden.rmdir()


def _sync_dir(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

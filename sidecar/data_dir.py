"""The data directory: journal, key, identity, SQLite file, locks. Created 0700, its files 0600.

sidecar-id         names this sidecar's journal positions in a shared database
pseudonym.key      key of the digest, unless the settings give one
journal/           a folder a worker start
quarantine/        journal bytes that could not be read; never deleted
reputation.sqlite  the embedded store
recorder.lock      held by the one recorder that reads the journal
control.sock       hands the listening sockets to a newer sidecar
listeners.json     where the running sidecar listens, for commands that ask it
configured.ndjson  what recorders ran with, without secrets (sidecar.configured)
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

LOCK_POLL_SECONDS: Final = 0.05
LISTENERS: Final = "listeners.json"


def told_listeners(path: Path) -> dict[str, str]:
    """Give where the sidecar of a directory said it listens; it may be gone since. Makes nothing."""
    try:
        told = json.loads((path / LISTENERS).read_text("ascii"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(address) for name, address in told.items()} if isinstance(told, dict) else {}


class DataDirError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


class DataDir:
    """Paths and small files of one data directory. Making one creates the directory.

    A directory of another owner keeps its mode: a mounted volume may be ours by its group only (Kubernetes'
    fsGroup). What is in it is private in any case.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.stat().st_uid == os.geteuid():
                self.path.chmod(0o700)
            with tempfile.TemporaryFile(dir=self.path):
                pass  # whether files can be made is only known by making one
        except OSError as error:
            raise DataDirError(
                f"SIDECAR_DATA_DIR {self.path} cannot be written ({error.strerror}); "
                "name a directory this user may create and write"
            ) from error

    @property
    def database_url(self) -> str:
        """URL of the embedded store."""
        return f"sqlite:///{self.path / 'reputation.sqlite'}"

    @property
    def control_socket(self) -> Path:
        """Where a newer sidecar asks for the listening sockets."""
        return self.path / "control.sock"

    def sidecar_id(self) -> str:
        """Give this sidecar's identity, made once."""
        return self._once("sidecar-id", lambda: secrets.token_hex(8))

    def pseudonym_key(self, configured: str | None) -> bytes:
        """Give 32 bytes for the keyed digest: from the configured text, or made once here."""
        text = configured or self._once("pseudonym.key", lambda: secrets.token_hex(32))
        return hashlib.sha256(b"sidecar pseudonym key\0" + text.encode()).digest()

    def lock_recorder(self, wait_seconds: float) -> int | None:
        """Become the one recorder of this directory.

        Returns:
            A file descriptor that holds the lock until closed, or None when it is still taken.
        """
        descriptor = os.open(self.path / "recorder.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return None
                time.sleep(LOCK_POLL_SECONDS)
            else:
                return descriptor

    def tell_listeners(self, listeners: Mapping[str, str]) -> None:
        """Say where this sidecar listens; a full disk costs commands that look here, nothing else."""
        draft = self.path / f".{LISTENERS}.{os.getpid()}"
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(dict(listeners)), "ascii")
            draft.chmod(0o600)
            draft.replace(self.path / LISTENERS)

    def _once(self, name: str, make: Callable[[], str]) -> str:
        """Read a small file, or create it atomically: of two starters one wins, both read the same."""
        path = self.path / name
        for _ in range(3):
            try:
                if text := path.read_text("ascii").strip():
                    return text
            except FileNotFoundError:
                pass
            draft = self.path / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(make() + "\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                if not path.read_text("ascii").strip():
                    path.unlink(missing_ok=True)  # an empty file of a crash at the worst moment
            finally:
                draft.unlink()
        raise DataDirError(f"{path} cannot be read; remove it or make it readable")

"""The data directory has one recorder at a time; this holds the lock that says which."""

import os
from typing import Final

from domain.errors import StoreUnavailable
from sidecar.data_dir import DataDir

WAIT_SECONDS: Final = 1.0
"""How long one try waits; the recorder tries again for as long as an older sidecar drains."""


class RecorderLock:
    """Takes the lock at the first success and holds it until released."""

    def __init__(self, data: DataDir) -> None:
        self._data = data
        self._descriptor: int | None = None

    def take(self) -> None:
        """Become the one recorder of the directory.

        Raises:
            StoreUnavailable: another one still holds it (an older sidecar that drains).
        """
        if self._descriptor is None:
            self._descriptor = self._data.lock_recorder(WAIT_SECONDS)
        if self._descriptor is None:
            raise StoreUnavailable("another sidecar still records in this data directory")

    def release(self) -> None:
        """Let a successor record."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

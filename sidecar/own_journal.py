"""The recorder process's own journal folder: for facts that are posted to the API.

They take the same way as those of traffic, so that recording exactly once, gaps and the ledger hold for them.
"""

import asyncio

from domain.exchange import ExchangeFacts
from sidecar.journal.writer import JournalWriter


class OwnJournal:
    """Appends posted facts and tells when they are safe."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    async def append(self, facts: ExchangeFacts) -> None:
        """Journal an exchange; once this returns, its facts survive a crash.

        Raises:
            OSError: the journal did not take them; they are counted as lost.
        """
        lost = self._lost()
        written = asyncio.get_running_loop().create_future()
        self._writer.append(facts, lambda: None if written.done() else written.set_result(None))
        await written
        if self._lost() > lost:
            raise OSError("the journal did not take the facts")

    def _lost(self) -> int:
        return sum(row.total.total for row in self._writer.page.losses().rows)

    def start(self) -> None:
        """Begin to sync."""
        self._writer.start()

    async def close(self) -> None:
        """Sync and let go of the folder."""
        await self._writer.close()

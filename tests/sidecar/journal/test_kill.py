"""A real worker process, killed at random moments: what was released is recorded, and the ledger balances."""

import random
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sidecar.journal.layout import PAGE, journal_dir
from sidecar.journal.page import read_page
from tests.sidecar.journal.journaling import Book, drain, open_tail, recovered

WORKER = Path(__file__).with_name("worker_process.py")


class Worker:
    """The process and what it told so far."""

    def __init__(self, data_dir: Path, *limits: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), str(data_dir), *(str(limit) for limit in limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._told = b""

    def listen(self, size: int, seconds: float = 20) -> None:
        """Read until so many bytes were told."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while len(self._told) < size:
            assert time.monotonic() < deadline, "the worker told nothing in time"
            if select.select([self._process.stdout], [], [], 0.1)[0]:
                self._told += self._process.stdout.read(65536) or b""

    def kill(self) -> list[str]:
        """Kill it at once; give the ids whose answers were released."""
        self._process.kill()
        return self._ended()

    def stop(self) -> list[str]:
        """Let it end by itself; give the ids whose answers were released."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._ended()

    def _ended(self) -> list[str]:
        assert self._process.stdout is not None
        while more := self._process.stdout.read(1 << 20):
            self._told += more
        self._process.wait()
        self._process.stdout.close()
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        whole = self._told[: self._told.rfind(b"\n") + 1]
        return whole.decode().split()


@pytest.mark.parametrize("seed", range(12))
def test_everything_released_before_a_kill_is_recorded(tmp_path: Path, seed: int) -> None:
    """At a random moment: each told id is read back once and in order, and the page's ledger balances."""
    worker = Worker(tmp_path, 64 << 20)
    worker.listen(random.Random(seed).randrange(1, 60_000))
    released = worker.kill()
    (path,) = journal_dir(tmp_path).iterdir()
    page = read_page(path / PAGE)
    assert page is not None

    book = recovered(tmp_path)

    assert book.ids[: len(released)] == released
    assert len(book.ids) <= len(released) + 3, "at most the turn in hand"
    numbers = range(len(book.ids))
    assert book.ids == [f"x-{n}" for n in numbers]
    assert book.settled.total == max(page.observed.total, sum(1 + n % 3 for n in numbers))
    assert set(book.reasons) <= {"worker_killed"}


def test_a_tail_that_reads_beside_a_writing_worker_sees_everything_once(tmp_path: Path) -> None:
    """The writer rotates many small segments while the recorder reads and deletes them."""
    worker = Worker(tmp_path, 8 << 20)
    book = Book()
    tail = open_tail(tmp_path, book)
    told = 0
    while len(book.ids) < 9000:
        told += 8000
        worker.listen(told)
        batch = tail.read(2000, 2000)
        if batch:
            tail.settle(book.record(batch))
    released = worker.stop()
    drain(tail, book)

    assert book.ids[: len(released)] == released
    assert book.ids == [f"x-{n}" for n in range(len(book.ids))]
    assert not book.gaps
    assert not list(journal_dir(tmp_path).iterdir())

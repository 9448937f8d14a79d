"""Whatever happened to a journal: `verify` tells what a start will do, `repair` changes none of it."""

import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.recorded import Progress
from sidecar.journal import audit
from sidecar.journal.layout import PAGE, journal_dir, quarantine_dir, segment_numbers, segment_path
from sidecar.journal.page import PAGE_BYTES
from tests.sidecar.journal.journaling import Book, Folder, damaged, drain, open_tail

FACTS = 1200


class Fate(NamedTuple):
    """What became of a folder: recorded batches, then damage, lost files, a page, perhaps a repair."""

    recorded: int
    seed: int | None
    missing: frozenset[int]
    page: str
    repaired: bool


fates = st.builds(
    Fate,
    recorded=st.integers(0, 4),
    seed=st.none() | st.integers(0, 10_000),
    missing=st.frozensets(st.integers(1, 6), max_size=2),
    page=st.sampled_from(["kept", "kept", "kept", "gone", "zero", "noise", "short"]),
    repaired=st.booleans(),
)
PAGES = {"zero": bytes(PAGE_BYTES), "noise": b"\xa5" * PAGE_BYTES, "short": b"page"}


def overwritten(segment: bytes, seed: int) -> bytes:
    """Zero a stretch, write noise over another, cut the end.

    Nothing is moved, as disks do not move bytes: the position in a segment that was read in part is one.
    """
    dice = random.Random(seed)
    data = bytearray(segment)
    for fill in (bytes, dice.randbytes):
        at = dice.randrange(len(data))
        size = len(data[at : at + dice.randrange(1, 4000)])
        data[at : at + size] = fill(size)
    return bytes(data[: dice.choice((len(data), dice.randrange(len(data) // 2, len(data))))])


def suffer(data_dir: Path, folder: Folder, fate: Fate) -> Book:
    """Record the first batches of the intact folder, then do to it what its fate says."""
    path = folder.put(data_dir)
    book = Book()
    tail = open_tail(data_dir, book)
    for _ in range(fate.recorded):
        tail.settle(book.record(tail.read(60, 60)))
    tail.close()
    position = next(iter(book.progress.values()), Progress(folder.name))
    worse = folder if fate.seed is None else damaged(folder, fate.seed)
    for number in segment_numbers(path):
        data = worse.segments[number - 1]
        if number <= position.segment and fate.seed is not None:
            data = overwritten(folder.segments[number - 1], fate.seed)
        segment_path(path, number).write_bytes(data)
    for number in fate.missing:
        segment_path(path, number).unlink(missing_ok=True)
    if fate.page == "gone":
        (path / PAGE).unlink()
    elif fate.page != "kept":
        (path / PAGE).write_bytes(PAGES[fate.page])
    return book


@pytest.fixture(scope="module")
def whole(long: Folder) -> Callable[[], Folder]:
    """Give the folder behind a short name: a failing example is printed with its arguments."""
    return lambda: long


@pytest.mark.slow  # each example drains a journal of 1200 facts, twice
@given(fate=fates)
@settings(max_examples=50, deadline=None)
def test_verify_tells_what_a_start_does_from_any_position_after_any_damage(
    whole: Callable[[], Folder], fate: Fate
) -> None:
    """The same facts wait, the same gaps, nothing comes twice; with a page the ledger is exact."""
    data_dir = Path(tempfile.mkdtemp())
    try:
        book = suffer(data_dir, whole(), fate)
        before = (len(book.ids), dict(book.gaps))
        (told,) = audit.verify(data_dir, book.progress).folders
        if fate.repaired:
            audit.repair(data_dir, book.progress)
            (again,) = audit.verify(data_dir, book.progress).folders
            assert (again.waiting, again.gaps, again.lost) == (told.waiting, told.gaps, told.lost)

        tail = open_tail(data_dir, book)
        drain(tail, book)
        tail.read(1, 1)
        tail.close()

        new = {key: gap for key, gap in book.gaps.items() if key not in before[1]}
        assert told.waiting.total == 2 * (len(book.ids) - before[0])
        assert {gap.key: gap for gap in told.gaps} == new
        assert told.lost.total == sum(gap.lost for gap in new.values())
        assert len(book.ids) == len(set(book.ids))
        assert 2 * len(book.ids) + book.lost <= FACTS
        if fate.page == "kept":
            assert 2 * len(book.ids) + book.lost == FACTS
            assert book.settled.dispatch == FACTS
        assert not list(journal_dir(data_dir).iterdir())
        if fate.repaired and quarantine_dir(data_dir).exists():
            assert audit.inspect(data_dir).quarantine.files == len(list(quarantine_dir(data_dir).iterdir()))
    finally:
        shutil.rmtree(data_dir)

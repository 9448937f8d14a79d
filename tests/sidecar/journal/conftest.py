"""Journals to be damaged."""

import pytest

from tests.sidecar.journal.journaling import COUNT, Folder, facts, write_journal


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One segment with four exchanges of one fact each."""
    made = tmp_path_factory.mktemp("small")
    return Folder.load(write_journal(made, (facts(n) for n in range(COUNT))))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Several segments with exchanges of two facts each."""
    made = tmp_path_factory.mktemp("long")
    folder = Folder.load(
        write_journal(made, (facts(n, count=2, padding=200) for n in range(600)), max_bytes=8 << 16)
    )
    assert len(folder.segments) > 3
    return folder

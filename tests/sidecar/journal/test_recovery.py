"""What the recorder makes of damaged journals: it always starts, and the loss is exact."""

import random
from pathlib import Path

import pytest

from sidecar.journal.layout import HEAD, SEGMENT_HEAD, journal_dir, quarantine_dir
from sidecar.journal.page import PAGE_BYTES
from tests.sidecar.journal.journaling import COUNT, STARTED, Folder, damaged, recovered


def record_starts(segment: bytes) -> list[int]:
    """Find where the records of an intact segment stand."""
    starts, at = [], len(SEGMENT_HEAD)
    while at < len(segment):
        starts.append(at)
        at += HEAD.size + HEAD.unpack_from(segment, at)[2]
    return starts


def test_an_intact_journal_of_a_dead_worker_is_read_whole_and_removed(small: Folder, tmp_path: Path) -> None:
    """Nothing is lost, nothing is quarantined, nothing stays behind."""
    small.put(tmp_path)

    book = recovered(tmp_path)

    assert book.ids == [f"x-{n}" for n in range(COUNT)]
    assert not book.gaps
    assert not list(journal_dir(tmp_path).iterdir())
    assert not quarantine_dir(tmp_path).exists()


def test_every_truncation_keeps_the_records_before_it_and_accounts_the_rest(
    small: Folder, tmp_path: Path
) -> None:
    """A segment cut at any byte: whole records are recorded, the others are lost exactly."""
    (segment,) = small.segments
    ends = [*record_starts(segment)[1:], len(segment)]
    for size in range(len(segment)):
        data_dir = tmp_path / str(size)
        small._replace(segments=[segment[:size]]).put(data_dir)

        book = recovered(data_dir)

        whole = max(0, sum(end <= size for end in ends) - 1)  # the first record is a STATE
        assert book.ids == [f"x-{n}" for n in range(whole)]
        assert book.lost == COUNT - whole
        assert set(book.reasons) == {"corrupt"}


def test_every_single_bit_flip_costs_at_most_one_record_and_the_loss_is_exact(
    small: Folder, tmp_path: Path
) -> None:
    """Whatever bit flips in a segment, all other records are recorded and the ledger balances."""
    (segment,) = small.segments
    for at in range(len(segment)):
        for bit in range(8):
            data_dir = tmp_path / f"{at}-{bit}"
            flipped = bytearray(segment)
            flipped[at] ^= 1 << bit
            small._replace(segments=[bytes(flipped)]).put(data_dir)

            book = recovered(data_dir)

            assert len(book.ids) >= COUNT - 1
            assert book.ids == sorted(set(book.ids))
            assert len(book.ids) + book.lost == COUNT
            assert set(book.reasons) <= {"corrupt"}


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_loses_exactly_what_it_hit(long: Folder, tmp_path: Path, seed: int) -> None:
    """Overwritten, zeroed, cut out and inserted stretches: what is not recorded is accounted, once."""
    damaged(long, seed).put(tmp_path)

    book = recovered(tmp_path)

    numbers = [int(one.removeprefix("x-")) for one in book.ids]
    assert numbers == sorted(set(numbers))
    assert 2 * len(numbers) + book.lost == 1200
    assert book.settled.dispatch == 1200
    assert list(quarantine_dir(tmp_path).iterdir())


def test_the_gap_of_a_damaged_record_says_when_why_and_how_many(small: Folder, tmp_path: Path) -> None:
    """It lies between the exchanges around it, and the segment is kept as evidence."""
    (segment,) = small.segments
    second = record_starts(segment)[2]
    damaged = segment[: second + 60] + b"\xff" + segment[second + 61 :]
    small._replace(segments=[damaged]).put(tmp_path)

    book = recovered(tmp_path)

    (gap,) = book.gaps.values()
    assert (gap.since, gap.until, gap.reason, gap.lost) == (STARTED, STARTED + 2, "corrupt", 1)
    (evidence,) = quarantine_dir(tmp_path).iterdir()
    assert evidence.read_bytes() == damaged


def test_a_zero_filled_segment_is_lost_exactly(small: Folder, tmp_path: Path) -> None:
    """As some file systems leave it after a power loss."""
    small._replace(segments=[bytes(len(small.segments[0]))]).put(tmp_path)

    book = recovered(tmp_path)

    assert book.ids == []
    assert book.reasons == {"corrupt": COUNT}


def test_zeros_behind_the_last_record_cost_nothing(small: Folder, tmp_path: Path) -> None:
    """A file that was extended but not written."""
    small._replace(segments=[small.segments[0] + bytes(5000)]).put(tmp_path)

    book = recovered(tmp_path)

    assert len(book.ids) == COUNT
    assert not book.gaps
    assert not quarantine_dir(tmp_path).exists()


def test_a_segment_of_another_version_is_quarantined_and_told_apart(small: Folder, tmp_path: Path) -> None:
    """A newer sidecar wrote it and was rolled back: start succeeds, the segment is kept for it."""
    body = small.segments[0][len(SEGMENT_HEAD) :].replace(b"\xf5R\xc1J", b"\xf5R\xc1K")
    newer = SEGMENT_HEAD[:4] + b"\x02\x00\x00\x00" + body
    small._replace(segments=[newer]).put(tmp_path)

    book = recovered(tmp_path)

    assert book.reasons == {"unknown_version": COUNT}
    (evidence,) = quarantine_dir(tmp_path).iterdir()
    assert evidence.read_bytes() == newer


def test_garbage_is_searched_and_the_records_behind_it_are_found(small: Folder, tmp_path: Path) -> None:
    """A few megabytes of noise in the middle of a segment."""
    (segment,) = small.segments
    middle = record_starts(segment)[2]
    noise = random.Random(1).randbytes(5 << 20)
    small._replace(segments=[segment[:middle] + noise + segment[middle:]]).put(tmp_path)

    book = recovered(tmp_path)

    assert len(book.ids) == COUNT
    assert not book.gaps
    assert list(quarantine_dir(tmp_path).iterdir())


@pytest.mark.parametrize("page", [None, b"", b"\xff" * PAGE_BYTES, bytes(PAGE_BYTES), b"short"])
def test_without_a_usable_page_everything_readable_is_recorded(
    small: Folder, tmp_path: Path, page: bytes | None
) -> None:
    """A missing, empty, short or rubbish page is no reason to stop."""
    small._replace(page=page).put(tmp_path)

    book = recovered(tmp_path)

    assert len(book.ids) == COUNT
    assert not book.gaps


def test_without_a_page_a_lost_end_is_still_shown_as_a_gap(small: Folder, tmp_path: Path) -> None:
    """How many facts it held is unknown then: the gap counts 0, with evidence kept."""
    (segment,) = small.segments
    small._replace(page=None, segments=[segment[:-1]]).put(tmp_path)

    book = recovered(tmp_path)

    assert len(book.ids) == COUNT - 1
    (gap,) = book.gaps.values()
    assert (gap.reason, gap.lost) == ("corrupt", 0)
    assert list(quarantine_dir(tmp_path).iterdir())


def test_without_a_page_damage_between_records_is_exact(small: Folder, tmp_path: Path) -> None:
    """The running totals of the next record tell how many facts are missing."""
    (segment,) = small.segments
    second = record_starts(segment)[2]
    small._replace(page=None, segments=[segment[:second] + segment[second + 5 :]]).put(tmp_path)

    book = recovered(tmp_path)

    assert book.reasons == {"corrupt": 1}


def test_a_missing_segment_is_accounted(long: Folder, tmp_path: Path) -> None:
    """Somebody deleted a file: the next segment's first record tells what it held."""
    path = long.put(tmp_path)
    (path / "00000002.seg").unlink()

    book = recovered(tmp_path)

    assert 2 * len(book.ids) + book.lost == 1200
    assert book.lost > 0


def test_an_empty_folder_of_a_dead_worker_is_removed(tmp_path: Path) -> None:
    """Killed between making the folder and its first write."""
    (journal_dir(tmp_path) / "w0-1700000000000-1").mkdir(parents=True)

    recovered(tmp_path)

    assert not list(journal_dir(tmp_path).iterdir())


def test_strange_files_are_kept_and_strange_folders_left_alone(small: Folder, tmp_path: Path) -> None:
    """What is not ours is never deleted."""
    (small.put(tmp_path) / "notes.txt").write_text("mine")
    (journal_dir(tmp_path) / "other").mkdir()

    book = recovered(tmp_path)

    assert len(book.ids) == COUNT
    assert [entry.name for entry in journal_dir(tmp_path).iterdir()] == ["other"]
    (kept,) = quarantine_dir(tmp_path).iterdir()
    assert kept.read_text() == "mine"

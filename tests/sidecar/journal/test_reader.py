"""Reading a segment while it grows, and over damage, without ever giving what is no record."""

import random
from pathlib import Path

from sidecar.journal.layout import FACTS, RECORD_MAGIC, SEGMENT_HEAD, encode, frame
from sidecar.journal.reader import CHUNK, Damage, Found, SegmentReader
from tests.sidecar.journal.journaling import facts


def record(number: int, padding: int = 0) -> bytes:
    """Make a record as it stands in a segment; its totals count from 1."""
    payload = encode(facts(number, padding=padding))
    return frame(FACTS, payload, number + 1, 0, number + 1, 0) + payload


def read_all(reader: SegmentReader, *, final: bool) -> list[Found | Damage]:
    """Read until nothing is there."""
    items = []
    while (item := reader.next(final=final)) is not None:
        items.append(item)
    return items


def numbers(items: list[Found | Damage]) -> list[int]:
    """Name the records by their totals."""
    return [item.totals.records - 1 for item in items if isinstance(item, Found)]


def test_a_segment_that_grows_byte_by_byte_gives_each_record_once_it_is_whole(tmp_path: Path) -> None:
    """An unfinished record of a living worker is waited for, never called damage."""
    data = SEGMENT_HEAD + b"".join(record(n) for n in range(4))
    path = tmp_path / "00000001.seg"
    path.touch()
    reader = SegmentReader(path)
    seen: list[Found | Damage] = []
    with path.open("ab", buffering=0) as file:
        for at in range(len(data)):
            file.write(data[at : at + 1])
            seen += read_all(reader, final=False)

    assert numbers(seen) == [0, 1, 2, 3]
    assert not any(isinstance(item, Damage) for item in seen)
    assert reader.offset == len(data)
    reader.close()


def test_damage_in_a_growing_segment_is_told_when_a_record_stands_behind_it(tmp_path: Path) -> None:
    """Not before: what looks like damage at the end may be a record being written."""
    path = tmp_path / "00000001.seg"
    bad = bytearray(record(0))
    bad[60] ^= 1
    path.write_bytes(SEGMENT_HEAD + bad)
    reader = SegmentReader(path)

    early = reader.next(final=False)
    with path.open("ab") as file:
        file.write(record(1))
    later = read_all(reader, final=False)

    assert early is None
    assert later[0] == Damage(8, 8 + len(bad), later[0].reason)  # type: ignore[union-attr] # a Damage, as compared
    assert numbers(later) == [1]
    reader.close()


def test_records_larger_than_a_chunk_and_across_chunks_are_read(tmp_path: Path) -> None:
    """Sizes around the chunk's, in any order."""
    dice = random.Random(5)
    sizes = [dice.choice([0, 100, CHUNK - 700, CHUNK, CHUNK + 1, 2 * CHUNK]) for _ in range(30)]
    path = tmp_path / "00000001.seg"
    path.write_bytes(SEGMENT_HEAD + b"".join(record(n, size) for n, size in enumerate(sizes)))
    reader = SegmentReader(path)

    assert numbers(read_all(reader, final=True)) == list(range(30))
    reader.close()


def test_magics_in_garbage_and_across_chunk_borders_mislead_nobody(tmp_path: Path) -> None:
    """Garbage full of magics and half heads, with a record right at, before and behind a border."""
    for shift in range(-50, 51, 7):
        junk = (RECORD_MAGIC * CHUNK)[: CHUNK + shift]
        path = tmp_path / f"{shift}.seg"
        path.write_bytes(SEGMENT_HEAD + junk + record(0) + frame(FACTS, b"x", 1, 0, 1, 0)[:20] + record(1))
        reader = SegmentReader(path)

        items = read_all(reader, final=True)

        assert numbers(items) == [0, 1]
        assert isinstance(items[0], Damage)
        assert (items[0].start, items[0].end) == (8, 8 + len(junk))
        reader.close()


def test_a_segment_that_shrank_gives_nothing_more(tmp_path: Path) -> None:
    """Somebody truncated it behind the reader's back: no exception, no record twice."""
    path = tmp_path / "00000001.seg"
    path.write_bytes(SEGMENT_HEAD + record(0) + record(1))
    reader = SegmentReader(path)
    first = reader.next(final=True)
    assert isinstance(first, Found)
    reader.next(final=True)
    path.write_bytes(SEGMENT_HEAD)

    assert reader.next(final=True) is None
    assert reader.next(final=False) is None
    reader.close()

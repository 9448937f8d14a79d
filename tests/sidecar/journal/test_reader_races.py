"""A worker that writes exactly while its segment is being looked at."""

from pathlib import Path

from sidecar.journal.layout import SEGMENT_HEAD
from sidecar.journal.reader import Found, SegmentReader
from tests.sidecar.journal.test_reader import numbers, read_all, record


class Watched(SegmentReader):
    """Lets the worker write between the reader's n-th and its next look at the file."""

    def __init__(self, path: Path, look: int, late: bytes) -> None:
        super().__init__(path)
        self._path = path
        self._look = look
        self._late = late

    def _read(self, offset: int, size: int) -> bytes:
        data = super()._read(offset, size)
        self._look -= 1
        if self._look == 0:
            self.write()
        return data

    def write(self) -> None:
        """Do the worker's late write, once."""
        self._look = 0
        with self._path.open("ab") as file:
            file.write(self._late)
        self._late = b""


def test_a_record_completed_between_two_looks_is_never_called_damage(tmp_path: Path) -> None:
    """Seen on a takeover: the record being written was skipped because the next one was whole already."""
    whole = SEGMENT_HEAD + record(0)
    for cut in (1, 20, 47, 60):
        for look in range(1, 8):
            path = tmp_path / f"{cut}-{look}.seg"
            path.write_bytes(whole + record(1)[:cut])
            reader = Watched(path, look, record(1)[cut:] + record(2) + record(3))

            items = read_all(reader, final=False)
            reader.write()  # whatever was not written by then: only afterwards nobody appends any more
            items += read_all(reader, final=True)

            assert all(isinstance(item, Found) for item in items), (cut, look)
            assert numbers(items) == [0, 1, 2, 3]
            reader.close()

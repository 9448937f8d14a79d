"""A sidecar that finds damaged journals: it starts, reads around the damage, and accounts what is gone."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from sqlalchemy import create_engine, text

from domain.exchange import ExchangeFacts
from domain.record_signal import RecordReputationSignal
from exporters.sql.store import SqlStore
from sidecar.clock import monotonic_ns
from sidecar.data_dir import DataDir
from sidecar.journal import audit
from sidecar.journal.layout import HEAD, RECORD_MAGIC, SEGMENT_HEAD, journal_dir, quarantine_dir
from sidecar.journal.tail import JournalTail
from tests.builders import exchange, redacted_signal
from tests.chaos.book import read_book
from tests.e2e.load import balanced
from tests.e2e.sidecars import Sidecar, until, world
from tests.sidecar.journal.journaling import Folder, Seconds, write_journal

STARTED = 1_700_000_000_000
EXCHANGES, EACH = 120, 2
OBSERVED = EXCHANGES * EACH
ROUNDS_FULL = 25
GARBAGE_BYTES, GARBAGE_BYTES_FULL = 128 << 20, 1 << 30
READY_MAX_SECONDS = 20.0
"""Far above what a start takes alone (0.7 s): tests run side by side."""
RECORDER_MAX_BYTES = 200 << 20
pytestmark = pytest.mark.slow

Damage = Callable[[Folder, random.Random], Folder]


def exchanges(name: str) -> Iterator[ExchangeFacts]:
    """Give exchanges of a folder, all their facts different from every other folder's."""
    for number in range(EXCHANGES):
        at = STARTED + number
        signals = [
            redacted_signal(f"{name}/{number}/{one}", at, context={"code": "x"}) for one in range(EACH)
        ]
        yield exchange(*signals, exchange_id=f"{name}-{number}", ended_at=at)


def cut(folder: Folder, dice: random.Random) -> Folder:
    """Cut the last segment anywhere."""
    *before, last = folder.segments
    return folder._replace(segments=[*before, last[: dice.randrange(len(last))]])


def flipped(folder: Folder, dice: random.Random) -> Folder:
    """Flip a dozen bits anywhere."""
    segments = [bytearray(segment) for segment in folder.segments]
    for _ in range(12):
        segment = dice.choice(segments)
        segment[dice.randrange(len(segment))] ^= 1 << dice.randrange(8)
    return folder._replace(segments=[bytes(segment) for segment in segments])


def zeroed(folder: Folder, dice: random.Random) -> Folder:
    """Fill a stretch with zeros, as a file system does behind a power loss."""
    segments = [bytearray(segment) for segment in folder.segments]
    segment = dice.choice(segments)
    at = dice.randrange(len(segment))
    size = len(segment[at : at + dice.randrange(1, 6000)])
    segment[at : at + size] = bytes(size)
    return folder._replace(segments=[bytes(segment) for segment in segments])


def of_another_version(folder: Folder, dice: random.Random) -> Folder:
    """Make every segment one that only a later version reads."""
    del dice
    head = SEGMENT_HEAD[:4] + b"\x63\x00" + SEGMENT_HEAD[6:]
    return folder._replace(
        segments=[
            head + segment[len(head) :].replace(RECORD_MAGIC, b"\xf5R\xc1K") for segment in folder.segments
        ]
    )


def without_a_middle(folder: Folder, dice: random.Random) -> Folder:
    """Lose bytes out of the middle of each segment."""
    segments = []
    for segment in folder.segments:
        at = dice.randrange(len(SEGMENT_HEAD), len(segment))
        segments.append(segment[:at] + segment[at + dice.randrange(1, 3000) :])
    return folder._replace(segments=segments)


def unchanged(folder: Folder, dice: random.Random) -> Folder:
    """Leave it be."""
    del dice
    return folder


DAMAGES: dict[str, Damage] = {
    "cut": cut,
    "flipped": flipped,
    "zeroed": zeroed,
    "of another version": of_another_version,
    "without a middle": without_a_middle,
    "unchanged": unchanged,
}


class Laid(NamedTuple):
    """A folder in the data directory: its name, what was done to it, and whether its page was left."""

    name: str
    what: str
    counted: bool


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Folder]:
    """Give a folder of a dead worker under a name of our choice."""
    base = tmp_path_factory.mktemp("journals")

    def making(name: str) -> Folder:
        path = write_journal(base / name, exchanges(name), max_bytes=1 << 18)
        return Folder.load(path)._replace(name=name)

    return making


def lay(data_dir: Path, whole: Callable[[str], Folder], dice: random.Random, rounds: int) -> list[Laid]:
    """Put damaged folders down: each damage with its page, some without."""
    laid = []
    for turn in range(rounds):
        for number, (what, damage) in enumerate(DAMAGES.items()):
            name = f"w0-{STARTED + turn}-{number + 1}"
            folder = damage(whole(name), dice)
            counted = (turn + number) % 4 != 3
            folder._replace(page=folder.page if counted else None).put(data_dir)
            laid.append(Laid(name, what, counted))
    return laid


def record_half(data_dir: Path, url: str, name: str) -> None:
    """Record the first half of a folder as a sidecar would, then forget the position: the row is missing."""
    store = SqlStore(url, sidecar_id=DataDir(data_dir).sidecar_id())
    store.open()
    tail = JournalTail(data_dir, store.progress(), monotonic=Seconds(), clock=lambda: STARTED)
    tail.settle(RecordReputationSignal(store)(tail.read(OBSERVED // 2, EXCHANGES), STARTED).progress)
    tail.close()
    store.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        gone = connection.execute(text("DELETE FROM journal_position WHERE journal = :name"), {"name": name})
    engine.dispose()
    assert gone.rowcount == 1


def accounted(url: str) -> dict[str, int]:
    """Sum the losses of each folder by its gaps."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT key, lost FROM signal_gap")).all()
    engine.dispose()
    lost: dict[str, int] = {}
    for key, count in rows:
        lost[key.split("/")[0]] = lost.get(key.split("/")[0], 0) + count
    return lost


def drained(running: Sidecar) -> bool:
    """Tell whether nothing waits, and only folders of living processes are left."""
    left = [
        path
        for path in journal_dir(running.data_dir).iterdir()
        if path.name.startswith(("w0-16", "w0-1700000"))
    ]
    return not left and (running.metrics().get("reputation_signals_pending") == 0)


def test_whatever_happened_to_the_journal_it_starts_and_the_loss_is_accounted(
    whole: Callable[[str], Folder], tmp_path: Path, full: bool
) -> None:
    """Recorded, repeated and lost make what was observed, folder by folder; `verify` said so before."""
    dice = random.Random(11)
    data_dir = tmp_path / "data"
    url = f"sqlite:///{tmp_path / 'store.db'}"
    half = f"w0-{STARTED - 1}-1"
    whole(half).put(data_dir)
    record_half(data_dir, url, half)
    laid = lay(data_dir, whole, dice, ROUNDS_FULL if full else 1)
    told = {folder.name: folder for folder in audit.verify(data_dir).folders}

    with world(data_dir, database_url=url) as (_, running, _):
        until(lambda: drained(running), 120)
        assert balanced(running)
        assert running.stop() == 0

    book = read_book(url)
    book.check(untold=OBSERVED // 2)
    lost = accounted(url)
    for name, what, counted in laid:
        tally = book.tallies[name]
        recorded, gone = (sum(tally[part].values()) for part in ("recorded", "lost"))
        assert (recorded, gone) == (told[name].waiting.total, told[name].lost.total), (name, what)
        assert gone == lost.get(name, 0), (name, what)
        if counted:
            assert recorded + gone == OBSERVED, (name, what)
        else:
            assert recorded + gone <= OBSERVED, (name, what)
            assert recorded == OBSERVED or name in {key.split("/")[0] for key in lost}, (name, what)
        if what == "unchanged":
            assert recorded == OBSERVED
        if what == "of another version":
            assert recorded == 0
    again = book.tallies[half]
    assert sum(again["recorded"].values()) + sum(again["repeated"].values()) == OBSERVED
    assert sum(again["repeated"].values()) == OBSERVED // 2
    assert list(quarantine_dir(data_dir).iterdir())


def test_a_gigabyte_of_garbage_delays_no_start_and_fills_no_memory(
    whole: Callable[[str], Folder], tmp_path: Path, full: bool
) -> None:
    """Zeros, noise, and heads that look like records' between good segments: the good ones are recorded."""
    data_dir = tmp_path / "data"
    url = f"sqlite:///{tmp_path / 'store.db'}"
    name = f"w0-{STARTED}-1"
    path = whole(name).put(data_dir)
    segments = sorted(path.glob("*.seg"))
    size = GARBAGE_BYTES_FULL if full else GARBAGE_BYTES
    segments[-1].rename(path / "00000900.seg")
    with (path / "00000800.seg").open("wb") as file:
        file.write(SEGMENT_HEAD)
        file.truncate(size)  # sparse: zeros that take no room on the disk
        noise = random.Random(3).randbytes(4096)
        for at in range(1 << 20, size - (1 << 20), 1 << 20):
            file.seek(at)
            # The head of a record a megabyte long, whose sum is wrong: each costs a look at all of it.
            file.write(noise + HEAD.pack(RECORD_MAGIC, 1, 1 << 20, 1, 9, 9, 9, 9))

    began = monotonic_ns()
    with ExitStack() as stack:
        _, running, _ = stack.enter_context(world(data_dir, database_url=url, journal_max_bytes=str(8 << 30)))
        ready_seconds = (monotonic_ns() - began) / 1e9
        recorder = running.child("sidecar: recorder")
        until(lambda: drained(running), 180)
        assert balanced(running)
        peak = peak_bytes(recorder)
        assert running.stop() == 0

    book = read_book(url)
    book.check()
    assert ready_seconds < READY_MAX_SECONDS
    assert peak < RECORDER_MAX_BYTES
    assert book.settled("recorded") == OBSERVED
    assert book.gaps == []


def peak_bytes(process: psutil.Process) -> int:
    """Give the most memory a process ever held."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10

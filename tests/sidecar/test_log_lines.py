"""The line writer: nobody waits for a reader of stdout, lines stay whole, losses are counted."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from sidecar.log_lines import WRITE_MAX_BYTES, LineWriter

DEADLINE_SECONDS = 10.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: its reading and its writing end."""
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            continue  # the test closed it


def drain(reading: int, until: int) -> bytes:
    """Read until this many bytes came."""
    data = b""
    while len(data) < until:
        chunk = os.read(reading, 65536)
        if not chunk:
            break
        data += chunk
    return data


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    """What was written first stands first."""
    reading, writing = pipe
    writer = LineWriter(writing)

    for number in range(100):
        writer.write(b"line %d\n" % number)

    assert writer.close()
    os.close(writing)
    assert drain(reading, 1 << 20).splitlines() == [b"line %d" % n for n in range(100)]


def test_a_blocked_reader_stops_nobody_and_drops_are_counted(pipe: tuple[int, int]) -> None:
    """With the pipe full, writing returns at once; lines beyond the bound are counted, none is torn."""
    reading, writing = pipe
    line = b"x" * 999 + b"\n"
    writer = LineWriter(writing, max_bytes=100_000)

    started = time.monotonic()
    for _ in range(1000):
        writer.write(line)
    took = time.monotonic() - started

    dropped = writer.dropped["queue_full"]
    kept = 1000 - dropped
    assert took < 2.0
    assert 100 <= kept <= 300  # the queue's 100 lines, and what the pipe and the thread hold
    received = drain(reading, kept * 1000)
    assert received == line * kept
    assert writer.close()


def test_writing_goes_on_when_the_reader_comes_back(pipe: tuple[int, int]) -> None:
    """After a full queue was drained, new lines arrive again."""
    reading, writing = pipe
    writer = LineWriter(writing, max_bytes=4096)
    for _ in range(200):
        writer.write(b"y" * 1023 + b"\n")
    got = threading.Event()
    lines: list[bytes] = []

    def read() -> None:
        data = b""
        while b"last\n" not in data:
            data += os.read(reading, 65536)
        lines.extend(data.splitlines())
        got.set()

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while writer.queued_bytes and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    writer.write(b"last\n")

    assert got.wait(DEADLINE_SECONDS)
    assert lines[-1] == b"last"
    assert writer.dropped["queue_full"] > 0


def test_a_closed_reader_is_counted_and_harmless(pipe: tuple[int, int]) -> None:
    """A reader that went away costs the lines, nothing else."""
    reading, writing = pipe
    os.close(reading)
    writer = LineWriter(writing)

    writer.write(b"one\ntwo\n", 2)

    assert writer.close()
    assert writer.dropped == {"stream_closed": 2}


def test_drops_are_reported_also_those_before_the_listener(pipe: tuple[int, int]) -> None:
    """A listener that comes late hears of every drop once."""
    reading, writing = pipe
    os.close(reading)
    writer = LineWriter(writing, max_bytes=10)
    heard: list[tuple[str, int]] = []
    writer.write(b"longer than the bound\n")

    writer.report_drops_to(lambda reason, lines: heard.append((reason, lines)))
    writer.write(b"longer than the bound\n" * 3, 3)

    assert heard == [("queue_full", 1), ("queue_full", 3)]
    assert writer.close()


def test_held_lines_wait_for_the_ready_line(pipe: tuple[int, int]) -> None:
    """The line given on release stands before everything written earlier."""
    reading, writing = pipe
    writer = LineWriter(writing, held=True)
    writer.write(b"early\n")

    writer.release(b"ready\n")
    writer.write(b"late\n")

    assert writer.close()
    assert drain(reading, 17) == b"ready\nearly\nlate\n"


def test_close_keeps_its_budget_on_a_blocked_reader(pipe: tuple[int, int]) -> None:
    """A reader that never reads cannot hold up the end of the process."""
    _, writing = pipe
    writer = LineWriter(writing)
    writer.write(b"z" * 1023 + b"\n", 1)
    for _ in range(200):
        writer.write(b"z" * 1023 + b"\n", 1)

    started = time.monotonic()
    complete = writer.close(0.2)

    assert not complete
    assert time.monotonic() - started < 2.0


def test_big_batches_are_split_behind_line_feeds() -> None:
    """On a pipe each write is atomic, so that lines of several processes never mix."""
    reading, writing = os.pipe()
    writer = LineWriter(writing, held=True)
    lines = [b"%04d" % number + b"-" * 700 + b"\n" for number in range(50)]
    writer.write(b"".join(lines), 50)
    other = b"other" + b"+" * 700 + b"\n"
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            os.write(writing, other)

    received = bytearray()

    def read() -> None:
        while chunk := os.read(reading, 65536):
            received.extend(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    disturber = threading.Thread(target=disturb)
    disturber.start()
    writer.release()
    assert writer.close()
    stop.set()
    disturber.join()
    os.close(writing)
    reader.join()
    os.close(reading)

    assert max(map(len, lines)) <= WRITE_MAX_BYTES
    mine = [line for line in bytes(received).splitlines(keepends=True) if line != other]
    assert mine == lines

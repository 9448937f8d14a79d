"""P6: memory of worker and recorder, under load, with big bodies, with idle connections.

Resident set sizes, sampled every 20 ms; "adds" is the highest value minus that just before.
"""

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psutil

from bench.load import ANSWER_MAX_BYTES, BODY, PATH, has_wrk, wrk
from bench.measured import RunningSidecar, sidecar
from bench.report import Row, Setting, at_most, note
from bench.serving import nginx, nginx_upstream

MIB: Final = 1 << 20
BODIES: Final = 20
BODY_MIB: Final = 100
IDLE: Final = 1000
INSTANCES: Final = 50
SAMPLE_SECONDS: Final = 0.02
TIMEOUT_SECONDS: Final = 120.0


class _Peak:
    """Highest resident set of a process while the block runs, in MiB."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.before = self.now()
        self.highest = self.before

    def now(self) -> float:
        return float(self._process.memory_info().rss) / MIB

    @property
    def added(self) -> float:
        return self.highest - self.before

    def sample(self) -> None:
        self.highest = max(self.highest, self.now())


@contextmanager
def _watching(*processes: psutil.Process) -> Iterator[list[_Peak]]:
    peaks = [_Peak(process) for process in processes]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_SECONDS):
            for peak in peaks:
                peak.sample()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()
        for peak in peaks:
            peak.sample()


def measure(setting: Setting) -> list[Row]:
    """Run the section."""
    if nginx() is None:
        return [note("skipped", "nginx is needed (Debian package nginx-light)")]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    size = (5 if setting.quick else BODY_MIB) * MIB
    with (setting.folder / "big").open("wb") as big:
        big.truncate(size)
    uploads, downloads = (f"{BODIES} {what} of {size // MIB} MiB" for what in ("uploads", "slow downloads"))
    parts: tuple[Callable[[RunningSidecar], list[Row]], ...] = (
        _idle,
        lambda measured: _bodies(measured, uploads, lambda address: _upload(address, size)),
        lambda measured: _bodies(measured, downloads, lambda address: _download(address, size)),
        lambda measured: _under_load(setting, measured),
    )
    rows = []
    for number, part in enumerate(parts):  # each on a fresh process: memory once freed is not given back
        folder = setting.folder / str(number)
        folder.mkdir()
        with nginx_upstream(setting.folder) as upstream, sidecar(folder, upstream) as measured:
            rows += part(measured)
    return rows


def _under_load(setting: Setting, measured: RunningSidecar) -> list[Row]:
    if not has_wrk():
        return [note("under load", "wrk is needed (Debian package wrk)")]
    with _watching(measured.worker, measured.recorder) as (worker, recorder):
        wrk(
            measured.listeners["dispatch"],
            setting.folder,
            connections=64,
            seconds=setting.seconds,
            instances=INSTANCES,
        )
        measured.drained()
    return [
        at_most("worker under load", worker.highest, 60, "MiB"),
        at_most("recorder under load", recorder.highest, 120, "MiB"),
    ]


def _bodies(measured: RunningSidecar, what: str, transfer: Callable[[str], None]) -> list[Row]:
    failed: list[BaseException] = []

    def one() -> None:
        try:
            transfer(measured.listeners["dispatch"])
        except OSError as error:
            failed.append(error)

    with _watching(measured.worker) as (worker,):
        threads = [threading.Thread(target=one) for _ in range(BODIES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = [at_most(f"{what} add to the worker", worker.added, 20, "MiB")]
    if failed:
        rows.append(Row(f"{what}: failed", f"{len(failed)}: {failed[0]!r}", "0", met=False))
    return rows


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), TIMEOUT_SECONDS)


def _upload(address: str, size: int) -> None:
    """Send one media message whose base64 has this size."""
    head, tail = b'{"to":"5511900000001","base64":"', b'","mime_type":"image/jpeg"}'
    path = PATH.replace("/text", "/media")
    length = len(head) + size + len(tail)
    with _connect(address) as connection:
        connection.sendall(_head("POST", path, address, length) + head)
        chunk = b"A" * MIB
        for _ in range(size // MIB):
            connection.sendall(chunk)
        connection.sendall(tail)
        if not connection.recv(ANSWER_MAX_BYTES).startswith(b"HTTP/1.1 200"):
            raise OSError("the answer was not 200")


def _download(address: str, size: int) -> None:
    """Fetch a body of this size and stop reading for a second in the middle: back-pressure, not memory."""
    with _connect(address) as connection:
        connection.sendall(_head("GET", "/big", address, 0))
        seen, rested = 0, False
        while seen < size:
            chunk = connection.recv(MIB)
            if not chunk:
                raise OSError(f"the body ended after {seen} bytes")
            seen += len(chunk)
            if not rested and seen > MIB:
                time.sleep(1.0)
                rested = True


def _head(method: str, path: str, address: str, length: int) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {address}\r\nX-API-Key: tz-bench-key\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _idle(measured: RunningSidecar) -> list[Row]:
    """Open connections, make one request on each, and leave them open."""
    address = measured.listeners["dispatch"]
    request = _head("POST", PATH, address, len(BODY)) + BODY
    connections: list[socket.socket] = []
    try:
        with _watching(measured.worker) as (worker,):
            for _ in range(IDLE):
                connections.append(_connect(address))
                connections[-1].sendall(request)
                connections[-1].recv(ANSWER_MAX_BYTES)
            time.sleep(0.5)
    finally:
        for connection in connections:
            connection.close()
    return [at_most(f"{IDLE} idle connections add to the worker", worker.added, 20, "MiB")]

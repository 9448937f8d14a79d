"""Load: closed loop by wrk for throughput, constant rate by ourselves for latency.

A closed loop waits for each answer before it asks again, so a stall hides the requests that would have come
meanwhile (coordinated omission). The constant-rate load measures from the moment a request was due.
"""

import gc
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final, NamedTuple

from bench.machine import load_core
from sidecar.clock import monotonic_ns

BODY: Final = b'{"to":"5511900000001","text":"Pedido confirmado, obrigado pela compra na nossa loja"}     '
"""A send of 90 bytes."""
PATH: Final = "/message/sales-1/text"
ANSWER_MAX_BYTES: Final = 64 << 10
SOCKET_TIMEOUT_SECONDS: Final = 10.0


class Closed(NamedTuple):
    """What wrk measured. Latencies in microseconds."""

    requests_per_second: float
    requests: int
    p50_us: float
    p99_us: float
    failed: int


class Paced(NamedTuple):
    """What the constant-rate load measured, in microseconds from the moment a request was due."""

    p50_us: float
    p99_us: float
    worst_us: float
    requests: int


def has_wrk() -> bool:
    """Tell whether wrk is installed."""
    return shutil.which("wrk") is not None


def wrk(address: str, folder: Path, *, connections: int, seconds: float, instances: int = 1) -> Closed:
    """Send as fast as answers come, from the load core; one instance after the other.

    Raises:
        RuntimeError: wrk failed or said something unknown.
    """
    script = folder / "post.lua"
    script.write_text(
        'wrk.method = "POST"\n'
        f"wrk.body = {_lua(BODY.decode())}\n"
        'wrk.headers["Content-Type"] = "application/json"\n'
        'wrk.headers["X-API-Key"] = "tz-bench-key"\n'
        "local turn, ready = 0, {}\n"
        "init = function(arguments)\n"
        f"  for n = 1, {instances} do ready[n] = wrk.format(nil, '/message/sales-' .. n .. '/text') end\n"
        "end\n"
        f"request = function() turn = turn % {instances} + 1; return ready[turn] end\n"
    )
    command = [
        "taskset",
        "-c",
        str(load_core()),
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
    ]
    done = subprocess.run(  # noqa: S603 - our own arguments
        [*command, "--latency", "-s", str(script), f"http://{address}/"],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 60,
    )
    return read_wrk(done.stdout + done.stderr)


def _lua(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def read_wrk(text: str) -> Closed:
    """Read what wrk printed.

    Raises:
        RuntimeError: it holds no result.
    """
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    total = re.search(r"(\d+) requests in", text)
    half = re.search(r"50%\s+([\d.]+)(us|ms|s)", text)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    if not (rate and total and half and tail):
        raise RuntimeError(f"wrk said something unknown:\n{text}")
    failed = sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return Closed(
        float(rate[1]), int(total[1]), _us(half), _us(tail), failed + (int(refused[1]) if refused else 0)
    )


def _us(found: re.Match[str]) -> float:
    return float(found[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[found[2]]


def paced(address: str, *, per_second: float, seconds: float, path: str = PATH) -> Paced:
    """Send at a constant rate over one connection; the calling process should sit on the load core.

    Raises:
        RuntimeError: an answer was not 200.
    """
    host, _, port = address.rpartition(":")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
        f"X-API-Key: tz-bench-key\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    request = head.encode() + BODY
    step_ns = round(1e9 / per_second)
    took: list[int] = []
    with socket.create_connection((host, int(port)), SOCKET_TIMEOUT_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(50):  # connections, pools and code paths get warm
            _ask(connection, request)
        gc.disable()
        due = monotonic_ns() + step_ns
        for _ in range(round(per_second * seconds)):
            _wait_until(due)
            _ask(connection, request)
            took.append(monotonic_ns() - due)
            due += step_ns
        gc.enable()
    took.sort()
    return Paced(took[len(took) // 2] / 1e3, took[len(took) * 99 // 100] / 1e3, took[-1] / 1e3, len(took))


def _wait_until(due: int) -> None:
    """Sleep most of the way, then spin: a sleep alone wakes 50 us late."""
    left = due - monotonic_ns()
    if left > 300_000:
        time.sleep((left - 200_000) / 1e9)
    while monotonic_ns() < due:
        pass


def _ask(connection: socket.socket, request: bytes) -> None:
    connection.sendall(request)
    answer = connection.recv(ANSWER_MAX_BYTES)
    while not _whole(answer):
        more = connection.recv(ANSWER_MAX_BYTES)
        if not more:
            break
        answer += more
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the answer was {answer[:60]!r}")


def _whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return not answer
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    if length:
        return len(body) >= int(length[1])
    return body.endswith(b"0\r\n\r\n")

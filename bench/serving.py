"""Starts what is measured: each a process on its core, ended again by its own id."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.machine import load_core, proxy_core, tool

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02
_HERE: Final = Path(__file__).parent


def nginx() -> str | None:
    """Find nginx."""
    return tool("nginx")


def free_port() -> int:
    """Give a port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(
    command: Sequence[str],
    core: int,
    *,
    address: str | None = None,
    env: Mapping[str, str] | None = None,
    output: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on one core until the block ends; wait until it accepts connections.

    Raises:
        RuntimeError: it ended or did not listen in time.
    """
    line = ["taskset", "-c", str(core), *command]
    with (output or Path("/dev/null")).open("ab") as sink:
        process = subprocess.Popen(line, stdout=sink, stderr=sink, env=env)  # noqa: S603 - our own arguments
    try:
        if address is not None:
            _await_listener(process, address)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_listener(process: subprocess.Popen[bytes], address: str) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection((host, int(port)), 1.0).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args!r} does not listen on {address}") from None
            time.sleep(_POLL_SECONDS)
        else:
            return


@contextmanager
def nginx_upstream(folder: Path) -> Iterator[str]:
    """Answer every request with a send's answer, on the load core; give the address."""
    with _nginx("upstream", folder, load_core()) as address:
        yield address


@contextmanager
def nginx_proxy(folder: Path, upstream: str) -> Iterator[str]:
    """Forward with a JSON access log, on the proxy core; give the address."""
    with _nginx("proxy", folder, proxy_core(), upstream) as address:
        yield address


@contextmanager
def _nginx(name: str, folder: Path, core: int, upstream: str = "") -> Iterator[str]:
    path = nginx()
    if path is None:
        raise RuntimeError("nginx is not installed")
    port = free_port()
    text = (_HERE / "nginx" / f"{name}.conf").read_text()
    for word, value in (("folder", folder), ("port", port), ("upstream", upstream)):
        text = text.replace(f"@{word}@", str(value))
    configuration = folder / f"{name}.conf"
    configuration.write_text(text)
    address = f"127.0.0.1:{port}"
    with started([path, "-p", str(folder), "-c", str(configuration)], core, address=address):
        yield address


@contextmanager
def aiohttp_proxy(upstream: str) -> Iterator[str]:
    """Forward with bare aiohttp, on the proxy core; give the address."""
    port = free_port()
    command = [sys.executable, "-m", "bench.contenders.aiohttp_proxy", upstream, str(port)]
    with started(command, proxy_core(), address=f"127.0.0.1:{port}"):
        yield f"127.0.0.1:{port}"


@contextmanager
def mitmproxy(upstream: str) -> Iterator[str]:
    """Forward with mitmproxy and an addon that reads answers, on the proxy core; give the address."""
    port = free_port()
    addon = _HERE / "contenders" / "mitmproxy_addon.py"
    path = tool("mitmdump")
    if path is None:
        raise RuntimeError("mitmproxy is not installed; `make bench-tools` does that")
    command = [path, "-q", "--mode", f"reverse:http://{upstream}", "-p", str(port), "-s", str(addon)]
    with started(command, proxy_core(), address=f"127.0.0.1:{port}"):
        yield f"127.0.0.1:{port}"

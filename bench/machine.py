"""What this runs on: processor, kernel, versions; and which core a process may use."""

import os
import platform
import re
import shutil
import subprocess
import sysconfig
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil

LIBRARIES: Final = ("aiohttp", "httptools", "uvloop", "sqlalchemy", "prometheus-client", "opentelemetry-sdk")

BENCH_TOOLS: Final = Path(__file__).parents[1] / ".venv-bench" / "bin"
"""Proxies whose dependencies do not go together with ours."""


def proxy_core() -> int:
    """Give the core of whatever is measured."""
    return min(os.sched_getaffinity(0))


def load_core() -> int:
    """Give the core of load and upstream; the proxy's own on a machine with one."""
    return max(os.sched_getaffinity(0))


def pin(pid: int, core: int, nice: int = 0) -> None:
    """Let a process and its threads run on one core only, at a lower priority when asked."""
    process = psutil.Process(pid)
    process.cpu_affinity([core])
    for thread in process.threads():
        os.sched_setaffinity(thread.id, {core})
    if nice:
        process.nice(nice)


def describe() -> list[str]:
    """Give the lines that stand above every table."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = psutil.virtual_memory().total / 2**30
    busy = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    tools = {
        "nginx": tool_version("nginx", "-v"),
        "wrk": tool_version("wrk", "-v"),
        "mitmproxy": tool_version("mitmdump", "--version"),
    }
    return [
        f"machine: {model}, {os.cpu_count()} cores, {memory:.1f} GiB; {platform.platform()}",
        f"software: Python {platform.python_version()} ({_build()}), {libraries}",
        "tools: " + ", ".join(f"{name} {said}" for name, said in tools.items()),
        f"load average before: {busy}",
    ]


def _build() -> str:
    """Say how the interpreter was configured: it runs all of the wire."""
    asked = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    return "built with --enable-optimizations" if asked else "built without --enable-optimizations"


def tool(name: str) -> str | None:
    """Find a tool: on the path, where Debian puts servers, or in the environment `make bench-tools` makes."""
    places = os.pathsep.join(("/usr/sbin", "/sbin", str(BENCH_TOOLS)))
    return shutil.which(name) or shutil.which(name, path=places)


def tool_version(name: str, flag: str) -> str:
    """Give the version a tool says it has; `absent` when it is not installed."""
    path = tool(name)
    if path is None:
        return "absent"
    said = subprocess.run(  # noqa: S603 - a tool found on the path, no outside input
        [path, flag], capture_output=True, text=True, check=False, timeout=20
    )
    lines = (said.stdout + said.stderr).strip().splitlines()
    found = re.search(r"\d+(\.\d+)+", lines[0]) if lines else None
    return found[0] if found else "unknown"

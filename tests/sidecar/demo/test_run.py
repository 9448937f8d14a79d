"""The whole demo: real processes, real sockets, a ledger at the end."""

import asyncio
import io
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from sidecar.demo.fates import FATES
from sidecar.demo.run import DemoOptions, run_demo

pytestmark = pytest.mark.slow
LEDGER = r"ledger: observed (\d+) = recorded (\d+) \+ repeated (\d+) \+ lost 0 \+ pending 0"


def test_a_short_demo_ends_by_itself_with_a_balanced_ledger(tmp_path: Path) -> None:
    """Exit code 0, every instance in the table, no fact lost, the log in the data directory."""
    console = Console(width=160, file=(out := io.StringIO()))
    options = DemoOptions(duration_seconds=4.0, rate=60.0, data_dir=tmp_path)

    code = asyncio.run(run_demo(options, console))

    text = out.getvalue()
    assert code == 0, text
    ledger = re.search(LEDGER, text)
    assert ledger is not None, text
    observed, recorded, repeated = map(int, ledger.groups())
    assert observed == recorded + repeated
    assert recorded > 50  # about 250 on a quiet machine; a busy one may start late
    assert repeated > 3
    assert all(re.search(rf"{name} +\d", text) for name in FATES)
    assert (tmp_path / "sidecar.log").stat().st_size > 0


def test_ctrl_c_ends_the_demo_with_its_summary(tmp_path: Path) -> None:
    """SIGINT stops simulators and sidecar in order: exit code 0 and the summary."""
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from sidecar.demo.run import DemoOptions, run_demo\n"
        "options = DemoOptions(duration_seconds=30.0, rate=40.0, data_dir=Path(sys.argv[1]))\n"
        "sys.exit(asyncio.run(run_demo(options)))\n"
    )
    command = [sys.executable, "-u", "-c", program, str(tmp_path)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        told = []
        for line in demo.stdout:
            told.append(line)
            if re.search(r"observed [1-9]", line):
                demo.send_signal(signal.SIGINT)
                break
        told.append(demo.stdout.read())
        code = demo.wait(30)

    text = "".join(told)
    assert code == 0, text
    assert "ledger: observed" in text
    assert not re.search(r"^ *2[0-9] s", text, re.MULTILINE), "it ran to its end instead of stopping"


def test_a_sidecar_that_cannot_start_ends_the_demo_with_its_reason(tmp_path: Path) -> None:
    """Exit code 1 and the sidecar's own words, when its settings are wrong."""
    console = Console(width=160, file=(out := io.StringIO()))
    options = DemoOptions(duration_seconds=5.0, data_dir=tmp_path, settings={"window_ms": "soon"})

    code = asyncio.run(run_demo(options, console))

    assert code == 1
    assert "SIDECAR_WINDOW_MS" in out.getvalue()

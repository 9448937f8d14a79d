"""What every child's process carries."""

import subprocess
import sys

SCRIPT = """
import runpy, sys
sys.argv = ["child", "worker", "-1"]  # no line to the supervisor: it ends right behind its imports
try:
    runpy.run_module("sidecar.child", run_name="__main__")
except (OSError, ValueError):
    pass
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_a_child_carries_no_library_that_only_a_terminal_needs() -> None:
    """Terminal tables, the command line and the database's migrations are in no child: megabytes of each."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )

    loaded = set(ended.stdout.split())

    assert {"structlog", "msgspec", "uvloop"} <= loaded
    assert loaded & {"pygments", "typer", "alembic", "sqlalchemy", "aiohttp"} == set()

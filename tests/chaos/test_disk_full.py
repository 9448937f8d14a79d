"""A full disk: the traffic never notices, every lost fact is counted, and recovery comes by itself."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.load import Numbered, balanced, grown, load, recorded_ids
from tests.e2e.sidecars import Sidecar, until, world

DISK_BYTES = 24 << 20
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root"),
    pytest.mark.slow,
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this machine does not allow mounting")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)


def lost(running: Sidecar) -> float:
    return running.metrics()['reputation_signals_dropped_total{reason="disk_full",stage="journal"}']


def test_a_full_disk_costs_facts_that_are_counted_exactly_and_no_traffic(disk: Path) -> None:
    """Each send is two facts: what is not recorded is accounted as lost, in metrics and timeline."""
    with world(disk / "data", gateway=Numbered()) as (_, running, _):
        with load(running.listeners["dispatch"]) as sends:
            until(grown(sends, 200))
            fill(disk / "ballast")
            until(grown(sends, 800), 60)
            assert b"degraded" in running.request("admin", "GET", "/readyz").body
            assert running.request("admin", "GET", "/readyz").status == 200
            (disk / "ballast").unlink()
            until(grown(sends, 200), 60)
        until(lambda: running.metrics()["reputation_signals_pending"] == 0, 60)
        ids = recorded_ids(running)
        gaps = running.get("/v1/instances/vendas-01/timeline?since=0&limit=1")["gaps"]
        missing = lost(running)

        assert sends.failures == []
        assert balanced(running)
        assert len(ids) == len(set(ids))
        assert 2 * len(sends.ids) == 2 * len(ids) + missing
        assert missing > 0
        assert sum(gap["count"] for gap in gaps) == missing
        assert {gap["reason"] for gap in gaps} == {"disk_full"}
        assert b'"ok"' in running.request("admin", "GET", "/readyz").body
        assert running.stop() == 0

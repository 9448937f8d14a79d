"""The rendered metrics pass Prometheus' own linter."""

import shutil
import subprocess

import pytest

from domain.words import SignalType
from exporters.prometheus.inputs import BuildInfo, ScrapeInputs
from exporters.prometheus.metrics import Metrics
from tests.builders import recorded_signal

AT = 1_790_000_000_000


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; CI installs it")
def test_promtool_accepts_the_metrics() -> None:
    """Names, types, help texts and units as Prometheus wants them."""
    registry = Metrics(
        ScrapeInputs(),
        BuildInfo("1", "r", "3.11", "sqlite"),
        now=lambda: AT,
        providers=["turbozap", "evolution"],
    )
    registry.signals([recorded_signal(1, AT, signal_type) for signal_type in SignalType])
    body, _ = registry.render()

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, check=False, timeout=60
    )

    assert checked.returncode == 0, checked.stderr.decode() + checked.stdout.decode()

"""Prometheus' own checker, where it is installed."""

import shutil

import pytest

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed; CI installs it"
)

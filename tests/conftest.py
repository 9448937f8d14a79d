"""What tests of several rooms share."""

import signal
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import database_url, server_url

__all__ = ["database_url", "server_url"]
"""Here and nowhere else: imported twice, the first of the two to end would stop the server of both."""

# How long an example takes says something of the machine only. What bounds time here says so itself.
settings.register_profile(
    "house", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: background jobs ignore it, and so do their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests: none is left alone with one while other processes idle."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])

"""One reader of each provider, with the shipped code table."""

import pytest

from sidecar.providers import reader
from sidecar.providers.contract import Reader


@pytest.fixture(scope="session")
def turbozap() -> Reader:
    return reader("turbozap")


@pytest.fixture(scope="session")
def evolution() -> Reader:
    return reader("evolution")


@pytest.fixture(scope="session")
def waha() -> Reader:
    return reader("waha")


@pytest.fixture(scope="session")
def cloud_api() -> Reader:
    return reader("cloud_api")

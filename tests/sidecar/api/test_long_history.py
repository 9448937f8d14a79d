"""Downloads of a long history: complete, in bounded memory, a bounded number at once.

`EXPORT_ROWS=1000000` makes the history a million signals long; `make test` takes a fifth of that.
"""

import http.client
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import pytest

from sidecar.api.timeline import EXPORTS_MAX
from sidecar.clock import monotonic_ns
from tests.e2e.sidecars import until
from tests.sidecar.api.history import INSTANCE, Serving, fill, served_history

ROWS: Final = int(os.environ.get("EXPORT_ROWS", "200000"))
GROWTH_MAX: Final = 32 * 1024 * 1024
TARGET: Final = f"/v1/instances/{INSTANCE}/timeline?since=0"
FORMS: Final = {"application/x-ndjson": 0, "text/csv": 1}
"""Lines of a download besides its signals."""
CHUNK: Final = 1 << 20

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A process that serves the history."""
    folder = tmp_path_factory.mktemp("history")
    fill(folder, ROWS)
    with served_history(folder) as running:
        yield running


@contextmanager
def asked(serving: Serving, form: str, target: str = TARGET) -> Iterator[http.client.HTTPResponse]:
    """Ask for a download and leave its body to the caller."""
    connection = http.client.HTTPConnection(serving.address, timeout=60)
    connection.request("GET", target, headers={"Accept": form})
    try:
        yield connection.getresponse()
    finally:
        connection.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("form", FORMS)
def test_a_long_download_is_complete_in_bounded_memory(serving: Serving, form: str) -> None:
    """Every row arrives once, the end is clean, and the process grows by less than 32 MB."""
    before = peak = serving.process.memory_info().rss
    lines, began = 0, monotonic_ns()

    with asked(serving, form) as response:
        assert response.status == 200
        while chunk := response.read(CHUNK):
            lines += chunk.count(b"\n")
            peak = max(peak, serving.process.memory_info().rss)

    seconds = (monotonic_ns() - began) / 1e9
    sys.stdout.write(f"{form}: {lines / seconds:.0f} rows/s, {(peak - before) / 1e6:.1f} MB more\n")
    assert lines == ROWS + FORMS[form]
    assert peak - before < GROWTH_MAX


def test_downloads_beyond_the_bound_are_told_to_come_back_and_readers_that_stall_hold_little(
    serving: Serving,
) -> None:
    """Eight that do not read cost less than 32 MB; the ninth gets 429; questions are answered meanwhile."""
    before = serving.process.memory_info().rss

    with ExitStack() as held:
        for _ in range(EXPORTS_MAX):
            assert held.enter_context(asked(serving, "text/csv")).status == 200
        with asked(serving, "text/csv") as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        with asked(serving, "application/json", f"{TARGET}&limit=5000") as answered:
            assert answered.status == 200
            answered.read()
        assert serving.process.memory_info().rss - before < GROWTH_MAX

    def has_room() -> bool:
        with asked(serving, "text/csv", f"/v1/instances/{INSTANCE}/timeline?since=4102444800000") as again:
            return again.status == 200

    assert until(has_room)

"""GET /metrics, /healthz, /readyz."""

import threading
from typing import Any

import pytest

from domain.errors import StoreUnavailable
from sidecar.api import Health, refusals
from sidecar.tasks import spawn
from tests.sidecar.api.serving import ListStore, admin, run

NOTHING = {
    "unauthorized": 0,
    "forbidden": 0,
    "failed": 0,
    "connections": 0,
    "busy": 0,
    "stream_refused": 0,
    "stream_dropped": 0,
}


@pytest.mark.parametrize(
    ("health", "live", "ready"),
    [
        (Health(), (200, "ok"), (200, "ok")),
        (Health(reasons=("database: refused",)), (200, "degraded"), (200, "degraded")),
        (Health(ready=False, reasons=("stopping",)), (200, "degraded"), (503, "not_ready")),
        (Health(live=False, ready=False), (503, "not_live"), (503, "not_ready")),
    ],
)
def test_probes_speak_of_forwarding_only(
    health: Health, live: tuple[int, str], ready: tuple[int, str]
) -> None:
    """Trouble that costs no traffic is told with status 200."""

    async def story() -> list[tuple[int, Any]]:
        async with admin(health=lambda: health) as api:
            return [
                (reply.status, reply.json)
                for reply in (await api.get("/healthz"), await api.get("/readyz?verbose=1"))
            ]

    expected = [(status, {"status": word, "reasons": list(health.reasons)}) for status, word in (live, ready)]
    assert run(story) == expected


def test_metrics_are_rendered_as_the_scraper_accepts() -> None:
    """The exporter sees the Accept header and decides the content type."""
    seen: list[list[str]] = []

    def render(accept: list[str]) -> tuple[bytes, str]:
        seen.append(accept)
        return b"up 1\n", "application/openmetrics-text; version=1.0.0; charset=utf-8"

    async def story() -> tuple[bytes, str]:
        async with admin(render_metrics=render) as api:
            reply = await api.get("/metrics", headers={"Accept": "application/openmetrics-text"})
            return reply.body, reply.headers["Content-Type"]

    body, content_type = run(story)

    assert body == b"up 1\n"
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert seen == [["application/openmetrics-text"]]


def test_probes_and_metrics_answer_while_every_reader_is_stuck() -> None:
    """A hanging database costs neither the probes nor a scrape."""
    store = ListStore()
    release = threading.Event()

    def hang() -> None:
        release.wait(20)

    store.before_read = hang

    async def story() -> list[int]:
        async with admin(store) as api:
            stuck = [spawn(api.get("/v1/instances"), name="stuck") for _ in range(8)]
            statuses = [(await api.get(target)).status for target in ("/healthz", "/readyz", "/metrics")]
            release.set()
            assert [(await reply).status for reply in stuck] == [200] * 8
            return statuses

    assert run(story) == [200, 200, 200]


def test_a_store_that_is_down_is_503_and_a_fault_of_ours_is_500_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """503 says when to try again; 500 says nothing of the cause, the log has it."""
    store = ListStore()

    async def story() -> list[Any]:
        async with admin(store) as api:
            store.fault = StoreUnavailable("connection to 10.0.0.5 refused")
            down = await api.get("/v1/instances")
            store.fault = RuntimeError("password=hunter2")
            bug = await api.get("/v1/instances")
            return [
                down.problem,
                down.headers["Retry-After"],
                bug.problem,
                b"hunter2" in bug.body,
                refusals(api.app),
            ]

    assert run(story) == [
        (503, "store_unavailable", None),
        "1",
        (500, "internal", None),
        False,
        {**NOTHING, "failed": 1},
    ]
    assert "api.failed" in caplog.text

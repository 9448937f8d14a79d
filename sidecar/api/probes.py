"""GET /metrics, /healthz and /readyz: what Prometheus and an orchestrator ask.

Probes speak of forwarding only. Trouble with the database, the journal or OTLP is told as "degraded" with its
reasons and status 200, so that no orchestrator cuts the traffic for it.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import msgspec
from aiohttp import hdrs, web

from sidecar.api.errors import JSON
from sidecar.api.parts import PARTS, Health
from sidecar.api.readers import Lane

SCRAPES_WAITING_MAX: Final = 4
SCRAPE_WAIT_SECONDS: Final = 5.0
SCRAPER: Final = web.AppKey("scraper", Lane)


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is ok, degraded, or not_ready / not_live with a status of 503."""

    status: str
    reasons: list[str]


async def healthz(request: web.Request) -> web.Response:
    """Tell whether the process lives."""
    health = request.app[PARTS].health()
    return _answer(health, up=health.live, down="not_live")


async def readyz(request: web.Request) -> web.Response:
    """Tell whether traffic can be forwarded."""
    health = request.app[PARTS].health()
    return _answer(health, up=health.live and health.ready, down="not_ready")


def _answer(health: Health, *, up: bool, down: str) -> web.Response:
    status = down if not up else "degraded" if health.reasons else "ok"
    answer = HealthAnswer(status=status, reasons=list(health.reasons))
    return web.Response(status=200 if up else 503, body=msgspec.json.encode(answer), content_type=JSON)


async def metrics(request: web.Request) -> web.Response:
    """Render all metrics, on a thread of its own: a scrape must not wait behind the readers."""
    accept = request.headers.getall(hdrs.ACCEPT, [])
    lane = request.app[SCRAPER]
    body, content_type = await lane.run(partial(request.app[PARTS].render_metrics, accept))
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})


def make_scraper() -> tuple[ThreadPoolExecutor, Lane]:
    """Make the scrapes' own thread and its lane."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="api-metrics")
    return executor, Lane(executor, 1, SCRAPES_WAITING_MAX, SCRAPE_WAIT_SECONDS)

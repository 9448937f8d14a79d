"""Everything that is served, in one table: the application and the OpenAPI document are both made from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from sidecar.api import instances, probes, session, timeline
from sidecar.api.params import Param
from sidecar.api.signals import GapLine, SignalAnswer

TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    Attributes:
        answer: type of the JSON answer; None where there is none.
        also: other forms of the answer: content type to JSON Schema type, None for plain text.
        errors: statuses besides those every guarded route can give.
        body: type of the JSON request body.
        guarded: needs the token or a session.
    """

    method: str = "GET"
    path: str
    handler: Handler
    summary: str
    answer: type[msgspec.Struct] | None = None
    status: int = 200
    also: dict[str, Any] | None = None
    params: Sequence[Param[Any]] = ()
    body: type[msgspec.Struct] | None = None
    errors: Sequence[int] = ()
    guarded: bool = True


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        path="/v1/instances",
        handler=instances.instances,
        summary="Every instance with its latest known state, in order of its id.",
        answer=instances.InstancesAnswer,
        params=instances.PARAMS,
    ),
    Route(
        path="/v1/instances/{instanceId}/timeline",
        handler=timeline.timeline,
        summary="What happened to this instance: signals in order, gaps shown as gaps. "
        "As NDJSON or CSV the whole range is streamed and `limit` does not apply.",
        answer=timeline.TimelineAnswer,
        also={timeline.NDJSON: SignalAnswer | GapLine, timeline.CSV: str},
        params=timeline.PARAMS,
        errors=(406,),
    ),
    Route(
        path="/metrics",
        handler=probes.metrics,
        summary="All metrics for Prometheus, as text or OpenMetrics.",
        also={TEXT: str},
    ),
    Route(
        path="/healthz",
        handler=probes.healthz,
        summary="The process lives.",
        answer=probes.HealthAnswer,
        guarded=False,
    ),
    Route(
        path="/readyz",
        handler=probes.readyz,
        summary="Traffic can be forwarded.",
        answer=probes.HealthAnswer,
        guarded=False,
    ),
    Route(
        method="POST",
        path="/session",
        handler=session.sign_in,
        summary="Sign in to the page with the token; sets an HttpOnly cookie.",
        status=204,
        body=session.SignIn,
        errors=(415,),
        guarded=False,
    ),
)


def register(app: web.Application, routes: Sequence[Route]) -> None:
    """Add routes to the application; GET answers HEAD as well."""
    for route in routes:
        if route.method == "GET":
            app.router.add_get(route.path, route.handler)
        else:
            app.router.add_route(route.method, route.path, route.handler)

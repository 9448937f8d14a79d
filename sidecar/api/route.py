"""What one route is: enough to register it and to describe it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from sidecar.api.params import Param


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    Attributes:
        answer: type of the JSON answer; None where there is none.
        status: of a success.
        also: other forms of the answer: content type to a type or a union of types, `str` for plain text.
        more: further answers as OpenAPI response objects, by status.
        body: type of the JSON request body.
        errors: statuses besides those that every such route can give.
        guarded: needs the token or a session.
        head: answers HEAD as well, where the method is GET.
    """

    method: str = "GET"
    path: str
    handler: Handler
    summary: str
    answer: type[msgspec.Struct] | None = None
    status: int = 200
    also: dict[str, Any] | None = None
    more: dict[str, Any] | None = None
    params: Sequence[Param[Any]] = ()
    body: type[msgspec.Struct] | None = None
    body_required: bool = True
    errors: Sequence[int] = ()
    guarded: bool = True
    head: bool = True


def register(app: web.Application, routes: Sequence[Route]) -> None:
    """Add routes to the application."""
    for route in routes:
        if route.method == "GET":
            app.router.add_get(route.path, route.handler, allow_head=route.head)
        else:
            app.router.add_route(route.method, route.path, route.handler)

"""What one route is: enough to register it and to describe it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from sidecar.api.params import Param
from sidecar.api.parts import PARTS


class Access(Enum):
    """Who may use a route, for the description; `security.py` decides."""

    GUARDED = auto()
    OPEN = auto()
    AS_SET = auto()


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
        failure: type of a 400 that says more than the common one.
        access: whether it needs the token or a session, where a token is set.
        needs: name of the part without which the route is not registered.
        head: answers HEAD as well, where the method is GET.
        tagged: its JSON carries an ETag, and `If-None-Match` may give 304.
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
    failure: type[msgspec.Struct] | None = None
    access: Access = Access.GUARDED
    head: bool = True
    tagged: bool = False
    needs: str | None = None


def register(app: web.Application, routes: Sequence[Route]) -> None:
    """Add those routes to the application whose parts are given."""
    parts = app[PARTS]
    for route in routes:
        if route.needs is not None and getattr(parts, route.needs) is None:
            continue
        # By itself aiohttp keeps braces out of a variable part; an instance id may hold them.
        path = route.path.replace("}", ":[^/]+}")
        if route.method == "GET":
            app.router.add_get(path, route.handler, allow_head=route.head)
        else:
            app.router.add_route(route.method, path, route.handler)

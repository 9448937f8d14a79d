"""The OpenAPI 3.1 document, printed from the route table and the types that are served.

`python -m sidecar.api` prints it; the committed copy is compared with it by a test.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, get_args

import msgspec
from aiohttp import web

from domain.signal import INSTANCE_ID_MAX
from sidecar.api.errors import JSON, ErrorAnswer
from sidecar.api.examples import BODIES, DECISION_EXAMPLE, TEXTS
from sidecar.api.health import DECISION_ID_MAX
from sidecar.api.params import INSTANCE_EXAMPLE, NO_CONTROLS, Param
from sidecar.api.route import Access, Route

API_VERSION: Final = "1.0.0"
"""Of the routes and their answers, whatever release serves them; a break moves the first number."""

_REF: Final = "#/components/schemas/{name}"
_ERRORS: Final = {
    400: "A parameter or the body is not what it must be; `field` names it.",
    401: "Neither the token nor a session.",
    403: "The Host or the origin is not allowed.",
    404: "Not known.",
    406: "None of the accepted forms can be served.",
    408: "The body came too slowly.",
    409: "Not possible in the present state.",
    410: "Before the retention horizon.",
    413: "The body is too large.",
    414: "The query is too long.",
    405: "This route does not take that method; `Allow` says which it takes.",
    415: "The body is not JSON.",
    429: "Too many at once; `Retry-After` says when to try again.",
    500: "A fault of the sidecar; its log has the cause.",
    503: "Not now; `Retry-After` says when to try again.",
}
_KNOWN: Final[list[dict[str, list[str]]]] = [{"token": []}, {"session": []}]
_SECURITY: Final = {Access.GUARDED: _KNOWN, Access.OPEN: [], Access.AS_SET: [{}, *_KNOWN]}
_PLAIN: Final = {str: "string", dict: "object"}
_ALWAYS: Final = (400, 403, 405, 500)
_GUARDED: Final = (401, 414, 429, 503)
_WITH_BODY: Final = (408, 413, 415)
_TEXT: Final = {"type": "string"}
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "How to show the token.", "required": True, "schema": _TEXT},
    "Allow": {"description": "The methods of this route.", "required": True, "schema": _TEXT},
    "ETag": {"description": "Of the JSON; changes with its bytes.", "schema": _TEXT},
}
_HEADERS_OF: Final = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
_NOT_MODIFIED: Final = {
    "description": "The caller holds these very bytes.",
    "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Describe every route."""
    types: set[type[msgspec.Struct]] = {ErrorAnswer}
    for route in routes:
        types |= set(_types(route))
    ordered = sorted(types, key=lambda one: one.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REF)
    for schema in schemas.values():
        if "enum" in schema:
            schema["type"] = "string"
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Reputation sidecar, admin API",
            "version": API_VERSION,
            "summary": "What happened to a WhatsApp number, and why is it in cooldown?",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "SIDECAR_ADMIN_LISTEN"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "headers": _HEADERS,
            "responses": {str(status): _error(status) for status in _ERRORS},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "SIDECAR_ADMIN_TOKEN"},
                "session": {"type": "apiKey", "in": "cookie", "name": "sidecar_session"},
            },
        },
    }


def _types(route: Route) -> list[type[msgspec.Struct]]:
    several = (route.also or {}).values()
    lines = [
        one for also in several for one in (get_args(also) or (also,)) if issubclass(one, msgspec.Struct)
    ]
    return [one for one in (route.answer, route.body, route.failure, *lines) if one is not None]


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *map(_parameter, route.params)],
        "responses": _responses(route),
        "security": _SECURITY[route.access],
    }
    if route.body is not None:
        content = {JSON: _media(route.body)}
        operation["requestBody"] = {"required": route.body_required, "content": content}
    return operation


def _error(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _ERRORS[status], "content": {JSON: _media(ErrorAnswer)}}
    name = _HEADERS_OF.get(status)
    if name is not None:
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"}}
    return answer


_IN_PATH: Final[dict[str, dict[str, Any]]] = {
    "instanceId": {
        "description": "Percent-encoded once; a slash is written %2F.",
        "schema": {"type": "string", "minLength": 1, "maxLength": INSTANCE_ID_MAX, "pattern": NO_CONTROLS},
        "example": INSTANCE_EXAMPLE,
    },
    "decisionId": {
        "description": "`id` of a decision.",
        "schema": {"type": "string", "minLength": 1, "maxLength": DECISION_ID_MAX, "pattern": NO_CONTROLS},
        "example": DECISION_EXAMPLE,
    },
}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True} | _IN_PATH[name] for name in names]


def _parameter(param: Param[Any]) -> dict[str, Any]:
    form: dict[str, Any] = {"style": "form", "explode": False} if param.several else {}
    if param.example:
        shown = param.example.split(",") if param.several else param.example
        form["example"] = int(param.example) if param.schema.get("type") == "integer" else shown
    return {
        "name": param.name,
        "in": "query",
        "required": False,
        "allowEmptyValue": True,
        "description": param.description,
        "schema": param.schema,
    } | form


def _responses(route: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "As asked."}
    content: dict[str, Any] = {}
    if route.answer is not None:
        content[JSON] = _media(route.answer)
    for form, what in (route.also or {}).items():
        members = get_args(what) or (what,)
        refs = [_ref(one) for one in members if issubclass(one, msgspec.Struct)]
        content[form] = {"schema": {"oneOf": refs} if refs else {"type": _PLAIN[what]}}
        if form in TEXTS:
            content[form]["example"] = TEXTS[form]
    if content:
        success["content"] = content
    statuses = {*_ALWAYS, *route.errors}
    statuses |= set() if route.access is Access.OPEN else set(_GUARDED)
    statuses |= set(_WITH_BODY) if route.body is not None else set()
    errors: dict[str, Any] = {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)
    }
    if route.failure is not None:
        either = {"anyOf": [_ref(route.failure), _ref(ErrorAnswer)]}
        content = {JSON: {"schema": either, "example": BODIES[route.failure]}}
        errors["400"] = {"description": _ERRORS[400], "content": content}
    if route.tagged:
        success["headers"] = {"ETag": {"$ref": "#/components/headers/ETag"}}
        errors["304"] = _NOT_MODIFIED
    return {str(route.status): success, **errors, **(route.more or {})}


def _media(one: type[msgspec.Struct]) -> dict[str, Any]:
    return {"schema": _ref(one), "example": BODIES[one]}


def _ref(one: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=one.__name__)}


@cache
def printed() -> bytes:
    """Give the document as text, the same bytes each time."""
    from sidecar.api.routes import ROUTES  # noqa: PLC0415 - the table names this module's handler

    text = msgspec.json.format(msgspec.json.encode(document(ROUTES)), indent=2)
    return text + b"\n"


async def openapi(_: web.Request) -> web.Response:
    """Answer the document."""
    return web.Response(body=printed(), content_type=JSON)

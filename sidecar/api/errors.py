"""What the API says when it cannot answer: `{"error": {"code", "message", "field"}}`, nothing of the input.

ApiError
├── bad_request(...)      400, names the field
└── unavailable(...)      429 and 503, says when to try again

Domain errors and aiohttp's own are translated here, in one place. A fault of ours is logged with its
traceback and answered as `internal`; the caller never sees more.
"""

import logging
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from domain.errors import InvalidQuery, PastRetention, StoreUnavailable, UnknownInstance

JSON: Final = "application/json"
RETRY_SECONDS: Final = 1

_log: Final = logging.getLogger(__name__)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong: a fixed code, a sentence with the remedy, and the field if one is at fault."""

    code: str
    message: str
    field: str | msgspec.UnsetType = msgspec.UNSET


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is not a success."""

    error: Problem


class ApiError(Exception):
    """An answer other than success; `headers` are added to it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.headers = headers or {}


def bad_request(field: str, message: str, code: str = "invalid_parameter") -> ApiError:
    """Give the error of one bad value; `message` must not repeat the value."""
    return ApiError(400, code, message, field)


def unavailable(code: str, message: str, status: int = 503) -> ApiError:
    """Give the error of something that works again soon."""
    return ApiError(status, code, message, headers={"Retry-After": str(RETRY_SECONDS)})


_HTTP: Final = {
    404: ("not_found", "no such route; GET /openapi.json lists all of them"),
    405: ("method_not_allowed", "this route does not take that method"),
    413: ("body_too_large", "the body is larger than 1 MiB"),
}


def error_response(error: ApiError) -> web.Response:
    """Print an error."""
    field = error.field if error.field is not None else msgspec.UNSET
    answer = ErrorAnswer(error=Problem(code=error.code, message=error.message, field=field))
    return web.Response(
        status=error.status, body=msgspec.json.encode(answer), content_type=JSON, headers=error.headers
    )


def translate(error: Exception) -> ApiError:
    """Turn what a handler raised into the one form of an error."""
    match error:
        case ApiError():
            answer = error
        case InvalidQuery():
            answer = bad_request(error.field, str(error))
        case UnknownInstance():
            answer = ApiError(404, "unknown_instance", "no signal of this instance was ever recorded")
        case PastRetention():
            answer = ApiError(410, "past_retention", "this lies before the retention horizon; facts are gone")
        case StoreUnavailable():
            answer = unavailable("store_unavailable", "the database did not answer in time; try again")
        case web.HTTPException():
            code, message = _HTTP.get(error.status, ("http_error", error.reason))
            kept = {k: v for k, v in error.headers.items() if k in ("Allow", "Location")}
            answer = ApiError(error.status, code, message, headers=kept)
        case _:
            _log.error("api.failed", exc_info=error)
            answer = ApiError(500, "internal", "the sidecar failed to answer; its log has the cause")
    return answer


def error_middleware() -> Middleware:
    """Make the middleware that gives every failure its one form."""

    @web.middleware
    async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:  # noqa: BLE001 - the outermost place of the API; cancellation passes through
            return error_response(translate(error))

    return errors

"""Bodies of requests: bounded in size and time, JSON into a type that says what is allowed."""

import asyncio
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from sidecar.api.errors import JSON, ApiError

T = TypeVar("T", bound=msgspec.Struct)

BODY_MAX: Final = 1024 * 1024
BODY_SECONDS: Final = 10.0


async def read_body(request: web.Request, body_type: type[T], *, form: bool = False) -> T:
    """Read and validate a body; an empty one counts as `{}`.

    Args:
        request: what was asked.
        body_type: decides which fields there are and what they may be.
        form: the body is a URL-encoded form instead of JSON.

    Raises:
        ApiError: 400 it is not such a body, 408 it came too slowly, 413 too large, 415 not JSON.
    """
    if request.can_read_body and not form and request.content_type != JSON:
        raise ApiError(415, "unsupported_media_type", f"the body must be {JSON}")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await request.read()
    except TimeoutError:
        raise ApiError(408, "body_too_slow", f"the body did not arrive in {BODY_SECONDS:.0f} s") from None
    try:
        if form:
            pairs = dict(parse_qsl(raw.decode(), max_num_fields=8))
            return msgspec.convert(pairs, body_type, strict=False)
        return msgspec.json.decode(raw or b"{}", type=body_type)
    except msgspec.ValidationError as error:
        path = field_of(error)
        message = f"{path or 'the body'} is not what this route takes; GET /openapi.json has its schema"
        raise ApiError(400, "invalid_body", message, path) from None
    except (msgspec.DecodeError, ValueError):
        raise ApiError(400, "invalid_json", "the body is not valid JSON") from None


def field_of(error: msgspec.MsgspecError) -> str | None:
    """Give the field an error is about: ours by its path, or a missing one by its name; never a value."""
    text = str(error)
    _, found, path = text.rpartition(" - at `$")
    if found:
        return path.rstrip("`").lstrip(".") or None
    _, found, name = text.partition("missing required field `")
    return name.partition("`")[0] if found else None

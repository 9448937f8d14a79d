"""ETags (RFC 9110 section 8.8.3): of the bytes themselves, so that a late fact gives a new one."""

import hashlib
from typing import Final

import msgspec
from aiohttp import web

from sidecar.api.errors import JSON

_DIGEST_BYTES: Final = 12


def tagged(answer: msgspec.Struct) -> tuple[bytes, str]:
    """Print an answer and give its tag; on a reader's thread."""
    body = msgspec.json.encode(answer)
    return body, hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()


def unless_known(request: web.Request, body: bytes, etag: str) -> web.Response:
    """Answer 304 when the caller holds these very bytes."""
    held = request.if_none_match or ()
    if any(tag.value in (etag, "*") for tag in held):
        response = web.Response(status=304)
    else:
        response = web.Response(body=body, content_type=JSON)
    response.etag = etag
    response.headers["Cache-Control"] = "private, no-cache"
    return response

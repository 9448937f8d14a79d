"""GET /v1/stream: signals and decisions as they are recorded, as server-sent events."""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web

from sidecar.api import params
from sidecar.api.errors import unavailable
from sidecar.api.hub import Stream
from sidecar.api.parts import PARTS

EVENTS: Final = "text/event-stream"
PARAMS: Final = (params.INSTANCE_ID,)

PING_SECONDS: Final = 15.0
"""A quiet stream still writes, so that a client that went away is noticed."""
WRITE_SECONDS: Final = 30.0
RETRY_MS: Final = 2000


async def stream(request: web.Request) -> web.StreamResponse:
    """Stream until the client leaves, falls behind, or the sidecar stops."""
    query = params.Query(request, PARAMS)
    hub = request.app[PARTS].hub
    subscription = hub.subscribe(query.get(params.INSTANCE_ID))
    if subscription is None:
        raise unavailable("too_many_streams", "too many event streams are open; try again", 429)
    response = web.StreamResponse(headers={"Content-Type": EVENTS, "X-Accel-Buffering": "no"})
    try:
        await response.prepare(request)
        if request.transport is not None:
            subscription.cut = request.transport.abort
        # The peer is gone or does not read: nobody is left to tell.
        with suppress(ConnectionError, TimeoutError):
            await _write(response, subscription)
    finally:
        hub.unsubscribe(subscription)
    return response


async def _write(response: web.StreamResponse, subscription: Stream) -> None:
    events: bytes | None = b"retry: %d\n\n" % RETRY_MS
    while events is not None:
        async with asyncio.timeout(WRITE_SECONDS):
            await response.write(events or b": ping\n\n")
        events = await subscription.next(PING_SECONDS)

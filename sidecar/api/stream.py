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
STREAM_SECONDS: Final = 3600.0
"""Then it ends, and the client connects again by itself: who may ask is decided anew at least that often."""


async def stream(request: web.Request) -> web.StreamResponse:
    """Stream until the client leaves or falls behind, an hour is over, or the sidecar stops."""
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
    loop = asyncio.get_running_loop()
    end = loop.time() + STREAM_SECONDS
    while events is not None:
        async with asyncio.timeout(WRITE_SECONDS):
            await response.write(events or b": ping\n\n")
        left = end - loop.time()
        events = await subscription.next(min(PING_SECONDS, left)) if left > 0 else None

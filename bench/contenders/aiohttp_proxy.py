"""A bare proxy on aiohttp: web.Server and ClientSession on uvloop, bodies buffered, nothing observed."""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"})


async def _run(upstream: str, port: int) -> None:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
    ) as session:

        async def forward(request: web.BaseRequest) -> web.Response:
            headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
            body = await request.read()
            async with session.request(
                request.method, f"http://{upstream}{request.raw_path}", data=body, headers=headers
            ) as answer:
                kept = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}
                kept.pop("Content-Length", None)
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)

        runner = web.ServerRunner(web.Server(forward))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], int(sys.argv[2])))

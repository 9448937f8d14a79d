"""A provider simulator that speaks TurboZap over HTTP: `python -m sidecar.demo.provider`.

Routes, their two spellings (with and without `/api`) and every quirk are those of its router at commit
7c79ca2: paths are case-sensitive, a trailing slash is allowed, `presence`, `group`, `contact` and `webhook`
exist only under `/api`, an instance that is not connected panics, and rate limits come from a proxy in front
of it, in HTML.
"""

import argparse
import asyncio
import json
from collections import Counter
from typing import Any, Final

from aiohttp import web

from sidecar.clock import now_ms
from sidecar.demo import turbozap
from sidecar.demo.callbacks import CallbackPoster
from sidecar.demo.fates import Refusal
from sidecar.demo.gateway import Gateway, Instance, Sent
from sidecar.demo.serving import Listener, announce, stop_on_signals

BODY_MAX_BYTES: Final = 50 << 20
COMPRESS_MIN_BYTES: Final = 200  # fasthttp leaves smaller answers as they are
CONNECT_SECONDS: Final = 0.05
HEARTBEAT_SECONDS: Final = 30.0

_BOTH: Final = frozenset({"instance", "message", "profile", "call", "sse", "stats", "user"})
_API_ONLY: Final = frozenset({"presence", "group", "contact", "webhook"})
_ECHOED: Final = {"media": "image", "carousel": "image"}
"""Route to the message type its echo carries, where they differ."""
_WANTS: Final = {
    "text": ("text",),
    "media": ("media_url", "base64"),
    "audio": ("audio_url", "base64"),
    "reaction": ("message_id",),
}
"""Fields of a send of which one must be there, besides `to`."""


class ProviderSimulator:
    """One simulated TurboZap: `start` listens, `close` ends.

    Attributes:
        answered: answers by (instance, HTTP status); an unknown instance counts as "".
        poster: its callbacks and their counts.
    """

    def __init__(
        self,
        *,
        webhook_url: str | None = None,
        seed: int = 1,
        run: str | None = None,
        delay_scale: float = 1.0,
        retry_scale: float = 1.0,
        by_events: bool = False,
    ) -> None:
        self.poster = CallbackPoster(webhook_url, retry_scale=retry_scale, by_events=by_events)
        self.gateway = Gateway(self.poster, seed=seed, run=run or str(now_ms()), delay_scale=delay_scale)
        self.answered: Counter[tuple[str, int]] = Counter()
        app = web.Application(client_max_size=BODY_MAX_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._listener = Listener(app)

    async def start(self, address: str = "127.0.0.1:0") -> str:
        """Listen and begin to call back; give the real `host:port`."""
        self.poster.start()
        return await self._listener.start(address)

    async def quiet(self, grace_seconds: float = 5.0) -> None:
        """Call back no more: what is not due is forgotten, what is under way ends."""
        self.gateway.close()
        await self.poster.close(grace_seconds)

    async def close(self) -> None:
        """Stop calling back and listening."""
        await self.quiet()
        await self._listener.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        segments = request.path.strip("/").split("/")
        under_api = len(segments) > 1 and segments[0] == "api"
        group, name, what, *_ = [*segments[under_api:], "", ""]
        instance = self.gateway.instances.get(name)
        if request.path == "/health":
            answer: web.StreamResponse = web.json_response({"status": "ok"})
        elif group not in _BOTH and not (under_api and group in _API_ONLY):
            answer = _cannot(request)
        elif not _key(request):
            answer = _json(turbozap.error("Missing API key"), 401)
        else:
            answer = await self._route(request, group, name, what)
        answer.headers["Server"] = "proxy" if answer.content_type == "text/html" else "TurboZap"
        self.answered[name if instance else "", answer.status] += 1
        return answer

    async def _route(self, request: web.Request, group: str, name: str, what: str) -> web.StreamResponse:
        instance = self.gateway.instances.get(name)
        match (request.method, group, what):
            case ("POST", "message", kind) if kind in turbozap.SENDS:
                return await self._send(request, instance, kind)
            case ("POST", "presence", word) if word in turbozap.PRESENCES:
                return await self._presence(request, instance, word)
            case (_, "message" | "presence", _):
                return _cannot(request)
            case (_, "instance", _):
                return await self._instance(request, name, instance, what)
            case ("GET", "sse", ""):
                return await _stream(request)
        return _json(turbozap.success({}))

    async def _send(self, request: web.Request, instance: Instance | None, kind: str) -> web.Response:
        body = await _body(request)
        if body is None:
            return _json(turbozap.error("Invalid request body"), 400)
        recipient = body.get("to") or (body.get("phone") if kind == "button" else None)
        wants = _WANTS.get(kind, ())
        if not isinstance(recipient, str) or not recipient:
            return _json(turbozap.error("to is required"), 400)
        if wants and not any(body.get(field) for field in wants):
            message = f"Either {' or '.join(wants)} is required" if wants[1:] else f"{wants[0]} is required"
            return _json(turbozap.error(message), 400)
        if instance is None or instance.state != "connected":
            return _json(turbozap.error(turbozap.PANIC), 500)
        sent = self.gateway.send(instance, _ECHOED.get(kind, kind), recipient)
        await self._take(sent.outcome.answer_after_s)
        return _sent(sent, kind)

    async def _presence(self, request: web.Request, instance: Instance | None, word: str) -> web.Response:
        body = await _body(request) or {}
        if instance is None or instance.state != "connected":
            return _json(turbozap.error(turbozap.PANIC), 500)
        data = {"presence": turbozap.PRESENCES[word]}
        to = body.get("to")
        if word in {"composing", "recording", "clear"}:
            if not isinstance(to, str) or not to:
                return _json(turbozap.error("to is required"), 400)
            data |= {"chat": turbozap.chat_of(to), "message": f"{data['presence'].capitalize()} presence set"}
        else:
            data["message"] = f"Presence set to {word}"
        return _json(turbozap.success(data))

    async def _instance(
        self, request: web.Request, name: str, instance: Instance | None, what: str
    ) -> web.Response:
        match (request.method, name, what):
            case ("POST", "create", ""):
                return await self._create(request)
            case ("GET", "list", ""):
                return _json(turbozap.success({"instances": sorted(self.gateway.instances)}))
        if instance is None:
            return _json(turbozap.error("Instance not found"), 404)
        match (request.method, what):
            case ("POST", "connect") | ("PUT", "restart"):
                return await self._connect(instance, what)
            case ("GET", "qrcode"):
                await self._take(CONNECT_SECONDS)
                answer = turbozap.success(_qr(instance))
            case ("GET", "status" | "") | ("DELETE", ""):
                answer = turbozap.status(name, instance.state)
            case ("POST", "logout"):
                self.gateway.disconnect(instance, "logged_out")
                message = "Logged out successfully"
                answer = turbozap.success({"name": name, "status": "disconnected", "message": message})
            case _:
                return _cannot(request)
        return _json(answer)

    async def _connect(self, instance: Instance, what: str) -> web.Response:
        await self._take(CONNECT_SECONDS)
        if not self.gateway.connect(instance):
            return _json(turbozap.error("Failed to connect to WhatsApp"), 500)
        state = "restarting" if what == "restart" else "connecting"
        message = "Connecting to WhatsApp, check QR code endpoint"
        return _json(turbozap.success({"name": instance.name, "status": state, "message": message}))

    async def _take(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self.gateway.delay_scale)

    async def _create(self, request: web.Request) -> web.Response:
        name = (await _body(request) or {}).get("name")
        if not isinstance(name, str) or not 0 < len(name) <= 100 or not name.replace("-", "_").isidentifier():
            return _json(turbozap.error("name is required"), 400)
        instance = self.gateway.create(name)
        if instance is None:
            return _json(turbozap.error("Too many instances"), 409)
        return _json(turbozap.success({"name": instance.name, "api_key": "tz-demo-key"}), 201)


def _sent(sent: Sent, kind: str) -> web.Response:
    match sent.outcome.refusal:
        case None:
            return _json(turbozap.sent(sent.message_id or "", now_ms()))
        case Refusal.RATE_LIMITED if kind == "button":
            return _json(turbozap.error(turbozap.TIMELOCK), 500)
        case Refusal.RATE_LIMITED:
            headers = {"Retry-After": str(turbozap.RETRY_AFTER_SECONDS), "Content-Type": "text/html"}
            return web.Response(body=turbozap.HTML_429.encode(), status=429, headers=headers)
        case Refusal.NOT_SENT:
            return _json(turbozap.error(f"Failed to send {kind} message"), 500)


def _qr(instance: Instance) -> dict[str, str]:
    if instance.state == "qrcode":
        return {
            "name": instance.name,
            "status": "qrcode",
            **turbozap.qr_code(instance.name, instance.qr_codes),
        }
    return {"name": instance.name, "status": "connected" if instance.state == "connected" else "pending"}


def _key(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return request.headers.get("X-API-Key") or (token if scheme == "Bearer" else "")


async def _body(request: web.Request) -> dict[str, Any] | None:
    """Read a JSON object; None when it is none."""
    try:
        body = await request.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    # Without spaces and without a charset, as Go and Fiber write it.
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    answer = web.Response(body=raw, status=status, content_type="application/json")
    if len(raw) >= COMPRESS_MIN_BYTES:
        answer.enable_compression()
    return answer


def _cannot(request: web.Request) -> web.Response:
    return _json(turbozap.error(f"Cannot {request.method} {request.path}"), 404)


async def _stream(request: web.Request) -> web.StreamResponse:
    """Serve events until the caller leaves: `connected`, then a heartbeat every 30 s."""
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "Server": "TurboZap"}
    answer = web.StreamResponse(headers=headers)
    await answer.prepare(request)
    await answer.write(b'event: connected\ndata: {"status":"connected"}\n\n')
    try:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await answer.write(b"event: heartbeat\ndata: {}\n\n")
    except ConnectionError:
        return answer


async def _serve(options: argparse.Namespace) -> None:
    stop = stop_on_signals()
    provider = ProviderSimulator(
        webhook_url=options.webhook_url,
        seed=options.seed,
        retry_scale=options.retry_scale,
        by_events=options.by_events,
    )
    announce("provider_ready", listen=await provider.start(options.listen))
    await stop.wait()
    await provider.close()
    announce("provider_stopped", callbacks=dict(provider.poster.counts))


def main(arguments: list[str] | None = None) -> int:
    """Simulate a provider until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m sidecar.demo.provider", description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:8090", help="host:port, port 0 for a free one")
    parser.add_argument("--webhook-url", help="where callbacks go; none are sent without it")
    parser.add_argument("--seed", type=int, default=1, help="decides what befalls each instance")
    parser.add_argument(
        "--retry-scale", type=float, default=1.0, help="factor on the retries' 1, 4 and 9 seconds"
    )
    parser.add_argument("--by-events", action="store_true", help="append the event's name to the URL's path")
    asyncio.run(_serve(parser.parse_args(arguments)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The provider simulator, asked over HTTP with recorded requests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sidecar.demo.fates import HEALTHY, Fate
from sidecar.demo.gateway import Instance
from sidecar.demo.provider import ProviderSimulator
from sidecar.demo.serving import Listener
from tests.sidecar.demo.shapes import fixture, shape
from tests.sidecar.demo.waiting import until

KEY = {"X-API-Key": "tz-test-key-0001"}
ALWAYS_LIMITED = Fate("", limited_from=0)
STATE_AND_FATE: dict[str, tuple[str, Fate]] = {
    "connect-500": ("disconnected", Fate("", connect_fails_every=1)),
    "connect-ok-no-signal": ("disconnected", HEALTHY),
    "qrcode-ready": ("qrcode", HEALTHY),
    "send-text-429-html": ("connected", ALWAYS_LIMITED),
    "send-button-463": ("connected", ALWAYS_LIMITED),
    "send-text-panic-500": ("disconnected", HEALTHY),
}
"""State and fate of the instance in which a recorded answer is the right one; connected and healthy else."""
RECORDED = (
    "connect-500",
    "connect-ok-no-signal",
    "logout-ok",
    "presence-client-posts-to-available",
    "presence-composing-ok",
    "qrcode-ready",
    "send-audio-ok",
    "send-audio-wrong-field-400",
    "send-button-463",
    "send-media-ok",
    "send-reaction-ok",
    "send-text-429-html",
    "send-text-group-ok",
    "send-text-ok",
    "send-text-panic-500",
    "status-connected",
)
"""What the real gateway answered; other recordings are of what no gateway should."""
PROFILE = {"phone_number", "profile_name", "profile_pic"}
NOT_COMPARED = PROFILE | {"id", "message_id", "timestamp", "qr_code", "code"}


@asynccontextmanager
async def simulating(
    state: str = "connected", fate: Fate = HEALTHY, webhook_url: str | None = None, delay_scale: float = 0.01
) -> AsyncIterator[tuple[ProviderSimulator, aiohttp.ClientSession]]:
    """Give a simulator that knows `vendas-01`, and a session with its base URL."""
    provider = ProviderSimulator(webhook_url=webhook_url, delay_scale=delay_scale, retry_scale=0.01)
    instance = Instance("vendas-01", fate)
    instance.state = state
    provider.gateway.instances["vendas-01"] = instance
    address = await provider.start()
    try:
        async with aiohttp.ClientSession(f"http://{address}") as session:
            yield provider, session
    finally:
        await provider.close()


def _constants(body: Any) -> Any:
    """Leave out what may differ between two runs."""
    if isinstance(body, dict):
        return {key: _constants(value) for key, value in body.items() if key not in NOT_COMPARED}
    return body


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_request_gets_an_answer_like_the_recorded_one(name: str) -> None:
    """Status, content type, shape and every constant word of the answer equal the recording's."""
    recorded = fixture(name)
    state, fate = STATE_AND_FATE.get(name, ("connected", HEALTHY))

    async def scenario() -> None:
        async with simulating(state, fate) as (_, session):
            request, expected = recorded["request"], recorded["response"]
            async with session.request(
                request["method"], request["path"], json=request.get("body"), headers=request["headers"]
            ) as answer:
                raw = await answer.text()

        assert answer.status == expected["status"], raw
        assert answer.headers["Content-Type"] == expected["headers"]["Content-Type"]
        assert answer.headers.get("Retry-After") == expected["headers"].get("Retry-After")
        if "body" in expected:
            assert answer.headers["Server"] == expected["headers"]["Server"]
            assert shape(json.loads(raw)) == shape(expected["body"])
            assert _constants(json.loads(raw)) == _constants(expected["body"])
        else:
            assert raw == expected["body_raw"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/presence/vendas-01/available", 404),  # presence exists only under /api
        ("POST", "/api/presence/vendas-01/available", 200),
        ("POST", "/api/presence/vendas-01/available/", 200),
        ("POST", "/API/presence/vendas-01/available", 404),
        ("GET", "/api/instance/vendas-01/status", 200),
        ("GET", "/instance/nobody/status", 404),
        ("PUT", "/instance/vendas-01/restart", 200),
        ("GET", "/instance/list", 200),
        ("GET", "/api/webhook/vendas-01", 200),
        ("GET", "/webhook/vendas-01", 404),
        ("GET", "/nothing", 404),
        ("GET", "/", 404),
        ("POST", "/message/vendas-01/fax", 404),
        ("POST", "/message/nobody/text", 400),
    ],
)
def test_routes_exist_where_the_real_router_has_them(method: str, path: str, status: int) -> None:
    """Prefix, letter case and trailing slash are treated as the real router does."""

    async def scenario() -> None:
        async with (
            simulating() as (_, session),
            session.request(method, path, headers=KEY) as answer,
        ):
            assert answer.status == status
            assert (await answer.json())["success"] is (status == 200)

    asyncio.run(scenario())


def test_a_caller_without_a_key_is_refused() -> None:
    """Neither `X-API-Key` nor a bearer token: 401 in the gateway's error shape."""

    async def scenario() -> None:
        async with simulating() as (_, session), session.get("/instance/vendas-01/status") as answer:
            assert answer.status == 401
            assert shape(await answer.json()) == {"success": "bool", "error": {"message": "str"}}

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"text": "x"}', b'{"to": 5, "text": "x"}'])
def test_a_bad_body_is_answered_400(body: bytes) -> None:
    """What is no JSON object with a recipient is refused, and nothing is sent."""

    async def scenario() -> None:
        async with simulating() as (provider, session):
            headers = KEY | {"Content-Type": "application/json"}
            async with session.post("/message/vendas-01/text", data=body, headers=headers) as answer:
                assert answer.status == 400
            assert provider.gateway.instances["vendas-01"].sends == 0

    asyncio.run(scenario())


def test_long_answers_are_compressed_for_callers_that_accept_it() -> None:
    """An answer of 200 bytes and more is compressed on request and plain without it."""

    async def scenario() -> None:
        async with simulating("qrcode") as (_, session):
            path = "/instance/vendas-01/qrcode"
            async with session.get(path, headers=KEY | {"Accept-Encoding": "gzip"}) as answer:
                assert answer.headers["Content-Encoding"] == "gzip"
                assert (await answer.json())["data"]["status"] == "qrcode"
            async with session.get(path, headers=KEY | {"Accept-Encoding": "identity"}) as answer:
                assert "Content-Encoding" not in answer.headers

    asyncio.run(scenario())


def test_an_event_stream_begins_at_once() -> None:
    """`/api/sse/{instance}` sends `connected` before anything happens."""

    async def scenario() -> None:
        async with simulating() as (_, session), session.get("/api/sse/vendas-01", headers=KEY) as answer:
            assert answer.content_type == "text/event-stream"
            assert await answer.content.readline() == b"event: connected\n"

    asyncio.run(scenario())


class Webhook:
    """Keeps the callbacks that come, decoded."""

    def __init__(self) -> None:
        self.came: list[dict[str, Any]] = []
        app = web.Application()
        app.router.add_post("/hook", self._handle)
        self.listener = Listener(app)

    async def _handle(self, request: web.Request) -> web.Response:
        self.came.append(await request.json())
        return web.Response()

    def words(self) -> list[tuple[str, str]]:
        """Give event and status of each callback."""
        return [(body["event"], body["data"].get("status", "")) for body in self.came]


def test_a_send_is_echoed_received_read_and_answered() -> None:
    """One accepted send brings echo, each receipt under both event names, and a reply, all of one message."""
    fate = Fate("", delivered=1.0, read=1.0, replied=1.0)

    async def scenario() -> None:
        hook = Webhook()
        url = f"http://{await hook.listener.start()}/hook"
        async with simulating(fate=fate, webhook_url=url) as (_, session):
            body = {"to": "5511900000001", "text": "Teste"}
            async with session.post("/message/vendas-01/text", json=body, headers=KEY) as answer:
                message = (await answer.json())["data"]["message_id"]
            await until(lambda: len(hook.came) == 6)

        assert sorted(hook.words()) == [
            ("message.ack", "delivered"),
            ("message.ack", "read"),
            ("messages.update", "delivered"),
            ("messages.update", "read"),
            ("messages.upsert", ""),
            ("send.message", "sent"),
        ]
        facts = [callback["data"] for callback in hook.came]
        assert {fact.get("quoted_msg_id") or fact["message_id"] for fact in facts} == {message}
        await hook.listener.close()

    asyncio.run(scenario())


def test_connecting_shows_a_code_and_ends_connected() -> None:
    """Connect answers "connecting"; the first code is announced twice; then the instance is connected."""

    async def scenario() -> None:
        hook = Webhook()
        url = f"http://{await hook.listener.start()}/hook"
        async with simulating("disconnected", webhook_url=url, delay_scale=0.1) as (provider, session):
            async with session.post("/instance/vendas-01/connect", headers=KEY) as answer:
                assert (await answer.json())["data"]["status"] == "connecting"
            instance = provider.gateway.instances["vendas-01"]
            await until(lambda: instance.state == "qrcode")
            async with session.get("/instance/vendas-01/qrcode", headers=KEY) as answer:
                assert (await answer.json())["data"]["status"] == "qrcode"
            await until(lambda: len(hook.came) == 3)
            assert instance.state == "connected"

        assert sorted(hook.words()) == [
            ("connection.update", "connected"),
            ("qrcode.updated", ""),
            ("qrcode.updated", ""),
        ]
        await hook.listener.close()

    asyncio.run(scenario())


def test_a_lost_connection_is_called_back_and_sends_panic() -> None:
    """Behind its n-th send an instance with `drops_every` n is disconnected and says so; sends then panic."""

    async def scenario() -> None:
        hook = Webhook()
        url = f"http://{await hook.listener.start()}/hook"
        async with simulating(fate=Fate("", drops_every=2), webhook_url=url) as (provider, session):
            body = {"to": "5511900000001", "text": "Teste"}
            statuses = []
            for _ in range(2):
                async with session.post("/message/vendas-01/text", json=body, headers=KEY) as answer:
                    statuses.append(answer.status)
            await until(lambda: ("connection.update", "disconnected") in hook.words())
            async with session.post("/message/vendas-01/text", json=body, headers=KEY) as answer:
                statuses.append(answer.status)

            assert statuses == [200, 200, 500]
            assert provider.answered["vendas-01", 200] == 2
            assert provider.answered["vendas-01", 500] == 1
        await hook.listener.close()

    asyncio.run(scenario())


def test_instances_can_be_created_up_to_a_bound() -> None:
    """`create` answers 201 with a key; a bad name is refused."""

    async def scenario() -> None:
        async with simulating() as (provider, session):
            async with session.post("/instance/create", json={"name": "nova-1"}, headers=KEY) as answer:
                assert answer.status == 201
            async with session.post("/instance/create", json={"name": "a/b"}, headers=KEY) as answer:
                assert answer.status == 400
            assert "nova-1" in provider.gateway.instances

    asyncio.run(scenario())

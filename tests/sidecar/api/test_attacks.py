"""Raw bytes that try to confuse, exhaust or smuggle: each is refused in our form or kept within its bound."""

import asyncio
import json
import re
from contextlib import suppress

import pytest

from sidecar.api import body
from tests.sidecar.api.serving import Admin, admin, run

TOKEN = "correct horse battery staple"
HOST = b"Host: localhost\r\n"
AUTH = b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
HIDDEN = b"GET /v1/instances HTTP/1.1\r\n" + HOST + AUTH + b"\r\n"


async def spoken(api: Admin, sent: bytes) -> bytes:
    """Send bytes on a connection of their own; read until it is closed, or kept open in silence."""
    host, port = api.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    answer, patience = b"", 5.0
    with suppress(TimeoutError):
        while chunk := await asyncio.wait_for(reader.read(65536), patience):
            answer, patience = answer + chunk, 0.2
    writer.close()
    return answer


def statuses(answer: bytes) -> list[int]:
    """Give the status of each answer on a connection."""
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"Content-Length: +5\r\n\r\nabcde",
        b"Content-Length: 0x5\r\n\r\nabcde",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nZ\r\n",
        b"X: 1\r\n folded: 2\r\nContent-Length: 0\r\n\r\n",
        b"X: 1\nContent-Length: 0\n\n",
    ],
)
def test_no_request_hides_in_anothers_framing(framing: bytes) -> None:
    """What two readers could take for different lengths is refused, and the connection closes behind it."""
    sent = b"POST /session HTTP/1.1\r\n" + HOST + framing + HIDDEN

    async def story() -> bytes:
        async with admin(token=TOKEN) as api:
            return await spoken(api, sent)

    answer = run(story)

    assert all(status >= 400 for status in statuses(answer)), answer
    assert b"instances" not in answer.partition(b"\r\n\r\n")[2].replace(b"/v1/instances", b"")


def test_a_body_on_a_question_is_no_second_question() -> None:
    """The bytes of a GET's body are skipped by their length; what follows is the next request."""
    inner = b"GET /v1/instances HTTP/1.1\r\n" + HOST + b"\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(inner)
    sent = b"GET /healthz HTTP/1.1\r\n" + HOST + length + inner + b"GET /none HTTP/1.1\r\n" + HOST + b"\r\n"

    async def story() -> bytes:
        async with admin() as api:
            return await spoken(api, sent)

    assert statuses(run(story)) == [200, 404]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET http://evil.example/v1/instances HTTP/1.1", 403),
        (b"GET http://localhost/v1/instances HTTP/1.1", 401),
        (b"GET //evil.example/v1/instances HTTP/1.1", 401),
        (b"GET /v1/../v1/instances HTTP/1.1", 401),
        (b"GET /%76%31/instances HTTP/1.1", 401),
        (b"GET /healthz/../v1/instances HTTP/1.1", 401),
        (b"GET /metrics/../v1/instances HTTP/1.1", 401),
        (b"GET /healthz;/v1/instances HTTP/1.1", 401),
        (b"GET /./v1/instances HTTP/1.1", 401),
        (b"CONNECT localhost:80 HTTP/1.1", 401),
        (b"TRACE / HTTP/1.1", 405),
        (b"OPTIONS * HTTP/1.1", 401),
        (b"PRI * HTTP/2.0", 400),
        (b"GET /v1/instances HTTP/9.9", 400),
        (b"GET /v1/inst\xffances HTTP/1.1", 400),
    ],
)
def test_no_way_of_writing_a_target_gets_around_the_token(line: bytes, status: int) -> None:
    """Other forms, detours and encodings of a guarded path are guarded, or are no requests."""

    async def story() -> bytes:
        async with admin(token=TOKEN) as api:
            return await spoken(api, line + b"\r\n" + HOST + b"\r\n")

    assert statuses(run(story))[:1] == [status]


@pytest.mark.parametrize(
    "head",
    [
        b"Cookie: sidecar_session=1.\xff\xfe\r\n",
        b"Authorization: Bearer \xff\xfe\r\n",
        b"Origin: http://\xff\r\n",
        b"Accept: \xff;q=\xff\r\n",
        b"If-None-Match: \xff\r\n",
        b"Cookie: " + b"a=b; " * 1500 + b"\r\n",
        b"Host: \xff\r\n",
    ],
)
def test_bytes_that_are_no_text_break_nothing(head: bytes) -> None:
    """Every header the API reads may hold anything; the answer is a refusal, never a fault of ours."""
    sent = b"GET /v1/instances/a/timeline HTTP/1.1\r\n" + HOST + head + b"Connection: close\r\n\r\n"

    async def story() -> tuple[bytes, int]:
        async with admin(token=TOKEN) as api:
            return await spoken(api, sent), api.parts.counts.failed

    answer, failed = run(story)

    assert 400 <= statuses(answer)[0] < 500
    assert failed == 0


@pytest.mark.parametrize(
    "head", [b"X: " + b"a" * 70_000 + b"\r\n", b"X: 1\r\n" * 40_000], ids=["one long field", "many fields"]
)
def test_a_huge_head_is_refused(head: bytes) -> None:
    """A head that never fits is not kept: 400 or a closed connection, and the next caller is served."""

    async def story() -> tuple[bytes, int]:
        async with admin() as api:
            try:
                answer = await spoken(api, b"GET /healthz HTTP/1.1\r\n" + HOST + head + b"\r\n")
            except ConnectionError:
                answer = b""
            return answer, (await api.get("/healthz")).status

    answer, after = run(story)

    assert statuses(answer) in ([], [400])
    assert after == 200


def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends a byte now and then gets 408 when the time is over."""
    monkeypatch.setattr(body, "BODY_SECONDS", 0.1)
    head = (
        b"POST /session HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    )

    async def story() -> bytes:
        async with admin(token=TOKEN) as api:
            return await spoken(api, head)

    answer = run(story)

    assert statuses(answer) == [408]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "body_too_slow"


def test_a_chunked_body_is_bounded_though_it_names_no_length() -> None:
    """Two megabytes in chunks are refused with 413 before they are all kept."""
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    head = b"POST /session HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    sent = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 32 + b"0\r\n\r\n"

    async def story() -> bytes:
        async with admin(token=TOKEN) as api:
            return await spoken(api, sent)

    assert statuses(run(story)) == [413]


def test_a_compressed_body_is_not_unpacked() -> None:
    """A small body cannot become a large one: its bytes are read as they are, and are no JSON."""

    async def story() -> int:
        async with admin() as api:
            headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
            return (await api.post("/session", data=b"\x1f\x8b\x08" + bytes(99), headers=headers)).status

    assert run(story) == 400


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("/v1/instances", "GET,HEAD"),
        ("/v1/instances/x/timeline", "GET,HEAD"),
        ("/v1/instances/x/cooldown", "DELETE,POST"),
        ("/v1/signals", "POST"),
        ("/v1/stream", "GET"),
        ("/session", "POST"),
        ("/", "GET,HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH"])
def test_methods_a_route_does_not_take_are_refused_with_those_it_takes(
    method: str, target: str, allowed: str
) -> None:
    """No preflight is answered, so no other origin is ever let in; 405 names the methods."""
    posting, evaluation = _parts()

    async def story() -> tuple[tuple[int, str, str | None], str, list[str]]:
        async with admin(posting=posting, evaluation=evaluation) as api:
            asked = {"Access-Control-Request-Method": "POST"}
            reply = await api.get(target, method=method, headers=asked)
            cors = [name for name in reply.headers if name.lower().startswith("access-control")]
            return reply.problem, reply.headers["Allow"], cors

    assert run(story) == ((405, "method_not_allowed", None), allowed, [])


def _parts() -> tuple[object, object]:
    from tests.sidecar.api.test_openapi import EVALUATION, POSTING  # noqa: PLC0415 - used here only

    return POSTING, EVALUATION


@pytest.mark.parametrize(
    "target",
    ["/v1/instances", "/v1/instances/x/timeline", "/v1/annotations", "/openapi.json", "/metrics", "/"],
)
def test_head_gives_what_get_would_without_its_body(target: str) -> None:
    """Status and headers are those of GET; no byte follows."""

    async def story() -> tuple[bool, bytes, bool]:
        async with admin() as api:
            get, head = await api.get(target), await api.get(target, method="HEAD")
            names = ("Content-Type", "Content-Length", "ETag", "Cache-Control", "Content-Security-Policy")
            same = all(get.headers.get(name) == head.headers.get(name) for name in names)
            return get.status == head.status == 200, head.body, same

    assert run(story) == (True, b"", True)

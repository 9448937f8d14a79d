"""Who may ask, and what every answer carries."""

import base64
import hashlib
import re
from typing import Any

import pytest

from sidecar.api.attempts import ATTEMPTS_MAX, PEERS_MAX, Attempts, digest_of
from sidecar.api.errors import ApiError
from sidecar.api.session import SESSION_MS, Sessions
from tests.sidecar.api.serving import NOW, Admin, admin, run

TOKEN = "correct horse battery staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
GUARDED = ["/v1/instances", "/v1/instances/x/timeline", "/no/such/route"]


@pytest.mark.parametrize("target", GUARDED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Cookie": "sidecar_session=1.abc"},
        {"Cookie": f"sidecar_session={NOW + 9}.00"},
        {"Cookie": "sidecar_session=%F0"},
    ],
)
def test_nothing_is_told_without_the_token(target: str, headers: dict[str, str]) -> None:
    """Every route but the probes gives 401, unknown routes included, and says how to authenticate."""

    async def story() -> tuple[Any, str, int]:
        async with admin(token=TOKEN) as api:
            reply = await api.get(target, headers=headers)
            return reply.problem, reply.headers["WWW-Authenticate"], api.parts.counts.unauthorized

    problem, how, counted = run(story)

    assert problem == (401, "unauthorized", None)
    assert how.startswith("Bearer")
    assert counted == 1


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_token_opens_every_route(scheme: str) -> None:
    """With the token a known route answers and an unknown one is 404."""

    async def story() -> list[int]:
        async with admin(token=TOKEN) as api:
            headers = {"Authorization": f"{scheme} {TOKEN}"}
            return [(await api.get(target, headers=headers)).status for target in GUARDED]

    assert run(story) == [200, 200, 404]


@pytest.mark.parametrize(("public", "status"), [(True, 200), (False, 401)])
def test_probes_stay_open_and_metrics_as_configured(*, public: bool, status: int) -> None:
    """Probes never need the token; /metrics only when it is not public."""

    async def story() -> list[int]:
        async with admin(token=TOKEN, metrics_public=public) as api:
            return [(await api.get(target)).status for target in ("/healthz", "/readyz", "/metrics")]

    assert run(story) == [200, 200, status]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9464", 200),
        ("sidecar.localhost", 200),
        ("127.0.0.1", 200),
        ("127.8.8.8:1", 200),
        ("[::1]:9464", 200),
        ("evil.example:9464", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.168.0.7", 403),
        ("localhost@evil.example", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("target", ["/v1/instances", "/metrics", "/healthz"])
def test_a_rebound_name_reaches_nothing_on_loopback(target: str, host: str, status: int) -> None:
    """A page whose own name points to 127.0.0.1 sends its own name as Host: 403, on open routes as well."""

    async def story() -> int:
        async with admin() as api:
            return (await api.get(target, headers={"Host": host})).status

    assert run(story) == status


def test_an_exposed_listener_takes_any_host() -> None:
    """Off loopback the token guards; the Host is whatever the cluster calls the sidecar."""

    async def story() -> int:
        async with admin(loopback=False, token=TOKEN) as api:
            return (await api.get("/v1/instances", headers={"Host": "sidecar.prod", **BEARER})).status

    assert run(story) == 200


async def _signed_in(api: Admin) -> dict[str, str]:
    reply = await api.post("/session", json={"token": TOKEN})
    assert reply.status == 204
    cookie = reply.headers["Set-Cookie"]
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
        assert attribute in cookie
    assert TOKEN not in cookie
    return {"Cookie": cookie.partition(";")[0]}


def test_signing_in_gives_a_cookie_that_reads_until_it_ends() -> None:
    """The cookie opens GET routes for twelve hours, and is not the token."""
    clock = [NOW]

    async def story() -> list[int]:
        async with admin(token=TOKEN, clock=lambda: clock[0]) as api:
            cookie = await _signed_in(api)
            statuses = []
            for later in (0, SESSION_MS - 1, SESSION_MS):
                clock[0] = NOW + later
                statuses.append((await api.get("/v1/instances", headers=cookie)).status)
            return statuses

    assert run(story) == [200, 200, 401]


def test_a_cookie_of_another_token_is_worthless() -> None:
    """Changing the token ends all sessions."""
    other = Sessions("another token", lambda: NOW, Attempts(lambda: NOW))
    cookie = other.sign_in("another token", "peer")

    async def story() -> int:
        async with admin(token=TOKEN) as api:
            return (await api.get("/v1/instances", headers={"Cookie": f"sidecar_session={cookie}"})).status

    assert run(story) == 401


def test_a_form_signs_in_and_returns_to_the_page() -> None:
    """The sign-in form needs no script."""

    async def story() -> tuple[int, str, bool]:
        async with admin(token=TOKEN) as api:
            reply = await api.post("/session", data={"token": TOKEN})
            return reply.status, reply.headers["Location"], "Set-Cookie" in reply.headers

    assert run(story) == (303, "/", True)


def test_guessing_is_slowed_down_by_peer() -> None:
    """After ten wrong tokens within a minute even the right one waits; then it is let in."""
    clock = [NOW]

    async def story() -> list[int]:
        async with admin(token=TOKEN, clock=lambda: clock[0]) as api:
            guesses = [str(n) for n in range(ATTEMPTS_MAX)]
            wrong = [(await api.post("/session", json={"token": one})).status for one in guesses]
            right = await api.post("/session", json={"token": TOKEN})
            assert right.problem == (429, "too_many_attempts", None)
            assert int(right.headers["Retry-After"]) == 60
            clock[0] += 60_000
            return [*wrong, (await api.post("/session", json={"token": TOKEN})).status]

    assert run(story) == [401] * ATTEMPTS_MAX + [204]


def test_guessing_by_bearer_is_slowed_down_too_and_open_sessions_go_on() -> None:
    """Ten different wrong tokens, by header or form, and the peer waits; cookies and open routes do not."""
    clock = [NOW]

    async def story() -> tuple[list[int], Any, list[int], int, int]:
        async with admin(token=TOKEN, clock=lambda: clock[0]) as api:
            cookie = await _signed_in(api)
            wrong = []
            for n in range(ATTEMPTS_MAX):
                headers = {"Authorization": f"Bearer {n}"}
                wrong.append((await api.get("/v1/instances", headers=headers)).status)
            refused = await api.get("/v1/instances", headers=BEARER)
            assert refused.headers["Retry-After"] == "60"
            assert (await api.post("/session", json={"token": TOKEN})).status == 429
            on = [
                (await api.get("/v1/instances", headers=cookie)).status,
                (await api.get("/healthz")).status,
                (await api.get("/metrics")).status,
            ]
            clock[0] += 60_000
            again = (await api.get("/v1/instances", headers=BEARER)).status
            return wrong, refused.problem, on, again, api.parts.counts.unauthorized

    wrong, refused, on, again, counted = run(story)

    assert wrong == [401] * ATTEMPTS_MAX
    assert refused == (429, "too_many_attempts", None)
    assert on == [200, 200, 200]
    assert again == 200
    assert counted == ATTEMPTS_MAX + 1


def test_a_program_with_an_old_token_locks_nobody_out() -> None:
    """The same wrong token a hundred times is one guess, so its neighbours go on."""

    async def story() -> tuple[set[int], int]:
        async with admin(token=TOKEN) as api:
            old = {"Authorization": "Bearer last year's"}
            statuses = {(await api.get("/v1/instances", headers=old)).status for _ in range(100)}
            return statuses, (await api.get("/v1/instances", headers=BEARER)).status

    assert run(story) == ({401}, 200)


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "10.0.0.1", False),
    ],
)
def test_a_guesser_is_known_by_its_address_or_network(first: str, second: str, *, shared: bool) -> None:
    """One IPv4 address, one /64 of IPv6; what one used up another still has."""
    attempts, token = Attempts(lambda: NOW), digest_of(TOKEN)
    for n in range(ATTEMPTS_MAX):
        assert not attempts.is_right(digest_of(str(n)), token, first)

    try:
        answered = attempts.is_right(token, token, second)
    except ApiError:
        answered = False

    assert answered is not shared


def test_remembered_guessers_are_bounded_and_the_oldest_is_forgotten_first() -> None:
    """A million addresses cost no more memory than a thousand."""
    attempts, token = Attempts(lambda: NOW), digest_of(TOKEN)

    for n in range(PEERS_MAX + 50):
        attempts.is_right(digest_of("x"), token, f"10.0.{n // 256}.{n % 256}")

    assert len(attempts._wrong) == PEERS_MAX
    assert "10.0.0.0" not in attempts._wrong


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "none"}, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({"Origin": "OWN"}, 404),
        (BEARER, 404),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "ban"), ("DELETE", "cooldown"), ("POST", "evaluate")])
def test_a_cookie_alone_changes_nothing(method: str, path: str, headers: dict[str, str], status: int) -> None:
    """Changes need the token, or beside the cookie proof that our own page asks; 404: it was let in."""

    async def story() -> int:
        async with admin(token=TOKEN) as api:
            own = {name: api.base if value == "OWN" else value for name, value in headers.items()}
            cookie = await _signed_in(api)
            return (await api.get(f"/v1/instances/x/{path}", method=method, headers=cookie | own)).status

    assert run(story) == status


@pytest.mark.parametrize(("proto", "secure"), [("https", True), ("http", False), ("", False)])
def test_behind_tls_the_cookie_stays_on_tls(proto: str, *, secure: bool) -> None:
    """A proxy that took TLS off says so, and the browser never sends the cookie in the clear."""

    async def story() -> str:
        async with admin(token=TOKEN) as api:
            headers = {"X-Forwarded-Proto": proto}
            answer = await api.post("/session", json={"token": TOKEN}, headers=headers)
            return str(answer.headers["Set-Cookie"])

    assert ("Secure" in run(story)) is secure


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"Sec-Fetch-Site": "same-origin"}, 204),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 204),
        ({"Sec-Fetch-Site": "none"}, 204),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[broken"}, 403),
    ],
)
def test_a_page_of_another_origin_changes_nothing(headers: dict[str, str], status: int) -> None:
    """A browser tells where a request comes from; without a token this is what keeps strange pages out."""

    async def story() -> int:
        async with admin() as api:
            return (await api.post("/session", json={"token": "any"}, headers=headers)).status

    assert run(story) == status


def test_every_answer_carries_the_security_headers_and_none_allows_another_origin() -> None:
    """Answers, errors and refusals alike."""

    async def story() -> list[Any]:
        async with admin(token=TOKEN) as api:
            asked = {"Origin": "http://evil.example"}
            return [
                (await api.get(target, headers=headers | asked)).headers
                for target, headers in (("/v1/instances", BEARER), ("/v1/instances", {}), ("/none", BEARER))
            ]

    for headers in run(story):
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "aiohttp" not in headers["Server"]
        assert headers["Cache-Control"] == "no-store"
        assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("token", [None, TOKEN])
def test_the_page_runs_its_own_script_only_and_nobody_frames_it(token: str | None) -> None:
    """Script and style are allowed by digest, nothing inline beside them; no frame, no other origin."""

    async def story() -> tuple[str, str]:
        async with admin(token=token) as api:
            answer = await api.get("/")
            return answer.headers["Content-Security-Policy"], answer.body.decode()

    policy, page = run(story)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    assert "unsafe" not in policy
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    for kind in ("script", "style"):
        texts = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert rules.get(f"{kind}-src", "") == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page), "nothing is asked of anyone"
    assert not re.findall(r"""\s(?:on\w+|style)=["']""", page.partition("<script>")[0]), "no inline handler"


def test_unknown_methods_and_routes_have_the_one_form_of_an_error() -> None:
    """404 and 405 are JSON like every error; 405 says what is allowed."""

    async def story() -> list[Any]:
        async with admin() as api:
            wrong = await api.post("/v1/instances")
            return [(await api.get("/none")).problem, wrong.problem, wrong.headers["Allow"]]

    assert run(story) == [(404, "not_found", None), (405, "method_not_allowed", None), "GET,HEAD"]

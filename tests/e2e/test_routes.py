"""Routes of the TOML file in one real sidecar: TLS on both sides, IPv6, path prefixes, verified callbacks."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from tests.e2e.sidecars import Answer, Origin, Seen, Sidecar, origin, sidecar, until

SEND = json.dumps({"to": "5511900000001", "text": "x"}).encode()
SECRET = "a-shared-secret-of-callbacks"
HELD_MAX = 2048


def sent(seen: Seen) -> Answer:
    """Answer as a gateway does; the id tells the target it was asked for."""
    content = {"success": True, "data": {"message_id": f"3EB0{len(seen.target):04X}", "status": "sent"}}
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(content).encode())


class Town(NamedTuple):
    """Two gateways and a dispatcher behind one sidecar with five routes."""

    plain: Origin
    secure: Origin
    dispatcher: Origin
    sidecar: Sidecar
    trusting: ssl.SSLContext
    names: list[str | None]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One sidecar for all tests of this file."""
    folder = tmp_path_factory.mktemp("routes")
    names: list[str | None] = []
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "listener.pem")
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    certificate.configure_cert(server)
    authority.configure_trust(client)
    server.sni_callback = lambda _, name, __: names.append(name)
    with origin(sent) as plain, origin(sent, server) as secure, origin() as dispatcher:
        config = folder / "sidecar.toml"
        config.write_text(_config(folder, plain, secure, dispatcher))
        with sidecar(
            folder / "data",
            "--config",
            str(config),
            webhook_secret=SECRET,
            webhook_verify="reject",
            webhook_body_max_bytes=str(HELD_MAX),
            retention_days="3650",
        ) as running:
            yield Town(plain, secure, dispatcher, running.with_store(), client, names)


def _config(folder: Path, plain: Origin, secure: Origin, dispatcher: Origin) -> str:
    secure_url = secure.url.replace("http://127.0.0.1", "https://localhost")
    tls = f'tls_cert_file = "{folder}/listener.pem"\ntls_key_file = "{folder}/listener.pem"'
    trusted = f'upstream_ca_file = "{folder}/ca.pem"'
    routes = [
        ("plain", "dispatch", "127.0.0.1:0", plain.url + "/v1%2F/x/", ""),
        ("six", "dispatch", "[::1]:0", plain.url, ""),
        ("secure", "dispatch", "127.0.0.1:0", secure_url + "/base", f"{tls}\n{trusted}"),
        ("untrusted", "dispatch", "127.0.0.1:0", secure_url, ""),
        ("hooks", "webhook", "127.0.0.1:0", dispatcher.url + "/in", ""),
    ]
    return "\n".join(
        f'[[routes]]\nname = "{name}"\ndirection = "{direction}"\n'
        f'listen = "{listen}"\nupstream = "{url}"\n{more}'
        for name, direction, listen, url, more in routes
    )


def recorded(town: Town, instance: str) -> list[str]:
    return until(lambda: [s["type"] for s in town.sidecar.timeline(instance) if s["type"][:8] == "MESSAGE_"])


def test_the_ready_line_names_every_route(town: Town) -> None:
    """With the real addresses, brackets around those of IPv6."""
    listeners = town.sidecar.listeners

    assert set(listeners) == {"plain", "six", "secure", "untrusted", "hooks", "admin"}
    assert listeners["six"].startswith("[::1]:")


def test_each_route_goes_to_its_own_upstream_under_its_prefix(town: Town) -> None:
    """Prefix and target are joined byte for byte; readers see the dispatcher's target."""
    answer = town.sidecar.request("plain", "POST", "/message/prefixed/text?a=%2F//..", SEND)

    assert answer.status == 200
    assert town.plain.seen[-1].target == "/v1%2F/x/message/prefixed/text?a=%2F//.."
    assert ("Host", town.plain.url.removeprefix("http://")) in town.plain.seen[-1].headers
    assert recorded(town, "prefixed") == ["MESSAGE_SENT"]


def test_a_listener_and_its_client_may_speak_ipv6(town: Town) -> None:
    """The Host field of the caller is replaced like any other."""
    answer = town.sidecar.request("six", "POST", "/message/six/text", SEND)

    assert answer.status == 200
    assert town.plain.seen[-1].target == "/message/six/text"
    assert recorded(town, "six") == ["MESSAGE_SENT"]


def test_tls_on_both_sides_is_verified_on_both_sides(town: Town) -> None:
    """The listener shows its certificate, the upstream's is verified by the route's authority, with SNI."""
    port = town.sidecar.listeners["secure"].rpartition(":")[2]
    connection = http.client.HTTPSConnection(f"localhost:{port}", context=town.trusting, timeout=20)
    for _ in range(2):
        connection.request("POST", "/message/secure/text", SEND)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["success"]) == (200, True)
    connection.close()

    assert town.secure.seen[-1].target == "/base/message/secure/text"
    assert set(town.names) == {"localhost"}
    assert recorded(town, "secure") == ["MESSAGE_SENT"]


def test_plain_http_on_a_tls_listener_is_not_answered(town: Town) -> None:
    """No byte of an answer leaves unencrypted."""
    host, _, port = town.sidecar.listeners["secure"].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        try:
            answer = sock.recv(100)
        except ConnectionResetError:
            answer = b""

    assert not answer.startswith(b"HTTP/")


def test_an_upstream_nobody_vouches_for_gets_no_request(town: Town) -> None:
    """Without the authority: 502, and a failed message with its code."""
    before = len(town.secure.seen)

    answer = town.sidecar.request("untrusted", "POST", "/message/untrusted/text", SEND)

    assert (answer.status, answer.headers["Sidecar-Error"]) == (502, "TLS_ERROR")
    assert len(town.secure.seen) == before
    assert recorded(town, "untrusted") == ["MESSAGE_FAILED"]


def callback(instance: str, padding: int = 0) -> bytes:
    data = {"message_id": "3EB0", "status": "read", "timestamp": "2026-01-15T15:00:03Z"}
    event = {"event": "message.ack", "instance": instance, "timestamp": "2026-01-15T15:00:02Z", "data": data}
    return json.dumps(event).encode() + b" " * padding


def test_a_callback_is_held_until_it_is_verified_and_no_longer(town: Town) -> None:
    """Valid: forwarded and recorded. Forged or unsigned: 401, neither."""
    good, bad = {"X-Webhook-Secret": SECRET}, {"X-Webhook-Secret": SECRET + "x"}

    statuses = [
        town.sidecar.request("hooks", "POST", "/hook", callback(name), headers).status
        for name, headers in (("held", good), ("forged", bad), ("unsigned", {}))
    ]

    assert statuses == [200, 401, 401]
    assert [seen.target for seen in town.dispatcher.seen] == ["/in/hook"]
    assert town.dispatcher.seen[0].body == callback("held")
    assert recorded(town, "held") == ["MESSAGE_READ"]
    until(lambda: town.sidecar.total("reputation_webhook_signatures_total") == 3)
    assert town.sidecar.timeline("forged") == town.sidecar.timeline("unsigned") == []


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_what_is_held_is_bounded_by_the_setting(town: Town, chunked: bool) -> None:
    """At the bound it passes, one byte more is a 413 and never reaches the dispatcher."""
    address = town.sidecar.listeners["hooks"]
    before = len(town.dispatcher.seen)
    room = HELD_MAX - len(callback("bound"))
    statuses = []
    for padding in (room, room + 1):
        body = callback("bound", padding)
        connection = http.client.HTTPConnection(address, timeout=20)
        connection.request(
            "POST",
            "/hook",
            iter([body]) if chunked else body,
            {"X-Webhook-Secret": SECRET},
            encode_chunked=chunked,
        )
        answer = connection.getresponse()
        statuses.append((answer.status, answer.headers.get("Sidecar-Error")))
        connection.close()

    assert statuses == [(200, None), (413, "BODY_TOO_LARGE")]
    assert len(town.dispatcher.seen) == before + 1


@contextmanager
def bound_but_not_listening() -> Iterator[int]:
    """Give a port that refuses connections and that nobody else can take meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_a_dispatcher_that_is_away_makes_the_provider_retry(town: Town, tmp_path: Path) -> None:
    """502 with the sidecar's own field; the facts are recorded, and the retry is a repeat."""
    with (
        bound_but_not_listening() as port,
        sidecar(
            tmp_path,
            provider_url=town.plain.url,
            dispatcher_url=f"http://127.0.0.1:{port}",
            retention_days="3650",
        ) as running,
    ):
        running.with_store()
        for _ in range(2):
            answer = running.request("webhook", "POST", "/hook", callback("away"))
            assert (answer.status, answer.headers["Sidecar-Error"]) == (502, "NETWORK_ERROR")
        running.settled(exchanges=2)
        signals = running.timeline("away")
        repeats = running.total("reputation_signals_duplicate_total")

    assert [signal["type"] for signal in signals] == ["MESSAGE_READ"]
    assert repeats == 1

"""OTLP over HTTP against a real receiver: connections, certificates, answers of every kind."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from exporters.otel.http import HttpTransport
from exporters.otel.settings import Protocol, Target
from exporters.otel.transport import Answer, Kind
from tests.exporters.otel.receiver import Receiver, Reply

REQUEST = ExportLogsServiceRequest()
REQUEST.resource_logs.add().scope_logs.add().log_records.add(event_name="e")

MakeReceiver = Callable[..., Receiver]


@pytest.fixture
def receiving() -> Iterator[MakeReceiver]:
    """Starts receivers and stops them in the end."""
    started: list[Receiver] = []

    def start(
        reply: Callable[[int], Reply | None] = lambda _: Reply(), tls: ssl.SSLContext | None = None
    ) -> Receiver:
        started.append(Receiver(reply, tls))
        return started[-1]

    yield start
    for receiver in started:
        receiver.close()


def post(url: str, seconds: float = 5.0, times: int = 1, **target: str) -> list[Answer]:
    """Post to a URL and give the answers."""
    transport = HttpTransport(Target(f"{url}/v1/logs", Protocol.HTTP, **target), Kind.LOGS, "test")  # type: ignore[arg-type]  # text settings only
    answers = [transport.send(REQUEST, seconds) for _ in range(times)]
    transport.close()
    return answers


def test_one_connection_carries_all_requests(receiving: MakeReceiver) -> None:
    """A connection is kept, whether answers have a body or not."""
    receiver = receiving(lambda number: Reply(body=b"" if number % 2 else b"\x0a\x00"))

    assert post(receiver.url, times=6) == [Answer()] * 6
    assert len(set(receiver.connections)) == 1


def test_a_collector_is_trusted_by_the_certificate_that_is_named(
    receiving: MakeReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_EXPORTER_OTLP_CERTIFICATE wins over the environment's bundle; without it the same is refused."""
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    receiver = receiving(tls=tls)

    assert post(receiver.url, certificate=str(tmp_path / "ca.pem")) == [Answer()]
    assert post(receiver.url) == [Answer("tls", retry=True)]
    assert [record.event_name for record in receiver.records] == ["e"]


def test_we_show_the_client_certificate_that_is_named(receiving: MakeReceiver, tmp_path: Path) -> None:
    """OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _KEY; a collector that asks for one refuses us without."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = authority.issue_cert("sidecar.example")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    receiver = receiving(tls=tls)
    ca = str(tmp_path / "ca.pem")

    shown = post(
        receiver.url,
        certificate=ca,
        client_certificate=str(tmp_path / "client.pem"),
        client_key=str(tmp_path / "key.pem"),
    )
    [hidden] = post(receiver.url, certificate=ca)

    assert shown == [Answer()]
    assert hidden.problem in {"tls", "connection"}
    assert len(receiver.records) == 1


def test_a_certificate_that_cannot_be_read_is_told_at_the_start() -> None:
    """A wrong path is a fault of configuration, not of the collector."""
    with pytest.raises(OSError, match="nowhere"):
        post("https://127.0.0.1:1", certificate="/nowhere/ca.pem")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((("retry-after", "7"),), 7.0),
        ((("retry-after", "86400"),), 30.0),
        (
            (
                ("date", "Fri, 27 Nov 2026 10:00:00 GMT"),
                ("retry-after", "Fri, 27 Nov 2026 10:00:04 GMT"),
            ),
            4.0,
        ),
        ((("date", "Fri, 27 Nov 2026 10:00:09 GMT"), ("retry-after", "Fri, 27 Nov 2026 10:00:04 GMT")), 0.0),
        ((("retry-after", "soon"),), None),
        ((("retry-after", "-1"),), None),
        ((("retry-after", "\u00b2"),), None),
        ((), None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(
    receiving: MakeReceiver, headers: tuple[tuple[str, str], ...], seconds: float | None
) -> None:
    """A date counts from the answer's own; nobody makes us wait longer than half a minute."""
    receiver = receiving(lambda _: Reply(503, headers=headers))

    assert post(receiver.url) == [Answer("503", retry=True, retry_after_seconds=seconds)]


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 413, 500])
def test_other_answers_are_failures_for_good(receiving: MakeReceiver, status: int) -> None:
    """A redirect is none that is followed: records do not go where nobody configured."""
    elsewhere = receiving()
    receiver = receiving(lambda _: Reply(status, headers=(("location", f"{elsewhere.url}/v1/logs"),)))

    assert post(receiver.url) == [Answer(str(status))]
    assert elsewhere.requests == []


def test_a_reset_connection_is_tried_once_more_then_told(receiving: MakeReceiver) -> None:
    """The same request twice, and no third time within one send."""
    receiver = receiving(lambda _: None)

    assert post(receiver.url) == [Answer("connection", retry=True)]
    assert len(receiver.requests) == 2


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    """What is read of an answer is bounded; the records were taken."""
    sent: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n")
                try:
                    while True:
                        sent.append(peer.send(b"x" * 65536))
                except OSError:
                    return

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()

        assert post(f"http://127.0.0.1:{server.getsockname()[1]}") == [Answer()]
        thread.join(5.0)

    assert not thread.is_alive()
    assert sum(sent) < 64 * 1024 * 1024


def test_an_answer_with_a_broken_header_costs_no_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    """The HTTP library would log a warning with a traceback and the URL for every request."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\nno colon here\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()

        assert post(f"http://127.0.0.1:{server.getsockname()[1]}") == [Answer()]
        thread.join(5.0)

    assert caplog.records == []


def test_the_netrc_does_not_replace_the_configured_credentials(
    receiving: MakeReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The headers that were set say who asks."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    receiver = receiving()
    headers = (("authorization", "Bearer x"), ("x-n", "\u4e2d"))
    target = Target(f"{receiver.url}/v1/logs", Protocol.HTTP, headers)
    transport = HttpTransport(target, Kind.LOGS, "reputation-sidecar/1")

    answer = transport.send(REQUEST, 5.0)
    transport.close()

    assert answer == Answer()
    [(_, sent)] = receiver.requests
    assert sent["authorization"] == "Bearer x"
    assert sent["user-agent"] == "reputation-sidecar/1"
    assert sent["x-n"].encode("latin-1").decode() == "\u4e2d"


def test_nothing_is_sent_after_the_end(receiving: MakeReceiver) -> None:
    """A closed transport answers so."""
    receiver = receiving()
    transport = HttpTransport(Target(f"{receiver.url}/v1/logs", Protocol.HTTP), Kind.LOGS, "test")
    transport.close()

    assert transport.send(REQUEST, 1.0) == Answer("closed")
    assert receiver.requests == []

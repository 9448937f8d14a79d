"""`sidecar doctor`: every check finds what it is for, and says what to do."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import trustme

from tests.sidecar.cli.commands import Ran, history, run


def examined(ran: Ran) -> dict[str, dict[str, Any]]:
    return {one["check"]: one for one in ran.json["checks"]}


def free_port() -> int:
    """Give a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def doctor(
    data_dir: Path, url: str | None = None, plain: dict[str, str] | None = None, **changed: str
) -> Ran:
    """Examine a set-up that listens on free ports."""
    given = {"dispatch_listen": "127.0.0.1:0", "webhook_listen": "127.0.0.1:0", "data_dir": str(data_dir)}
    if url is not None:
        given["provider_url"] = url
    return run("doctor", "--json", plain=plain, **{**given, **changed})


@contextmanager
def upstream(date: str | None = None, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serve heads; give the base URL and the methods that were asked."""
    methods: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            methods.append(self.command)
            self.send_response_only(404)
            self.send_header("Date", date or self.date_time_string())
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Stay silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}/base", methods
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_each_upstream_is_called_by_its_route(tmp_path: Path) -> None:
    """Two that are away are two lines that can be told apart."""
    ran = doctor(tmp_path, "http://127.0.0.1:9", dispatcher_url="http://127.0.0.1:10")

    checks = examined(ran)

    assert {name for name in checks if name.startswith("upstream")} == {
        "upstream dispatch",
        "upstream webhook",
    }


def test_a_sound_set_up_is_healthy(tmp_path: Path) -> None:
    """Exit 0, the upstream was asked for a head once, and nothing was made in the data directory."""
    with upstream() as (url, methods):
        ran = doctor(tmp_path / "d", url)

    checks = examined(ran)
    assert ran.status == 0, ran.out
    assert {one["status"] for one in checks.values()} == {"ok"}
    assert {"configuration", "permissions", "disk", "upstream dispatch", "clock", "database", "otlp"} < set(
        checks
    )
    assert not (tmp_path / "d").exists()
    assert methods == ["HEAD"]


def test_an_upstream_that_is_away_is_found_with_exit_3(tmp_path: Path) -> None:
    """The remedy says that nothing listens."""
    ran = doctor(tmp_path, f"http://127.0.0.1:{free_port()}")

    assert ran.status == 3
    assert examined(ran)["upstream dispatch"]["status"] == "failed"
    assert "nothing listens there" in examined(ran)["upstream dispatch"]["remedy"]


def test_a_route_with_its_own_authority_is_trusted(tmp_path: Path) -> None:
    """What the sidecar would trust is what is asked with; without it the remedy names the setting."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with upstream(tls=context) as (url, _):
        route = f'name = "d"\ndirection = "dispatch"\nlisten = "127.0.0.1:0"\nupstream = "{url}"\n'
        for name, line in (("own", f'upstream_ca_file = "{tmp_path / "ca.pem"}"\n'), ("none", "")):
            (tmp_path / f"{name}.toml").write_text(f"[[routes]]\n{route}{line}")
        own = run("doctor", "--json", "--config", str(tmp_path / "own.toml"), data_dir=str(tmp_path))
        none = run("doctor", "--json", "--config", str(tmp_path / "none.toml"), data_dir=str(tmp_path))

    assert examined(own)["upstream d"]["status"] == "ok", own.out
    assert own.status == 0
    assert none.status == 3
    assert "upstream_ca_file" in examined(none)["upstream d"]["remedy"]


def test_too_little_room_for_the_journal_is_warned_about(tmp_path: Path) -> None:
    """Before the store is away for hours."""
    with upstream() as (url, _):
        ran = doctor(tmp_path, url, journal_max_bytes=str(1 << 44))

    assert ran.status == 0
    assert examined(ran)["disk"]["status"] == "warning"


def test_a_taken_port_is_found(tmp_path: Path) -> None:
    """The listener that could not start is named."""
    with upstream() as (url, _), socket.create_server(("127.0.0.1", 0)) as taken:
        ran = doctor(tmp_path, url, dispatch_listen=f"127.0.0.1:{taken.getsockname()[1]}")

    assert ran.status == 1
    assert examined(ran)["port dispatch"]["status"] == "failed"
    assert examined(ran)["port admin"]["status"] == "ok"


def test_a_clock_that_is_off_is_found(tmp_path: Path) -> None:
    """The upstream's date is the comparison."""
    with upstream("Mon, 01 Jan 2024 00:00:00 GMT") as (url, _):
        ran = doctor(tmp_path, url)

    assert ran.status == 1
    assert examined(ran)["clock"]["status"] == "failed"


def test_a_database_that_is_away_is_found_without_its_password(tmp_path: Path) -> None:
    """The journal holds what happens meanwhile; the message says so."""
    with upstream() as (url, _):
        ran = doctor(tmp_path, url, database_url=f"postgresql://nobody:secret-word@127.0.0.1:{free_port()}/x")

    assert ran.status == 3
    assert examined(ran)["database"]["status"] == "failed"
    assert "the journal holds" in examined(ran)["database"]["remedy"]
    assert "secret-word" not in ran.out + ran.err


def test_an_otlp_collector_that_is_away_is_found(tmp_path: Path) -> None:
    """Where nothing listens, records would be dropped."""
    with upstream() as (url, _):
        given = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
        ran = doctor(tmp_path, url, plain=given)

    assert ran.status == 3
    assert examined(ran)["otlp"]["status"] == "failed"


def test_an_open_data_directory_is_warned_about(tmp_path: Path) -> None:
    """Others could read who wrote to whom."""
    data = history(tmp_path / "d")
    data.chmod(0o755)
    with upstream() as (url, _):
        ran = doctor(data, url)

    assert ran.status == 0
    assert examined(ran)["permissions"]["status"] == "warning"
    assert examined(ran)["database"]["detail"].startswith("sqlite, schema ")


def test_a_wrong_configuration_is_all_told_with_exit_2(tmp_path: Path) -> None:
    """Every fault, each with its remedy."""
    ran = doctor(tmp_path, workers="0", window_ms="1")

    assert ran.status == 2
    for name in ("SIDECAR_WORKERS", "SIDECAR_WINDOW_MS", "SIDECAR_PROVIDER_URL"):
        assert name in ran.out

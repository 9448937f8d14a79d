"""`sidecar doctor`: looks at everything a sidecar needs, and says what to do about each trouble.

It connects (`check` opens nothing) but changes nothing: it asks the provider for a head, opens the database
for reading, and tries its ports only where no sidecar runs on this data directory.
"""

import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from domain.errors import StoreUnavailable
from sidecar.addresses import parse_address
from sidecar.bootstrap.offline import otlp_urls, store_report
from sidecar.cli.errors import CONFIGURATION, DONE, FAILED, UNREACHABLE
from sidecar.cli.finding import is_recording
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, print_line, size
from sidecar.clock import now_ms
from sidecar.config import ConfigurationError, load
from sidecar.listening import ListenError, bind
from sidecar.settings import Settings

CONNECT_SECONDS: Final = 5.0
SKEW_MAX_MS: Final = 5_000
"""Receipts carry whole seconds and the provider's clock; beyond this a latency is nonsense."""
FREE_MIN_BYTES: Final = 256 << 20
MAINS: Final = {"http": 80, "https": 443}


class Finding(NamedTuple):
    """One thing that was looked at. `status` is ok, warning or failed; `exit_status` is that of a failure."""

    check: str
    status: str
    detail: str
    remedy: str | None = None
    exit_status: int = FAILED


def examine(place: Place, *, as_json: bool) -> int:
    """Examine everything; 0 when nothing failed."""
    findings = list(_findings(place))
    if as_json:
        shown = [
            {"check": one.check, "status": one.status, "detail": one.detail, "remedy": one.remedy}
            for one in findings
        ]
        print_json({"healthy": all(one.status != "failed" for one in findings), "checks": shown})
    else:
        width = max(14, *(len(one.check) for one in findings))
        for one in findings:
            print_line(f"{one.status:<8} {one.check:<{width}} {one.detail}")
            if one.remedy:
                print_line(f"{'':<8} {'':<{width}} -> {one.remedy}")
    failed = [one.exit_status for one in findings if one.status == "failed"]
    return next((status for status in (CONFIGURATION, FAILED, UNREACHABLE) if status in failed), DONE)


def _findings(place: Place) -> Iterator[Finding]:
    try:
        settings = load({"data_dir": place.data_dir}, config_file=place.config).settings
    except ConfigurationError as error:
        for fault in error.faults:
            yield Finding(
                "configuration",
                "failed",
                str(fault),
                "correct it; `sidecar check` judges it again",
                CONFIGURATION,
            )
        return
    yield Finding("configuration", "ok", "every setting is valid")
    yield from _directory(Path(settings.data_dir).absolute(), settings.journal_max_bytes)
    yield from _ports(settings)
    skews: list[int] = []
    for route in settings.all_routes():
        yield _upstream(f"upstream {route.name}", route.upstream, route.upstream_ca_file, skews)
    yield _clock(skews)
    yield _database(settings)
    yield from _otlp()


def _directory(path: Path, journal_max_bytes: int) -> Iterator[Finding]:
    existing = next(one for one in (path, *path.parents) if one.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        remedy = f"run as the owner of {existing}, or name another SIDECAR_DATA_DIR"
        yield Finding("permissions", "failed", f"{existing} cannot be written", remedy)
    elif path.exists() and path.stat().st_mode & 0o077:
        yield Finding(
            "permissions",
            "warning",
            f"others may enter {path}",
            f"chmod 700 {path}, or let the next start do it",
        )
    else:
        detail = f"{path} is private" if path.exists() else f"{path} will be made by the first start"
        yield Finding("permissions", "ok", detail)
    room = os.statvfs(existing)
    free = room.f_bavail * room.f_frsize
    if free < FREE_MIN_BYTES:
        remedy = (
            "make room, or lower SIDECAR_JOURNAL_MAX_BYTES; on a full disk facts are lost, traffic is not"
        )
        yield Finding("disk", "failed", f"{size(free)} free for {path}", remedy)
    elif free < journal_max_bytes:
        detail = (
            f"{size(free)} free, the journal may grow to {size(journal_max_bytes)} while the store is away"
        )
        yield Finding("disk", "warning", detail, "make room, or lower SIDECAR_JOURNAL_MAX_BYTES")
    else:
        yield Finding("disk", "ok", f"{size(free)} free")


def _ports(settings: Settings) -> Iterator[Finding]:
    running = is_recording(Path(settings.data_dir))
    listens = {route.name: route.listen for route in settings.all_routes()} | {"admin": settings.admin_listen}
    for name, listen in listens.items():
        if running:
            yield Finding(f"port {name}", "ok", f"{listen}: a sidecar runs on this data directory")
            continue
        try:
            bind(name, parse_address(listen)).close()
        except ListenError as error:
            yield Finding(f"port {name}", "failed", str(error), "stop what uses it or choose another address")
        else:
            yield Finding(f"port {name}", "ok", f"{listen} is free")


def _upstream(check: str, url: str, authorities: str | None, skews: list[int]) -> Finding:
    """Ask for the head of the base URL: any answer proves that it is reachable."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        if parts.scheme == "https":
            trusted = ssl.create_default_context(cafile=authorities)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, parts.port, timeout=CONNECT_SECONDS, context=trusted
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=CONNECT_SECONDS)
    except (OSError, ssl.SSLError) as error:
        detail = f"upstream_ca_file {authorities} cannot be used ({_why(error)})"
        return Finding(check, "failed", detail, "name a readable PEM file of authorities", CONFIGURATION)
    try:
        connection.request("HEAD", parts.path or "/")
        response = connection.getresponse()
        if date := response.getheader("Date"):
            skews.append(now_ms() - round(parsedate_to_datetime(date).timestamp() * 1000))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Finding(check, "failed", f"{url} does not answer ({_why(error)})", _remedy(error), UNREACHABLE)
    finally:
        connection.close()
    return Finding(check, "ok", f"{url} answers (HTTP {response.status})")


def _clock(skews: list[int]) -> Finding:
    if not skews:
        return Finding(
            "clock", "warning", "nothing answered with a date to compare with", "check the time service"
        )
    skew = min(skews, key=abs)
    # A Date header has whole seconds, cut.
    if not -SKEW_MAX_MS <= skew <= SKEW_MAX_MS + 1000:
        remedy = "let both machines synchronise their clocks (NTP); windows and latencies compare them"
        return Finding(
            "clock", "failed", f"this machine is {skew / 1000:+.0f} s off its upstream's clock", remedy
        )
    return Finding("clock", "ok", "agrees with the upstream's")


def _database(settings: Settings) -> Finding:
    if settings.database_url is None and not (Path(settings.data_dir) / "reputation.sqlite").exists():
        return Finding("database", "ok", "the embedded store will be made by the first start")
    try:
        report = store_report(settings)
    except (StoreUnavailable, ValueError) as error:
        remedy = "start it, or correct SIDECAR_DATABASE_URL; meanwhile the journal holds what happens"
        return Finding("database", "failed", str(error), remedy, UNREACHABLE)
    if report.revision != report.latest:
        found = f"schema revision {report.revision or 'none'}, this version works with {report.latest}"
        return Finding("database", "warning", found, "run `sidecar migrate`, or let the next start do it")
    return Finding("database", "ok", f"{report.backend}, schema {report.revision}, {size(report.size_bytes)}")


def _otlp() -> Iterator[Finding]:
    try:
        urls = otlp_urls()
    except ValueError as error:
        yield Finding("otlp", "failed", str(error), "correct or unset the variable", CONFIGURATION)
        return
    if not urls:
        yield Finding("otlp", "ok", "off; OTEL_EXPORTER_OTLP_ENDPOINT switches it on")
    for url in urls:
        parts = urlsplit(url)
        address = (parts.hostname or "", parts.port or MAINS[parts.scheme])
        yield _reached("otlp", url, address)


def _reached(check: str, url: str, address: tuple[str, int]) -> Finding:
    try:
        socket.create_connection(address, CONNECT_SECONDS).close()
    except OSError as error:
        return Finding(check, "failed", f"{url} does not answer ({_why(error)})", _remedy(error), UNREACHABLE)
    return Finding(check, "ok", f"{url} accepts connections")


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _remedy(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return "its certificate is not trusted here: set upstream_ca_file of the route, or renew it"
        case socket.gaierror():
            return "the name does not resolve: correct the host name or the resolver"
        case ConnectionRefusedError():
            return "nothing listens there: start it, or correct the address"
        case TimeoutError():
            return "no answer in time: check routes and firewalls between the two"
        case _:
            return "check that it runs and that the address is right"

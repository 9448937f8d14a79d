"""Real sidecars for the canary suite, and everything that comes out of one."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from typer.testing import CliRunner

from sidecar import providers
from sidecar.cli.app import app
from tests.canary.ends import ScriptedOrigin, ask, closed_port, scripted_origin
from tests.canary.markers import CANARIES, PHONE, WAMID
from tests.canary.traffic import Shot
from tests.e2e.sidecars import Sidecar
from tests.exporters.otel.receiver import Receiver

C: Final = CANARIES
CRASHING: Final = "crashing"
PROVIDERS: Final = ("turbozap", "evolution", "waha", "cloud_api")
ALL_TIMES: Final = "since=0&until=7258118400000"

_CRASHING_READER: Final = """
class Broken:
    name = "crashing"

    def read(self, exchange):
        held = exchange.request_body.data.decode()
        raise KeyError(held, {"headers": exchange.request_headers, "target": exchange.target})

    def verification(self, exchange, secret):
        raise RuntimeError(secret, exchange.request_headers)


def build(codes):
    return Broken()
"""
_SITE: Final = "import sidecar.providers\nsidecar.providers.__path__.append({folder!r})\n"


class Sink(NamedTuple):
    """Something that came out, by name."""

    name: str
    data: bytes


class Household:
    """One sidecar with its ends, and what it gave away so far."""

    def __init__(
        self, sidecar: Sidecar, origin: ScriptedOrigin, receiver: Receiver, env: dict[str, str]
    ) -> None:
        self.sidecar = sidecar
        self.origin = origin
        self.receiver = receiver
        self.env = env
        self.sinks: list[Sink] = []
        self.error_pages: list[bytes] = []
        self.sent = 0
        self._files: dict[Path, bytes] = {}

    def fire(self, provider: str, shot: Shot) -> None:
        """Let one exchange happen; keep what the sidecar itself answers."""
        wire = shot.request
        if shot.script is not None and wire.count(b"\r\n"):
            first, rest = wire.split(b"\r\n", 1)
            wire = first + b"\r\nX-Script: %d\r\n" % self.origin.add(shot.script) + rest
        address = self.sidecar.listeners[f"{provider}-{shot.route}"]
        got = ask(address, wire, hang_up=shot.hang_up)
        self.sent += 1
        if b"\r\nsidecar-error: " in got[:4096].lower():
            self.error_pages.append(got)

    def listen_to_the_stream(self) -> None:
        """Follow `/v1/stream` from now on."""
        request = _admin_request("/v1/stream")
        self._stream = threading.Thread(
            target=lambda: self.sinks.append(
                Sink("api /v1/stream", ask(self.sidecar.listeners["admin"], request))
            )
        )
        self._stream.start()

    def collect_files(self, when: str) -> None:
        """Read every file below the data directory; one that only grew is kept once."""
        for path in sorted(self.sidecar.data_dir.rglob("*")):
            with contextlib.suppress(FileNotFoundError, OSError):
                if path.is_file():
                    data = path.read_bytes().strip(b"\0")
                    before = self._files.get(path, b"")
                    if not data.startswith(before):
                        self.sinks.append(Sink(f"file {path.name}, {when}", before))
                    self._files[path] = data

    def collect_api(self, instances: list[str]) -> None:
        """Ask every route of the admin API, rightly and wrongly."""
        self._admin("/v1/instances?limit=1000")
        for name in [*instances, "posted-1"]:
            timeline = f"/v1/instances/{name}/timeline?{ALL_TIMES}"
            self._admin(timeline + "&limit=5000")
            self._admin(f"/v1/instances/{name}/reputation")
            self._admin(f"/v1/instances/{name}/snapshot?windowMs=86400000")
            decisions = json.loads(self._admin(f"/v1/instances/{name}/decisions?{ALL_TIMES}"))["decisions"]
            if decisions:
                self._admin(f"/v1/decisions/{decisions[0]['id']}?replay=true")
        last = f"/v1/instances/{instances[0]}/timeline?{ALL_TIMES}"
        self._admin(last, "Accept: application/x-ndjson")
        self._admin(last, "Accept: text/csv")
        for target in (
            f"/v1/annotations?{ALL_TIMES}",
            "/openapi.json",
            "/",
            "/healthz",
            "/readyz",
            "/metrics",
        ):
            self._admin(target)
        self._admin("/metrics", "Accept: application/openmetrics-text; version=1.0.0")
        for wrong in (f"{last}&messageId={WAMID}", f"{last}&messageId=true_{PHONE}@c.us_3EB0CAFE21"):
            self._admin(wrong)
        self._admin("/v1/instances", f"Authorization: Bearer {C['bearer']}", token=None)
        self._admin("/v1/instances?token=" + C["api_key"], token=None)
        self._admin("/session", body={"token": C["bearer"]}, token=None)
        self._admin("/v1/signals", body=_POSTED)
        self._admin(
            "/v1/signals", body={"signals": [{**_POSTED["signals"][0], "text": C["text"], "type": PHONE}]}
        )

    def collect_the_rest(self) -> None:
        """Take the files' last states, what went to the collector, and stdout and stderr of all processes."""
        self._stream.join(5)
        self.sinks += [Sink(f"file {path.name}", data) for path, data in self._files.items()]
        sent: list[Any] = [*self.receiver.logs, *self.receiver.traces]
        self.sinks.append(Sink("otlp", b"\n".join(one.SerializeToString() for one in sent)))
        self.sinks.append(Sink("stdout", "".join(self.sidecar.lines).encode()))
        self.sinks.append(Sink("stderr", "".join(self.sidecar.errors).encode()))
        self.sinks.append(Sink("error pages", b"\n".join(self.error_pages)))

    def collect_support(self, instance: str) -> None:
        """Run every command that an operator's mail to support might hold."""
        for command in (
            ["check"], ["check", "--json"], ["doctor", "--json"], ["store", "--json"],
            ["instances", "--json"], ["timeline", instance, "--since", "0", "--json"],
            ["explain", instance], ["explain", instance, "--json"], ["decisions", instance, "--json"],
            ["replay", instance], ["journal", "verify"],
        ):  # fmt: skip
            ran = CliRunner(env={name: None for name in os.environ if name.startswith("SIDECAR_")}).invoke(
                app, command, env=self.env
            )
            shown = ran.output.encode() + repr(ran.exception).encode()
            assert ran.exit_code in {0, 1, 3}, (command, ran.output)
            self.sinks.append(Sink(f"command {' '.join(command)}", shown))

    def _admin(
        self, target: str, *headers: str, token: str | None = C["admin_token"], body: Any = None
    ) -> bytes:
        got = ask(self.sidecar.listeners["admin"], _admin_request(target, *headers, token=token, body=body))
        shown = target.split("?", maxsplit=1)[0] + "".join(headers)[:40]
        self.sinks.append(Sink(f"api {shown}", got))
        return got.partition(b"\r\n\r\n")[2]


_POSTED: Final[dict[str, Any]] = {
    "signals": [
        {
            "type": "MESSAGE_FAILED",
            "instanceId": "posted-1",
            "messageId": WAMID,
            "remoteJid": f"{PHONE}@s.whatsapp.net",
            "eventId": f"about {PHONE}",
            "context": {"event": PHONE, "status": C["text"], "code": PHONE, "reasonCode": C["api_key"]},
        },
        {
            "type": "CONNECTION_ERROR",
            "instanceId": "posted-1",
            "source": "PROVIDER",
            "eventId": f"{C['text']} {PHONE}",
            "context": {"endpoint": f"POST /x/{PHONE}", "presence": C["text"]},
        },
    ]
}


def _admin_request(
    target: str, *headers: str, token: str | None = C["admin_token"], body: Any = None
) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{'GET' if body is None else 'POST'} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [*headers, f"Content-Length: {len(data)}", "Content-Type: application/json"]
    lines += [] if token is None else [f"Authorization: Bearer {token}"]
    return "\r\n".join([*lines, "", ""]).encode() + data


def _routes(origin: ScriptedOrigin, dead: int) -> str:
    text = ""
    for provider in (*PROVIDERS, CRASHING):
        for name, upstream in (("", origin.url), ("-dead", f"http://127.0.0.1:{dead}")):
            for direction in ("dispatch", "webhook"):
                text += (
                    f'[[routes]]\nname = "{provider}-{direction}{name}"\ndirection = "{direction}"\n'
                    f'listen = "127.0.0.1:0"\nupstream = "{upstream}"\nprovider = "{provider}"\n'
                )
    return text


@contextlib.contextmanager
def household(folder: Path, verify: str, **settings: str) -> Iterator[Household]:
    """Run one sidecar with all four readers and one that crashes, every secret of its own a canary."""
    crashing = folder / "readers"
    crashing.mkdir()
    (crashing / f"{CRASHING}.py").write_text(_CRASHING_READER, "utf-8")
    (folder / "sitecustomize.py").write_text(_SITE.format(folder=str(crashing)), "utf-8")
    receiver = Receiver()
    with scripted_origin() as origin:
        config = folder / "sidecar.toml"
        config.write_text(_routes(origin, closed_port()), "utf-8")
        env = {
            "PYTHONPATH": str(folder),
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {C['otlp_token']}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_BLRP_SCHEDULE_DELAY": "200",
        }
        settings = {
            **settings,
            "config": str(config),
            "webhook_secret": C["webhook_secret"],
            "webhook_verify": verify,
            "webhook_body_max_bytes": str(1 << 20),
            "admin_token": C["admin_token"],
            "pseudonym_key": C["pseudonym_key"],
            "head_timeout_ms": "300",
            "head_arrival_ms": "500",
            "retention_days": "3650",
            "log_format": "json",
        }
        sidecar = Sidecar(folder / "data", env=env, **settings)
        providers.__path__.append(str(crashing))  # for the commands, which run in this process
        try:
            sidecar.ready()
            commands = {f"SIDECAR_{name.upper()}": value for name, value in settings.items()}
            commands |= {
                "SIDECAR_DATA_DIR": str(folder / "data"),
                "SIDECAR_ADMIN_LISTEN": sidecar.listeners["admin"],
            }
            yield Household(sidecar, origin, receiver, {**env, **commands})
        finally:
            providers.__path__.remove(str(crashing))
            sidecar.kill()
            receiver.close()

"""Every setting: name, type, bounds, default, meaning. The README's table is printed from here.

A setting `x_y` is `SIDECAR_X_Y` in the environment, `x_y` in the TOML file and `--x-y` on the command line.
`sidecar.config` loads and judges them; nothing else reads the environment.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from domain.words import Direction

ENV_PREFIX: Final = "SIDECAR_"
HIDDEN: Final = "(hidden)"
"""What is shown of a secret that is set."""


def _about(meaning: str, *, secret: bool = False, **bounds: Any) -> Meta:
    return Meta(description=meaning, extra={"secret": secret}, **bounds)


class RouteSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[routes]]` entry of the TOML file, or what the simple settings mean.

    Attributes:
        name: names the route in the ready line; unique.
        direction: `dispatch` (dispatcher to provider) or `webhook` (provider to dispatcher).
        listen: `host:port`, port 0 for any.
        upstream: base URL, may carry a path prefix.
        provider: which reader reads it.
        upstream_ca_file: PEM file of the authorities to trust instead of the system's.
        tls_cert_file, tls_key_file: PEM files; both make the listener speak TLS.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    direction: Direction
    listen: str
    upstream: str
    provider: str = "turbozap"
    upstream_ca_file: str | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration of one sidecar, judged and frozen."""

    provider: Annotated[
        str, _about("reader of the provider's traffic: turbozap, evolution, waha, cloud_api")
    ] = "turbozap"
    provider_url: Annotated[
        str | None, _about("base URL of the provider API, may carry a path prefix; required without routes")
    ] = None
    dispatch_listen: Annotated[str, _about("address the dispatcher calls instead of the provider")] = (
        "127.0.0.1:8080"
    )
    dispatcher_url: Annotated[
        str | None,
        _about("where callbacks are forwarded, may carry a path prefix; unset: no webhook listener"),
    ] = None
    webhook_listen: Annotated[str, _about("address the provider calls instead of the dispatcher")] = (
        "127.0.0.1:8081"
    )
    webhook_secret: Annotated[
        str | None, _about("secret that callbacks are verified with, by the provider's scheme", secret=True)
    ] = None
    webhook_verify: Annotated[
        Literal["observe", "reject"],
        _about("a bad signature is forwarded, not recorded, counted (observe) or refused with 401 (reject)"),
    ] = "observe"
    webhook_body_max_bytes: Annotated[
        int, _about("largest callback held for verification in reject mode, else 413", ge=1024, le=1 << 30)
    ] = 16 << 20
    admin_listen: Annotated[str, _about("address of metrics, API and page")] = "127.0.0.1:9464"
    admin_token: Annotated[
        str | None,
        _about("bearer token of the admin listener; required off loopback", secret=True),
    ] = None
    metrics_public: Annotated[bool, _about("whether /metrics is served without the token")] = True
    data_dir: Annotated[str, _about("journal, key and SQLite file; created with mode 0700")] = (
        "./sidecar-data"
    )
    database_url: Annotated[
        str | None,
        _about(
            "SQLAlchemy URL, sqlite:/// or postgresql://; unset: SQLite in the data directory", secret=True
        ),
    ] = None
    workers: Annotated[int, _about("wire worker processes", ge=1, le=64)] = 1
    window_ms: Annotated[int, _about("evaluation window", ge=60_000, le=86_400_000)] = 1_800_000
    latency_rules: Annotated[
        Literal["off", "on"], _about("whether delivery latency enters the snapshot's mean")
    ] = "off"
    retention_days: Annotated[int, _about("signals older than this are dropped", ge=1, le=3650)] = 30
    remote_jid: Annotated[
        Literal["hash", "drop", "plain"], _about("what is kept of a chat id: keyed digest, nothing, itself")
    ] = "hash"
    pseudonym_key: Annotated[
        Annotated[str, Meta(min_length=8)] | None,
        _about("key of the digest; unset: generated once in the data directory", secret=True),
    ] = None
    max_instance_series: Annotated[
        int, _about("instance label values kept; the rest share __other__", ge=1, le=100_000)
    ] = 1000
    log_format: Annotated[
        Literal["auto", "json", "console"], _about("log lines: JSON, console, or console on a terminal")
    ] = "auto"
    journal_max_bytes: Annotated[int, _about("bound of the journal directory", ge=1 << 20, le=1 << 44)] = (
        1 << 30
    )
    journal_sync_ms: Annotated[int, _about("fsync interval: what a power loss may cost", ge=1, le=60_000)] = (
        100
    )
    max_connections: Annotated[
        int, _about("open connections a worker accepts over all routes; beyond: 503", ge=1, le=1_000_000)
    ] = 2048
    connect_timeout_ms: Annotated[int, _about("until 504 when connecting upstream", ge=1, le=600_000)] = 5000
    head_timeout_ms: Annotated[
        int, _about("until 504 when waiting for an answer's head; 0: none", ge=0, le=86_400_000)
    ] = 0
    drain_seconds: Annotated[
        float, _about("how long exchanges in flight may finish after SIGTERM", ge=0, le=3600)
    ] = 30
    codes_file: Annotated[
        str | None, _about("TOML file that overrides or extends the table of provider codes")
    ] = None
    head_max_bytes: Annotated[int, _about("largest message head; beyond: 431", ge=1024, le=1 << 20)] = (
        32 << 10
    )
    head_fields_max: Annotated[int, _about("most fields in a head; beyond: 431", ge=8, le=10_000)] = 128
    head_arrival_ms: Annotated[int, _about("until a request head must be complete", ge=100, le=600_000)] = (
        10_000
    )
    idle_ms: Annotated[int, _about("until an idle caller's connection is closed", ge=100, le=86_400_000)] = (
        75_000
    )
    upstream_idle_ms: Annotated[
        int,
        _about("longest idle time of a reused provider connection; below the provider's", ge=0, le=3_600_000),
    ] = 4000
    buffer_bytes: Annotated[
        int, _about("high-water mark of each direction of a connection", ge=4096, le=16 << 20)
    ] = 64 << 10
    interim_answers_max: Annotated[
        int, _about("1xx answers before the final one; beyond: 502", ge=1, le=100_000)
    ] = 256
    chunk_line_max_bytes: Annotated[
        int, _about("longest size line of a chunk, extensions included", ge=16, le=1 << 20)
    ] = 1024
    chunk_overhead_max_bytes: Annotated[
        int, _about("chunk framing of a body beyond 32 bytes a chunk; beyond: 400, 502", ge=64, le=1 << 30)
    ] = 32 << 10
    overflow_connections_max: Annotated[
        int, _about("connections beyond max_connections that still get their 503", ge=0, le=100_000)
    ] = 128
    pool_connections_max: Annotated[
        int, _about("idle provider connections kept for reuse, a route and worker", ge=0, le=100_000)
    ] = 512
    orphan_ms: Annotated[
        int, _about("how long an answer is awaited after its caller hung up", ge=0, le=86_400_000)
    ] = 60_000
    linger_ms: Annotated[
        int, _about("how long a caller is still read after a last answer, that it be read", ge=0, le=600_000)
    ] = 2000
    linger_max_bytes: Annotated[int, _about("how much of it is read and discarded", ge=0, le=1 << 30)] = (
        1 << 20
    )
    held_max_bytes: Annotated[
        int, _about("callbacks a worker holds for verification, together; beyond: 503", ge=1024, le=1 << 40)
    ] = 256 << 20
    release_ms: Annotated[
        int, _about("longest wait of an answer for the journal; then it goes, counted", ge=100, le=600_000)
    ] = 5000
    drain_idle_ms: Annotated[
        int, _about("how long an idle connection may bring a request while draining", ge=0, le=600_000)
    ] = 2000
    observe_max_bytes: Annotated[
        int, _about("bytes of a body that are copied and read", ge=1024, le=64 << 20)
    ] = 256 << 10
    observe_string_max_bytes: Annotated[
        int, _about("longest JSON string kept in the copy", ge=256, le=16 << 20)
    ] = 8 << 10
    decode_ratio_max: Annotated[
        int, _about("largest expansion of a compressed body while it is read", ge=2, le=10_000)
    ] = 100
    routes: Annotated[
        tuple[RouteSettings, ...], _about("several providers or ports: [[routes]] in the TOML file")
    ] = ()

    def all_routes(self) -> tuple[RouteSettings, ...]:
        """Give the routes: the file's, or those of the simple settings."""
        if self.routes:
            return self.routes
        found = []
        if self.provider_url:
            found.append(
                RouteSettings(
                    name="dispatch",
                    direction=Direction.DISPATCH,
                    listen=self.dispatch_listen,
                    upstream=self.provider_url,
                    provider=self.provider,
                )
            )
        if self.dispatcher_url:
            found.append(
                RouteSettings(
                    name="webhook",
                    direction=Direction.WEBHOOK,
                    listen=self.webhook_listen,
                    upstream=self.dispatcher_url,
                    provider=self.provider,
                )
            )
        return tuple(found)


class Option(msgspec.Struct, frozen=True):
    """What the loader, the command line and the docs need to know of one setting."""

    name: str
    type: Any
    meaning: str
    secret: bool
    default: Any
    bounds: str

    @property
    def env(self) -> str:
        """Name in the environment."""
        return ENV_PREFIX + self.name.upper()


def options() -> tuple[Option, ...]:
    """Give every setting in the order of the class."""
    found = []
    hints = _hints()
    for field in msgspec.structs.fields(Settings):
        kind, meta = hints[field.name]
        default = field.default
        secret = bool((meta.extra or {})["secret"])
        about = meta.description or ""
        found.append(Option(field.name, Annotated[kind, meta], about, secret, default, _bounds(kind, meta)))
    return tuple(found)


def _hints() -> dict[str, tuple[Any, Meta]]:
    return {
        name: (hint.__origin__, hint.__metadata__[0])
        for name, hint in Settings.__annotations__.items()
        if hasattr(hint, "__metadata__")
    }


def _bounds(kind: Any, meta: Meta) -> str:
    choices = getattr(kind, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        return ", ".join(f"`{choice}`" for choice in choices)
    if meta.ge is not None and meta.le is not None:
        return f"{meta.ge} to {meta.le}"
    for choice in choices:
        for inner in getattr(choice, "__metadata__", ()):
            return f"at least {inner.min_length} characters"
    return ""


def shown(settings: Settings) -> dict[str, Any]:
    """Give every setting by name as it may be shown: secrets hidden, routes in a line each."""
    return {option.name: _shown(getattr(settings, option.name), option) for option in options()}


def _shown(value: Any, option: Option) -> Any:
    if option.secret and value is not None:
        return HIDDEN
    if isinstance(value, tuple):
        return [f"{route.name}: {route.direction} {route.listen} -> {route.upstream}" for route in value]
    return value

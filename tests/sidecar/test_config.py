"""Loading and judging the settings."""

from pathlib import Path
from typing import Any

import pytest

from sidecar.addresses import Address, parse_address, parse_base_url
from sidecar.config import ConfigurationError, load
from sidecar.settings import RouteSettings, Settings

URL = {"SIDECAR_PROVIDER_URL": "http://127.0.0.1:3000/base"}


def faults(
    env: dict[str, str] | None = None, flags: dict[str, Any] | None = None, file: str | None = None
) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load(flags, env if env is not None else URL, file)
    return [str(fault) for fault in refused.value.faults]


def test_one_variable_is_enough_and_the_defaults_are_the_contracts() -> None:
    """Everything but the provider's URL has a default (design section 4)."""
    settings = load(None, URL).settings

    assert settings.dispatch_listen == "127.0.0.1:8080"
    assert settings.webhook_listen == "127.0.0.1:8081"
    assert settings.admin_listen == "127.0.0.1:9464"
    assert settings.provider == "turbozap"
    assert settings.window_ms == 1_800_000
    assert settings.retention_days == 30
    assert settings.remote_jid == "hash"
    assert settings.max_instance_series == 1000
    assert (settings.journal_max_bytes, settings.journal_sync_ms) == (1 << 30, 100)
    assert (settings.max_connections, settings.connect_timeout_ms) == (2048, 5000)
    assert (settings.head_timeout_ms, settings.drain_seconds) == (0, 30)
    assert [route.name for route in settings.all_routes()] == ["dispatch"]


def test_flags_beat_environment_beat_file_beat_defaults(tmp_path: Path) -> None:
    """The order of design section 4, setting by setting, with the source told."""
    file = tmp_path / "sidecar.toml"
    file.write_text('provider_url = "http://file"\nworkers = 2\nretention_days = 7\n')
    env = {"SIDECAR_WORKERS": "3", "SIDECAR_RETENTION_DAYS": "8", "SIDECAR_CONFIG": str(file)}

    loaded = load({"workers": "4", "window_ms": None}, env)

    assert (loaded.settings.provider_url, loaded.sources["provider_url"]) == ("http://file", "file")
    assert (loaded.settings.retention_days, loaded.sources["retention_days"]) == (8, "environment")
    assert (loaded.settings.workers, loaded.sources["workers"]) == (4, "flag")
    assert loaded.sources["window_ms"] == "default"


def test_every_fault_is_listed_at_once() -> None:
    """An operator mends a configuration in one go."""
    found = faults(
        {
            "SIDECAR_PROVIDER": "nobody",
            "SIDECAR_PROVIDER_URL": "ftp://x",
            "SIDECAR_WORKERS": "0",
            "SIDECAR_WINDOW_MS": "soon",
            "SIDECAR_ADMIN_LISTEN": "0.0.0.0:9464",
            "SIDECAR_TYPO": "1",
        }
    )

    names = {fault.split(":")[0] for fault in found}
    assert names == {
        "SIDECAR_PROVIDER",
        "SIDECAR_PROVIDER_URL",
        "SIDECAR_WORKERS",
        "SIDECAR_WINDOW_MS",
        "SIDECAR_ADMIN_TOKEN",
        "SIDECAR_TYPO",
    }


def test_a_fault_gives_name_value_bounds_and_remedy() -> None:
    """The sentence is enough to act on."""
    assert faults({**URL, "SIDECAR_WORKERS": "65"}) == [
        "SIDECAR_WORKERS: must be 1 to 64; unset it for the default of 1, got '65'"
    ]


def test_the_providers_url_is_required() -> None:
    """There is no useful sidecar without a provider."""
    assert faults({}) == ["SIDECAR_PROVIDER_URL: is required; set it to the base URL of the provider's API"]


def test_names_that_kubernetes_sets_are_no_faults() -> None:
    """A service called "sidecar" makes Kubernetes set such names in every pod."""
    env = {
        **URL,
        "SIDECAR_SERVICE_HOST": "10.0.0.1",
        "SIDECAR_PORT_9464_TCP": "tcp://10.0.0.1:9464",
        "SIDECAR_PORT": "x",
    }

    assert load(None, env).settings.provider_url == URL["SIDECAR_PROVIDER_URL"]


def test_an_empty_variable_of_an_optional_setting_means_unset() -> None:
    """Compose files pass empty variables for what the user did not set."""
    assert (
        load(None, {**URL, "SIDECAR_DISPATCHER_URL": "", "SIDECAR_ADMIN_TOKEN": ""}).settings.dispatcher_url
        is None
    )


def test_a_secret_may_come_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    """Orchestrators mount secrets as files."""
    secret = tmp_path / "token"
    secret.write_text("a-long-enough-token\n")

    settings = load(None, {**URL, "SIDECAR_ADMIN_TOKEN_FILE": str(secret)}).settings

    assert settings.admin_token == "a-long-enough-token"


def test_a_secret_given_twice_or_unreadable_is_a_fault(tmp_path: Path) -> None:
    """Which of two secrets holds is never guessed."""
    secret = tmp_path / "token"
    secret.write_text("x")
    both = {**URL, "SIDECAR_ADMIN_TOKEN": "y", "SIDECAR_ADMIN_TOKEN_FILE": str(secret)}

    assert "keep one of them" in faults(both)[0]
    assert "cannot be read" in faults({**URL, "SIDECAR_ADMIN_TOKEN_FILE": str(tmp_path / "none")})[0]


def test_no_fault_ever_shows_a_secret() -> None:
    """Faults go to logs."""
    env = {**URL, "SIDECAR_PSEUDONYM_KEY": "hush", "SIDECAR_DATABASE_URL": "mysql://u:hush@h/d"}

    assert "hush" not in "\n".join(faults(env))


def test_a_refused_url_is_shown_without_its_credentials() -> None:
    """They are why it is refused."""
    shown = faults({**URL, "SIDECAR_PROVIDER_URL": "http://user:hush@gateway/base?key=hush"})

    assert "hush" not in "".join(shown)
    assert "'http://...@gateway/base?...'" in shown[0]


@pytest.mark.parametrize(
    "text", ["[[code]]\ncode = '1'", "not toml", "[[code]]\ncolour = 'red'", None], ids=str
)
def test_a_code_table_that_cannot_be_used_is_a_fault(tmp_path: Path, text: str | None) -> None:
    """It is told with all other faults before the start, by `sidecar check` too."""
    path = tmp_path / "codes.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    shown = faults({**URL, "SIDECAR_CODES_FILE": str(path), "SIDECAR_WORKERS": "0"})

    assert any(fault.startswith(f"SIDECAR_CODES_FILE: {path} ") and "unset it" in fault for fault in shown)
    assert any(fault.startswith("SIDECAR_WORKERS") for fault in shown)


def test_a_code_table_of_the_operator_is_no_fault(tmp_path: Path) -> None:
    """A right one passes."""
    path = tmp_path / "codes.toml"
    path.write_text(
        '[[code]]\ncode = "777"\nmeaning = "NEW_LIMIT"\nrate_limit = true\nproviders = ["waha"]\n'
        'cause = "c"\nsource = "s"\ndate = "2026-11"\n',
        encoding="utf-8",
    )

    assert load(None, {**URL, "SIDECAR_CODES_FILE": str(path)}).settings.codes_file == str(path)


def test_a_missing_or_broken_file_is_a_fault(tmp_path: Path) -> None:
    """A silently ignored file would run with defaults."""
    broken = tmp_path / "broken.toml"
    broken.write_text("workers = = 1")

    assert "cannot be read as TOML" in faults(file=str(tmp_path / "none.toml"))[0]
    assert "cannot be read as TOML" in faults(file=str(broken))[0]


def test_an_unknown_name_in_the_file_is_a_fault(tmp_path: Path) -> None:
    """A misspelled setting does not pass in silence."""
    file = tmp_path / "sidecar.toml"
    file.write_text("wrokers = 2\n")

    assert faults(file=str(file)) == [
        f"wrokers: is no setting; remove it from {file} or correct its spelling"
    ]


def test_routes_of_the_file_replace_the_simple_set_up(tmp_path: Path) -> None:
    """Several providers or ports in one sidecar."""
    file = tmp_path / "sidecar.toml"
    file.write_text(
        """
        [[routes]]
        name = "vendas"
        direction = "dispatch"
        listen = "127.0.0.1:0"
        upstream = "https://gateway.example/api"
        provider = "evolution"
        """
    )

    routes = load(None, {}, str(file)).settings.all_routes()

    assert [(r.name, r.provider, r.upstream) for r in routes] == [
        ("vendas", "evolution", "https://gateway.example/api")
    ]


@pytest.mark.parametrize(
    ("upstream", "listener"),
    [
        ("http://127.0.0.1:8080", "dispatch"),
        ("http://localhost:8080/api", "dispatch"),
        ("http://127.0.0.1:8081", "webhook"),
        ("http://localhost:9464", "admin"),
        ("http://127.0.0.1:8082", None),
        ("http://gateway:8080", None),
    ],
)
def test_an_upstream_that_is_our_own_listener_is_a_fault(upstream: str, listener: str | None) -> None:
    """Each request would come back as a new one, until the bound on connections ends it."""
    env = {"SIDECAR_PROVIDER_URL": upstream, "SIDECAR_DISPATCHER_URL": "http://127.0.0.1:3000"}

    if listener is None:
        load(None, env)
    else:
        assert f"upstream of dispatch: is the {listener} listener of this sidecar" in "".join(faults(env))


def test_faulty_routes_are_told_by_name(tmp_path: Path) -> None:
    """Same name, same port, no reader, half of a certificate: each is its own fault."""
    route = 'direction = "dispatch"\nlisten = "127.0.0.1:80"\nupstream = "http://x"\n'
    file = tmp_path / "sidecar.toml"
    file.write_text(
        f'[[routes]]\nname = "a"\nprovider = "nobody"\n{route}'
        f'[[routes]]\nname = "a"\ntls_cert_file = "x"\n{route}'
        f'[[routes]]\nname = "b"\n{route}'
    )

    found = "\n".join(faults({}, file=str(file)))

    assert "routes.a.provider: must be one of" in found
    assert "routes.a: is taken" in found
    assert "routes.b.listen: is used by a already" in found
    assert "needs both tls_cert_file and tls_key_file" in found


def test_an_exposed_admin_listener_needs_a_token() -> None:
    """Secure by default: the audit trail is not for the network."""
    exposed = {**URL, "SIDECAR_ADMIN_LISTEN": "[::]:9464"}

    assert faults(exposed)[0].startswith("SIDECAR_ADMIN_TOKEN: is required")
    assert load(None, {**exposed, "SIDECAR_ADMIN_TOKEN": "t"}).settings.admin_token == "t"


@pytest.mark.parametrize("token", ["secret\n", "two words", "caf\u00e9", "\u20ac"])
def test_a_token_that_no_header_can_carry_is_a_fault_and_is_not_shown(token: str) -> None:
    """A line end at the end of a variable is a common slip; whoever asks would fail with it later."""
    told = faults({**URL, "SIDECAR_ADMIN_TOKEN": token})

    assert [one.split(":")[0] for one in told] == ["SIDECAR_ADMIN_TOKEN"]
    assert token.strip() not in told[0]


def test_rejecting_callbacks_needs_a_secret() -> None:
    """Without a secret every callback would be refused."""
    assert faults({**URL, "SIDECAR_WEBHOOK_VERIFY": "reject"})[0].startswith("SIDECAR_WEBHOOK_SECRET")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:80", Address("::1", 80)),
        ("host:65535", Address("host", 65535)),
    ],
)
def test_addresses_are_read_and_shown_the_same(text: str, address: Address) -> None:
    """What is configured is what is shown."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["80", "host", "host:", ":80", "host:65536", "::1:80", "[x]:80", "host:+1", "host:٣"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Guessing a host or port would listen somewhere unexpected."""
    with pytest.raises(ValueError, match=r"host:port|brackets"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_loopback_is_recognised(host: str, loopback: bool) -> None:
    """A name that may resolve to anything counts as exposed."""
    assert Address(host, 1).is_loopback is loopback


@pytest.mark.parametrize(
    "url",
    [
        "x",
        "http://",
        "ftp://h",
        "http://h?q",
        "http://h#f",
        "http://u:p@h",
        "http://h:99999",
        "http://h/ü",
        "http://h/a b",
    ],
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    """Credentials in a URL would end up in logs; queries cannot be prefixed."""
    with pytest.raises(ValueError, match=r"must |[Pp]ort"):
        parse_base_url(url)


def test_settings_survive_the_way_to_a_child() -> None:
    """The supervisor passes the judged settings on as JSON."""
    import msgspec  # noqa: PLC0415 - used here only

    settings = Settings(
        provider_url="http://x",
        routes=(RouteSettings(name="a", direction="webhook", listen="h:1", upstream="http://y"),),  # type: ignore[arg-type] # as JSON gives it
    )

    again = msgspec.convert(msgspec.to_builtins(settings), Settings)

    assert again.all_routes()[0].upstream == "http://y"
    assert again.provider_url == "http://x"

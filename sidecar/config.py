"""Loads the settings: flags over environment over TOML file over defaults; judges all of them at once.

The only reader of the environment. A fault names the setting, its value (never a secret's), what it must be
and what to do.
"""

import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from sidecar import providers
from sidecar.addresses import parse_address, parse_base_url
from sidecar.providers import codes
from sidecar.settings import ENV_PREFIX, Option, RouteSettings, Settings, options

SECRET_FILE_MAX_BYTES: Final = 64 << 10
CONFIG_FILE_MAX_BYTES: Final = 1 << 20
_KUBERNETES: Final = (ENV_PREFIX + "SERVICE_", ENV_PREFIX + "PORT")
"""Names that Kubernetes itself sets for a service called "sidecar"."""
_HEADER_VALUE: Final = re.compile(r"[!-~]+")
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)|(?<=[?#]).+", re.DOTALL)
"""Parts of a URL that are secrets, or may be: not shown where the URL is refused for having them."""
_NOT_SETTINGS: Final = frozenset({ENV_PREFIX + "CONFIG", ENV_PREFIX + "TEST_DATABASE_URL"})
_HERE: Final = frozenset({"127.0.0.1", "localhost", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound
"""Hosts under which a listener of this machine answers to `127.0.0.1`."""


class Fault(NamedTuple):
    """One thing that is wrong with the configuration, in a sentence with its remedy."""

    name: str
    value: str
    message: str

    def __str__(self) -> str:
        shown = f", got {self.value}" if self.value else ""
        return f"{self.name}: {self.message}{shown}"


class ConfigurationError(Exception):
    """The configuration has faults; `faults` lists every one."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


class Loaded(NamedTuple):
    """Judged settings and where each value came from (`flag`, `environment`, `file`, `default`)."""

    settings: Settings
    sources: dict[str, str]


def environment() -> Mapping[str, str]:
    """Give the process's environment; nothing else in the project reads it."""
    return os.environ


def load(
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    config_file: str | None = None,
    *,
    serving: bool = True,
) -> Loaded:
    """Load and judge the settings.

    Args:
        flags: values given on the command line, by setting name; None values count as not given.
        env: environment to read; the process's own by default.
        config_file: path of the TOML file; `SIDECAR_CONFIG` when None.
        serving: a provider must be named; commands that only ask a running sidecar need none.

    Raises:
        ConfigurationError: with every fault found.
    """
    env = environment() if env is None else env
    faults: list[Fault] = []
    given: dict[str, tuple[str, Any]] = {}
    known = {option.name: option for option in options()}
    for name, value in _from_file(config_file or env.get(ENV_PREFIX + "CONFIG"), known, faults).items():
        given[name] = ("file", value)
    for name, value in _from_environment(env, known, faults).items():
        given[name] = ("environment", value)
    for name, value in (flags or {}).items():
        if value is not None:
            given[name] = ("flag", value)
    values: dict[str, Any] = {}
    for name, (_, value) in given.items():
        _convert(known[name], value, values, faults)
    settings = Settings(**values)
    faults.extend(
        _judge(settings, serving=serving)
    )  # also beside other faults: the operator sees all of them at once
    if faults:
        raise ConfigurationError(faults)
    return Loaded(settings, {name: given[name][0] if name in given else "default" for name in known})


def _from_file(path: str | None, known: Mapping[str, Option], faults: list[Fault]) -> dict[str, Any]:
    if not path:
        return {}
    try:
        text = _read_bounded(Path(path), CONFIG_FILE_MAX_BYTES)
        content = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        remedy = (
            "correct it there" if isinstance(error, tomllib.TOMLDecodeError) else "name a readable TOML file"
        )
        faults.append(Fault("--config", path, f"cannot be read as TOML ({_why(error)}); {remedy}"))
        return {}
    faults.extend(
        Fault(name, "", f"is no setting; remove it from {path} or correct its spelling")
        for name in sorted(content.keys() - known.keys())
    )
    return {name: value for name, value in content.items() if name in known}


def _from_environment(
    env: Mapping[str, str], known: Mapping[str, Option], faults: list[Fault]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, text in env.items():
        if (
            not variable.startswith(ENV_PREFIX)
            or variable in _NOT_SETTINGS
            or variable.startswith(_KUBERNETES)
        ):
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        option = known.get(name)
        secret = known.get(name.removesuffix("_file"))
        if option is not None and name != "routes":
            found.setdefault(name, text)
        elif secret is not None and secret.secret and name.endswith("_file"):
            if secret.env in env:
                faults.append(Fault(variable, "", f"is set together with {secret.env}; keep one of them"))
            _from_secret_file(variable, text, secret, found, faults)
        else:
            faults.append(Fault(variable, "", "is no setting; unset it or correct its spelling"))
    return found


def _from_secret_file(
    variable: str, path: str, option: Option, found: dict[str, Any], faults: list[Fault]
) -> None:
    try:
        found[option.name] = _read_bounded(Path(path), SECRET_FILE_MAX_BYTES).rstrip("\r\n")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        faults.append(Fault(variable, path, f"cannot be read ({_why(error)}); name a readable text file"))


def _read_bounded(path: Path, limit: int) -> str:
    with path.open("rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) and limit == CONFIG_FILE_MAX_BYTES:
            raise ValueError("not a regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"larger than {limit} bytes")
    return content.decode()


def _why(error: Exception) -> str:
    return error.strerror or "unreadable" if isinstance(error, OSError) else str(error).splitlines()[0]


def _convert(option: Option, value: Any, values: dict[str, Any], faults: list[Fault]) -> None:
    if value == "" and option.default is None:
        return  # an empty variable of an optional setting means "unset", as compose files write it
    try:
        values[option.name] = msgspec.convert(value, option.type, strict=False)
    except msgspec.ValidationError as error:
        shown = "a hidden value" if option.secret else repr(value)
        expected = f"must be {option.bounds}" if option.bounds else str(error).lower()
        remedy = "" if option.default is None else f"; unset it for the default of {option.default}"
        faults.append(Fault(option.env, shown if option.name != "routes" else "", expected + remedy))


def _judge(settings: Settings, *, serving: bool) -> list[Fault]:
    faults: list[Fault] = []
    if serving and not settings.all_routes():
        faults.append(
            Fault("SIDECAR_PROVIDER_URL", "", "is required; set it to the base URL of the provider's API")
        )
    if settings.provider not in providers.names():
        faults.append(_no_reader("SIDECAR_PROVIDER", settings.provider))
    for route in settings.all_routes():
        _judge_route(route, faults, simple=not settings.routes)
    _judge_names(settings.all_routes(), faults)
    _judge_circles(settings, faults)
    admin = _checked(parse_address, settings.admin_listen, "SIDECAR_ADMIN_LISTEN", "host:port", faults)
    if admin is not None and not admin.is_loopback and not settings.admin_token:
        faults.append(
            Fault(
                "SIDECAR_ADMIN_TOKEN", "", f"is required while SIDECAR_ADMIN_LISTEN is {admin}, not loopback"
            )
        )
    if settings.admin_token and not _HEADER_VALUE.fullmatch(settings.admin_token):
        remedy = "must be visible ASCII without blanks or line ends: nobody could send it as a bearer token"
        faults.append(Fault("SIDECAR_ADMIN_TOKEN", "a hidden value", remedy))
    if settings.webhook_verify == "reject" and not settings.webhook_secret:
        faults.append(Fault("SIDECAR_WEBHOOK_SECRET", "", "is required by SIDECAR_WEBHOOK_VERIFY=reject"))
    if settings.database_url and not settings.database_url.startswith(("sqlite:///", "postgresql")):
        faults.append(
            Fault("SIDECAR_DATABASE_URL", "a hidden value", "must be sqlite:///... or postgresql://...")
        )
    faults.extend(_judge_codes(settings.codes_file))
    return faults


def _judge_codes(path: str | None) -> list[Fault]:
    try:
        codes.load(Path(path) if path else None)
    except codes.CodesInvalid as error:
        return [
            Fault("SIDECAR_CODES_FILE", "", f"{error}; correct the file, or unset it for the shipped table")
        ]
    return []


def _no_reader(name: str, provider: str) -> Fault:
    return Fault(name, repr(provider), f"must be one of {', '.join(providers.names())}")


def _judge_route(route: RouteSettings, faults: list[Fault], *, simple: bool) -> None:
    names = {
        "dispatch": ("SIDECAR_DISPATCH_LISTEN", "SIDECAR_PROVIDER_URL"),
        "webhook": ("SIDECAR_WEBHOOK_LISTEN", "SIDECAR_DISPATCHER_URL"),
    }
    listen, upstream = (
        names[route.name] if simple else (f"routes.{route.name}.listen", f"routes.{route.name}.upstream")
    )
    _checked(parse_address, route.listen, listen, "host:port, such as 127.0.0.1:8080", faults)
    _checked(parse_base_url, route.upstream, upstream, "a base URL, such as http://127.0.0.1:3000", faults)
    if not simple and route.provider not in providers.names():
        faults.append(_no_reader(f"routes.{route.name}.provider", route.provider))
    if (route.tls_cert_file is None) != (route.tls_key_file is None):
        faults.append(
            Fault(f"routes.{route.name}", "", "needs both tls_cert_file and tls_key_file, or neither")
        )


def _judge_names(routes: tuple[RouteSettings, ...], faults: list[Fault]) -> None:
    seen: set[str] = {"admin"}
    listens: dict[str, str] = {}
    for route in routes:
        if route.name in seen:
            faults.append(Fault(f"routes.{route.name}", "", "is taken; give each route a name of its own"))
        seen.add(route.name)
        other = listens.setdefault(route.listen, route.name)
        if other != route.name and not route.listen.endswith(":0"):
            faults.append(Fault(f"routes.{route.name}.listen", route.listen, f"is used by {other} already"))


def _judge_circles(settings: Settings, faults: list[Fault]) -> None:
    """Refuse an upstream that is a listener of our own: each request would circle up to the bound."""
    routes = settings.all_routes()
    listens = {route.name: route.listen for route in routes} | {"admin": settings.admin_listen}
    for route in routes:
        for name, listen in listens.items():
            try:
                address, url = parse_address(listen), parse_base_url(route.upstream)
                port = url.port or (443 if url.scheme == "https" else 80)
            except ValueError:
                continue  # a fault of its own
            here = address.host in _HERE and url.hostname in _HERE
            if port == address.port and (here or url.hostname == address.host):
                remedy = f"is the {name} listener of this sidecar; name the server behind it"
                faults.append(Fault(f"upstream of {route.name}", route.upstream, remedy))


def _checked(
    parse: Callable[[str], Any], text: str, name: str, expected: str, faults: list[Fault]
) -> Any | None:
    try:
        return parse(text)
    except ValueError as error:
        faults.append(Fault(name, repr(_CREDENTIALS.sub("...", text)), f"must be {expected} ({error})"))
        return None

"""Options that several commands share, and where a command finds its sidecar."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import typer

ConfigFile = Annotated[
    str | None,
    typer.Option("--config", help="TOML file with settings \\[env: SIDECAR_CONFIG]", metavar="FILE"),
]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="admin API of the sidecar to ask; default: where SIDECAR_ADMIN_LISTEN says",
        metavar="URL",
    ),
]
DataDirectory = Annotated[
    str | None, typer.Option("--data-dir", help="data directory; default: SIDECAR_DATA_DIR", metavar="DIR")
]
Instance = Annotated[str, typer.Argument(metavar="INSTANCE", help="the connected number")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", help="first instant: ISO-8601, epoch milliseconds, or 30m, 2h, 7d ago", metavar="T"
    ),
]
Until = Annotated[
    str | None, typer.Option("--until", help="last instant, inclusive; default: now", metavar="T")
]


class Place(NamedTuple):
    """Where a command was told to look; None: as the settings say. `flags` are further settings by name."""

    config: str | None = None
    url: str | None = None
    data_dir: str | None = None
    flags: Mapping[str, Any] = {}

"""All commands. Bodies are imported when they run, so that `sidecar --help` stays quick."""

import sys
from typing import Annotated, Any, Final

import typer

from sidecar import __version__
from sidecar.cli.flags import with_settings

app: Final = typer.Typer(
    name="sidecar",
    help="Observability sidecar for WhatsApp messaging fleets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

ConfigFile = Annotated[
    str | None,
    typer.Option("--config", help="TOML file with settings \\[env: SIDECAR_CONFIG]", metavar="FILE"),
]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda value: _version(wanted=value), is_eager=True)
    ] = False,
) -> None:
    """Observability sidecar for WhatsApp messaging fleets."""
    del version


@app.command()
@with_settings
def run(
    config: ConfigFile = None,
    single_process: Annotated[
        bool, typer.Option("--single-process", help="worker and recorder in one process; for tiny set-ups")
    ] = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Run the sidecar until SIGTERM or Ctrl-C."""
    from sidecar.cli.run import run_sidecar  # noqa: PLC0415 - see the module's docstring

    sys.exit(run_sidecar(flags, config, single_process=single_process))


@app.command()
@with_settings
def check(config: ConfigFile = None, json: Json = False, *, flags: dict[str, Any]) -> None:
    """Validate the configuration without opening anything; exit 0, or 2 with every fault."""
    from sidecar.cli.run import check_settings  # noqa: PLC0415 - see the module's docstring

    sys.exit(check_settings(flags, config, as_json=json))

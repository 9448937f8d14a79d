"""All commands. Bodies are imported when they run, so that `sidecar --help` stays quick."""

import sys
from typing import Annotated, Any, Final

import typer

from sidecar import __version__
from sidecar.cli import asking, carrying, keeping
from sidecar.cli.errors import guarded
from sidecar.cli.flags import with_settings
from sidecar.cli.options import ConfigFile, Json

app: Final = typer.Typer(
    name="sidecar",
    help="Observability sidecar for WhatsApp messaging fleets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


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
    json: Annotated[bool, typer.Option("--json", help="log in JSON, as --log-format json")] = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Run the sidecar until SIGTERM or Ctrl-C."""

    def body() -> int:
        from sidecar.cli.run import run_sidecar  # noqa: PLC0415 - see the module's docstring

        given = {**flags, "log_format": "json"} if json else flags
        return run_sidecar(given, config, single_process=single_process, as_json=json)

    sys.exit(guarded(body, as_json=json))


@app.command()
@with_settings
def check(config: ConfigFile = None, json: Json = False, *, flags: dict[str, Any]) -> None:
    """Validate the configuration without opening anything; exit 0, or 2 with every fault."""

    def body() -> int:
        from sidecar.cli.check import check_settings  # noqa: PLC0415 - as above

        return check_settings(flags, config, as_json=json)

    sys.exit(guarded(body, as_json=json))


@app.command()
def demo(
    duration: Annotated[
        float | None, typer.Option("--duration", help="seconds of traffic; without it until Ctrl-C", min=1)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="decides what is sent and what befalls whom")] = 1,
    rate: Annotated[
        float, typer.Option("--rate", help="calls a second, all instances", min=0.1, max=500)
    ] = 12.0,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", help="kept afterwards; without it a temporary one")
    ] = None,
    admin_listen: Annotated[
        str, typer.Option("--admin-listen", help="where metrics, API and page are served")
    ] = "127.0.0.1:0",
    *,
    json: Json = False,
) -> None:
    """Run a simulated provider and dispatcher with the sidecar between them, and a live table."""

    def body() -> int:
        from sidecar.cli.demo import demonstrate  # noqa: PLC0415 - see the module's docstring

        return demonstrate(duration, seed, rate, data_dir, admin_listen, as_json=json)

    sys.exit(guarded(body, as_json=json))


for _command in (*asking.COMMANDS, *keeping.COMMANDS):
    app.command()(_command)
for _name, _carry in carrying.COMMANDS.items():
    app.command(_name)(_carry)

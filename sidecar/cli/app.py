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
) -> None:
    """Run a simulated provider and dispatcher with the sidecar between them, and a live table."""
    from sidecar.cli.demo import demonstrate  # noqa: PLC0415 - see the module's docstring

    sys.exit(demonstrate(duration, seed, rate, data_dir, admin_listen))


Url = Annotated[
    str | None, typer.Option("--url", help="admin address of the sidecar \\[default: SIDECAR_ADMIN_LISTEN]")
]
Since = Annotated[str | None, typer.Option("--since", help="ISO-8601 or epoch milliseconds, inclusive")]
Until = Annotated[str | None, typer.Option("--until", help="ISO-8601 or epoch milliseconds, inclusive")]
Most = Annotated[int, typer.Option("--limit", help="rows shown at most", min=1, max=100_000)]
Instance = Annotated[str, typer.Argument(help="instance id, as `sidecar instances` shows it")]


@app.command()
def instances(url: Url = None, config: ConfigFile = None, json: Json = False) -> None:
    """List the instances of a running sidecar, those that need attention first."""
    from sidecar.cli import asking, questions  # noqa: PLC0415 - see the module's docstring

    asking.answered(lambda: questions.instances(asking.Admin(url, config), as_json=json))


@app.command()
def timeline(  # noqa: PLR0917 - typer makes one flag of each
    instance: Instance,
    since: Since = None,
    until: Until = None,
    type: Annotated[str | None, typer.Option("--type", help="signal types, by comma")] = None,  # noqa: A002 - the API's word
    severity: Annotated[str | None, typer.Option("--severity", help="LOW, MEDIUM, HIGH, by comma")] = None,
    message: Annotated[str | None, typer.Option("--message", help="id of one message")] = None,
    limit: Most = 200,
    url: Url = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Show what happened to an instance, in order; the last 30 minutes unless told otherwise."""
    from sidecar.cli import asking, questions  # noqa: PLC0415 - see the module's docstring

    query = {"since": since, "until": until, "type": type, "severity": severity, "messageId": message}
    asking.answered(
        lambda: questions.timeline(asking.Admin(url, config), instance, query, limit, as_json=json)
    )


@app.command()
def decisions(
    instance: Instance,
    since: Since = None,
    until: Until = None,
    limit: Most = 50,
    url: Url = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Show what was decided about an instance, newest first."""
    from sidecar.cli import asking, questions  # noqa: PLC0415 - see the module's docstring

    query: dict[str, object] = {"since": since, "until": until}
    asking.answered(
        lambda: questions.decisions(asking.Admin(url, config), instance, query, limit, as_json=json)
    )


@app.command()
def explain(instance: Instance, url: Url = None, config: ConfigFile = None, json: Json = False) -> None:
    """Say how an instance stands and why: rules, thresholds, observed values, the signals behind them."""
    from sidecar.cli import asking, questions  # noqa: PLC0415 - see the module's docstring

    asking.answered(lambda: questions.explain(asking.Admin(url, config), instance, as_json=json))


@app.command()
@with_settings
def migrate(config: ConfigFile = None, json: Json = False, *, flags: dict[str, Any]) -> None:
    """Bring the database's schema to this version; `run` does the same at its start."""
    from sidecar.cli.offline import migrate_store  # noqa: PLC0415 - see the module's docstring

    sys.exit(migrate_store(flags, config, as_json=json))


@app.command()
def journal(
    action: Annotated[str, typer.Argument(help="inspect, verify or repair", metavar="ACTION")],
    data_dir: Annotated[
        str, typer.Option("--data-dir", help="data directory of the sidecar")
    ] = "./sidecar-data",
    json: Json = False,
) -> None:
    """Look at the journal of a stopped sidecar: what waits, what is damaged; repair what a start would."""
    from sidecar.cli.offline import look_at_journal  # noqa: PLC0415 - see the module's docstring

    sys.exit(look_at_journal(action, data_dir, as_json=json))

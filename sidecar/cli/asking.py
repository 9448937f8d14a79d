"""Commands that only read: their options. Bodies are imported when they run."""

import sys
from typing import Annotated

import typer

from sidecar.cli.errors import guarded, refuse_together
from sidecar.cli.options import ConfigFile, DataDirectory, Instance, Json, Place, Since, Until, Url

Words = Annotated[list[str] | None, typer.Option(metavar="WORD", help="only these; several by comma")]


def instances(
    config: ConfigFile = None, url: Url = None, data_dir: DataDirectory = None, *, json: Json = False
) -> None:
    """List every number with its latest state."""

    def body() -> int:
        from sidecar.cli.questions import show_instances  # noqa: PLC0415 - see the module's docstring

        return show_instances(Place(config, url, data_dir), as_json=json)

    sys.exit(guarded(body, as_json=json))


def timeline(  # noqa: PLR0917 - typer takes an option a parameter
    instance: Instance,
    since: Since = None,
    until: Until = None,
    type_: Annotated[list[str] | None, typer.Option("--type", help="only these types; by comma")] = None,
    severity: Words = None,
    source: Words = None,
    message: Annotated[str | None, typer.Option("--message", help="id of one message")] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", help="most signals; without it 200", min=1, max=100_000, metavar="N"),
    ] = None,
    config: ConfigFile = None,
    url: Url = None,
    data_dir: DataDirectory = None,
    *,
    descending: Annotated[bool, typer.Option("--desc", help="newest first")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="go on with what is recorded; JSON by line")
    ] = False,
    json: Json = False,
) -> None:
    """Print what happened to a number; by default in the last 30 minutes."""

    def body() -> int:
        from sidecar.cli.questions import SHOWN, show_timeline, timeline_asked  # noqa: PLC0415 - as above

        if follow:
            refuse_together("--follow", {"--limit": limit, "--desc": descending, "--until": until})

        words = {"type": type_, "severity": severity, "source": source}
        asked = timeline_asked(instance, since, until, words, message, descending=descending)
        return show_timeline(Place(config, url, data_dir), asked, limit or SHOWN, follow=follow, as_json=json)

    sys.exit(guarded(body, as_json=json))


def explain(
    instance: Instance,
    at: Annotated[str | None, typer.Option("--at", help="how it stood then", metavar="T")] = None,
    config: ConfigFile = None,
    url: Url = None,
    data_dir: DataDirectory = None,
    *,
    json: Json = False,
) -> None:
    """Say how a number stands and why, by rules, numbers and signals, and what would end its cooldown."""

    def body() -> int:
        from sidecar.cli.explain import explain as explained  # noqa: PLC0415 - as above

        return explained(Place(config, url, data_dir), instance, at, as_json=json)

    sys.exit(guarded(body, as_json=json))


def decisions(
    instance: Instance,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int, typer.Option("--limit", help="most decisions", min=1, max=100_000, metavar="N")
    ] = 100,
    config: ConfigFile = None,
    url: Url = None,
    data_dir: DataDirectory = None,
    *,
    json: Json = False,
) -> None:
    """List what was decided about a number, newest first, with the rules that fired."""

    def body() -> int:
        from sidecar.cli.questions import show_decisions  # noqa: PLC0415 - as above

        return show_decisions(Place(config, url, data_dir), instance, since, until, limit, as_json=json)

    sys.exit(guarded(body, as_json=json))


def replay(
    instance: Annotated[
        str | None,
        typer.Argument(metavar="[INSTANCE]", help="the connected number; with --rules all without it"),
    ] = None,
    since: Since = None,
    until: Until = None,
    rules: Annotated[
        str | None,
        typer.Option("--rules", help="TOML file of other rule constants: what would they have decided?"),
    ] = None,
    config: ConfigFile = None,
    url: Url = None,
    data_dir: DataDirectory = None,
    *,
    json: Json = False,
) -> None:
    """Recompute a number's decisions from the stored signals: exit 0 the same, 1 not, 4 not all judged."""

    def body() -> int:
        from sidecar.cli.errors import CONFIGURATION, CommandFailed  # noqa: PLC0415 - as above

        place = Place(config, url, data_dir)
        if rules is not None:
            refuse_together("--rules", {"--url": url})
            from sidecar.cli.what_if import what_if  # noqa: PLC0415 - as above

            return what_if(place, instance, rules, since, until, as_json=json)
        if instance is None:
            raise CommandFailed("name the INSTANCE whose decisions are replayed", CONFIGURATION)
        from sidecar.cli.replay import replay as replayed  # noqa: PLC0415 - as above

        return replayed(place, instance, since, until, as_json=json)

    sys.exit(guarded(body, as_json=json))


COMMANDS = (instances, timeline, explain, decisions, replay)

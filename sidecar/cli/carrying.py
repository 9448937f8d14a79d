"""Commands that carry what was recorded out and in. Bodies are imported when they run."""

import sys
from collections.abc import Callable
from typing import Annotated, Final

import typer

from sidecar.cli.errors import guarded, refuse_together
from sidecar.cli.options import ConfigFile, DataDirectory, Json, Place, Since, Until, Url

MaybeInstance = Annotated[
    str | None, typer.Argument(metavar="[INSTANCE]", help="the connected number; without it all")
]


def export(
    instance: MaybeInstance = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="file to write; without it stdout (NDJSON or CSV)", metavar="FILE"
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="ndjson, csv or parquet; default: by the file's name", metavar="FORM"),
    ] = None,
    since: Since = None,
    until: Until = None,
    config: ConfigFile = None,
    url: Url = None,
    data_dir: DataDirectory = None,
    *,
    bundle: Annotated[
        bool, typer.Option("--bundle", help="one archive of evidence that `sidecar verify` checks offline")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="begin anew instead of continuing a broken export")
    ] = False,
    json: Json = False,
) -> None:
    """Write signals to a file; after a break the same command continues it. Or an evidence bundle."""

    def body() -> int:
        place = Place(config, url, data_dir)
        if bundle:
            from sidecar.cli.evidence import (  # noqa: PLC0415 - see the module's docstring
                BundleWanted,
                export_bundle,
            )

            refuse_together("--bundle", {"--url": url, "--format": format_, "--restart": restart})
            return export_bundle(place, BundleWanted(instance, since, until, output), as_json=json)
        from sidecar.cli.exporting import Wanted, export_signals  # noqa: PLC0415 - as above

        wanted = Wanted(instance, output, format_, since, until, restart)
        return export_signals(place, wanted, as_json=json)

    sys.exit(guarded(body, as_json=json))


def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="NDJSON as exported (- for stdin), or the URL of a database with a reputation_signal table",
            metavar="SOURCE",
        ),
    ],
    config: ConfigFile = None,
    url: Url = None,
    data_dir: DataDirectory = None,
    *,
    json: Json = False,
) -> None:
    """Record facts from elsewhere, checked and redacted like posted ones; a second run adds nothing."""

    def body() -> int:
        from sidecar.cli.importing import import_signals  # noqa: PLC0415 - as above

        return import_signals(Place(config, url, data_dir), source, as_json=json)

    sys.exit(guarded(body, as_json=json))


def verify(
    bundle: Annotated[
        str, typer.Argument(help="file that `sidecar export --bundle` wrote", metavar="BUNDLE")
    ],
    *,
    json: Json = False,
) -> None:
    """Check an evidence bundle offline and replay its decisions: exit 0 sound, 1 not, 4 unproven."""

    def body() -> int:
        from pathlib import Path  # noqa: PLC0415 - as above

        from sidecar.cli.evidence import verify_bundle  # noqa: PLC0415 - as above

        return verify_bundle(Path(bundle), as_json=json)

    sys.exit(guarded(body, as_json=json))


def forget(
    instance: Annotated[str | None, typer.Option("--instance", help="of this number", metavar="ID")] = None,
    jid: Annotated[
        str | None,
        typer.Option("--jid", help="of this chat: phone number, chat id, or its digest", metavar="JID"),
    ] = None,
    config: ConfigFile = None,
    url: Url = None,
    data_dir: DataDirectory = None,
    *,
    json: Json = False,
) -> None:
    """Blank message and chat ids of a number, a chat, or a chat of a number; facts and decisions stay."""

    def body() -> int:
        from sidecar.cli.forgetting import forget as forgotten  # noqa: PLC0415 - as above

        return forgotten(Place(config, url, data_dir), instance, jid, as_json=json)

    sys.exit(guarded(body, as_json=json))


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "export": export,
    "import": import_,
    "verify": verify,
    "forget": forget,
}

"""Commands about what is kept on disk and in the database. Bodies are imported when they run."""

import sys
from typing import Annotated, Any, Final

import typer

from sidecar.cli.errors import guarded
from sidecar.cli.flags import with_settings
from sidecar.cli.options import ConfigFile, DataDirectory, Json, Place


def journal(
    action: Annotated[str, typer.Argument(help="inspect, verify or repair", metavar="ACTION")],
    config: ConfigFile = None,
    data_dir: DataDirectory = None,
    *,
    json: Json = False,
) -> None:
    """Look at the journal: what waits, what is damaged (verify: exit 1); repair what costs nothing."""

    def body() -> int:
        from sidecar.cli.journal import look  # noqa: PLC0415 - see the module's docstring

        return look(action, Place(config, None, data_dir), as_json=json)

    sys.exit(guarded(body, as_json=json))


def store(config: ConfigFile = None, data_dir: DataDirectory = None, *, json: Json = False) -> None:
    """Say what the store holds: size, rows, schema revision, oldest and newest signal."""

    def body() -> int:
        from sidecar.cli.store import show_store  # noqa: PLC0415 - as above

        return show_store(Place(config, None, data_dir), as_json=json)

    sys.exit(guarded(body, as_json=json))


@with_settings
def migrate(config: ConfigFile = None, json: Json = False, *, flags: dict[str, Any]) -> None:
    """Bring the database's schema to this version; `run` does the same at its start."""

    def body() -> int:
        from sidecar.cli.store import migrate_store  # noqa: PLC0415 - as above

        return migrate_store(Place(config, None, flags.get("data_dir"), flags), as_json=json)

    sys.exit(guarded(body, as_json=json))


def doctor(config: ConfigFile = None, data_dir: DataDirectory = None, *, json: Json = False) -> None:
    """Check configuration, ports, provider, database, OTLP, clock, disk and permissions; say what to do."""

    def body() -> int:
        from sidecar.cli.doctor import examine  # noqa: PLC0415 - as above

        return examine(Place(config, None, data_dir), as_json=json)

    sys.exit(guarded(body, as_json=json))


COMMANDS: Final = (journal, store, migrate, doctor)

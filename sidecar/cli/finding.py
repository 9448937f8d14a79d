"""Finds who answers a command: the running sidecar, else the store behind it."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sidecar.addresses import Address, parse_address
from sidecar.cli.answers import Answers
from sidecar.cli.errors import UNREACHABLE, CommandFailed
from sidecar.cli.options import Place
from sidecar.cli.over_http import HttpAnswers
from sidecar.config import Loaded, load
from sidecar.data_dir import told_listeners
from sidecar.settings import Settings

_ANY: Final[Mapping[str, str]] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on


def settings_for(place: Place) -> Loaded:
    """Load the settings of a command that forwards no traffic, so needs no provider.

    Raises:
        ConfigurationError: anything else is wrong.
    """
    return load({**place.flags, "data_dir": place.data_dir}, config_file=place.config, serving=False)


def running(settings: Settings, place: Place) -> HttpAnswers | None:
    """Find the running sidecar; None when there is none.

    A data directory is asked about itself, by the address its sidecar told there: another sidecar's API must
    not answer for it. Where none runs there and no directory was named, the settings' admin address is tried.

    Raises:
        CommandFailed: `--url` was given and nobody answers there.
    """
    if place.url:
        answers = HttpAnswers(place.url, settings.admin_token)
        if not answers.is_sidecar():
            raise CommandFailed(
                f"no sidecar answers at {place.url}; start one, correct --url, or leave it out to read "
                "the store",
                UNREACHABLE,
            )
        return answers
    data_dir = Path(settings.data_dir)
    listen = settings.admin_listen
    if is_recording(data_dir):
        listen = told_listeners(data_dir).get("admin", listen)
    elif place.data_dir:
        return None
    address = parse_address(listen)
    if not address.port:
        return None
    shown = Address(_ANY.get(address.host, address.host), address.port)
    answers = HttpAnswers(f"http://{shown}", settings.admin_token)
    return answers if answers.is_sidecar() else None


def is_recording(data_dir: Path) -> bool:
    """Tell whether a sidecar's recorder works on this data directory."""
    try:
        descriptor = os.open(data_dir / "recorder.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def answering(place: Place) -> Iterator[Answers]:
    """Open whoever answers.

    Raises:
        CommandFailed, ConfigurationError, StoreUnavailable: nobody can.
    """
    settings = settings_for(place).settings
    answers: Answers | None = running(settings, place)
    if answers is None:
        from sidecar.bootstrap.offline import open_answers  # noqa: PLC0415 - loads the database's library

        answers = open_answers(settings)
    try:
        yield answers
    finally:
        answers.close()

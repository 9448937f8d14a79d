"""What the recorder of a data directory runs with, kept there: nobody who comes later need guess.

Who reads the store, or takes evidence out of it, often does so in a shell with other settings than the
sidecar's. The record begins anew wherever a recorder started with something else than the one before.
"""

import contextlib
import os
from pathlib import Path
from typing import Any, Final

import msgspec

from domain.fold_state import Setting, setting_of
from sidecar import __version__
from sidecar.api.signals import IsoTime
from sidecar.api.times import iso
from sidecar.settings import Settings, shown

CONFIGURED: Final = "configured.ndjson"
KEPT_MAX: Final = 200
"""Changes of the configuration that are remembered."""
FILE_MAX_BYTES: Final = 8 << 20


class Configured(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One configuration; in force from `since` on, until the next one."""

    since: IsoTime
    sidecar_version: str
    rule_set: str
    window_ms: int
    latency_rules: bool
    settings: dict[str, Any]


def setting_for(settings: Settings) -> Setting:
    """Give what the fold is parameterised with."""
    return setting_of(settings.window_ms, latency_rules=settings.latency_rules == "on")


def configured(settings: Settings, since: int) -> Configured:
    """Give the record of a configuration."""
    setting = setting_for(settings)
    return Configured(
        since=iso(since),
        sidecar_version=__version__,
        rule_set=setting.rule_set,
        window_ms=setting.window_ms,
        latency_rules=setting.latency_rules,
        settings=shown(settings),
    )


def told_configurations(data_dir: Path) -> list[Configured]:
    """Give what recorders of a directory said they ran with, oldest first; makes nothing."""
    try:
        with (data_dir / CONFIGURED).open("rb") as file:
            text = file.read(FILE_MAX_BYTES)
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            found.append(msgspec.json.decode(line, type=Configured))
    return found


def tell_configuration(data_dir: Path, now: Configured) -> None:
    """Remember a configuration that differs from the last one.

    Raises:
        OSError: it could not be written; whoever reads then finds the one before.
    """
    told = told_configurations(data_dir)
    if told and msgspec.structs.replace(now, since=told[-1].since) == told[-1]:
        return
    draft = data_dir / f".{CONFIGURED}.{os.getpid()}"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.Encoder().encode_lines([*told, now][-KEPT_MAX:]))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(data_dir / CONFIGURED)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise

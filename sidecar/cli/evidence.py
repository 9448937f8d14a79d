"""`sidecar export --bundle` and `sidecar verify`."""

import os
import re
import secrets
from pathlib import Path
from typing import Final

from sidecar.api.times import iso
from sidecar.bootstrap.offline import open_reader, setting_for
from sidecar.cli.check import shown_settings
from sidecar.cli.errors import CONFIGURATION, DONE, FAILED, CommandFailed
from sidecar.cli.finding import settings_for
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, print_line, size
from sidecar.cli.progress import progress
from sidecar.cli.when import when
from sidecar.clock import now_ms
from sidecar.evidence.archive import BundleBroken
from sidecar.evidence.gather import Asked, gather
from sidecar.evidence.verify import Verified, load, summary, verify

_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]")


def export_bundle(
    place: Place,
    instance_id: str | None,
    since: str | None,
    until: str | None,
    output: str | None,
    *,
    as_json: bool,
) -> int:
    """Write an instance's evidence and verify it at once; FAILED where a decision is not reproduced.

    Reads the store itself, also beside a running sidecar: all of it must speak of one commit.
    """
    if instance_id is None:
        raise CommandFailed("name the INSTANCE whose evidence is gathered", CONFIGURATION)
    now = now_ms()
    asked = Asked(instance_id, when(since, "--since", now, 0), when(until, "--until", now, now))
    if asked.since > asked.until:
        raise CommandFailed("--since must not lie after --until", CONFIGURATION)
    loaded = settings_for(place)
    store = open_reader(loaded.settings)
    try:
        archive = gather(store, asked, setting_for(loaded.settings), shown_settings(loaded))
    finally:
        store.close()
    path = Path(
        output or f"{_ODD.sub('_', instance_id)}-{iso(asked.until)[:19].replace(':', '')}Z.evidence.zip"
    )
    _write(path, archive)
    return _tell(path, verify(archive), as_json=as_json)


def verify_bundle(path: Path, *, as_json: bool) -> int:
    """Check a bundle by itself and replay its decisions; FAILED at any difference."""
    try:
        archive = load(path)
        with progress("replaying") as told:
            verified = verify(archive, told)
    except BundleBroken as error:
        if as_json:
            print_json({"sound": False, "fault": str(error)})
        else:
            print_line(f"BROKEN: {path} proves nothing: {error}")
        return FAILED
    return _tell(path, verified, as_json=as_json)


def _tell(path: Path, verified: Verified, *, as_json: bool) -> int:
    if as_json:
        print_json({"bundle": str(path), **summary(verified)})
    else:
        _print(path, verified)
    return DONE if verified.differs is None else FAILED


def _print(path: Path, verified: Verified) -> None:
    manifest = verified.manifest
    print_line(f"{path}, {size(path.stat().st_size)}, SHA-256 {verified.sha256}")
    print_line(f"{manifest.instance_id} from {manifest.since} to {manifest.until}")
    print_line(f"{manifest.signals} signals, {manifest.decisions} decisions, rule set {manifest.rule_set}")
    if verified.foreign:
        print_line(f"{verified.foreign} decisions were made with other rules or windows: not replayed")
    if verified.past:
        print_line(f"{verified.past} decisions are older than the kept signals: not replayed")
    if verified.differs is None:
        print_line(
            f"SOUND: every digest holds, {verified.reproduced} decisions are reproduced from the signals"
        )
        return
    decision, first = verified.differs
    print_line(f"DIFFERS: decision {decision.id} of {iso(decision.evaluated_at)} is not reproduced:")
    print_line(f"    {first.path}: stored {first.stored!r}, recomputed {first.recomputed!r}")


def _write(path: Path, archive: bytes) -> None:
    """Write the whole file or none, for its owner only."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(archive)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise

"""`sidecar export --bundle` and `sidecar verify`."""

import os
import re
import secrets
from pathlib import Path
from typing import Final, NamedTuple

from sidecar.api.times import iso
from sidecar.bootstrap.offline import kept_configurations, open_reader
from sidecar.cli.errors import CONFIGURATION, DONE, FAILED, UNPROVEN, CommandFailed
from sidecar.cli.finding import settings_for
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, print_line, size
from sidecar.cli.progress import progress
from sidecar.cli.when import when
from sidecar.clock import now_ms
from sidecar.configured import configured
from sidecar.evidence.archive import BundleBroken
from sidecar.evidence.forms import ConfigurationFile
from sidecar.evidence.gather import gather
from sidecar.evidence.standing import Asked
from sidecar.evidence.verify import Verdict, Verified, load, summary, verify
from sidecar.settings import Settings

_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]")
_STATUS: Final = {Verdict.SOUND: DONE, Verdict.UNPROVEN: UNPROVEN, Verdict.DIFFERS: FAILED}


class BundleWanted(NamedTuple):
    """What was asked on the command line."""

    instance_id: str | None
    since: str | None
    until: str | None
    output: str | None


def export_bundle(place: Place, wanted: BundleWanted, *, as_json: bool) -> int:
    """Write an instance's evidence and verify it at once; the exit status is that of `verify`.

    Reads the store itself, also beside a running sidecar: all of it must speak of one commit.
    """
    if wanted.instance_id is None:
        raise CommandFailed("name the INSTANCE whose evidence is gathered", CONFIGURATION)
    now = now_ms()
    since, until = when(wanted.since, "--since", now, 0), when(wanted.until, "--until", now, now)
    asked = Asked(wanted.instance_id, since, until)
    if asked.since > asked.until:
        raise CommandFailed("--since must not lie after --until", CONFIGURATION)
    name = f"{_ODD.sub('_', asked.instance_id)}-{iso(asked.until)[:19].replace(':', '')}Z.evidence.zip"
    path = Path(wanted.output or name)
    if path.is_dir():
        raise CommandFailed(f"{path} is a directory; name the file to write with --output", CONFIGURATION)
    settings = settings_for(place).settings
    store = open_reader(settings)
    try:
        archive = gather(store, asked, _configuration(settings))
    finally:
        store.close()
    _write(path, archive)
    return _judge(path, archive, as_json=as_json)


def _configuration(settings: Settings) -> ConfigurationFile:
    """Give what the recorders said they ran with; this shell's settings only where none said anything."""
    told = kept_configurations(settings)
    if told:
        return ConfigurationFile(taken_from="recorder", configurations=told)
    return ConfigurationFile(taken_from="export", configurations=[configured(settings, 0)])


def verify_bundle(path: Path, *, as_json: bool) -> int:
    """Check a bundle by itself and replay its decisions."""
    try:
        archive = load(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise CommandFailed(
            f"there is no file {path}; name one that `sidecar export --bundle` wrote", CONFIGURATION
        ) from error
    except BundleBroken as error:
        return _tell_broken(path, error, as_json=as_json)
    return _judge(path, archive, as_json=as_json)


def _judge(path: Path, archive: bytes, *, as_json: bool) -> int:
    try:
        with progress("replaying") as told:
            verified = verify(archive, told)
    except BundleBroken as error:
        return _tell_broken(path, error, as_json=as_json)
    return _tell(path, verified, as_json=as_json)


def _tell_broken(path: Path, error: BundleBroken, *, as_json: bool) -> int:
    if as_json:
        print_json({"bundle": str(path), "verdict": Verdict.BROKEN, "sound": False, "fault": str(error)})
    else:
        print_line(f"BROKEN: {path} proves nothing: {error}")
    return FAILED


def _tell(path: Path, verified: Verified, *, as_json: bool) -> int:
    if as_json:
        print_json({"bundle": str(path), **summary(verified)})
    else:
        _print(path, verified)
    return _STATUS[verified.verdict]


def _print(path: Path, verified: Verified) -> None:
    manifest = verified.manifest
    print_line(f"{path}, {size(path.stat().st_size)}, SHA-256 {verified.sha256}")
    print_line(f"{manifest.instance_id} from {manifest.since} to {manifest.until}")
    if verified.evaluated_to is not None and verified.evaluated_to >= 0:
        print_line(f"evaluated up to its last step at {iso(verified.evaluated_to)}")
    print_line(
        f"{manifest.signals} signals, {manifest.decisions} decisions, {manifest.gaps} gaps, rule set "
        f"{manifest.rule_set}"
    )
    replayed = f"{verified.reproduced} of {manifest.decisions} decisions are reproduced from the signals"
    match verified.verdict:
        case Verdict.SOUND:
            print_line(f"SOUND: every digest holds, {replayed}")
        case Verdict.UNPROVEN:
            print_line(f"UNPROVEN: every digest holds, {replayed}, but:")
            for reason in verified.reasons:
                print_line(f"    {reason}")
        case _:
            assert verified.differs is not None
            decision, first = verified.differs
            print_line(f"DIFFERS: decision {decision.id} of {iso(decision.evaluated_at)} is not reproduced:")
            print_line(f"    {first.path}: stored {first.stored!r}, recomputed {first.recomputed!r}")


def _write(path: Path, archive: bytes) -> None:
    """Write the whole file or none, for its owner only."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandFailed(
            f"{path} cannot be written ({error.strerror}); name a file in a directory that is there and may "
            "be written, with --output"
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(archive)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise

"""`sidecar migrate` and `sidecar journal`: work on the files and the database of a stopped sidecar."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domain.errors import StoreUnavailable
from domain.recorded import Progress
from sidecar.bootstrap.offline import open_store
from sidecar.cli.asking import EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE, print_json
from sidecar.config import ConfigurationError, load
from sidecar.data_dir import DataDirError
from sidecar.journal import audit

ACTIONS = ("inspect", "verify", "repair")


def migrate_store(flags: Mapping[str, Any], config_file: str | None, *, as_json: bool) -> int:
    """Bring the schema up to date; give the exit status."""
    try:
        settings = load(flags, config_file=config_file, serving=False).settings
        store, applied = open_store(settings)
    except ConfigurationError as error:
        return _complain("\n".join(map(str, error.faults)), EXIT_USAGE)
    except (StoreUnavailable, DataDirError) as error:
        return _complain(str(error), EXIT_UNREACHABLE)
    except (ValueError, ImportError) as error:
        return _complain(str(error), EXIT_USAGE)
    store.close()
    if as_json:
        print_json({"applied": applied})
    else:
        sys.stdout.write(f"applied {', '.join(applied)}\n" if applied else "the schema is up to date\n")
    return 0


def look_at_journal(action: str, data_dir: str, *, as_json: bool) -> int:
    """Inspect, verify or repair; give 0, or 1 where verifying found damage."""
    path = Path(data_dir)
    if action not in ACTIONS:
        return _complain(f"ACTION must be one of {', '.join(ACTIONS)}, got {action!r}", EXIT_USAGE)
    if not path.is_dir():
        return _complain(f"{path} is no directory; name the sidecar's with --data-dir", EXIT_USAGE)
    progress = _stored_progress(path)
    if action == "repair":
        return _repaired(audit.repair(path, progress), as_json=as_json)
    report = audit.inspect(path) if action == "inspect" else audit.verify(path, progress)
    if as_json:
        print_json(_report(report))
    else:
        _print(report, verified=action == "verify")
    return 0 if action == "inspect" or report.sound else EXIT_FAILED


def _stored_progress(path: Path) -> Mapping[str, Progress] | None:
    """Give the positions of the embedded store; None where it cannot be asked."""
    if not (path / "reputation.sqlite").exists():
        return None
    try:
        settings = load({"data_dir": str(path)}, serving=False).settings
        store, _ = open_store(settings)
    except (ConfigurationError, StoreUnavailable, DataDirError, ValueError, ImportError):
        return None
    try:
        return store.progress()
    finally:
        store.close()


def _repaired(repairs: list[audit.Repair], *, as_json: bool) -> int:
    if as_json:
        print_json([repair._asdict() for repair in repairs])
    elif not repairs:
        sys.stdout.write("nothing to repair\n")
    else:
        for repair in repairs:
            sys.stdout.write(f"{repair.journal}: {repair.what}: {repair.detail}\n")
    return 0


def _report(report: audit.JournalReport) -> dict[str, Any]:
    return {
        "sound": report.sound,
        "quarantine": report.quarantine._asdict(),
        "folders": [
            {
                "name": folder.name,
                "living": folder.living,
                "sizeBytes": folder.size_bytes,
                "records": folder.records,
                "waiting": folder.waiting.total,
                "lost": folder.lost.total,
                "sound": folder.sound,
                "gaps": [gap._asdict() for gap in folder.gaps],
            }
            for folder in report.folders
        ],
    }


def _print(report: audit.JournalReport, *, verified: bool) -> None:
    for folder in report.folders:
        state = "its worker lives" if folder.living else "its worker is gone"
        judged = "" if not verified else ", sound" if folder.sound else ", DAMAGED"
        sys.stdout.write(
            f"{folder.name}: {state}; {len(folder.segments)} segments, {folder.size_bytes} bytes, "
            f"{folder.waiting.total} facts, {folder.lost.total} lost{judged}\n"
        )
        for gap in folder.gaps:
            sys.stdout.write(f"  gap: {gap.lost} facts, {gap.reason}\n")
    kept = report.quarantine
    sys.stdout.write(
        f"{len(report.folders)} folders; quarantine: {kept.files} files, {kept.size_bytes} bytes\n"
    )


def _complain(message: str, status: int) -> int:
    for line in message.splitlines():
        sys.stderr.write(f"sidecar: {line}\n")
    return status

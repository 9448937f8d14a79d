"""`sidecar journal inspect`, `verify`, `repair`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from domain.errors import StoreUnavailable
from domain.recorded import SOURCES, BySource, Progress
from sidecar.cli.errors import CONFIGURATION, DONE, FAILED, CommandFailed, complain
from sidecar.cli.finding import settings_for
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, print_line, print_table, size
from sidecar.journal import audit
from sidecar.settings import Settings

ACTIONS: Final = ("inspect", "verify", "repair")


def look(what: str, place: Place, *, as_json: bool) -> int:
    """Inspect, verify or repair the journal of a data directory."""
    if what not in ACTIONS:
        raise CommandFailed(f"ACTION must be one of {', '.join(ACTIONS)}, got {what!r}", CONFIGURATION)
    settings = settings_for(place).settings
    data_dir = Path(settings.data_dir).absolute()
    if not data_dir.is_dir():
        raise CommandFailed(
            f"there is no data directory at {data_dir}; name it with --data-dir or SIDECAR_DATA_DIR",
            CONFIGURATION,
        )
    if not (data_dir / "journal").is_dir():
        raise CommandFailed(
            f"there is no journal in {data_dir}; no sidecar ran there yet, or --data-dir names another place",
            CONFIGURATION,
        )
    if what == "inspect":
        return _show(audit.inspect(data_dir), as_json=as_json, read=False)
    progress = _progress(settings, data_dir)
    if what == "verify":
        report = audit.verify(data_dir, progress)
        _show(report, as_json=as_json, read=True)
        return DONE if report.sound else FAILED
    done = audit.repair(data_dir, progress)
    if as_json:
        print_json({"repairs": [one._asdict() for one in done]})
    else:
        for one in done:
            print_line(f"{one.journal}: {one.what.replace('_', ' ')}: {one.detail}")
        if not done:
            print_line("nothing to repair")
    return DONE


def _progress(settings: Settings, data_dir: Path) -> Mapping[str, Progress] | None:
    """Give the stored positions; without them the journal is judged by itself."""
    from sidecar.bootstrap.offline import stored_progress  # noqa: PLC0415 - loads the database's library

    try:
        return stored_progress(settings, data_dir)
    except StoreUnavailable as error:
        complain(f"the journal is judged by itself, the store's positions are not known: {error}")
        return None


def _show(report: audit.JournalReport, *, as_json: bool, read: bool) -> int:
    if as_json:
        print_json(
            {
                "sound": report.sound if read else None,
                "folders": [_folder(folder, read=read) for folder in report.folders],
                "quarantine": {"files": report.quarantine.files, "sizeBytes": report.quarantine.size_bytes},
            }
        )
        return DONE
    print_table(
        ("FOLDER", "WORKER", "SEGMENTS", "SIZE", "RECORDS", "WAITING", "LOST", "SOUND"),
        [
            (
                folder.name,
                "its worker lives" if folder.living else "its worker is gone",
                len(folder.segments),
                size(folder.size_bytes),
                folder.records if read else None,
                folder.waiting.total if read else None,
                folder.lost.total,
                ("yes" if folder.sound else "DAMAGED") if read else None,
            )
            for folder in report.folders
        ],
    )
    for folder in report.folders:
        for gap in folder.gaps:
            print_line(f"{folder.name}: {gap.lost} facts lost: {gap.reason}")
        for segment in folder.segments:
            for damage in segment.damage:
                where = f"bytes {damage.start} to {damage.end}"
                print_line(f"{folder.name}: segment {segment.number}: {where} are no records")
    print_line(f"quarantine: {report.quarantine.files} files, {size(report.quarantine.size_bytes)}")
    if read and not report.sound:
        print_line(
            "the next start recovers what is readable and accounts the rest; `journal repair` keeps evidence"
        )
    return DONE


def _folder(folder: audit.FolderReport, *, read: bool) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": folder.name,
        "living": folder.living,
        "sizeBytes": folder.size_bytes,
        "segments": [
            {
                "number": segment.number,
                "sizeBytes": segment.size_bytes,
                "records": segment.records if read else None,
                "damage": [{"start": damage.start, "end": damage.end} for damage in segment.damage],
            }
            for segment in folder.segments
        ],
        "lost": _by_source(folder.lost),
    }
    if read:
        about["sound"] = folder.sound
        about["waiting"] = _by_source(folder.waiting)
        about["gaps"] = [{"reason": gap.reason, "count": gap.lost} for gap in folder.gaps]
    return about


def _by_source(facts: BySource) -> dict[str, int]:
    return {source.value: n for source, n in zip(SOURCES, facts, strict=True)}

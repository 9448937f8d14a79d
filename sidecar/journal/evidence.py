"""What can be told of a folder from outside: whether its owner lives; and what is kept of damage."""

import fcntl
import logging
import os
from pathlib import Path
from typing import Final

from domain.words import Millis
from sidecar.journal.layout import OWNER, quarantine_dir
from sidecar.journal.reader import Damage

EVIDENCE_MAX: Final = 1024
"""Files kept in quarantine; beyond it damage is told and accounted but no further file is kept."""

UNBORN_MS: Final = 60_000
"""A worker makes its folder within this time."""

_log: Final = logging.getLogger(__name__)


def owner_gone(path: Path) -> bool:
    """Tell whether nobody writes this folder any more."""
    try:
        fd = os.open(path / OWNER, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that ask do not take each other for it
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def quarantine(data_dir: Path, segment: Path) -> bool:
    """Keep a segment as evidence, by a second link; tell whether it is kept.

    Raises:
        OSError: the file system refused.
    """
    base = quarantine_dir(data_dir)
    base.mkdir(mode=0o700, exist_ok=True)
    link = base / f"{segment.parent.name}.{segment.name}"
    if link.exists():
        return True
    if sum(1 for _ in base.iterdir()) >= EVIDENCE_MAX:
        return False
    os.link(segment, link)
    return True


def keep_evidence(data_dir: Path, segment: Path, damage: Damage, lost: int | None) -> None:
    """Quarantine a damaged segment and log it, unless it only has an unfinished end that cost nothing.

    Args:
        data_dir: holds `quarantine/`.
        segment: the damaged file.
        damage: where in it.
        lost: facts that it cost; None when that is not known.
    """
    try:
        if lost == 0 and damage.end >= segment.stat().st_size:
            return
        kept = quarantine(data_dir, segment)
    except OSError:
        kept = False
    _log.error(
        "journal.quarantined",
        extra={
            "journal": segment.parent.name, "segment": segment.name, "from_byte": damage.start,
            "to_byte": damage.end, "reason": damage.reason.value, "lost": lost or 0, "kept": kept,
        },
    )  # fmt: skip


def remove_unborn(base: Path, now: Millis) -> list[str]:
    """Remove what workers left that died while making their folder; give the names they would have had.

    Raises:
        OSError: one could not be removed.
    """
    removed = []
    for hidden in base.glob(".w*"):
        born = hidden.stat().st_mtime_ns // 1_000_000
        if now - born > UNBORN_MS and owner_gone(hidden):
            for leftover in hidden.iterdir():
                leftover.unlink()
            hidden.rmdir()
            removed.append(hidden.name[1:])
    return removed

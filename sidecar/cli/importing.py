"""`sidecar import`: facts from elsewhere, through the running sidecar or, without one, into the store.

Both ways check, redact and identify them as `POST /v1/signals` does, in its own code.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from sidecar.api.posting import ITEMS_MAX
from sidecar.cli.errors import DONE, FAILED, complain
from sidecar.cli.finding import running, settings_for
from sidecar.cli.http_posting import HttpPosting
from sidecar.cli.import_rows import Lines, Row, open_lines, table_rows
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, print_line
from sidecar.cli.progress import progress
from sidecar.cli.taking import Taken, Taking
from sidecar.settings import Settings

BATCH_BYTES: Final = 512 << 10
BAD_SHOWN_MAX: Final = 100
BAD_KEPT_MAX: Final = 10_000


class _Counts:
    def __init__(self) -> None:
        self.read = self.taken = self.repeated = self.bad = 0
        self.known: int | None = 0
        self.reasons: list[dict[str, str]] = []

    def refuse(self, place: str, reason: str) -> None:
        self.bad += 1
        if self.bad <= BAD_SHOWN_MAX:
            complain(f"{place}: {reason}")
        if len(self.reasons) < BAD_KEPT_MAX:
            self.reasons.append({"place": place, "reason": reason})


def import_signals(place: Place, source: str, *, as_json: bool) -> int:
    """Import everything that can be; FAILED where a row could not."""
    settings = settings_for(place).settings
    counts = _Counts()
    with _source(source) as lines, _taking(place, settings) as taking, progress("importing") as told:
        for batch in _batches(lines.rows, counts):
            taken = taking.take([msgspec.Raw(msgspec.json.encode(row.item)) for row in batch])
            _count(batch, taken, counts)
            told(batch[-1].done, lines.size)
    _tell(taking.where, counts, as_json=as_json)
    return FAILED if counts.bad else DONE


@contextmanager
def _taking(place: Place, settings: Settings) -> Iterator[Taking]:
    answers = running(settings, place)
    if answers is not None:
        taking: Taking = HttpPosting(answers)
    else:
        from sidecar.bootstrap.importing import StoreTaking  # noqa: PLC0415 - loads the database's library

        taking = StoreTaking(settings)
    try:
        yield taking
    finally:
        taking.close()


@contextmanager
def _source(source: str) -> Iterator[Lines]:
    if "://" in source:
        from sidecar.bootstrap import importing  # noqa: PLC0415 - as above

        table = importing.open_table(source)
        rows = table_rows(importing.table_rows(table), keep_ids=table.is_ours)
        lines = Lines(rows, table.count, table.close)
    else:
        lines = open_lines(source, sys.stdin.buffer)
    try:
        yield lines
    finally:
        lines.close()


def _batches(rows: Iterator[Row], counts: _Counts) -> Iterator[list[Row]]:
    """Group good rows; never two reports of the same thing in one batch, the first wins."""
    batch: list[Row] = []
    keys: set[tuple[str, ...]] = set()
    size = 0
    for row in rows:
        counts.read += 1
        if row.item is None:
            counts.refuse(row.place, row.reason)
            continue
        if row.key is not None and row.key in keys:
            counts.repeated += 1
            continue
        room = len(msgspec.json.encode(row.item))
        if batch and (len(batch) == ITEMS_MAX or size + room > BATCH_BYTES):
            yield batch
            batch, keys, size = [], set(), 0
        batch.append(row)
        size += room
        if row.key is not None:
            keys.add(row.key)
    if batch:
        yield batch


def _count(batch: Sequence[Row], taken: Taken, counts: _Counts) -> None:
    for bad in taken.bad:
        where = "" if isinstance(bad.field, msgspec.UnsetType) else f"{bad.field}: "
        counts.refuse(batch[bad.index].place, f"{where}{bad.message}")
    counts.taken += len(batch) - len({bad.index for bad in taken.bad})
    counts.known = None if taken.known is None or counts.known is None else counts.known + taken.known


def _tell(where: str, counts: _Counts, *, as_json: bool) -> None:
    recorded = None if counts.known is None else counts.taken - counts.known
    if counts.bad > BAD_SHOWN_MAX:
        complain(f"and {counts.bad - BAD_SHOWN_MAX} bad ones more; --json lists up to {BAD_KEPT_MAX}")
    if as_json:
        about: dict[str, Any] = {"through": where, "read": counts.read, "taken": counts.taken}
        about |= {"recorded": recorded, "known": counts.known, "repeated": counts.repeated}
        print_json({**about, "bad": counts.bad, "badRows": counts.reasons})
        return
    if recorded is None:
        told = f"{counts.taken} handed to {where}, which records those it does not know yet"
    else:
        told = f"{recorded} recorded in {where}, {counts.known} were known already"
    again = f", {counts.repeated} repeats left out" if counts.repeated else ""
    print_line(f"{counts.read} rows read: {told}{again}, {counts.bad} bad")

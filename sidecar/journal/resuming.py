"""Taking a folder up again at a stored position: what its records said before, whatever became of them."""

from pathlib import Path

from domain.recorded import Progress
from sidecar.journal.accounting import Accounting, Unread, settled
from sidecar.journal.layout import segment_path, started_at
from sidecar.journal.reader import Damage, SegmentReader


def resume(path: Path, stored: Progress) -> tuple[Accounting, SegmentReader | None]:
    """Rebuild the running totals at the stored position from the segment it stands in.

    Records before it may be damaged by now: they were settled, so the stored tally says what they held. A
    record or damage across the position is not settled, it comes next.

    Args:
        path: the folder.
        stored: position and tally; segment 0 for the beginning.

    Returns:
        The account, and a reader at the position; None at the beginning, and where the segment is gone.
    """
    from_start = stored.segment == 0
    account = Accounting(stored.journal, started_at(stored.journal), from_start=from_start)
    if from_start:
        return account, None
    try:
        reader = SegmentReader(segment_path(path, stored.segment))
    except FileNotFoundError:
        account.resume(settled(stored.tally))
        return account, None
    across: list[Unread] = []
    while reader.offset < stored.offset and (item := reader.next(final=True)) is not None:
        if isinstance(item, Damage):
            across = [Unread(stored.segment, item)] if item.end > stored.offset else []
        elif item.end > stored.offset:
            reader.offset = item.start
            break
        else:
            account.take(stored.segment, item)
    else:
        reader.offset = max(reader.offset, stored.offset)
    account.resume(settled(stored.tally))
    account.unread = across
    return account, reader

"""What a writer must know of the records of one loop turn, to say exactly which of them went in."""

import errno
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from sidecar.journal.layout import LossReason

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Mark(NamedTuple):
    """A record of this turn: where it ends in the turn's bytes, and the running totals with it."""

    end: int
    records: int
    webhook: int
    dispatch: int
    provider: int


new_mark: Final[Callable[[tuple[int, int, int, int, int]], Mark]] = partial(tuple.__new__, Mark)
"""Makes a mark of all its values in order, in half the time."""


def between(before: Mark, after: Mark) -> tuple[int, int, int]:
    """Count the facts between two marks, by source."""
    return after.webhook - before.webhook, after.dispatch - before.dispatch, after.provider - before.provider


def reason_of(error: OSError) -> LossReason:
    """Tell a disk without room from one that fails."""
    return LossReason.DISK_FULL if error.errno in _FULL else LossReason.WRITE_FAILED

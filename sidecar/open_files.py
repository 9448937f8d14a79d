"""The process's bound on open files: raised as far as the connections need it, else they are bounded by it.

A worker without a file descriptor left resets callers uncounted, answers 502 for want of a connection
upstream, and cannot begin a journal segment. Many systems start processes with a soft limit of 1 024, and
allow far more.
"""

import resource
from typing import Final

from sidecar.telemetry import FilesLimited

RESERVE: Final = 512
"""Files beside those of callers and upstreams in use: listeners, journal, pipes, names, idle upstreams."""

FILES_A_CONNECTION: Final = 2
"""A caller and its upstream."""


def connections_within(connections_max: int, overflow_max: int) -> int:
    """Raise the bound on open files as needed; give how many connections fit under what the system allows.

    Args:
        connections_max: how many are wanted.
        overflow_max: further ones that are only told that there are too many.
    """
    needed = FILES_A_CONNECTION * connections_max + overflow_max + RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections_max
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == needed:
        return connections_max
    fitting = max(1, (allowed - overflow_max - RESERVE) // FILES_A_CONNECTION, allowed // 8)
    FilesLimited(open_files_max=allowed, connections_max=fitting).emit()
    return fitting

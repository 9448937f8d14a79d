"""What is watched over time: memory and file handles by process, and whether they grow."""

import time
from statistics import linear_regression
from typing import Final, NamedTuple

import psutil

from tests.e2e.sidecars import Sidecar

MIB: Final = 1 << 20
SLOPE_MAX_MIB_AN_HOUR: Final = 1.0
NOISE_MIB: Final = {"recorder": 32.0}
"""What a process may gain while its bounded memories fill: the recorder remembers the reports
of 131 072 messages (some 25 MiB) and the states of 4 096 instances."""
NOISE_OF_OTHERS_MIB: Final = 6.0
HANDLES_SPARE: Final = 12
"""Pooled provider connections and open segments come and go."""


class Sample(NamedTuple):
    """One look at one process, in a calm moment.

    Attributes:
        at: monotonic seconds.
        pid: a killed process starts anew.
    """

    role: str
    pid: int
    at: float
    rss_bytes: int
    handles: int


class Growth(NamedTuple):
    """How one process changed from its first look to its last.

    Attributes:
        late_slope: MiB an hour over the looks of the second half, when bounded memories are full.
    """

    role: str
    hours: float
    rss_mib: float
    handles: int
    peak_mib: float
    late_slope: float

    @property
    def flat(self) -> bool:
        """Whether it stayed within the bounds."""
        allowed = NOISE_MIB.get(self.role, NOISE_OF_OTHERS_MIB) + SLOPE_MAX_MIB_AN_HOUR * self.hours
        return self.rss_mib <= allowed and self.handles <= HANDLES_SPARE


def look(running: Sidecar) -> list[Sample]:
    """Look at the supervisor and its children now."""
    parent = psutil.Process(running.process.pid)
    now = time.monotonic()
    samples = [Sample("supervisor", parent.pid, now, parent.memory_info().rss, parent.num_fds())]
    for child in parent.children():
        role = " ".join(child.cmdline()).strip().removeprefix("sidecar: ")
        samples.append(Sample(role, child.pid, now, child.memory_info().rss, child.num_fds()))
    return samples


def growths(samples: list[Sample]) -> list[Growth]:
    """Compare each process's second look (the first warms up) with its last; those looked at thrice only."""
    by_process: dict[tuple[str, int], list[Sample]] = {}
    for sample in samples:
        by_process.setdefault((sample.role, sample.pid), []).append(sample)
    found = []
    for (role, _), looks in by_process.items():
        if len(looks) < 3:
            continue
        first, last = looks[1], looks[-1]
        found.append(
            Growth(
                role,
                (last.at - first.at) / 3600,
                (last.rss_bytes - first.rss_bytes) / MIB,
                last.handles - first.handles,
                max(one.rss_bytes for one in looks) / MIB,
                _slope(looks[len(looks) // 2 :]),
            )
        )
    return found


def _slope(looks: list[Sample]) -> float:
    if len(looks) < 2:
        return 0.0
    line = linear_regression([one.at / 3600 for one in looks], [one.rss_bytes / MIB for one in looks])
    return line.slope

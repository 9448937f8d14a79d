"""The bound on open files: raised where the system allows it, else the connections are bounded by it."""

import subprocess
import sys

import pytest

ASK = """
import resource, sys
from sidecar.open_files import connections_within
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(connections_within(wanted, 128), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def asked(soft: int, hard: int, wanted: int) -> tuple[list[int], str]:
    """Ask in a process of its own; give connections and soft limit, and what was logged before them."""
    told = subprocess.run(
        [sys.executable, "-c", ASK, str(soft), str(hard), str(wanted)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    *logged, last = told.stdout.splitlines()
    return [int(number) for number in last.split()], "\n".join(logged)


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "expected"),
    [
        (1024, 8192, 2048, [2048, 4736]),
        (8000, 8192, 2048, [2048, 8000]),
        (4736, 4736, 2048, [2048, 4736]),
        (1024, 8192, 50, [50, 1024]),
    ],
    ids=["raised", "enough", "just-enough", "few"],
)
def test_the_soft_limit_is_raised_to_what_the_connections_need(
    soft: int, hard: int, wanted: int, expected: list[int]
) -> None:
    """No further than needed, never lowered, and nothing is said."""
    assert asked(soft, hard, wanted) == (expected, "")


@pytest.mark.parametrize(
    ("hard", "expected"), [(4735, 2047), (1024, 192), (300, 37)], ids=["one-short", "usual", "tiny"]
)
def test_connections_are_bounded_where_the_hard_limit_is_too_low(hard: int, expected: int) -> None:
    """Callers beyond are told 503 and counted, instead of being reset for want of a file; it is logged."""
    numbers, logged = asked(256, hard, 2048)

    assert numbers == [expected, hard]
    assert "process.files_limited" in logged
    assert str(expected) in logged

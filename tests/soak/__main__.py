"""`python -m tests.soak --minutes 5`: exit 1 when something did not hold."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.soak.run import Plan, Soak


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=6.0, help="about how long; hours are fine")
    parser.add_argument("--phase-seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=6)
    parser.add_argument("--instances", type=int, default=20_000, help="invented instance ids a cycle")
    parser.add_argument("--opened", type=int, default=10_000, help="connections opened and left a cycle")
    parser.add_argument("--no-restarts", action="store_true", help="kill nothing, hand nothing over")
    parser.add_argument("--database-url", help="default: SQLite in a temporary folder")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    plan = Plan(
        given.minutes * 60,
        given.phase_seconds,
        given.connections,
        instances=given.instances,
        opened=given.opened,
        restarts=not given.no_restarts,
        seed=given.seed,
    )
    settings = {"database_url": given.database_url} if given.database_url else {}
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(plan, Path(folder), settings, _say)
        checks = asyncio.run(soak.run())
    for line in soak.peers:
        _say(line)
    for (route, what), count in sorted(soak.book.answers.items()):
        _say(f"{route} {what}: {count}")
    for check in checks:
        _say(f"{'held  ' if check.held else 'FAILED'}  {check.what}: {check.found}")
    return int(not all(check.held for check in checks))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

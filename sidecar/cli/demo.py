"""`sidecar demo`."""

import asyncio
from pathlib import Path

from rich.console import Console

from sidecar.cli.printing import print_json
from sidecar.config import environment
from sidecar.demo.reading import Reading
from sidecar.demo.run import DemoOptions, run_demo


def demonstrate(
    duration: float | None, seed: int, rate: float, data_dir: str | None, admin_listen: str, *, as_json: bool
) -> int:
    """Run the demo; give 0 when the ledger balances and both ends agree with it."""
    options = DemoOptions(
        duration_seconds=duration,
        seed=seed,
        rate=rate,
        data_dir=Path(data_dir) if data_dir else None,
        admin_listen=admin_listen,
        inherited=dict(environment()),
    )
    if not as_json:
        return asyncio.run(run_demo(options))
    return asyncio.run(run_demo(options, Console(stderr=True), _print_end))


def _print_end(reading: Reading | None, rows: int | None, problems: list[str]) -> None:
    ledger = None if reading is None else reading.ledger._asdict()
    print_json({"ledger": ledger, "timelineRows": rows, "problems": problems})

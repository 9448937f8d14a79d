"""`sidecar demo`."""

import asyncio
from pathlib import Path

from sidecar.config import environment
from sidecar.demo.run import DemoOptions, run_demo


def demonstrate(
    duration: float | None, seed: int, rate: float, data_dir: str | None, admin_listen: str
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
    return asyncio.run(run_demo(options))

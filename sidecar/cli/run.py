"""`sidecar run`."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any, Final

from setproctitle import setproctitle

from sidecar.config import ConfigurationError, Loaded, load
from sidecar.data_dir import DataDir, DataDirError
from sidecar.listening import ListenError
from sidecar.supervisor import Supervisor

EXIT_FAILED: Final = 1
EXIT_CONFIGURATION: Final = 2


def run_sidecar(flags: Mapping[str, Any], config_file: str | None, *, single_process: bool) -> int:
    """Run to the end; give the exit status."""
    loaded = load_or_complain(flags, config_file)
    if loaded is None:
        return EXIT_CONFIGURATION
    setproctitle("sidecar: supervisor")
    try:
        data = DataDir(loaded.settings.data_dir)
        if single_process:
            from sidecar.single import run_single  # noqa: PLC0415 - loads what only this mode needs

            return run_single(loaded.settings, data)
        return asyncio.run(Supervisor(loaded.settings, data).run())
    except (DataDirError, ListenError) as error:
        sys.stderr.write(f"sidecar: {error}\n")
        return EXIT_FAILED


def load_or_complain(flags: Mapping[str, Any], config_file: str | None) -> Loaded | None:
    """Load the settings; on faults write every one to stderr and give None."""
    try:
        return load(flags, config_file=config_file)
    except ConfigurationError as error:
        for fault in error.faults:
            sys.stderr.write(f"sidecar: {fault}\n")
        return None

"""`sidecar run`."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from setproctitle import setproctitle

from sidecar.cli.errors import complain, print_failure
from sidecar.config import ConfigurationError, load
from sidecar.data_dir import DataDir, DataDirError
from sidecar.listening import ListenError
from sidecar.supervisor import Supervisor

EXIT_FAILED: Final = 1
EXIT_CONFIGURATION: Final = 2


def run_sidecar(
    flags: Mapping[str, Any], config_file: str | None, *, single_process: bool, as_json: bool = False
) -> int:
    """Run to the end; give the exit status. Who asks for JSON gets it for what ends the start as well."""
    try:
        loaded = load(flags, config_file=config_file)
    except ConfigurationError as error:
        return _complain(EXIT_CONFIGURATION, list(map(str, error.faults)), as_json=as_json)
    setproctitle("sidecar: supervisor")
    try:
        data = DataDir(loaded.settings.data_dir)
        if single_process:
            from sidecar.single import run_single  # noqa: PLC0415 - loads what only this mode needs

            return run_single(loaded.settings, data)
        return asyncio.run(Supervisor(loaded.settings, data).run())
    except (DataDirError, ListenError) as error:
        return _complain(EXIT_FAILED, [str(error)], as_json=as_json)


def _complain(status: int, sentences: list[str], *, as_json: bool) -> int:
    for sentence in sentences:
        complain(sentence)
    if as_json:
        print_failure(status, sentences)
    return status

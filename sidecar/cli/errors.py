"""How commands fail: a sentence with a remedy on stderr and an exit code, never a traceback.

0 done, 1 failed (or the answer is "no": a difference, a broken journal), 2 wrong usage or configuration,
3 something needed is unreachable, 4 nothing is wrong but not everything could be judged.
"""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from sidecar.cli.visible import visible

DONE: Final = 0
FAILED: Final = 1
CONFIGURATION: Final = 2
UNREACHABLE: Final = 3
UNPROVEN: Final = 4
INTERRUPTED: Final = 130
"""As a shell reports Ctrl-C."""


_PAST: Final = (
    "this lies before the retention horizon, its facts are gone; ask about a later time, or raise "
    "SIDECAR_RETENTION_DAYS for the future"
)


_INSTEAD: Final = {
    "--bundle": "it reads the store itself, in one go and in one form: name its --data-dir",
    "--follow": "it goes on until interrupted, oldest first: leave them out, or ask without --follow",
    "--rules": "it folds what the store holds: name its --data-dir",
}
"""What to do where options do not go together."""


_STORE_REMEDY: Final = (
    "see that the database runs, that SIDECAR_DATABASE_URL or --data-dir name it, and that this user may "
    "read it; `sidecar doctor` looks at each"
)


class CommandFailed(Exception):  # noqa: N818 - reads better where it is raised
    """The command cannot go on; the message is for the operator and names the remedy."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def guarded(body: Callable[[], int], *, as_json: bool = False) -> int:
    """Run a command's body; give its exit status. With `as_json` a failure is a JSON value too."""
    try:
        status = body()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough (`| head`); Python must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        complain("interrupted")
        status = INTERRUPTED
        if as_json:
            print_failure(status, ["interrupted"])
    except Exception as error:  # noqa: BLE001 - the outermost place: an operator gets a sentence
        status, sentences = _told(error)
        for sentence in sentences:
            complain(sentence)
        if as_json:
            print_failure(status, sentences)
    return status


def print_failure(status: int, sentences: Sequence[str]) -> None:
    """Say in JSON why there is no result; a program reads stdout only."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps({"error": {"exitCode": status, "messages": list(sentences)}}) + "\n")
        sys.stdout.flush()


def refuse_together(option: str, others: Mapping[str, object]) -> None:
    """Refuse options that mean nothing beside another one: silence would look like obedience.

    Raises:
        CommandFailed: one of them was given.
    """
    given = [name for name, value in others.items() if value]
    if given:
        raise CommandFailed(
            f"{option} does not go with {' and '.join(given)}; {_INSTEAD[option]}", CONFIGURATION
        )


def complain(message: str) -> None:
    """Tell the operator something that is no result."""
    sys.stderr.write(f"sidecar: {visible(message)}\n")


def _told(error: Exception) -> tuple[int, list[str]]:
    from domain.errors import (  # noqa: PLC0415 - failing may take its time, `--help` may not
        InvalidQuery,
        PastRetention,
        StoreUnavailable,
        UnknownInstance,
    )
    from sidecar.config import ConfigurationError  # noqa: PLC0415 - as above
    from sidecar.data_dir import DataDirError  # noqa: PLC0415 - as above

    match error:
        case CommandFailed():
            told = error.status, [str(error)]
        case ConfigurationError():
            told = CONFIGURATION, [str(fault) for fault in error.faults]
        case InvalidQuery():
            told = CONFIGURATION, [f"{error.field}: {error}"]
        case UnknownInstance():
            told = (
                FAILED,
                [f"no signal of this instance was ever recorded: {error}; `sidecar instances` lists all"],
            )
        case PastRetention():
            told = FAILED, [_PAST]
        case StoreUnavailable():
            remedy = "" if ";" in str(error) else f"; {_STORE_REMEDY}"
            told = UNREACHABLE, [f"the store cannot be used: {error}{remedy}"]
        case DataDirError():
            told = FAILED, [str(error)]
        case UnicodeEncodeError():
            told = (
                CONFIGURATION,
                ["an argument holds bytes that are no UTF-8, so it names nothing here; use a UTF-8 locale"],
            )
        case OSError():
            what = f"{error.filename}: " if error.filename else ""
            told = (
                FAILED,
                [f"{what}{error.strerror or error}; check the path, its permissions and free space"],
            )
        case _:
            # Its words may repeat a token or a number; its kind and place do not.
            last = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"
            told = FAILED, [f"failed unexpectedly ({what}); this is a fault of the program, please report it"]
    return told

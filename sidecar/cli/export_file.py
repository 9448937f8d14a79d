"""A file that is written in pieces and can be continued after a break, whatever broke it.

Until it is complete it is `FILE.partial`; `FILE.partial.json` says what was asked and how much of it is on
disk. A piece counts once both were synced: what a break left behind it is cut off.
"""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from domain.words import Millis
from sidecar.cli.errors import CONFIGURATION, CommandFailed


class Mark(NamedTuple):
    """The last signal that is in the file; all absent before the first."""

    instance_id: str | None = None
    occurred_at: Millis | None = None
    signal_id: str | None = None
    rows: int = 0


class PartialFile:
    """One export's file; use as a context.

    Args:
        path: of the complete file.
        question: what was asked; another question is not continued.
        range_: since and until as they are now; a continued export keeps those of its first run.
        head: what the file begins with.
        restart: forget what a broken run left.

    Raises:
        CommandFailed: another question was begun there, or another export is writing it.
    """

    def __init__(
        self,
        path: Path,
        question: dict[str, Any],
        range_: tuple[Millis, Millis],
        head: bytes,
        *,
        restart: bool,
    ) -> None:
        self._path = path
        self._data = path.with_name(path.name + ".partial")
        self._state = path.with_name(path.name + ".partial.json")
        self._question = question
        self._head = head
        self._restart = restart
        self._file: IO[bytes] | None = None
        self.range = range_
        self.mark = Mark()

    def __enter__(self) -> Self:
        descriptor = os.open(self._data, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise CommandFailed(f"another export is writing {self._data}; wait for it") from error
        held = None if self._restart else self._held()
        if held is not None and held["question"] != self._question:
            self._file.close()
            raise CommandFailed(
                f"{self._data} is of another question that was broken off; ask the same to continue it, "
                "or begin anew with --restart",
                CONFIGURATION,
            )
        size = 0
        if held is not None:
            since, until = held["range"]
            self.range, self.mark, size = (since, until), Mark(*held["mark"]), held["size"]
        self._file.truncate(size)
        self._file.seek(size)
        if not size:
            self.append(self._head, self.mark)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, piece: bytes, mark: Mark) -> None:
        """Write a piece and say how far it goes; once this returns a break costs nothing of it."""
        file = self._opened()
        file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        state = {"question": self._question, "range": self.range, "mark": mark, "size": file.tell()}
        draft = self._state.with_name(self._state.name + ".new")
        with draft.open("w", encoding="utf-8") as out:
            json.dump(state, out)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self._state)
        self.mark = mark

    def finish(self, convert: Callable[[Path, Path], object] | None = None) -> None:
        """Make it the complete file; `convert` makes that one of this one."""
        if convert is None:
            self._data.replace(self._path)
        else:
            draft = self._path.with_name(self._path.name + ".new")
            convert(self._data, draft)
            draft.replace(self._path)
            self._data.unlink()
        self._state.unlink()

    def _held(self) -> dict[str, Any] | None:
        try:
            held: dict[str, Any] = json.loads(self._state.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise CommandFailed(f"{self._state} cannot be read; begin anew with --restart") from error
        if held.get("size", 0) > os.fstat(self._opened().fileno()).st_size:
            raise CommandFailed(f"{self._data} was cut by someone else; begin anew with --restart")
        return held

    def _opened(self) -> IO[bytes]:
        assert self._file is not None, "used outside its context"
        return self._file

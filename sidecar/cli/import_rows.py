"""What is imported, as items that `POST /v1/signals` takes: lines of an export, rows of a table."""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import msgspec

from sidecar.cli.errors import CONFIGURATION, CommandFailed

LINE_MAX_BYTES: Final = 256 << 10
HEAD_BYTES: Final = 4096
_AS_NDJSON: Final = "import takes NDJSON: export it again as such (`sidecar export --format ndjson`)"
_KINDS: Final = {
    b"PAR1": f"a Parquet file; {_AS_NDJSON}",
    b"PK\3\4": f"a ZIP archive; if it is an evidence bundle, `sidecar verify` reads it; {_AS_NDJSON}",
    b"\x1f\x8b": "packed by gzip; unpack it first: gzip -dc FILE | sidecar import -",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it first: zstd -dc FILE | sidecar import -",
    b"SQLite format 3\0": "a SQLite database; name it as sqlite:///FILE",
}
"""How other kinds of files begin, and what to do with them."""
_UUID: Final = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
_TAKEN: Final = (
    "type", "instanceId", "source", "occurredAt", "messageId", "remoteJid", "isGroup", "latencyMs", "context",
    "eventId",
)  # fmt: skip
"""What an item says; `severity`, `recordedAt`, `summary` and `level` follow from it anew."""


class Row(NamedTuple):
    """One fact to import: where it stands, and the item, or why there is none.

    Attributes:
        place: `line 17`, `row 4f0c...`.
        key: facts of one key are reports of the same thing; the first wins.
        done: how far through the source this is, in the source's own measure.
    """

    place: str
    item: dict[str, Any] | None
    reason: str = ""
    key: tuple[str, ...] | None = None
    done: int = 0


class Lines(NamedTuple):
    """An NDJSON source: its rows, and its size where that is known."""

    rows: Iterator[Row]
    size: int | None
    close: Callable[[], object]


def open_lines(path: str, stdin: IO[bytes]) -> Lines:
    """Open a file of lines, or stdin for `-`.

    Raises:
        CommandFailed: there is no such file.
    """
    if path == "-":
        return Lines(_stdin_lines(stdin), None, lambda: None)
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed by whoever reads it
        try:
            return Lines(_lines(_checked(file, path)), Path(path).stat().st_size, file.close)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise CommandFailed(
            f"{path} cannot be read ({error.strerror}); name an NDJSON file that `sidecar export` wrote, "
            "or - for stdin",
            CONFIGURATION,
        ) from error


def _stdin_lines(stdin: IO[bytes]) -> Iterator[Row]:
    """Wait for its beginning only when the first line is wanted."""
    yield from _lines(_checked(io.BufferedReader(stdin), "stdin"))  # type: ignore[arg-type]  # a real stdin, and a test's, can readinto


def _checked(file: io.BufferedReader, name: str) -> io.BufferedReader:
    """Refuse another kind of file as a whole, by how it begins, instead of line by line.

    Raises:
        CommandFailed: with what it is and what to do.
    """
    head = file.peek(HEAD_BYTES)[:HEAD_BYTES]
    for begins, kind in _KINDS.items():
        if head.startswith(begins):
            raise CommandFailed(f"{name} is {kind}", CONFIGURATION)
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
    if b"instanceId" in first and b"," in first and not first.startswith(b"{"):
        raise CommandFailed(f"{name} is a CSV table; {_AS_NDJSON}", CONFIGURATION)
    if first.startswith(b"["):
        raise CommandFailed(f"{name} is one JSON list; write one object a line: jq -c '.[]'", CONFIGURATION)
    if first and b"\0" in head:
        raise CommandFailed(f"{name} is no text; {_AS_NDJSON}", CONFIGURATION)
    return file


def _lines(file: IO[bytes]) -> Iterator[Row]:
    done = number = 0
    while line := file.readline(LINE_MAX_BYTES + 1):
        number += 1
        done += len(line)
        if len(line) > LINE_MAX_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_MAX_BYTES)
                done += len(line)
            yield Row(f"line {number}", None, f"is longer than {LINE_MAX_BYTES} bytes", done=done)
        elif line.strip():
            row = _of_line(f"line {number}", line)
            if row is not None:
                yield row._replace(done=done)


def _of_line(place: str, line: bytes) -> Row | None:
    try:
        fields = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return Row(place, None, "is not JSON")
    if not isinstance(fields, dict):
        return Row(place, None, "is not a JSON object")
    if "gap" in fields:
        return None  # an account of what was lost there; it is no fact of here
    return _row(place, fields, keep_id=True)


def table_rows(rows: Iterable[Mapping[str, Any]], *, keep_ids: bool) -> Iterator[Row]:
    """Give the rows of a `reputation_signal` table.

    Ids are kept where a sidecar made them. Others follow from the fact, so that reports this sidecar saw
    itself, and repeats the other program stored again, are recognised.
    """
    for done, fields in enumerate(rows, 1):
        given = {name: value for name, value in fields.items() if value is not None}
        if not keep_ids and not given.get("messageId"):
            given["eventId"] = given.get("id")
        yield _row(f"row {given.get('id')}", given, keep_id=keep_ids)._replace(done=done)


def _row(place: str, fields: Mapping[str, Any], *, keep_id: bool) -> Row:
    if fields.get("occurredAt") is None:
        return Row(place, None, "occurredAt is missing: without it a second run would add it again")
    item = {name: fields[name] for name in _TAKEN if fields.get(name) is not None}
    identity = fields.get("id")
    if keep_id and isinstance(identity, str):
        item |= {"id": identity} if _UUID.fullmatch(identity) else {"eventId": identity}
    kept = item.get("id") or item.get("messageId")
    key = (str(kept), str(item.get("instanceId")), str(item.get("source")), str(item.get("type")))
    return Row(place, item, key=key if kept else None)

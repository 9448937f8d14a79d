"""The forms of an export: NDJSON and CSV byte for byte as the API streams them, and Parquet."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from sidecar.api.signals import CSV_HEADER, GapAnswer, GapLine, SignalAnswer
from sidecar.api.times import parse
from sidecar.cli.errors import CONFIGURATION, CommandFailed
from sidecar.cli.progress import Told

FORMS: Final = ("ndjson", "csv", "parquet")
ROW_GROUP: Final = 50_000
"""Rows of a Parquet row group: what memory holds."""


_SUFFIXES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".parquet": "parquet"}


def form_of(given: str | None, output: str | None) -> str:
    """Give the form that was named, else that of the file's name; NDJSON goes to stdout.

    Raises:
        CommandFailed: neither names one.
    """
    if given is not None:
        if given.lower() not in FORMS:
            raise CommandFailed(f"--format must be one of {', '.join(FORMS)}", CONFIGURATION)
        return given.lower()
    if output in (None, "-"):
        return "ndjson"
    form = _SUFFIXES.get(Path(output or "").suffix.lower())
    if form is None:
        raise CommandFailed(
            f"the name {output} says no form; end it in {', '.join(_SUFFIXES)}, or add --format",
            CONFIGURATION,
        )
    return form


class NdjsonForm:
    """One JSON object a line."""

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder()

    def head(self) -> bytes:
        """Give what stands before everything."""
        return b""

    def piece(self, gaps: Sequence[GapAnswer], signals: Sequence[SignalAnswer]) -> bytes:
        """Print gaps, then signals."""
        return self._encoder.encode_lines([*(GapLine(gap=gap) for gap in gaps), *signals])


class CsvForm:
    """RFC 4180 rows, context as JSON text, absent values empty."""

    def head(self) -> bytes:
        """Give the header row."""
        return (",".join(CSV_HEADER) + "\r\n").encode()

    def piece(self, gaps: Sequence[GapAnswer], signals: Sequence[SignalAnswer]) -> bytes:
        """Print signals; a table of signals has no place for gaps."""
        del gaps
        sink = io.StringIO()
        csv.writer(sink, lineterminator="\r\n").writerows(map(_cells, signals))
        return sink.getvalue().encode()


def _cells(signal: SignalAnswer) -> list[Any]:
    fields = msgspec.to_builtins(signal)
    cells = [fields.get(name, "") for name in CSV_HEADER]
    cells[CSV_HEADER.index("isGroup")] = "true" if signal.is_group else "false"
    cells[CSV_HEADER.index("context")] = msgspec.json.encode(signal.context).decode()
    return cells


def to_parquet(lines: Path, target: Path, rows: int, told: Told) -> None:
    """Write the signals among these lines as Parquet.

    Raises:
        CommandFailed: the extra is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to load
        from pyarrow import parquet  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise CommandFailed(
            "Parquet needs pyarrow: install reputation-sidecar[parquet]; the same command then continues",
            CONFIGURATION,
        ) from error
    moment = pa.timestamp("ms", tz="UTC")
    kinds = {"occurredAt": moment, "recordedAt": moment, "isGroup": pa.bool_(), "latencyMs": pa.int32()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in CSV_HEADER])
    done = 0
    with parquet.ParquetWriter(target, schema, compression="zstd") as writer:
        for group in _groups(lines):
            columns = {name: [row.get(name) for row in group] for name in CSV_HEADER}
            writer.write_table(pa.table(columns, schema=schema), row_group_size=ROW_GROUP)
            done += len(group)
            told(done, rows)


def _groups(lines: Path) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    with lines.open("rb") as file:
        for line in file:
            row = json.loads(line)
            if "gap" in row:
                continue
            row["occurredAt"], row["recordedAt"] = parse(row["occurredAt"]), parse(row["recordedAt"])
            row["context"] = msgspec.json.encode(row["context"]).decode()
            group.append(row)
            if len(group) == ROW_GROUP:
                yield group
                group = []
    if group:
        yield group

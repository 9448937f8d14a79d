"""`sidecar export`: signals of one number or of all, to stdout or to a file that a second run continues.

All numbers in order of their ids; each one's part is what the API streams for it: gaps, then signals by
(occurredAt, arrival). CSV and Parquet leave gaps out, as the API's CSV does.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from sidecar.api.signals import GapAnswer, SignalAnswer
from sidecar.api.times import parse
from sidecar.cli.answers import Answers, TimelineAsked
from sidecar.cli.errors import CONFIGURATION, DONE, CommandFailed, complain
from sidecar.cli.export_file import Mark, PartialFile
from sidecar.cli.finding import answering
from sidecar.cli.forms import CsvForm, NdjsonForm, form_of, to_parquet
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, size
from sidecar.cli.progress import Told, progress
from sidecar.cli.when import when
from sidecar.clock import now_ms

PAGE: Final = 5000


class Wanted(NamedTuple):
    """What was asked on the command line."""

    instance_id: str | None
    output: str | None
    form: str | None
    since: str | None
    until: str | None
    restart: bool


class Piece(NamedTuple):
    """One page of one number: its gaps on the first, its signals, and how far through all numbers this is."""

    instance_id: str
    gaps: list[GapAnswer]
    signals: list[SignalAnswer]
    done: float
    of: float


def export_signals(place: Place, wanted: Wanted, *, as_json: bool) -> int:
    """Write what was asked for."""
    form = form_of(wanted.form, wanted.output)
    now = now_ms()
    since, until = when(wanted.since, "--since", now, 0), when(wanted.until, "--until", now, now)
    if since > until:
        raise CommandFailed("--since must not lie after --until", CONFIGURATION)
    if wanted.output in (None, "-"):
        if form == "parquet" or as_json:
            raise CommandFailed("Parquet and --json need a file: name it with --output", CONFIGURATION)
        return _to_stdout(place, wanted.instance_id, since, until, form)
    return _to_file(place, wanted, (since, until), form, as_json=as_json)


def _to_stdout(place: Place, instance_id: str | None, since: int, until: int, form: str) -> int:
    written = CsvForm() if form == "csv" else NdjsonForm()
    with answering(place) as answers:
        sys.stdout.buffer.write(written.head())
        for piece in _pieces(answers, instance_id, since, until, Mark()):
            sys.stdout.buffer.write(written.piece(piece.gaps, piece.signals))
    sys.stdout.buffer.flush()
    return DONE


def _to_file(place: Place, wanted: Wanted, range_: tuple[int, int], form: str, *, as_json: bool) -> int:
    path = Path(wanted.output or "")
    # Parquet is written in one go at the end; until then its rows wait as lines, which can be continued.
    written = CsvForm() if form == "csv" else NdjsonForm()
    question = {"instance": wanted.instance_id, "form": form, "since": wanted.since, "until": wanted.until}
    with PartialFile(path, question, range_, written.head(), restart=wanted.restart) as partial:
        resumed = partial.mark.rows
        with answering(place) as answers, progress("exporting") as told:
            _fill(partial, answers, wanted.instance_id, written, told)
        rows = partial.mark.rows
        if form == "parquet":
            with progress("writing Parquet") as told:
                partial.finish(lambda lines, target: to_parquet(lines, target, rows, told))
        else:
            partial.finish()
    if not rows:
        complain("there is no signal in this range; `sidecar instances` lists all numbers")
    about = {"file": str(path), "format": form, "signals": rows, "resumedAt": resumed}
    if as_json:
        print_json({**about, "sizeBytes": path.stat().st_size})
    else:
        more = f", {resumed} of them before the break" if resumed else ""
        sys.stdout.write(f"{rows} signals{more} in {path}, {size(path.stat().st_size)}\n")
    return DONE


def _fill(
    partial: PartialFile,
    answers: Answers,
    instance_id: str | None,
    written: CsvForm | NdjsonForm,
    told: Told,
) -> None:
    since, until = partial.range
    for piece in _pieces(answers, instance_id, since, until, partial.mark):
        partial.append(written.piece(piece.gaps, piece.signals), _mark_behind(piece, partial.mark))
        told(piece.done, piece.of)


def _pieces(answers: Answers, instance_id: str | None, since: int, until: int, mark: Mark) -> Iterator[Piece]:
    if instance_id is None:
        names = [one.instance_id for one in answers.instances()]
    else:
        answers.reputation(instance_id, None)  # an unknown instance is a mistake, not an empty file
        names = [instance_id]
    for number, name in enumerate(names):
        if mark.instance_id is not None and name < mark.instance_id:
            continue
        begun = mark if name == mark.instance_id else None
        for page in _pages(answers, TimelineAsked(name, since, until), begun):
            share = 0.0
            if page.signals and until > since:
                share = (parse(page.signals[-1].occurred_at) - since) / (until - since)
            yield page._replace(done=number + share, of=len(names))


def _mark_behind(piece: Piece, mark: Mark) -> Mark:
    if piece.signals:
        last = piece.signals[-1]
        return Mark(piece.instance_id, parse(last.occurred_at), last.id, mark.rows + len(piece.signals))
    return mark if piece.instance_id == mark.instance_id else Mark(piece.instance_id, rows=mark.rows)


def _pages(answers: Answers, asked: TimelineAsked, begun: Mark | None) -> Iterator[Piece]:
    """Walk one number's pages, behind the mark where its part was begun already."""
    skip: str | None = None
    if begun is not None and begun.occurred_at is not None:
        asked, skip = asked._replace(since=begun.occurred_at), begun.signal_id
    cursor: str | None = None
    while True:
        page = answers.timeline(asked, cursor, PAGE)
        signals = page.signals
        if skip is not None:
            signals, skip = _behind(signals, begun, skip)
        yield Piece(asked.instance_id, [] if begun or cursor else page.gaps, signals, 0, 0)
        cursor = page.next_cursor
        if cursor is None:
            return


def _behind(
    signals: list[SignalAnswer], begun: Mark | None, last_id: str
) -> tuple[list[SignalAnswer], str | None]:
    """Leave out what was written before the break: up to the last signal of that millisecond."""
    for place, signal in enumerate(signals):
        if signal.id == last_id:
            return signals[place + 1 :], None
        if begun is not None and parse(signal.occurred_at) != begun.occurred_at:
            if place:
                raise CommandFailed(
                    "what was exported before the break is no longer in the store; begin anew with --restart"
                )
            return signals, None
    return [], last_id

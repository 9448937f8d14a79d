"""Every event of the sidecar: named, levelled, counted, documented."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import sidecar
from sidecar import telemetry
from sidecar.telemetry import CATALOGUE, Event

SOURCES = [file for file in Path(sidecar.__file__).parent.rglob("*.py") if file.name != "telemetry.py"]
SAMPLES: dict[Any, Any] = {str: "sample", int: 3, float: 0.5}


def sample(kind: type[Event]) -> Event:
    """Make an event with a value of the right type in each field."""
    return kind(**{field.name: SAMPLES[field.type] for field in fields(kind)})


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
def test_emitting_writes_one_line_and_moves_the_counter(kind: type[Event]) -> None:
    """Line and counter can never drift apart: one call does both."""
    event = sample(kind)
    before = telemetry.counts().get(kind.NAME, 0)

    with capture_logs() as lines:
        event.emit()

    [line] = lines
    assert line["event"] == kind.NAME
    assert line["log_level"] == kind.LEVEL
    assert {field.name for field in fields(kind)} <= line.keys()
    assert telemetry.counts()[kind.NAME] == before + 1


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
def test_every_event_is_told_somewhere(kind: type[Event]) -> None:
    """By its class, or by its name as a record of `logging`: nobody waits for what never comes."""
    told = re.compile(rf"\b{kind.__name__}\(|\"{re.escape(kind.NAME)}\"")
    tellers = [file for file in SOURCES if told.search(file.read_text("utf-8"))]

    assert tellers


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
def test_names_are_fixed_and_say_what_happened(kind: type[Event]) -> None:
    """`noun.verb_past`, no value inside, and a sentence for the catalogue."""
    assert re.fullmatch(r"[a-z]+\.[a-z]+(_[a-z]+)*", kind.NAME)
    assert kind.__doc__ is not None
    assert kind.__doc__.endswith(".")


def test_an_error_is_logged_with_the_event() -> None:
    """The error given on emission stands in the line."""
    error = RuntimeError("broken")

    with capture_logs() as lines:
        telemetry.ApiFailed().emit(error)

    assert lines[0]["exc_info"] is error


def test_what_the_supervisor_counts_is_shown_beside_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told again it replaces what was told before; own events add to it; made-up names stay out."""
    monkeypatch.setattr(telemetry, "_heard", {})
    own = telemetry.counts()["process.died"]

    telemetry.hear({"process.died": 2, "made.up": 1})
    telemetry.hear({"process.died": 3})
    telemetry.count("process.died")

    assert telemetry.counts()["process.died"] == own + 4
    assert "made.up" not in telemetry.counts()


def test_names_outside_the_catalogue_are_not_counted() -> None:
    """The label set of the counter stays closed."""
    telemetry.count("made.up")

    assert "made.up" not in telemetry.counts()

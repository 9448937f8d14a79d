"""The label sets that exist from the start are those the sidecar really uses."""

import json
from pathlib import Path
from typing import get_args

from domain.exchange import Outcome
from domain.words import Direction
from exporters.otel.pipeline import DropReason
from exporters.prometheus import seeds
from exporters.prometheus.scraped import DIRECTION_OF
from sidecar.exchange import WireError
from sidecar.journal.layout import LossReason
from sidecar.providers.contract import Fault
from sidecar.wire.refusal import Reason

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"


def test_every_failure_of_the_wire_has_an_error_type() -> None:
    """A code the wire may state is never shown as `other`."""
    assert {error.value for error in WireError} == seeds.ERROR_TYPE_OF.keys()


def test_every_reason_of_the_wire_the_readers_and_the_journal_is_seeded() -> None:
    """Exporters may not import the sidecar, so the lists are held together here."""
    assert {reason.value for reason in Reason} == set(seeds.REFUSALS)
    assert {fault.value for fault in Fault} == set(seeds.FAULTS)
    assert {reason.value for reason in LossReason} <= {reason for _, reason in seeds.DROPPED}


def test_every_reason_a_sink_drops_for_is_seeded() -> None:
    """The first drop of a kind is seen by `increase()`, and so by the alert."""
    otlp = {reason for sink, reason in seeds.EXPORT_DROPPED if sink == "otlp"}

    assert otlp == set(get_args(DropReason))


def test_every_signal_of_the_fixtures_has_its_series_from_the_start() -> None:
    """Type and source of whatever the readers are known to state."""
    seeded = {(signal_type, source) for signal_type, _, source, _ in seeds.signals(["p"])}
    stated = {
        (signal["type"], signal["source"])
        for path in FIXTURES.glob("*/*.json")
        for signal in json.loads(path.read_text("utf-8")).get("expected", {}).get("signals", ())
    }

    assert len(stated) > 10
    assert stated <= seeded


def test_directions_and_outcomes_are_complete() -> None:
    """Each direction has its label value, each outcome its series."""
    assert set(DIRECTION_OF) == set(Direction)
    assert set(DIRECTION_OF.values()) == set(seeds.DIRECTIONS)
    assert {labels[2] for labels in seeds.exchanges(["p"])} == {outcome.value for outcome in Outcome}

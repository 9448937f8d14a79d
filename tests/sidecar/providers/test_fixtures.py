"""Every fixture by function call, and what every provider's folder must hold."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it publishes no types
import pytest

from domain.event import Event
from sidecar.exchange import BodyState, Exchange
from sidecar.providers import names, reader
from sidecar.providers.contract import Fault, Reading, UnreadableExchange
from tests.fixtures import HERE, Fixture, build_exchange, diff, load, providers, to_signals
from tests.fixtures.__main__ import run

CASES = [pytest.param(p, f, id=f"{p}/{name}") for p in providers() for name, f in load(p)]
READERS = {name: reader(name) for name in names()}


def read(provider: str, fixture: Fixture) -> Reading:
    try:
        return READERS[provider].read(build_exchange(fixture))
    except UnreadableExchange as unreadable:
        return Reading([], fault=unreadable.reason)


def unhashed(event: Event) -> Event:
    return event._replace(basis=None) if (event.basis or "").startswith("body:") else event


def events_of(provider: str, exchange: Exchange) -> list[Event]:
    try:
        return READERS[provider].read(exchange).events
    except UnreadableExchange:
        return []


@pytest.mark.parametrize(("provider", "fixture"), CASES)
def test_fixture_gives_the_signals_it_expects(provider: str, fixture: Fixture) -> None:
    """Each fixture's exchange gives exactly its signals, severities included."""
    assert diff(fixture["expected"]["signals"], to_signals(read(provider, fixture).events)) == []


@pytest.mark.parametrize(("provider", "fixture"), CASES)
def test_fixture_keeps_the_form_of_the_schema(provider: str, fixture: Fixture) -> None:
    """Fixtures stay in the form other tools read."""
    schema: Any = json.loads((HERE / "schema.json").read_text("utf-8"))

    jsonschema.Draft202012Validator(schema).validate(fixture)


@pytest.mark.parametrize("provider", names())
def test_each_provider_shows_a_success_a_refusal_and_a_malformed_body(provider: str) -> None:
    """A reader without these three kinds of fixture is not done."""
    readings = [read(provider, fixture) for _, fixture in load(provider)]
    seen = {signal.type.value for reading in readings for signal in to_signals(reading.events)}

    assert {"MESSAGE_SENT", "MESSAGE_FAILED"} <= seen
    assert any(reading.fault is Fault.BODY_UNREADABLE for reading in readings)


def test_every_folder_of_fixtures_has_its_reader() -> None:
    """No fixture is silently skipped."""
    assert providers() == names()


@pytest.mark.parametrize(("provider", "fixture"), CASES)
def test_a_cut_request_never_gives_a_fact_the_whole_one_does_not(provider: str, fixture: Fixture) -> None:
    """A prefix is never read as if it were the whole: nothing is guessed from it."""
    whole = read(provider, fixture).events
    exchange = build_exchange(fixture)
    exchange.request_body = exchange.request_body._replace(state=BodyState.CUT)

    cut = events_of(provider, exchange)

    assert {event.type for event in cut} <= {event.type for event in whole}
    assert {e.message_id for e in cut if e.message_id} <= {e.message_id for e in whole}


@pytest.mark.parametrize(("provider", "fixture"), CASES)
def test_white_space_around_a_body_changes_nothing(provider: str, fixture: Fixture) -> None:
    """A padded body is the same body."""
    exchange = build_exchange(fixture)
    for name in ("request_body", "response_body"):
        copy = getattr(exchange, name)
        if copy.data.strip()[:1] in (b"{", b"["):
            setattr(exchange, name, copy._replace(data=b" \n" + copy.data + b"\r\n "))

    # The one thing that may differ is the hash of a raw body, for the body did.
    assert [unhashed(event) for event in events_of(provider, exchange)] == [
        unhashed(event) for event in read(provider, fixture).events
    ]


def test_the_runner_tells_what_differs(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tests.fixtures DIR` names fixture and field, and its exit code says whether all agree."""
    fixture = dict(load("turbozap"))["send-text-ok"]
    folder = tmp_path / "turbozap"
    folder.mkdir()
    (folder / "right.json").write_text(json.dumps(fixture), encoding="utf-8")
    assert run(tmp_path) == 0
    fixture["expected"]["signals"][0]["messageId"] = "ANOTHER"
    (folder / "wrong.json").write_text(json.dumps(fixture), encoding="utf-8")

    code = run(tmp_path)

    output = capsys.readouterr().out
    assert code == 1
    assert (
        "turbozap/wrong: missing MESSAGE_SENT: messageId is '3EB0A1B2C3D4E5F60001', not 'ANOTHER'" in output
    )
    assert output.endswith("1 passed, 1 failed\n")

"""Every fixture by function call, and what every provider's folder must hold."""

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any, Final

import brotli
import jsonschema  # type: ignore[import-untyped] # it publishes no types
import pytest
import zstandard

from domain.event import Event
from domain.words import EventType, Source
from sidecar import providers as package
from sidecar.exchange import BodyState, Exchange
from sidecar.providers import names, reader
from sidecar.providers.contract import Fault, Reading, UnreadableExchange
from tests.fixtures import HERE, OBSERVED_AT, Fixture, build_exchange, diff, load, providers, to_signals
from tests.fixtures.__main__ import NOTHING_TO_RUN, SOME_DIFFER, run

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


def test_expected_and_found_are_matched_as_sets() -> None:
    """A wanted signal that says little never takes the one that another needs."""
    signals = to_signals(
        [
            Event(EventType.MESSAGE_SENT, Source.WEBHOOK, "i", OBSERVED_AT, "B"),
            Event(EventType.MESSAGE_SENT, Source.WEBHOOK, "i", OBSERVED_AT, "A"),
        ]
    )
    loose: Fixture = {"type": "MESSAGE_SENT", "instanceId": "i"}

    assert diff([loose, {**loose, "messageId": "B"}], signals) == []
    assert diff([loose, {**loose, "messageId": "A"}], signals) == []
    assert len(diff([loose, loose, loose], signals)) == 1
    assert len(diff([loose], signals)) == 1


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_fixture_may_hold_a_compressed_body(coding: str) -> None:
    """A gateway compresses for callers that accept it; the fixture then holds the bytes in base64."""
    fixture = dict(load("turbozap"))["send-text-ok"]
    data = json.dumps(fixture["response"].pop("body")).encode()
    packed = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": brotli.compress,
        "zstd": zstandard.ZstdCompressor().compress,
    }[coding](data)
    fixture["response"] |= {"body_raw": base64.b64encode(packed).decode(), "body_raw_encoding": "base64"}
    fixture["response"]["headers"]["Content-Encoding"] = coding

    assert diff(fixture["expected"]["signals"], to_signals(read("turbozap", fixture).events)) == []


def test_a_fixture_may_hold_half_a_surrogate_pair() -> None:
    """A gateway that cuts a text inside an emoji sends one, escaped."""
    fixture = dict(load("turbozap"))["wh-messages-upsert-inbound"]
    fixture["request"]["body"]["data"]["content"] = "cut \ud83d"

    assert diff(fixture["expected"]["signals"], to_signals(read("turbozap", fixture).events)) == []


BAD_FILES: Final = {
    "empty": (b"", "is no JSON"),
    "cut": (b'{"description": "x', "is no JSON"),
    "not utf-8": (b"\xff\xfe", "is no JSON"),
    "deep": (b"[" * 100_000, "is no JSON"),
    "list": (b"[]", "is no fixture: $"),
    "no response": (
        json.dumps(
            {
                "description": "a call",
                "direction": "dispatch",
                "request": {"method": "GET", "path": "/", "headers": {}},
                "expected": {"signals": []},
            }
        ).encode(),
        "is no fixture: $: 'response' is a required property",
    ),
}


@pytest.mark.parametrize(("content", "why"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_malformed_file_is_told_and_the_rest_is_run(
    content: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One bad file fails the run by name; it neither stops it nor passes unseen."""
    folder = tmp_path / "waha"
    folder.mkdir()
    (folder / "a-bad.json").write_bytes(content)
    fixture = dict(load("waha"))["wh-session-working"]
    (folder / "right.json").write_text("\ufeff" + json.dumps(fixture), encoding="utf-8")

    assert run(tmp_path) == SOME_DIFFER
    output = capsys.readouterr().out
    assert f"waha/a-bad: {why}" in output
    assert output.endswith("1 passed, 1 failed\n")
    assert run(folder) == SOME_DIFFER  # the folder of one provider may be named itself


def test_the_runner_needs_something_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path must not look like success, nor a gateway without reader."""
    assert run(tmp_path / "nowhere") == NOTHING_TO_RUN
    assert run(tmp_path) == NOTHING_TO_RUN
    (tmp_path / "turbozap").mkdir()
    assert run(tmp_path) == NOTHING_TO_RUN
    (tmp_path / "zapi").mkdir()
    (tmp_path / "zapi" / "x.json").write_text("{}", encoding="utf-8")
    assert run(tmp_path) == SOME_DIFFER
    assert "zapi/x: no such reader" in capsys.readouterr().out


def test_a_reader_that_crashes_fails_its_fixture_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error is told by name and the run goes on."""
    (tmp_path / "broken_gateway.py").write_text(
        "class Broken:\n    name = 'broken_gateway'\n    def read(self, exchange):\n        return 1 / 0\n"
        "def build(codes):\n    return Broken()\n",
        encoding="utf-8",
    )
    folder = tmp_path / "fixtures" / "broken_gateway"
    folder.mkdir(parents=True)
    (folder / "one.json").write_text(json.dumps(dict(load("waha"))["qr-raw"]), encoding="utf-8")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])

    assert run(tmp_path / "fixtures") == SOME_DIFFER
    assert "broken_gateway/one: the reader crashed: ZeroDivisionError" in capsys.readouterr().out


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

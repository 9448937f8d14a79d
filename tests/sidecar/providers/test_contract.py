"""Narrowing of untrusted JSON, bounded names, and finding readers."""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.ingest_signal import IngestReputationSignal
from domain.redaction import Redactor, RemoteJidMode
from domain.signal import TIME_MAX
from sidecar import providers
from sidecar.config import ConfigurationError
from sidecar.config import load as load_settings
from sidecar.exchange import NO_BODY, Body, BodyState
from sidecar.providers import names, reader
from sidecar.providers.codes import load
from sidecar.providers.contract import Fault, Reading, UnreadableExchange, decoded, safe_name
from tests.fixtures import OBSERVED_AT, build_exchange
from tests.fixtures import load as load_fixtures
from tests.fixtures.__main__ import run as run_fixtures
from tests.sidecar.providers.exchanges import callback


class Shape(msgspec.Struct):
    """A body with one field of interest."""

    text: str | None = None


REDACTOR = Redactor(RemoteJidMode.HASH, b"0123456789abcdef")
DECODER = msgspec.json.Decoder(Shape)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"text":"a","more":[1,{"b":null}]}', "a"),
        (b'\xef\xbb\xbf{"text":"a"}', "a"),
        (rb'{"text":"\ud83d"}', "\ufffd"),
        (rb'{"text":"a","x":"\udc00\ud83d"}', "a"),
        (rb'{"text":"\ud83d\ude00"}', "\U0001f600"),
        (rb'{"text":"\\ud83d","x":"\ud83d"}', r"\ud83d"),
        (b'{"x":' + b"9" * 5000 + b',"text":"a"}', "a"),
    ],
)
def test_json_is_narrowed(data: bytes, text: str) -> None:
    """Fields of no interest are skipped; half pairs and a byte order mark are forgiven."""
    found = decoded(DECODER, Body(data, BodyState.WHOLE))

    assert isinstance(found, Shape)
    assert found.text == text


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (NO_BODY, Fault.BODY_EMPTY),
        (Body(b'{"text":"a"}', BodyState.CUT), Fault.BODY_CUT),
        (Body(b'{"text":"a"}', BodyState.UNDECODABLE), Fault.BODY_UNDECODABLE),
        (Body(b"", BodyState.WHOLE), Fault.BODY_UNREADABLE),
        (Body(b"null", BodyState.WHOLE), Fault.BODY_UNREADABLE),
        (Body(b'{"text":5}', BodyState.WHOLE), Fault.BODY_UNREADABLE),
        (Body(b'{"text":"\xff"}', BodyState.WHOLE), Fault.BODY_UNREADABLE),
        (Body(rb'{"text":"\ud83d"', BodyState.WHOLE), Fault.BODY_UNREADABLE),
        (Body(b'{"text":"a"} {}', BodyState.WHOLE), Fault.BODY_UNREADABLE),
    ],
)
def test_what_cannot_be_narrowed_has_one_of_few_names(body: Body, fault: Fault) -> None:
    """A prefix is never read as the whole."""
    assert decoded(DECODER, body) is fault


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"x":' * 50_000,
        b'{"text":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x":"' + rb"\ud83d" * 40_000,
        b'{"x":"' + b"\\" * 250_000,
        b'{"text":"' + b"server returned error " * 10_000,
        b'{"event":"messages.update","timestamp":' + b"9" * 250_000,
        b"9" * 250_000 + b"{",
        b'"' + b'\\"' * 125_000,
        b"{" + b'"a":1,' * 40_000,
    ],
    ids=[
        "arrays",
        "objects",
        "closed",
        "halves",
        "backslashes",
        "text",
        "huge integer",
        "digits",
        "quotes",
        "keys",
    ],
)
@pytest.mark.parametrize("provider", names())
def test_a_json_bomb_costs_milliseconds(provider: str, data: bytes) -> None:
    """Depth, escapes and length end in one named fault; ten such bodies cost less than a second of CPU."""
    exchanges = [callback(data)]
    for _, fixture in load_fixtures(provider):
        exchange = build_exchange(fixture)
        exchange.response_body = Body(data, BodyState.WHOLE)
        exchanges.append(exchange)
    read = reader(provider)
    before = time.process_time()

    with pytest.raises(providers.contract.UnreadableExchange) as raised:
        read.read(exchanges[0])
    for exchange in exchanges[1:10]:
        read.read(exchange)

    assert raised.value.reason is Fault.BODY_UNREADABLE
    assert time.process_time() - before < 1


ODD = {
    "huge int": b"9" * 5000,
    "beyond 64 bits": b"18446744073709551616",
    "exponent": b"1e999",
    "nan": b"NaN",
    "infinity": b"-Infinity",
    "surrogate": rb'"\ud83d"',
    "pair": rb'"\ud83d\ude00"',
    "nul": rb'"\u0000"',
    "long": b'"' + b"x" * 200_000 + b'"',
    "negative": b"-1",
    "float": b"0.1",
    "true": b"true",
    "list": b"[[]]",
    "object": b'{"low":-1,"high":99999999999}',
}
"""Values of JSON that readers of other languages write, or that break one."""


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("provider", names())
def test_an_odd_value_in_any_place_is_read_or_named(provider: str, odd: bytes) -> None:
    """Each value of each fixture replaced in turn: a reading or the one named error, and soon."""
    read = reader(provider)
    mark = "the-place-of-it"
    before, readings = time.process_time(), 0
    for _, fixture in load_fixtures(provider):
        for part in (fixture["request"], fixture.get("response", {})):
            for spoiled in replaced(part.get("body"), mark):
                exchange = build_exchange(fixture)
                text = json.dumps(spoiled).encode().replace(f'"{mark}"'.encode(), odd)
                for name in ("request_body", "response_body") if "response" in fixture else ("request_body",):
                    setattr(exchange, name, Body(text, BodyState.WHOLE))
                with contextlib.suppress(UnreadableExchange):
                    signals_of_reader(read.read(exchange))
                readings += 1

    assert readings > 100
    assert time.process_time() - before < 5 + readings * 0.002


def replaced(node: Any, mark: str) -> Iterator[Any]:
    """Give a JSON tree with each of its values in turn replaced by a mark."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield {**node, key: mark}
            yield from ({**node, key: child} for child in replaced(value, mark))
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from ([*node[:at], child, *node[at + 1 :]] for child in replaced(value, mark))


def signals_of_reader(reading: Reading) -> None:
    """Take the way of the sidecar, where a refused fact is counted."""
    made, refused = IngestReputationSignal(REDACTOR, frozenset())(reading.events, "x", OBSERVED_AT)
    assert len(made) + len(refused) == len(reading.events)
    assert all(0 < signal.occurred_at <= TIME_MAX for signal in made)


@pytest.mark.parametrize("provider", names())
def test_a_key_that_comes_twice_is_read_once(provider: str) -> None:
    """Whichever of the two a gateway means, one fact is made of it."""
    read = reader(provider)
    for name, fixture in load_fixtures(provider):
        if not isinstance(fixture["request"].get("body"), dict) or not fixture["request"]["body"]:
            continue
        exchange = build_exchange(fixture)
        body = exchange.request_body.data
        exchange.request_body = Body(body[:-1] + b"," + body[1:], BodyState.WHOLE)

        twice, once = read.read(exchange).events, read.read(build_exchange(fixture)).events

        # A body that identifies its fact by its own hash is another body now.
        assert [e._replace(basis=None) for e in twice] == [e._replace(basis=None) for e in once], name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("messages.upsert", "messages.upsert"),
        ("a-b_c:D9", "a-b_c:D9"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "other"),
        ("a b", "other"),
        ("olá", "other"),
        ("", "other"),
        ("tel5511900", "other"),
        ("55-11-90-00", "other"),
        ("5a5b1c1d9e0f0", "other"),
        ("Key-83f61d27a94e", "other"),
        ("123456", "123456"),
        (7, "7"),
        (None, "other"),
        (["x"], "other"),
    ],
)
def test_a_strange_name_is_shown_only_if_it_is_harmless(name: object, shown: str) -> None:
    """Short, plain, and with too few digits for a phone number or a token, however they are spread."""
    assert safe_name(name) == shown


TOY = """
import msgspec
from domain.event import Event
from domain.words import Direction, EventType, Source
from sidecar.exchange import BodyState
from sidecar.providers.contract import CALLBACK, Action, Fault, Reading, UnreadableExchange, decoded
from sidecar.providers.outcome import Call, not_sent, sent
from sidecar.providers.routes import Routes, Row
from sidecar.providers.signature import SharedSecret

ROUTES = Routes((Row("POST", "/toy/{instance}/send", Action.SEND_TEXT, "text"),))


class Answer(msgspec.Struct):
    id: str | None = None


ANSWER = msgspec.json.Decoder(Answer)


class Toy:
    name = "toy_gateway"

    def __init__(self, codes):
        self._codes = codes.of(self.name)

    def read(self, exchange):
        if exchange.direction is not Direction.DISPATCH:
            body = decoded(ANSWER, exchange.request_body)
            if isinstance(body, Fault):
                raise UnreadableExchange(body, CALLBACK)
            return Reading([Event(EventType.MESSAGE_READ, Source.WEBHOOK, "i", None, body.id)], CALLBACK)
        match = ROUTES.match(exchange.method, exchange.target)
        if match is None:
            return Reading([])
        call = Call(exchange, match.route, match.value("instance"), self._codes, message_type="text")
        answer = decoded(ANSWER, exchange.response_body)
        if not call.answered_ok or isinstance(answer, Fault):
            return Reading(not_sent(call), match.route.template)
        return Reading(sent(call, answer.id), match.route.template)

    def verification(self, exchange, secret):
        return SharedSecret(exchange, (b"x-toy",), secret)


def build(codes):
    return Toy(codes)
"""


def toy_fixture(direction: str, status: int, **signal: object) -> bytes:
    """Make a fixture of the toy; without a signal its body is no JSON."""
    body: dict[str, object] = {"body": {"id": "T1"}} if signal else {"body_raw": "{"}
    request: dict[str, object] = {"method": "POST", "path": "/toy/i/send", "headers": {}}
    fixture: dict[str, object] = {"description": "of the toy", "direction": direction, "request": request}
    if direction == "dispatch":
        fixture["response"] = {"status": status, "headers": {}, **body}
    else:
        request |= body
    severity = "HIGH" if signal.get("type") == "MESSAGE_FAILED" else "LOW"
    known = {"severity": severity, "instanceId": "i", "source": "DISPATCH", **signal}
    latency = {**known, "type": "SEND_LATENCY_OBSERVED"}
    signals = [] if not signal else [known, latency] if signal["type"] == "MESSAGE_SENT" else [known]
    fixture["expected"] = {"signals": signals}
    return json.dumps(fixture).encode()


def test_a_provider_is_one_file_and_its_fixtures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With both in place it is read, run and configured like the others; without them it is gone again."""
    (tmp_path / "toy_gateway.py").write_text(TOY, encoding="utf-8")
    folder = tmp_path / "fixtures" / "toy_gateway"
    folder.mkdir(parents=True)
    (folder / "send-ok.json").write_bytes(toy_fixture("dispatch", 200, type="MESSAGE_SENT", messageId="T1"))
    (folder / "send-500.json").write_bytes(toy_fixture("dispatch", 500, type="MESSAGE_FAILED"))
    (folder / "wh-malformed.json").write_bytes(toy_fixture("webhook", 200))
    before = names()
    settings = {"SIDECAR_PROVIDER": "toy_gateway", "SIDECAR_PROVIDER_URL": "http://127.0.0.1:1"}

    with monkeypatch.context() as patch:
        patch.setattr(providers, "__path__", [*providers.__path__, str(tmp_path)])
        assert names() == sorted([*before, "toy_gateway"])
        assert reader("toy_gateway", load()).name == "toy_gateway"
        assert run_fixtures(tmp_path / "fixtures") == 0, capsys.readouterr().out
        assert load_settings(None, settings).settings.provider == "toy_gateway"

    assert "3 passed, 0 failed" in capsys.readouterr().out
    assert names() == before == ["cloud_api", "evolution", "turbozap", "waha"]
    with pytest.raises(ConfigurationError, match="must be one of cloud_api, evolution, turbozap, waha"):
        load_settings(None, settings)


def test_nothing_outside_its_file_names_a_provider() -> None:
    """No `if provider == ...` anywhere: what is special about a gateway stands in its reader."""
    root = Path(providers.__file__).parent.parent.parent
    named = re.compile(r"""["'](?:turbozap|evolution|waha|cloud_api)["']""")
    allowed = {
        "sidecar/settings.py",
        "sidecar/api/examples.py",
        *(f"sidecar/providers/{name}/" for name in names()),
    }
    found = [
        f"{path.relative_to(root)}:{number} {line.strip()}"
        for package in ("domain", "sidecar", "exporters")
        for path in sorted((root / package).rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if named.search(line)
        and not path.relative_to(root).as_posix().startswith((*allowed, "sidecar/demo/"))
    ]

    assert found == []


def test_every_provider_builds_the_reader_of_its_name() -> None:
    """What the package lists can be read with."""
    assert [reader(name).name for name in names()] == names()


@pytest.mark.parametrize("name", ["zapi", "codes", "", "turbozap.calls"])
def test_an_unknown_provider_is_refused_with_the_known_ones(name: str) -> None:
    """A module that is no reader is none."""
    with pytest.raises(ValueError, match="one of cloud_api, evolution, turbozap, waha"):
        reader(name)

"""Narrowing of untrusted JSON, bounded names, and finding readers."""

import time
from pathlib import Path

import msgspec
import pytest

from sidecar import providers
from sidecar.exchange import NO_BODY, Body, BodyState
from sidecar.providers import names, reader
from sidecar.providers.codes import load
from sidecar.providers.contract import Fault, decoded, safe_name
from tests.fixtures import build_exchange
from tests.fixtures import load as load_fixtures
from tests.sidecar.providers.exchanges import callback


class Shape(msgspec.Struct):
    """A body with one field of interest."""

    text: str | None = None


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
    ],
    ids=["arrays", "objects", "closed", "halves", "backslashes", "text"],
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


def test_a_provider_is_found_by_its_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding one is adding one module; without the module it is gone again."""
    toy = "class Toy:\n    name = 'toy'\n\ndef build(codes):\n    assert codes.known\n    return Toy()\n"
    (tmp_path / "toy_gateway.py").write_text(toy, encoding="utf-8")
    before = names()

    with monkeypatch.context() as patch:
        patch.setattr(providers, "__path__", [*providers.__path__, str(tmp_path)])
        assert names() == sorted([*before, "toy_gateway"])
        assert reader("toy_gateway", load()).name == "toy"

    assert names() == before == ["cloud_api", "evolution", "turbozap", "waha"]


def test_every_provider_builds_the_reader_of_its_name() -> None:
    """What the package lists can be read with."""
    assert [reader(name).name for name in names()] == names()


@pytest.mark.parametrize("name", ["zapi", "codes", "", "turbozap.calls"])
def test_an_unknown_provider_is_refused_with_the_known_ones(name: str) -> None:
    """A module that is no reader is none."""
    with pytest.raises(ValueError, match="one of cloud_api, evolution, turbozap, waha"):
        reader(name)

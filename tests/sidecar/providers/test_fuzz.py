"""The fuzz rule: rubbish is read or refused with one named error, and nothing personal passes."""

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import SignalRejected
from domain.redaction import Redactor, RemoteJidMode
from domain.signal import CONTEXT_KEYS, Signal, to_signal
from domain.words import Direction
from sidecar.exchange import Body, BodyState, Exchange, WireError
from sidecar.providers import names, reader
from sidecar.providers.codes import load as load_codes
from sidecar.providers.contract import UNKNOWN_MAX, Fault, Reading, UnreadableExchange
from tests.fixtures import OBSERVED_AT, build_exchange, load

READERS = {name: reader(name) for name in names()}
FIXTURES = {name: [fixture for _, fixture in load(name)] for name in names()}
CODES = load_codes().known
REDACTOR = Redactor(RemoteJidMode.HASH, b"0123456789abcdef")
SAFE = re.compile(r"[A-Za-z0-9 _.:{}/-]{1,128}")

RUBBISH = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=30),
    st.sampled_from(
        [
            "status@broadcast", "true_1@c.us_A", "5511900000001", "@", "_", "", "\x00", "\u2028",
            "server returned error 463", "2026-01-15T12:00:05.1Z", "9" * 400, "rate-overlimit", "wamid.X",
            "CAPPED", "WORKING", "open", "read", "-1",
        ]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)  # fmt: skip


def leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the path of every value in a JSON tree, containers included."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(found for key, child in children for found in leaves(child, (*path, key)))]


def mutate(draw: st.DrawFn, tree: Any) -> Any:
    """Replace, drop or repeat a few values of a JSON tree."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(leaves(tree)))
        if not path:
            return draw(RUBBISH)
        parent = tree
        for key in path[:-1]:
            parent = parent[key]
        if draw(st.booleans()):
            parent[path[-1]] = draw(RUBBISH)
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
        else:
            del parent[path[-1]]
    return tree


def damaged(draw: st.DrawFn, body: Body, tree: Any) -> Body:
    """Give a body as it was, mutated, cut, with bytes flipped, or as pure rubbish."""
    how = draw(st.sampled_from(["same", "mutated", "cut", "prefix", "flipped", "bytes"]))
    if how == "same" or (how == "mutated" and tree is None):
        return body
    if how == "mutated":
        return Body(json.dumps(mutate(draw, tree)).encode(), BodyState.WHOLE)
    if how == "bytes":
        return Body(draw(st.binary(max_size=200)), draw(st.sampled_from(BodyState)))
    end = draw(st.integers(0, len(body.data)))
    if how == "flipped" and body.data:
        at = end % len(body.data)
        return Body(
            body.data[:at] + bytes([draw(st.integers(0, 255))]) + body.data[at + 1 :], BodyState.WHOLE
        )
    return Body(body.data[:end], BodyState.CUT if how == "cut" else BodyState.WHOLE)


@st.composite
def exchanges(draw: st.DrawFn, provider: str) -> Exchange:
    """Draw a fixture's exchange with damage in any of its parts."""
    fixture = draw(st.sampled_from(FIXTURES[provider]))
    exchange = build_exchange(fixture)
    exchange.request_body = damaged(draw, exchange.request_body, fixture["request"].get("body"))
    response = fixture.get("response", {})
    exchange.response_body = damaged(draw, exchange.response_body, response.get("body"))
    exchange.status = draw(st.sampled_from([exchange.status, None, 200, 201, 204, 400, 422, 429, 500]))
    if exchange.status is None or draw(st.integers(0, 9)) == 0:
        exchange.error = draw(st.sampled_from(WireError))
    if draw(st.integers(0, 9)) == 0:
        exchange.target = draw(st.binary(max_size=60))
    if draw(st.integers(0, 9)) == 0:
        exchange.direction = draw(st.sampled_from(Direction))
    if draw(st.integers(0, 9)) == 0:
        exchange.request_headers = draw(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20))))
    return exchange


def signals_of(reading: Reading) -> list[Signal]:
    signals = []
    for event in reading.events:
        try:
            signal = to_signal(
                event, redactor=REDACTOR, exchange_id="x", observed_at=OBSERVED_AT, known_codes=CODES
            )
        except SignalRejected:
            continue  # an unusable id is refused by the domain and counted there
        assert signal is not None
        signals.append(signal)
    return signals


@pytest.mark.parametrize("provider", names())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_rubbish_is_read_or_refused_with_one_named_error(provider: str, data: st.DataObject) -> None:
    """Whatever arrives: a reading within its bounds or UnreadableExchange, and only safe contexts."""
    exchange = data.draw(exchanges(provider))

    try:
        reading = READERS[provider].read(exchange)
    except UnreadableExchange as unreadable:
        reading = Reading([], unreadable.template, (), unreadable.reason)

    assert reading.fault is None or isinstance(reading.fault, Fault)
    assert len(reading.unknown) <= UNKNOWN_MAX
    assert SAFE.fullmatch(reading.template)
    assert all(SAFE.fullmatch(u.name) and SAFE.fullmatch(u.kind) for u in reading.unknown)
    for signal in signals_of(reading):
        assert set(signal.context) <= CONTEXT_KEYS
        assert all(isinstance(v, int) or SAFE.fullmatch(v) for v in signal.context.values())


@pytest.mark.parametrize("provider", names())
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_reading_is_pure(provider: str, data: st.DataObject) -> None:
    """The same exchange gives the same reading, and is left as it was."""
    exchange = data.draw(exchanges(provider))
    before = (exchange.request_body, exchange.response_body, exchange.target, list(exchange.request_headers))

    def attempt() -> Reading | Fault:
        try:
            return READERS[provider].read(exchange)
        except UnreadableExchange as unreadable:
            return unreadable.reason

    assert attempt() == attempt()
    assert before == (
        exchange.request_body,
        exchange.response_body,
        exchange.target,
        list(exchange.request_headers),
    )


@pytest.mark.parametrize("provider", names())
def test_nothing_personal_is_left_in_the_signals_of_any_fixture(provider: str) -> None:
    """Numbers, names, texts, secrets and codes of the bodies are in no signal, hashed ids aside."""
    personal = re.compile(
        r"55\d{9,}|12036300000|Exemplo|[Tt]este|segredo|sigiloso|legenda|2@|iVBOR|T2dnU|files\.example|tz-test|wamid\."
    )

    for fixture in FIXTURES[provider]:
        try:
            reading = READERS[provider].read(build_exchange(fixture))
        except UnreadableExchange:
            continue
        for signal in signals_of(reading):
            shown = repr(signal._replace(instance_id=""))
            assert not personal.search(shown), shown

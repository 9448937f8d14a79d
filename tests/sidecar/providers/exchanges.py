"""Exchanges spelled in one line, and readings told in one: what the tests of all readers share."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from domain.signal import Signal
from domain.words import Direction
from sidecar.exchange import NO_BODY, Body, BodyState, Exchange, WireError
from sidecar.providers.contract import Reader
from tests.fixtures import OBSERVED_AT, to_signals

Json: TypeAlias = Any


def body(content: Json, state: BodyState = BodyState.WHOLE) -> Body:
    """Make the copy of a body: bytes as they are, anything else as JSON, None for an empty one."""
    if content is None:
        return NO_BODY
    return Body(content if isinstance(content, bytes) else json.dumps(content).encode(), state)


def call(
    method: str,
    path: str,
    request: Json = None,
    status: int | None = 200,
    answer: Json = None,
    *,
    error: WireError | None = None,
    answer_type: str = "application/json",
    request_type: str = "application/json",
) -> Exchange:
    """Make a dispatcher's call that took 250 ms at the provider."""
    exchange = Exchange(
        route="dispatch",
        direction=Direction.DISPATCH,
        method=method.encode(),
        target=path.encode(),
        request_headers=[(b"Content-Type", request_type.encode())],
    )
    exchange.request_body = body(request)
    exchange.status = exchange.answered = status
    exchange.error = error
    exchange.response_headers = [(b"Content-Type", answer_type.encode())]
    exchange.response_body = body(answer)
    exchange.started_at = OBSERVED_AT - 300
    exchange.ended_at = OBSERVED_AT
    if status is not None:
        exchange.sent_ns, exchange.received_ns = 10_000_000, 260_000_000
    return exchange


def callback(content: Json, headers: Mapping[str, str] | None = None, method: str = "POST") -> Exchange:
    """Make a provider's callback."""
    exchange = Exchange(
        route="webhook",
        direction=Direction.WEBHOOK,
        method=method.encode(),
        target=b"/hooks",
        request_headers=[(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    )
    exchange.request_body = body(content)
    exchange.status = exchange.answered = 200
    exchange.started_at = OBSERVED_AT - 5
    exchange.ended_at = OBSERVED_AT
    return exchange


class Told(NamedTuple):
    """A reading as signals, with what the reader said beside them."""

    signals: list[Signal]
    template: str
    unknown: list[tuple[str, str]]
    fault: str | None

    @property
    def types(self) -> list[str]:
        """Types of the signals, in order."""
        return [signal.type.value for signal in self.signals]

    @property
    def one(self) -> Signal:
        """The only signal there is."""
        assert len(self.signals) == 1, self.signals
        return self.signals[0]

    def code(self, signal_type: str) -> object:
        """The code of the first signal of a type."""
        return next(s.context.get("code") for s in self.signals if s.type.value == signal_type)


def told(reader: Reader, exchange: Exchange) -> Told:
    """Read an exchange and turn what was read into signals, chat ids in plain."""
    reading = reader.read(exchange)
    return Told(
        to_signals(reading.events),
        reading.template,
        [(unknown.kind, unknown.name) for unknown in reading.unknown],
        reading.fault.value if reading.fault else None,
    )

"""Exchanges as OTLP Spans (opentelemetry.proto.trace.v1): a SERVER span, and a CLIENT span under it.

Both join the trace of an incoming `traceparent`; without one the ids are derived from the exchange's id, so
that announcing an exchange twice gives the same spans. Semantic conventions for HTTP spans; no path, no
query: the route template is all that is known here.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

from domain.exchange import ExchangeFacts, TraceContext
from domain.words import Direction
from exporters.otel.wire_format import NS_PER_MS, Attribute, TwoTimes, delimited, fixed32, number, tag

SERVER: Final = 2
CLIENT: Final = 3
CACHE_MAX: Final = 1024
SAMPLED: Final = 0x01
HAS_PARENT_INFO: Final = 0x100
PARENT_IS_REMOTE: Final = 0x200
"""Bits of a span's flags: the low eight are the trace flags, these say whether the parent is elsewhere."""

_TRACE, _SPAN, _PARENT, _NAME, _KIND, _START, _END, _ATTRIBUTES, _STATUS, _FLAGS = (
    1,
    2,
    4,
    5,
    6,
    7,
    8,
    9,
    15,
    16,
)

_TIMES: Final = TwoTimes(_START, _END)
_TRACE_ID: Final = tag(_TRACE, 2) + b"\x10"
_SPAN_ID: Final = tag(_SPAN, 2) + b"\x08"
_PARENT_ID: Final = tag(_PARENT, 2) + b"\x08"
_OWN_PARENT: Final = fixed32(_FLAGS, SAMPLED | HAS_PARENT_INFO)
_REMOTE_PARENT: Final = fixed32(_FLAGS, SAMPLED | HAS_PARENT_INFO | PARENT_IS_REMOTE)
_ERROR_STATUS: Final = delimited(_STATUS, number(3, 2))
_OTHER: Final = "_OTHER"
_NOT_SENT_ON: Final = frozenset({"OVER_CAPACITY", "SIGNATURE_REJECTED", "BODY_TOO_LARGE"})
"""Failures of exchanges that never reached the upstream: no CLIENT span."""

_METHOD: Final = Attribute(_ATTRIBUTES, "http.request.method")
_ROUTE: Final = Attribute(_ATTRIBUTES, "http.route")
_CODE: Final = Attribute(_ATTRIBUTES, "http.response.status_code")
_ERROR_TYPE: Final = Attribute(_ATTRIBUTES, "error.type")
_PROVIDER: Final = Attribute(_ATTRIBUTES, "reputation.provider.name")
_DIRECTION: Final = Attribute(_ATTRIBUTES, "reputation.exchange.direction")
_DIRECTION_OF: Final = {Direction.DISPATCH: "outbound", Direction.WEBHOOK: "inbound"}

Sampler = Callable[[TraceContext | None, bytes], bool]
"""Decides by the incoming context, if any, and the trace id whether an exchange is traced."""


def sampler(name: str, argument: str) -> Sampler:
    """Make the sampler that OTEL_TRACES_SAMPLER and its argument name; the default follows the caller.

    Raises:
        ValueError: no such sampler, or a ratio that is no number from 0 to 1.
    """
    kind = name.strip().lower() or "parentbased_always_on"
    root = kind.removeprefix("parentbased_")
    if root == "always_on":
        ratio = 1.0
    elif root == "always_off":
        ratio = 0.0
    elif root == "traceidratio":
        ratio = _ratio(argument)
    else:
        raise ValueError(f"OTEL_TRACES_SAMPLER must be one of the standard samplers, got {name}")
    bound = round(ratio * (1 << 64))

    def decide(incoming: TraceContext | None, trace_id: bytes) -> bool:
        if incoming is not None and kind != root:
            return bool(incoming.flags & SAMPLED)
        return int.from_bytes(trace_id[8:], "big") < bound

    return decide


def _ratio(argument: str) -> float:
    try:
        ratio = float(argument.strip() or 1.0)
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, got {argument}")
    return ratio


class SpanEncoder:
    """Encodes the spans of exchanges; remembers the parts that come again, at most 1024 of them."""

    def __init__(self, sampled: Sampler) -> None:
        self._sampled = sampled
        self._constant: dict[tuple[object, ...], tuple[bytes, bytes | None]] = {}

    def sampled(self, exchange: ExchangeFacts) -> bool:
        """Tell whether this exchange is traced."""
        incoming = exchange.trace
        return self._sampled(incoming, _ids(exchange)[0])

    def exchange(self, exchange: ExchangeFacts) -> list[bytes]:
        """Encode the spans of an exchange."""
        incoming = exchange.trace
        trace_id, span_id, client_id = _ids(exchange)
        server, client = self._same_for(exchange)
        end = exchange.ended_at * NS_PER_MS
        start = end - exchange.duration_us * 1000
        parent = _OWN_PARENT
        if incoming is not None:
            parent = _PARENT_ID + bytes.fromhex(incoming.span_id) + _REMOTE_PARENT
        trace = _TRACE_ID + trace_id + _SPAN_ID
        spans = [b"".join((trace, span_id, parent, _TIMES.of(start, end), server))]
        if client is not None:
            sent = start if exchange.upstream_us is None else end - exchange.upstream_us * 1000
            times = _TIMES.of(max(sent, start), end)
            spans.append(b"".join((trace, client_id, _PARENT_ID, span_id, _OWN_PARENT, times, client)))
        return spans

    def _same_for(self, exchange: ExchangeFacts) -> tuple[bytes, bytes | None]:
        key = (
            exchange.direction,
            exchange.provider,
            exchange.method,
            exchange.template,
            exchange.status,
            exchange.error,
        )
        known = self._constant.get(key)
        if known is None:
            client = None if exchange.error in _NOT_SENT_ON else _constant(exchange, CLIENT)
            known = _constant(exchange, SERVER), client
            if len(self._constant) >= CACHE_MAX:
                self._constant.clear()
            self._constant[key] = known
        return known


def _ids(exchange: ExchangeFacts) -> tuple[bytes, bytes, bytes]:
    """Give the trace id, the caller's if it sent one, and the ids of the two spans."""
    ids = hashlib.blake2b(exchange.id.encode("utf-8", "replace"), digest_size=32).digest()
    trace_id = ids[:16] if exchange.trace is None else bytes.fromhex(exchange.trace.trace_id)
    return trace_id, ids[16:24], ids[24:]


def _constant(exchange: ExchangeFacts, kind: int) -> bytes:
    """Encode what does not depend on ids and times."""
    method, route = exchange.method, exchange.template
    name = "HTTP" if method == _OTHER else method
    if kind == SERVER and route != _OTHER:
        name = f"{name} {route}"
    # The upstream's status is the caller's, unless the sidecar itself answered.
    status = exchange.status if kind == SERVER or exchange.error is None else None
    failed = status is None or status >= (500 if kind == SERVER else 400)
    parts = [
        delimited(_NAME, name.encode("utf-8", "replace")),
        number(_KIND, kind),
        _METHOD.of_text(method),
        _PROVIDER.of_text(exchange.provider),
        _DIRECTION.of_text(_DIRECTION_OF[exchange.direction]),
    ]
    if route != _OTHER:
        parts.append(_ROUTE.of_text(route))
    if status is not None:
        parts.append(_CODE.of(status))
    if failed or exchange.error is not None:
        parts.append(_ERROR_TYPE.of_text(exchange.error or (_OTHER if status is None else str(status))))
    if failed:
        parts.append(_ERROR_STATUS)
    return b"".join(parts)


def spans_request(resource: bytes, scope: bytes, spans: Iterable[bytes]) -> bytes:
    """Wrap encoded Spans into an ExportTraceServiceRequest."""
    scope_spans = delimited(1, scope) + b"".join(delimited(2, span) for span in spans)
    return delimited(1, delimited(1, resource) + delimited(2, scope_spans))

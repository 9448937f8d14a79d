"""Exchanges as OTLP Spans (opentelemetry.proto.trace.v1): a SERVER span, and a CLIENT span under it.

Both join the trace of an incoming `traceparent`; without one the ids are derived from the exchange's id, so
that announcing an exchange twice gives the same spans (the SDK's generator draws others). Semantic
conventions for HTTP spans; no path, no query: the route template is all that is known here.
"""

import hashlib
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)

from domain.exchange import ExchangeFacts
from domain.words import Direction
from exporters.otel.attributes import NS_PER_MS, Attributes, Value, add_attribute, text, time_ns
from exporters.otel.sampling import SAMPLED, Sampler

CACHE_MAX: Final = 1024

_OWN_PARENT: Final = SAMPLED | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE_PARENT: Final = _OWN_PARENT | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_OTHER: Final = "_OTHER"
_NOT_SENT_ON: Final = frozenset({"OVER_CAPACITY", "SIGNATURE_REJECTED", "BODY_TOO_LARGE"})
"""Failures of exchanges that never reached the upstream: no CLIENT span."""

_DIRECTION_OF: Final = {Direction.DISPATCH: "outbound", Direction.WEBHOOK: "inbound"}


class SpanEncoder:
    """Makes the spans of exchanges; remembers the parts that come again, at most 1024 of them."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._constant: dict[tuple[object, ...], tuple[Span, Span | None]] = {}

    def sampled(self, exchange: ExchangeFacts) -> bool:
        """Tell whether this exchange is traced."""
        return self._sampler(exchange.trace, _ids(exchange)[0])

    def exchange(self, spans: Attributes, exchange: ExchangeFacts) -> None:
        """Add the spans of an exchange to a repeated field of Span."""
        incoming = exchange.trace
        trace_id, span_id, client_id = _ids(exchange)
        same_server, same_client = self._same_for(exchange)
        end = exchange.ended_at * NS_PER_MS
        start = end - exchange.duration_us * 1000

        server = spans.add(trace_id=trace_id, span_id=span_id)
        server.MergeFrom(same_server)
        server.start_time_unix_nano, server.end_time_unix_nano = time_ns(start), time_ns(end)
        server.flags = _OWN_PARENT
        if incoming is not None:
            server.parent_span_id = bytes.fromhex(incoming.span_id)
            server.flags = _REMOTE_PARENT
        if same_client is None:
            return
        sent = start if exchange.upstream_us is None else end - exchange.upstream_us * 1000
        client = spans.add(trace_id=trace_id, span_id=client_id, parent_span_id=span_id, flags=_OWN_PARENT)
        client.MergeFrom(same_client)
        client.start_time_unix_nano, client.end_time_unix_nano = time_ns(max(sent, start)), time_ns(end)

    def _same_for(self, exchange: ExchangeFacts) -> tuple[Span, Span | None]:
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
            sent_on = exchange.error not in _NOT_SENT_ON
            client = _constant(exchange, Span.SPAN_KIND_CLIENT) if sent_on else None
            known = _constant(exchange, Span.SPAN_KIND_SERVER), client
            if len(self._constant) >= CACHE_MAX:
                self._constant.clear()
            self._constant[key] = known
        return known


def _ids(exchange: ExchangeFacts) -> tuple[bytes, bytes, bytes]:
    """Give the trace id, the caller's if it sent one, and the ids of the two spans."""
    ids = hashlib.blake2b(exchange.id.encode("utf-8", "replace"), digest_size=32).digest()
    trace_id = ids[:16] if exchange.trace is None else bytes.fromhex(exchange.trace.trace_id)
    return trace_id, ids[16:24], ids[24:]


def _constant(exchange: ExchangeFacts, kind: Span.SpanKind.ValueType) -> Span:
    """Make what does not depend on ids and times."""
    method, route = exchange.method, exchange.template
    name = "HTTP" if method == _OTHER else method
    serves = kind == Span.SPAN_KIND_SERVER
    if serves and route != _OTHER:
        name = f"{name} {route}"
    # The upstream's status is the caller's, unless the sidecar itself answered.
    status = exchange.status if serves or exchange.error is None else None
    failed = status is None or status >= (500 if serves else 400)
    values: dict[str, Value] = {
        HTTP_REQUEST_METHOD: method,
        "reputation.provider.name": exchange.provider,
        "reputation.exchange.direction": _DIRECTION_OF[exchange.direction],
    }
    if route != _OTHER:
        values[HTTP_ROUTE] = route
    if status is not None:
        values[HTTP_RESPONSE_STATUS_CODE] = status
    if failed or exchange.error is not None:
        values[ERROR_TYPE] = exchange.error or (_OTHER if status is None else str(status))
    span = Span(name=text(name), kind=kind)
    for key, value in values.items():
        add_attribute(span.attributes, key, value)
    if failed:
        span.status.code = Status.STATUS_CODE_ERROR
    return span

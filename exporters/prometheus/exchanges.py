"""What exchanges count: durations by route, outcomes, failures of the wire, what readers stumbled over."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from domain.exchange import ExchangeFacts, Outcome, TraceContext
from exporters.prometheus import catalogue as c
from exporters.prometheus import seeds
from exporters.prometheus.scraped import DIRECTION_OF
from exporters.prometheus.tables import Buckets, Count, CounterTable, HistogramTable

HANDLES_MAX: Final = 4096
"""Label sets whose series are kept at hand; forgetting one costs a look-up."""
UNKNOWN_NAMES_MAX: Final = 200
HTTP_SERIES_MAX: Final = 300
SAMPLED: Final = 1
"""Bit of the trace flags (W3C Trace Context): only then does the trace exist anywhere."""
_ROUTE: Final = slice(ExchangeFacts._fields.index("direction"), ExchangeFacts._fields.index("error"))
"""Direction, provider, method, template and status."""


class _ExchangeSeries(NamedTuple):
    exchanges: Count
    server: Buckets
    client: Buckets
    overhead: Buckets


class ExchangeSeries:
    """The series of exchanges.

    Args:
        providers: names of the readers in use; their label sets exist from the start.
        lost: takes stage, reason and number of facts that were refused at construction.
    """

    def __init__(self, providers: Sequence[str], lost: Callable[[str, str, int], None]) -> None:
        self._lost = lost
        self._handles: dict[tuple[object, ...], _ExchangeSeries] = {}
        self._exchanges = CounterTable(c.EXCHANGES, seeds.exchanges(providers))
        self._signatures = CounterTable(c.WEBHOOK_SIGNATURES, seeds.signatures(providers))
        self._unknown = CounterTable(c.UNKNOWN_NAMES, series_max=UNKNOWN_NAMES_MAX)
        self._unobserved = CounterTable(c.BODIES_UNOBSERVED, seeds.BODIES_UNOBSERVED)
        self._parse_failures = CounterTable(c.PARSE_FAILURES, seeds.parse_failures(providers))
        self._proxy_errors = CounterTable(c.PROXY_ERRORS, seeds.PROXY_ERRORS)
        self._server = HistogramTable(c.SERVER_DURATION, series_max=HTTP_SERIES_MAX)
        self._client = HistogramTable(c.CLIENT_DURATION, series_max=HTTP_SERIES_MAX)
        self._overhead = HistogramTable(c.PROXY_OVERHEAD, [(shown,) for shown in seeds.DIRECTIONS])

    @property
    def tables(self) -> tuple[CounterTable | HistogramTable, ...]:
        """All tables, to be shown."""
        return (
            self._exchanges,
            self._signatures,
            self._unknown,
            self._unobserved,
            self._parse_failures,
            self._proxy_errors,
            self._server,
            self._client,
            self._overhead,
        )

    def count(self, exchange: ExchangeFacts) -> None:
        """Count one exchange."""
        series = self._series_of(exchange)
        series.exchanges.n += 1
        seconds = exchange.duration_us / 1e6
        series.server.observe(seconds)
        trace = exchange.trace
        if trace is not None and trace.flags & SAMPLED:
            series.server.exemplify(seconds, _example(trace), exchange.ended_at / 1000)
        if exchange.upstream_us is not None:
            upstream = exchange.upstream_us / 1e6
            series.client.observe(upstream)
            if upstream <= seconds:
                series.overhead.observe(seconds - upstream)
        if (
            exchange.outcome is Outcome.UNREADABLE
            or exchange.error
            or exchange.fault
            or exchange.unknown
            or exchange.unobserved
            or exchange.rejected
            or exchange.signature
        ):
            self._findings(exchange, DIRECTION_OF[exchange.direction])

    def _findings(self, exchange: ExchangeFacts, direction: str) -> None:
        if exchange.error is not None:
            self._proxy_errors.add((direction, seeds.ERROR_TYPE_OF.get(exchange.error, "other")))
        for unknown in exchange.unknown:
            self._unknown.add((exchange.provider, unknown.kind, unknown.name))
        for unobserved in exchange.unobserved:
            self._unobserved.add((direction, unobserved.reason))
        if exchange.outcome is Outcome.UNREADABLE or exchange.fault is not None:
            self._parse_failures.add((direction, exchange.provider, exchange.fault or "other"))
        if exchange.signature is not None:
            self._signatures.add((exchange.provider, exchange.signature))
        for rejected in exchange.rejected:
            self._lost("ingest", rejected.reason, 1)

    def _series_of(self, exchange: ExchangeFacts) -> _ExchangeSeries:
        key = (exchange[_ROUTE], exchange.outcome)
        found = self._handles.get(key)
        if found is None:
            direction = DIRECTION_OF[exchange.direction]
            status = "" if exchange.status is None else str(exchange.status)
            labels = (direction, exchange.method, exchange.template, status)
            found = _ExchangeSeries(
                self._exchanges.series((direction, exchange.provider, exchange.outcome)),
                self._server.series(labels),
                self._client.series(labels),
                self._overhead.series((direction,)),
            )
            if len(self._handles) >= HANDLES_MAX:
                self._handles.clear()
            self._handles[key] = found
        return found


def _example(trace: TraceContext) -> dict[str, str]:
    return {"trace_id": trace.trace_id, "span_id": trace.span_id}

"""From a finished exchange to journaled facts: the worker's side of the main flow.

    Exchange -> reader -> events -> IngestReputationSignal -> redacted signals -> journal -> release

Runs once an exchange in the wire worker: one bounded parse of two bodies and one append. It never raises
towards the wire; a crash in here costs facts, which are counted, and never traffic.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import orjson

from domain.exchange import ExchangeFacts, Outcome, Unobserved
from domain.ingest_signal import IngestReputationSignal
from domain.words import Direction, Source
from sidecar.exchange import (
    NO_BODY,
    BodyState,
    Copier,
    Exchange,
    Headers,
    Release,
    Signature,
    Verification,
)
from sidecar.journal.layout import LossReason
from sidecar.providers.contract import Fault, Reader, Reading, UnreadableExchange
from sidecar.trace import trace_context

METHODS: Final = {
    method.encode(): method
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
}
"""Methods that may become a label (RFC 9110 section 9, RFC 5789); others are `_OTHER`."""

CRASHES_LOGGED_MAX: Final = 100
"""Tracebacks written a worker life; further crashes are only counted."""

_NOT_WHOLE: Final = {BodyState.CUT: "cut", BodyState.UNDECODABLE: "undecodable"}
_NO_READING: Final = Reading([])
_new_facts: Final[Callable[[tuple[Any, ...]], ExchangeFacts]] = partial(tuple.__new__, ExchangeFacts)
# Python 3.11 takes 0.1 microseconds to find a member in its class.
_WHOLE: Final = BodyState.WHOLE
_READ: Final = Outcome.READ
_log: Final = logging.getLogger(__name__)


class Journal(Protocol):
    """Where facts go. Calls `release` exactly once, this or the next turn of the loop."""

    def append(self, facts: ExchangeFacts, release: Release) -> None:
        """Journal the facts of one exchange, then release its answer."""
        ...

    def lose(self, reason: LossReason, source: Source, count: int = 1) -> None:
        """Account facts that were observed but never came to `append`."""
        ...


class RouteReading(NamedTuple):
    """How one route's exchanges are read and verified."""

    reader: Reader
    secret: bytes | None = None


class TrafficObserver:
    """Implements `sidecar.exchange.Observer` for all routes of one worker.

    Args:
        routes: by route name.
        ingest: makes redacted signals of events.
        journal: where facts go.
        new_id: gives each exchange an id unique over workers and restarts.
        copier_of: tells how bodies under some fields are copied.
    """

    def __init__(
        self,
        routes: Mapping[str, RouteReading],
        ingest: IngestReputationSignal,
        journal: Journal,
        new_id: Callable[[], str],
        copier_of: Callable[[Headers], Copier],
    ) -> None:
        self._routes = routes
        self._ingest = ingest
        self._journal = journal
        self._new_id = new_id
        self._crashes = 0
        self.copier_of = copier_of

    def verification(self, exchange: Exchange) -> Verification | None:
        """Start verifying a callback where the operator configured a secret."""
        route = self._routes[exchange.route]
        if route.secret is None or exchange.direction is not Direction.WEBHOOK:
            return None
        return route.reader.verification(exchange, route.secret)

    def ended(self, exchange: Exchange, release: Release) -> None:
        """Read, redact, journal; then the last byte may go."""
        try:
            facts = self._facts(exchange)
        except Exception:  # noqa: BLE001 - the one place: a crash costs facts, counted, never traffic
            self._crash(exchange.direction)
            release()
            return
        self._journal.append(facts, release)

    def _crash(self, direction: Direction) -> None:
        self._crashes += 1
        source = Source.WEBHOOK if direction is Direction.WEBHOOK else Source.DISPATCH
        self._journal.lose(LossReason.OBSERVER_CRASH, source)  # how many facts it held will never be known
        if self._crashes <= CRASHES_LOGGED_MAX:
            _log.exception("observer.crashed")

    def _facts(self, exchange: Exchange) -> ExchangeFacts:
        reader = self._routes[exchange.route].reader
        exchange_id = self._new_id()
        ended_at, error, signature = exchange.ended_at, exchange.error, exchange.signature
        (events, template, unknown, _), fault = _read(reader, exchange)
        if signature is not None and signature is not Signature.VALID:
            events = []
        signals, rejected = self._ingest(events, exchange_id, ended_at) if events else ((), ())
        request, response = exchange.request_body, exchange.response_body
        whole = fault is None and request.state is _WHOLE and response.state is _WHOLE
        trace = exchange.request_header(b"traceparent")
        return _new_facts(
            (
                exchange_id,
                ended_at,
                exchange.direction,
                reader.name,
                METHODS.get(exchange.method, "_OTHER"),
                template,
                exchange.answered,
                error.value if error is not None else None,
                _microseconds(exchange.first_byte_ns, exchange.ended_ns) or 0,
                _microseconds(exchange.sent_ns, exchange.received_ns),
                _READ if signals and fault is None else _outcome(fault),
                fault,
                unknown,
                () if whole else _unobserved(exchange, fault),
                rejected,
                signature.value if signature is not None else None,
                None if trace is None else trace_context(trace),
                signals,
            )
        )


def _read(reader: Reader, exchange: Exchange) -> tuple[Reading, str | None]:
    try:
        reading = reader.read(exchange)
    except UnreadableExchange as unreadable:
        return _NO_READING._replace(template=unreadable.template), unreadable.reason.value
    return reading, reading.fault.value if reading.fault else None


def _outcome(fault: str | None) -> Outcome:
    return Outcome.NO_SIGNAL if fault is None else Outcome.UNREADABLE


def _microseconds(start_ns: int, end_ns: int) -> int | None:
    """Whole microseconds between two monotonic readings; None when one was not reached."""
    if not start_ns or not end_ns:
        return None
    return (end_ns - start_ns) // 1000 if end_ns > start_ns else 0


def _unobserved(exchange: Exchange, fault: str | None) -> tuple[Unobserved, ...]:
    """Tell the bodies that were not wholly read, and why."""
    request, response = exchange.request_body, exchange.response_body
    if request is NO_BODY and response is NO_BODY:
        return ()
    unreadable = fault == Fault.BODY_UNREADABLE
    if not unreadable and request.state not in _NOT_WHOLE and response.state not in _NOT_WHOLE:
        return ()
    bodies = (("request", request), ("response", response))
    told = tuple(
        Unobserved(name, _NOT_WHOLE[body.state]) for name, body in bodies if body.state in _NOT_WHOLE
    )
    return (*told, Unobserved(_unreadable_body(exchange), "unreadable")) if unreadable else told


def _unreadable_body(exchange: Exchange) -> str:
    """Name the body in which a reader found no sense; of two JSON texts, the answer."""
    if exchange.direction is Direction.WEBHOOK:
        return "request"
    try:
        orjson.loads(exchange.request_body.data or b"null")
    except ValueError:
        return "request"
    return "response"

"""What the composition root gives to the API, and where handlers find it."""

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from aiohttp import web

from domain.decision import Decision
from domain.exchange import ExchangeFacts
from domain.forget import ForgetPersonalIds
from domain.ingest_signal import IngestReputationSignal
from domain.ports import SignalStore
from domain.read_health import ReadInstanceHealth
from domain.redaction import Redactor
from domain.replay import ReplayDecisions
from domain.words import ActionKind, EvaluationReason, Millis
from sidecar import __version__, clock
from sidecar.api.hub import Hub
from sidecar.api.readers import Readers

WINDOW_MS: Final = 30 * 60_000


@dataclass(frozen=True, slots=True)
class Health:
    """How forwarding is (`live`, `ready`), and what else is wrong (`reasons`); the latter cuts no traffic."""

    live: bool = True
    ready: bool = True
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class AdminCounts:
    """What the API refused or lost since the start; read at scrape time, written by the event loop only."""

    unauthorized: int = 0
    forbidden: int = 0
    failed: int = 0
    connections: int = 0


class Posting(NamedTuple):
    """What `POST /v1/signals` needs.

    Attributes:
        ingest: the one way from an event to a signal.
        append: journals an exchange; once it returns, the facts survive a crash.
    """

    ingest: IngestReputationSignal
    append: Callable[[ExchangeFacts], Awaitable[None]]


class HealthActing(Protocol):
    """What changes an instance's health on request; each stores and announces a decision.

    Called on a thread. Both raise UnknownInstance where nothing was ever recorded, and StoreUnavailable.
    """

    def requested(self, instance_id: str, reason: EvaluationReason, now: Millis) -> Decision:
        """Evaluate, and give the answer as a decision."""
        ...

    def acted(self, instance_id: str, kind: ActionKind, now: Millis) -> Decision:
        """Let an operator act, dated now."""
        ...


class Evaluation(NamedTuple):
    """The use cases of health."""

    acting: HealthActing
    reading: ReadInstanceHealth
    replay: ReplayDecisions


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminParts:
    """The ports and settings of the admin API.

    Attributes:
        store: read on the threads of `readers` only.
        readers: executor of at least `Readers.RUNNING_MAX` threads, owned by the caller.
        render_metrics: Accept values to body and content type; called on a thread.
        health: cheap, called on the loop at every probe.
        hub: fed by the recorder, shared with it.
        token: None is allowed only where the listener is on loopback.
        loopback: the listener is bound on loopback, so the Host header is checked against DNS rebinding.
        window_ms: what a question without bounds covers.
        lag_ms: age of the oldest fact that is not recorded; cheap, called on the loop.
        posting: None: facts cannot be posted, the route is not there.
        evaluation: None: health is not evaluated, its routes are not there.
        forgetting: None: nothing can be forgotten, the route is not there.
    """

    store: SignalStore
    readers: Executor
    render_metrics: Callable[[list[str]], tuple[bytes, str]]
    health: Callable[[], Health]
    redactor: Redactor
    hub: Hub
    token: str | None = None
    metrics_public: bool = True
    loopback: bool = True
    window_ms: Millis = WINDOW_MS
    lag_ms: Callable[[], Millis] = lambda: 0
    clock: Callable[[], Millis] = clock.now_ms
    version: str = __version__
    counts: AdminCounts = field(default_factory=AdminCounts)
    posting: Posting | None = None
    evaluation: Evaluation | None = None
    forgetting: ForgetPersonalIds | None = None


PARTS: Final = web.AppKey("parts", AdminParts)
READERS: Final = web.AppKey("readers", Readers)


def refusals(app: web.Application) -> dict[str, int]:
    """Give what the API refused, lost or failed since the start, by a closed set of reasons.

    `stream_dropped` counts streams that fell behind, `connections` those beyond the bound.
    """
    parts = app[PARTS]
    counts = parts.counts
    return {
        "unauthorized": counts.unauthorized,
        "forbidden": counts.forbidden,
        "failed": counts.failed,
        "connections": counts.connections,
        "busy": app[READERS].refused,
        "stream_refused": parts.hub.refused,
        "stream_dropped": parts.hub.dropped,
    }

"""What the wire counts; a worker publishes it to the recorder."""

from collections import Counter
from typing import Any

from domain.words import Direction
from sidecar.exchange import WireError
from sidecar.wire.handshakes import Handshake
from sidecar.wire.refusal import Reason


class SideCounters:
    """Counts of one direction.

    Attributes:
        exchanges: exchanges begun.
        active_requests: exchanges in flight now.
        open_connections: callers' connections now.
        refusals: requests refused, by reason.
        bad_answers: answers of the upstream refused, by reason.
        errors: exchanges that failed, by error.
        handshakes: TLS handshakes of callers that came to nothing, by reason.
    """

    __slots__ = (
        "active_requests", "bad_answers", "errors", "exchanges", "handshakes", "open_connections", "refusals",
    )  # fmt: skip

    def __init__(self) -> None:
        self.exchanges = 0
        self.active_requests = 0
        self.open_connections = 0
        self.refusals: Counter[Reason] = Counter()
        self.bad_answers: Counter[Reason] = Counter()
        self.errors: Counter[WireError] = Counter()
        self.handshakes: Counter[Handshake] = Counter()


class Counters:
    """Counts of one worker, over all its routes. Plain numbers, so that counting costs next to nothing.

    Attributes:
        sides: counts by direction.
        observer_crashes: exceptions of the observer, by the call that raised; each cost facts, not traffic.
        late_releases: answers let go because the observer had not within its bound.
        upstream_connections: connections to upstreams now, in use and idle.
        tunnels: upgraded connections now.
        held_bytes: of callbacks held for verification, or verified and not yet answered, now.
    """

    def __init__(self) -> None:
        self.sides = {side: SideCounters() for side in Direction}
        self.observer_crashes: Counter[str] = Counter()
        self.late_releases = 0
        self.upstream_connections = 0
        self.tunnels = 0
        self.held_bytes = 0

    def open_connections(self) -> int:
        """Give callers' connections now, of all routes: the bound on them is the worker's."""
        return sum(side.open_connections for side in self.sides.values())

    def as_json(self) -> dict[str, Any]:
        """Give all counts as plain JSON values, camelCase, by direction where they have one."""
        return {
            "observerCrashes": dict(self.observer_crashes),
            "lateReleases": self.late_releases,
            "upstreamConnections": self.upstream_connections,
            "tunnels": self.tunnels,
            "sides": {
                direction.value: {
                    "exchanges": side.exchanges,
                    "activeRequests": side.active_requests,
                    "openConnections": side.open_connections,
                    "refusals": {reason.value: n for reason, n in side.refusals.items()},
                    "badAnswers": {reason.value: n for reason, n in side.bad_answers.items()},
                    "errors": {error.value: n for error, n in side.errors.items()},
                    "handshakes": {reason.value: n for reason, n in side.handshakes.items()},
                }
                for direction, side in self.sides.items()
            },
        }

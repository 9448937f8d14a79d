"""What the wire counts; a worker publishes it to the recorder."""

from collections import Counter
from typing import Any

from domain.words import Direction
from sidecar.exchange import WireError
from sidecar.wire.refusal import Reason


class Counters:
    """Counts of one worker, over all its routes. Plain numbers, so that counting costs nothing.

    Attributes:
        refusals: requests refused, by direction and reason.
        bad_answers: answers of the upstream refused, by direction and reason.
        errors: exchanges that failed, by direction and error.
        observer_crashes: exceptions of the observer, by the call that raised; each cost facts, not traffic.
        late_releases: answers let go because the observer had not within its bound.
        exchanges: exchanges begun, by direction.
        active_requests: exchanges in flight now, by direction.
        open_connections: callers' connections now, by direction.
        upstream_connections: connections to upstreams now, in use and idle.
        tunnels: upgraded connections now.
    """

    def __init__(self) -> None:
        self.refusals: Counter[tuple[Direction, Reason]] = Counter()
        self.bad_answers: Counter[tuple[Direction, Reason]] = Counter()
        self.errors: Counter[tuple[Direction, WireError]] = Counter()
        self.observer_crashes: Counter[str] = Counter()
        self.late_releases = 0
        self.exchanges = dict.fromkeys(Direction, 0)
        self.active_requests = dict.fromkeys(Direction, 0)
        self.open_connections = dict.fromkeys(Direction, 0)
        self.upstream_connections = 0
        self.tunnels = 0

    def as_json(self) -> dict[str, Any]:
        """Give all counts as plain JSON values; pairs become lists of [direction, name, count]."""
        return {
            "refusals": [[side.value, reason.value, n] for (side, reason), n in self.refusals.items()],
            "badAnswers": [[side.value, reason.value, n] for (side, reason), n in self.bad_answers.items()],
            "errors": [[side.value, error.value, n] for (side, error), n in self.errors.items()],
            "observerCrashes": dict(self.observer_crashes),
            "lateReleases": self.late_releases,
            "exchanges": {side.value: n for side, n in self.exchanges.items()},
            "activeRequests": {side.value: n for side, n in self.active_requests.items()},
            "openConnections": {side.value: n for side, n in self.open_connections.items()},
            "upstreamConnections": self.upstream_connections,
            "tunnels": self.tunnels,
        }

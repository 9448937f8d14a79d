"""The wire: HTTP/1.1 forwarding that changes nothing and knows no meaning.

    caller ──► CallerConnection ──► Relay ──► UpstreamConnection ──► upstream
                     (caller)      (relay)       (upstream: Pool)
                                      │
                                      └──► Observer: copies of both bodies, the ended Exchange, its release

    refusal         the closed list of reasons for which a message is refused
    limits          every bound
    head_buffer     sans-I/O: where a head begins and ends
    head            sans-I/O: a head's lines and fields, checked by us and by llhttp
    request_head,   sans-I/O: what a head means for framing and routing, and the head passed on
    response_head
    memo            heads that came before
    body            sans-I/O: bodies in transit, transfer coding removed
    upward,         one exchange in flight: its request,
    downward,       its answer,
    relay           its end
    verified        the same for callbacks whose signature is verified
    observing       the observer behind a guard
    connection      what connections of both kinds have in common
    tunnel          a connection after 101
    answer          the sidecar's own answers
    route           listener, direction, upstream, TLS
    counters        what is counted
    forwarder       a route's listener, its sweep, drain and abort
    doorway         where callers of a TLS listener shake hands

Rules: RFC 9110 and RFC 9112, cited by section in the code. Framing is sans-I/O: bytes in, values out. What is
ambiguous is refused, never guessed. A request is sent once, never again.
"""

from sidecar.wire.counters import Counters, SideCounters
from sidecar.wire.forwarder import Forwarder
from sidecar.wire.limits import Limits
from sidecar.wire.refusal import REFUSALS, Reason, Refused
from sidecar.wire.route import Route, Upstream, VerifyMode, listener_tls, upstream_tls

__all__ = [
    "REFUSALS",
    "Counters",
    "Forwarder",
    "Limits",
    "Reason",
    "Refused",
    "Route",
    "SideCounters",
    "Upstream",
    "VerifyMode",
    "listener_tls",
    "upstream_tls",
]

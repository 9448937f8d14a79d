"""An exchange as the wire saw it: one request, its answer or its failure, and bounded copies of both bodies.

The wire fills it, a reader reads it, then it is gone. It is the only place where raw heads and bodies meet
code that interprets them.
"""

from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from domain.words import Direction, Millis, Word

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""Fields in wire order, names in wire case, outer white space of values removed."""


class BodyState(Word):
    """How much of a body the copy holds."""

    EMPTY = "empty"
    WHOLE = "whole"
    ELIDED = "elided"
    """Whole but for long JSON strings, whose content was left out."""
    CUT = "cut"
    """Larger than the bound: nothing is kept; or broken off: what was copied is a prefix."""
    UNDECODABLE = "undecodable"
    """Content coding unknown, corrupt, or beyond the ratio bound."""


class Body(NamedTuple):
    """The observed copy of a body, content coding removed."""

    data: bytes
    state: BodyState


NO_BODY = Body(b"", BodyState.EMPTY)


class WireError(Word):
    """Why an exchange has no complete answer, or was refused one.

    Values are what `Sidecar-Error` and the code of a MESSAGE_FAILED say.
    """

    NETWORK_ERROR = "NETWORK_ERROR"
    """The upstream refused, reset, or could not be resolved."""
    TLS_ERROR = "TLS_ERROR"
    CONNECT_TIMEOUT = "CONNECT_TIMEOUT"
    TIMEOUT = "TIMEOUT"
    """No response head in time, or nothing more of a body."""
    BAD_RESPONSE = "BAD_RESPONSE"
    """The upstream's answer broke HTTP."""
    BROKEN_RESPONSE = "BROKEN_RESPONSE"
    """The upstream went away in the middle of its body."""
    CLIENT_CLOSED = "CLIENT_CLOSED"
    """The caller hung up before its request was complete."""
    OVER_CAPACITY = "OVER_CAPACITY"
    """`max_connections` reached: 503."""
    SIGNATURE_REJECTED = "SIGNATURE_REJECTED"
    """A callback's signature did not verify in `reject` mode: 401."""
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    """A callback held for verification outgrew its bound: 413."""
    BAD_REQUEST = "BAD_REQUEST"
    """The caller's body broke HTTP after its head was taken: 400."""


class Signature(Word):
    """Outcome of verifying a callback."""

    VALID = "valid"
    INVALID = "invalid"
    MISSING = "missing"


class Exchange(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """One request with what became of it. Times of durations are monotonic nanoseconds, 0 for "not reached".

    Attributes:
        target: the caller's request target, bytes as they came.
        request_body, response_body: set when the exchange ends.
        status: status the *upstream* answered; None without one (see `error`).
        answered: status the caller received; differs from `status` where the sidecar itself answered.
        started_at, ended_at: wall clock.
        first_byte_ns: first byte of the request received.
        sent_ns: last byte of the request handed to the upstream.
        received_ns: last byte of the response received from the upstream.
        ended_ns: when the exchange ended.
        client_gone: the caller hung up before it had the whole answer.
    """

    route: str
    direction: Direction
    method: bytes
    target: bytes
    request_headers: Headers
    request_body: Body = NO_BODY
    status: int | None = None
    answered: int | None = None
    response_headers: Headers = []  # the struct makes a new one
    response_body: Body = NO_BODY
    error: WireError | None = None
    signature: Signature | None = None
    client_gone: bool = False
    started_at: Millis = 0
    ended_at: Millis = 0
    first_byte_ns: int = 0
    sent_ns: int = 0
    received_ns: int = 0
    ended_ns: int = 0

    def request_header(self, name: bytes) -> bytes | None:
        """Give the first request field of this lower-case name."""
        return find_header(self.request_headers, name)

    def response_header(self, name: bytes) -> bytes | None:
        """Give the first response field of this lower-case name."""
        return find_header(self.response_headers, name)


def find_header(headers: Headers, name: bytes) -> bytes | None:
    """Give the first value of a field; `name` in lower case."""
    length = len(name)
    for key, value in headers:
        if len(key) == length and key.lower() == name:
            return value
    return None


class BodyCopy(Protocol):
    """Takes a body as it streams by and keeps a bounded copy. Must not raise on any input."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the payload (transfer coding removed, content coding as sent)."""
        ...

    def finish(self, *, complete: bool) -> Body:
        """Give the copy; `complete` tells whether the body ended as its framing promised."""
        ...


class Copier(Protocol):
    """Makes copies of bodies that come under the same fields; one for all heads that are equal."""

    def start(self) -> BodyCopy:
        """Start a copy of a body that streams by."""
        ...

    def whole(self, payload: bytes) -> Body:
        """Give the copy of a body that came in one piece: what a started one would give of it."""
        ...


class Verification(Protocol):
    """Checks one callback's signature over its raw payload bytes."""

    def feed(self, chunk: bytes) -> None:
        """Take the next raw bytes."""
        ...

    def finish(self) -> Signature:
        """Tell the outcome, in constant time over the signature."""
        ...


class Observer(Protocol):
    """What the wire tells about traffic. The wire guards every call: a crash costs facts, not traffic."""

    def copier_of(self, headers: Headers) -> Copier:
        """Tell how bodies under these fields are copied (content type and coding matter)."""
        ...

    def verification(self, exchange: Exchange) -> Verification | None:
        """Start verifying a callback; None where this route asks for none."""
        ...

    def ended(self, exchange: Exchange, release: "Release") -> None:
        """Take a finished exchange; call `release()` exactly once, when its facts are journaled or lost.

        The last byte of the answer waits for that call, which must come within this or the next turn of the
        event loop.
        """
        ...


class Release(Protocol):
    """Lets the last response byte go."""

    def __call__(self) -> None:
        """Release it."""
        ...

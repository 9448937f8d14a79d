"""Every bound of the wire, named, with the contract's defaults (design section 5)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a worker's forwarders. Sizes in bytes, times in seconds.

    Attributes:
        head_bytes_max: a head, request or response, with its empty line; also a trailer section.
        fields_max: fields in a head or a trailer section.
        chunk_line_bytes_max: a chunk's size line with its extensions.
        chunk_overhead_bytes_max: what chunk framing may cost beyond 32 bytes a chunk, over a whole body.
        interim_max: 1xx answers before the final one.
        head_seconds: from a request's first byte to the end of its head, on a new connection from its start;
            also a TLS handshake.
        idle_seconds: a caller's connection without a request; also a caller that neither sends the rest of
            its request nor takes its answer.
        connect_seconds: name resolution, TCP and TLS towards the upstream.
        response_head_seconds: last request byte until the answer's head; 0 waits as long as the caller does.
        orphan_seconds: how long an answer is awaited after its caller hung up.
        reuse_seconds: a pooled upstream connection is reused only while idle for less than this.
        pool_max: idle upstream connections kept, by route.
        high_water_bytes: unsent bytes at which the sender of a direction is paused.
        connections_max: callers' connections to this worker, over all its routes; beyond it every request is
            answered 503.
        overflow_max: connections beyond `connections_max` that still get their 503; further ones are cut.
        linger_seconds, linger_bytes_max: how long and how much is still read, and discarded, after an answer
            that ends a connection early, so that the caller reads the answer rather than a reset.
        verification_bytes_max: a callback's body held until verified (`reject` mode).
        held_bytes_max: all such bodies of a worker; one that would pass it is answered 503.
        release_seconds: an observer that did not release by then is overruled and counted.
        drain_idle_seconds: while draining, how long an idle connection may still bring a request.
        sweep_seconds: how often the timeouts above are looked at; none fires early.
    """

    head_bytes_max: int = 32 * 1024
    fields_max: int = 128
    chunk_line_bytes_max: int = 1024
    chunk_overhead_bytes_max: int = 32 * 1024
    interim_max: int = 256
    head_seconds: float = 10.0
    idle_seconds: float = 75.0
    connect_seconds: float = 5.0
    response_head_seconds: float = 0.0
    orphan_seconds: float = 60.0
    reuse_seconds: float = 4.0
    pool_max: int = 512
    high_water_bytes: int = 64 * 1024
    connections_max: int = 2048
    overflow_max: int = 128
    linger_seconds: float = 2.0
    linger_bytes_max: int = 1024 * 1024
    verification_bytes_max: int = 16 * 1024 * 1024
    held_bytes_max: int = 256 * 1024 * 1024
    release_seconds: float = 5.0
    drain_idle_seconds: float = 2.0
    sweep_seconds: float = 0.5

"""Label sets that exist from the start, at 0: without them `increase()` misses the first event of each."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from domain.exchange import Outcome
from domain.signal import SEVERITY_OF
from domain.words import SignalType, Source
from exporters.prometheus.tables import Labels

DIRECTIONS: Final = ("outbound", "inbound")

ERROR_TYPE_OF: Final = {
    "NETWORK_ERROR": "connect",
    "TLS_ERROR": "tls",
    "CONNECT_TIMEOUT": "timeout",
    "TIMEOUT": "timeout",
    "BAD_RESPONSE": "payload",
    "BROKEN_RESPONSE": "disconnected",
    "CLIENT_CLOSED": "client_abort",
    "OVER_CAPACITY": "over_capacity",
    "SIGNATURE_REJECTED": "signature",
    "BODY_TOO_LARGE": "body_too_large",
    "BAD_REQUEST": "bad_request",
}
"""The wire's own failure codes, as `error_type` shows them; a name that does not resolve is `connect`."""

_OF_MESSAGES: Final = (
    SignalType.MESSAGE_SENT,
    SignalType.MESSAGE_DELIVERED,
    SignalType.MESSAGE_READ,
    SignalType.MESSAGE_REPLIED,
    SignalType.MESSAGE_FAILED,
    SignalType.REACTION_SENT,
    SignalType.PRESENCE_SET,
)
_SOURCES_OF: Final = {
    **dict.fromkeys(_OF_MESSAGES, (Source.DISPATCH, Source.WEBHOOK)),
    SignalType.SEND_LATENCY_OBSERVED: (Source.DISPATCH,),
}
"""All others are facts of the provider, whichever way they arrive."""

DROPPED: Final = (
    ("ingest", "instance_id_empty"),
    ("ingest", "instance_id_invalid"),
    ("ingest", "instance_id_too_long"),
    ("ingest", "message_id_invalid"),
    ("journal", "disk_full"),
    ("journal", "observer_crash"),
    ("journal", "journal_full"),
    ("journal", "write_failed"),
    ("journal", "record_too_large"),
    ("journal", "unencodable"),
    ("journal", "corrupt"),
    ("journal", "unknown_version"),
    ("journal", "worker_killed"),
    ("store", "refused"),
)
EXPORT_DROPPED: Final = (
    ("log", "queue_full"),
    ("log", "stream_closed"),
    ("otlp", "queue_full"),
    ("otlp", "export_failed"),
    ("otlp", "rejected"),
    ("otlp", "shutdown"),
)
FAULTS: Final = ("body_cut", "body_empty", "body_undecodable", "body_unreadable", "data_missing")
"""Why readers cannot read (`sidecar.providers.contract`)."""
BODIES_UNOBSERVED: Final = tuple(product(DIRECTIONS, ("cut", "undecodable", "unreadable")))
REFUSALS: Final = (
    "authority_mismatch", "bad_chunk", "bad_coding", "bad_field", "bad_host", "bad_length", "bad_message",
    "bad_method", "bad_start_line", "bad_target", "bad_trailer", "bad_version", "bare_cr", "bare_lf",
    "body_timeout", "chunk_overhead", "connections", "folded_field", "head_timeout", "head_too_large",
    "held_callbacks",
    "length_with_coding", "no_host", "nul", "several_hosts", "several_lengths", "space_before_colon",
    "target_too_long", "too_many_fields", "too_many_interim", "unasked_upgrade",
)  # fmt: skip
"""What the wire refuses a message for (`sidecar.wire.refusal`)."""
WIRE_REFUSALS: Final = tuple(product(DIRECTIONS, REFUSALS))
SOURCES: Final = tuple((source.value,) for source in Source)
STORE_ROWS: Final = (("inserted",), ("duplicate",), ("failed",))
STORE_RESULTS: Final = (("ok",), ("failed",))
OTLP: Final = (("emitted",), ("exported",), ("failed",))
EVALUATIONS: Final = (("stored",), ("unchanged",), ("failed",))
PROXY_ERRORS: Final = tuple(product(DIRECTIONS, sorted({*ERROR_TYPE_OF.values(), "other"})))


def signals(providers: Sequence[str]) -> Iterator[Labels]:
    """Give every (type, severity, source, provider) that can happen."""
    for signal_type in SignalType:
        for source in _SOURCES_OF.get(signal_type, (Source.PROVIDER,)):
            for provider in providers:
                yield signal_type.value, SEVERITY_OF[signal_type].value, source.value, provider


def exchanges(providers: Sequence[str]) -> Iterator[Labels]:
    """Give every (direction, provider, outcome)."""
    return product(DIRECTIONS, providers, (outcome.value for outcome in Outcome))


def parse_failures(providers: Sequence[str]) -> Iterator[Labels]:
    """Give every (direction, provider, reason)."""
    return product(DIRECTIONS, providers, FAULTS)


def signatures(providers: Sequence[str]) -> Iterator[Labels]:
    """Give every (provider, outcome) of verifying a callback."""
    return product(providers, ("valid", "invalid", "missing"))

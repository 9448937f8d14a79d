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
    "BODY_TOO_LARGE": "payload",
}
"""The wire's own failure codes, as `error_type` shows them; a name that does not resolve is `connect`."""

_SOURCES_OF: Final = {
    SignalType.MESSAGE_SENT: (Source.DISPATCH, Source.WEBHOOK),
    SignalType.MESSAGE_DELIVERED: (Source.WEBHOOK,),
    SignalType.MESSAGE_READ: (Source.DISPATCH, Source.WEBHOOK),
    SignalType.MESSAGE_REPLIED: (Source.WEBHOOK,),
    SignalType.MESSAGE_FAILED: (Source.DISPATCH, Source.WEBHOOK),
    SignalType.REACTION_SENT: (Source.DISPATCH,),
    SignalType.PRESENCE_SET: (Source.DISPATCH,),
    SignalType.SEND_LATENCY_OBSERVED: (Source.DISPATCH,),
}

DROPPED: Final = (
    ("ingest", "instance_id_empty"),
    ("ingest", "instance_id_invalid"),
    ("ingest", "instance_id_too_long"),
    ("ingest", "message_id_invalid"),
    ("ingest", "observer_crash"),
    ("journal", "disk_full"),
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
    ("otlp", "shutdown"),
)
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


def signatures(providers: Sequence[str]) -> Iterator[Labels]:
    """Give every (provider, outcome) of verifying a callback."""
    return product(providers, ("valid", "invalid", "missing"))

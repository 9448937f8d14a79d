"""Every metric we show, as data: the registry, the docs table and the board checks are made from it."""

from enum import StrEnum
from typing import Final, NamedTuple

OTHER_INSTANCE: Final = "__other__"


class Kind(StrEnum):
    """Type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Definition(NamedTuple):
    """One metric family.

    Attributes:
        name: without `_total`; base units.
        buckets: upper bounds, without +Inf; histograms only.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()

    @property
    def shown_as(self) -> str:
        """The name as it stands on `/metrics` and in queries (a histogram's without `_bucket`)."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name


def _counter(name: str, labels: str, text: str) -> Definition:
    return Definition(name, Kind.COUNTER, tuple(labels.split()), text)


def _gauge(name: str, labels: str, text: str) -> Definition:
    return Definition(name, Kind.GAUGE, tuple(labels.split()), text)


def _histogram(name: str, labels: str, text: str, *buckets: float) -> Definition:
    return Definition(name, Kind.HISTOGRAM, tuple(labels.split()), text, buckets)


_HTTP_LABELS: Final = "direction http_request_method http_route http_response_status_code"
# The buckets the OpenTelemetry semantic conventions recommend for HTTP durations.
_HTTP_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

EXCHANGES: Final = _counter(
    "reputation_exchanges",
    "direction provider outcome",
    "Exchanges taken from the journal; outcome is read, no_signal or unreadable.",
)
SIGNALS_OBSERVED: Final = _counter(
    "reputation_signals_observed",
    "source",
    "Facts observed: always recorded + duplicate + dropped + pending.",
)
SIGNALS: Final = _counter("reputation_signals", "type severity source provider", "Recorded signals.")
SIGNALS_PENDING: Final = _gauge(
    "reputation_signals_pending", "", "Facts observed whose fate is not settled yet."
)
SIGNALS_DUPLICATE: Final = _counter(
    "reputation_signals_duplicate", "source", "Facts that were known already, discarded."
)
SIGNALS_DROPPED: Final = _counter(
    "reputation_signals_dropped", "stage reason", "Facts lost, each accounted as a gap in the timeline."
)
INSTANCE_SIGNALS: Final = _counter(
    "reputation_instance_signals", "instance_id type", "Recorded signals of one instance."
)
INSTANCE_MESSAGES: Final = _counter(
    "reputation_instance_messages",
    "instance_id type",
    "Messages by what was first reported of them; a message counts once a type, own reads never. For ratios.",
)
INSTANCE_RATE_LIMITS: Final = _counter(
    "reputation_instance_rate_limits", "instance_id code", "Rate limits hit, by the provider's code."
)
INSTANCES_TRACKED: Final = _gauge(
    "reputation_instances_tracked", "", "Instances that have series of their own."
)
INSTANCES_OVERFLOW: Final = _counter(
    "reputation_instances_overflow",
    "",
    "Signals counted under instance_id __other__ because every place was taken or the id was not proven.",
)
EXPORT_DROPPED: Final = _counter(
    "reputation_export_dropped", "sink reason", "Records not exported; the fact itself is recorded."
)
WEBHOOK_SIGNATURES: Final = _counter(
    "reputation_webhook_signatures", "provider outcome", "Verified callbacks by outcome."
)
UNKNOWN_NAMES: Final = _counter(
    "reputation_unknown_names", "provider kind name", "Names no reader table knows: schema drift."
)
WIRE_REFUSALS: Final = _counter(
    "reputation_wire_refusals",
    "direction reason",
    "Requests or answers refused for breaking HTTP, TLS handshakes that failed.",
)
API_REFUSALS: Final = _counter(
    "reputation_api_refusals", "reason", "Requests the admin listener refused, dropped or failed."
)
BODIES_UNOBSERVED: Final = _counter(
    "reputation_bodies_unobserved", "direction reason", "Bodies that were not wholly read."
)
PARSE_FAILURES: Final = _counter(
    "reputation_parse_failures", "direction provider reason", "Known routes whose payload could not be read."
)
SERVER_DURATION: Final = _histogram(
    "http_server_request_duration_seconds",
    _HTTP_LABELS,
    "First request byte received until the last response byte was given.",
    *_HTTP_SECONDS,
)
CLIENT_DURATION: Final = _histogram(
    "http_client_request_duration_seconds",
    _HTTP_LABELS,
    "Last request byte sent on until the last response byte came back.",
    *_HTTP_SECONDS,
    30,
    60,
)
PROXY_OVERHEAD: Final = _histogram(
    "reputation_proxy_overhead_seconds",
    "direction",
    "Time an exchange took beyond the upstream's answer; includes receiving the request.",
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
)
PROXY_ACTIVE: Final = _gauge("reputation_proxy_active_requests", "direction", "Exchanges in flight.")
PROXY_CONNECTIONS: Final = _gauge("reputation_proxy_open_connections", "", "Connections open to callers.")
PROXY_ERRORS: Final = _counter(
    "reputation_proxy_errors", "direction error_type", "Exchanges the wire could not complete."
)
SEND_LATENCY: Final = _histogram(
    "reputation_send_latency_seconds",
    "provider",
    "Dispatch until the provider's answer, for sends.",
    *(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60),
)
DELIVERY_LATENCY: Final = _histogram(
    "reputation_delivery_latency_seconds",
    "provider",
    "Sent until delivered, by the provider's times.",
    *(0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21600),
)
DELIVERY_PENDING: Final = _gauge(
    "reputation_delivery_pending",
    "",
    "Remembered messages that were sent and have no receipt or failure yet.",
)
QUEUE_DEPTH: Final = _gauge("reputation_queue_depth", "queue", "Items waiting in an in-memory queue.")
QUEUE_CAPACITY: Final = _gauge("reputation_queue_capacity", "queue", "Bound of an in-memory queue.")
JOURNAL_RECORDS: Final = _gauge("reputation_journal_records", "", "Journal records not stored yet.")
JOURNAL_BYTES: Final = _gauge("reputation_journal_size_bytes", "", "Size of the journal on disk.")
JOURNAL_CAPACITY: Final = _gauge(
    "reputation_journal_capacity_bytes", "", "Bound of the journal on disk; beyond it facts are lost."
)
PIPELINE_LAG: Final = _gauge("reputation_pipeline_lag_seconds", "sink", "Age of the oldest unhandled fact.")
STORE_SECONDS: Final = _histogram(
    "reputation_store_write_duration_seconds",
    "result",
    "Recording one batch, commit included.",
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
STORE_BATCH: Final = _histogram(
    "reputation_store_batch_rows", "", "Rows of one batch.", 1, 5, 10, 25, 50, 100, 250, 500, 1000
)
STORE_ROWS: Final = _counter("reputation_store_rows", "outcome", "Rows by what the store made of them.")
OTLP_RECORDS: Final = _counter(
    "reputation_otlp_records", "outcome", "Log records and spans on their way to OTLP."
)
EVALUATIONS: Final = _counter("reputation_evaluations", "result", "Evaluations by result.")
EVALUATION_SECONDS: Final = _histogram(
    "reputation_evaluation_duration_seconds",
    "",
    "One evaluation of one instance.",
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
INSTANCE_CONNECTED: Final = _gauge(
    "reputation_instance_connected", "instance_id", "1 connected, 0 not; absent while unknown."
)
INSTANCE_SCORE: Final = _gauge("reputation_instance_score", "instance_id", "Reputation score, 0 to 100.")
INSTANCE_TEMPERATURE: Final = _gauge(
    "reputation_instance_temperature", "instance_id temperature", "1 for the current level, else 0."
)
INSTANCE_TEMPERATURE_LEVEL: Final = _gauge(
    "reputation_instance_temperature_level",
    "instance_id",
    "0 COLD, 1 WARMING, 2 WARM, 3 HOT, 4 OVERHEATED, 5 COOLDOWN.",
)
INSTANCE_TREND: Final = _gauge("reputation_instance_trend", "instance_id", "-1 down, 0 stable, 1 up.")
INSTANCE_COOLDOWN: Final = _gauge(
    "reputation_instance_cooldown",
    "instance_id reason",
    "1 in cooldown, for this reason; reason NONE otherwise.",
)
INSTANCE_ALERTS: Final = _gauge("reputation_instance_alerts", "instance_id", "Active alerts.")
INSTANCE_LAST_SIGNAL: Final = _gauge(
    "reputation_instance_last_signal_timestamp_seconds", "instance_id", "Time of the newest signal."
)
LOOP_LAG: Final = _histogram(
    "reputation_event_loop_lag_seconds",
    "",
    "How late the workers' event loops ran a timer.",
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
WORKERS: Final = _gauge("reputation_workers", "", "Wire workers that are alive.")
SIDECAR_EVENTS: Final = _counter(
    "reputation_sidecar_events", "event", "The sidecar's own events, see the event catalogue."
)
BUILD_INFO: Final = _gauge(
    "reputation_build_info",
    "version revision python_version store",
    "Always 1; revision is the commit a package was built from, or `checkout`.",
)

CATALOGUE: Final = tuple(value for value in list(globals().values()) if isinstance(value, Definition))
"""All of them, in the order of this file."""

"""What a scrape shows: the names of the contract, a balanced ledger, bounded labels."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from domain.exchange import ExchangeFacts, Outcome, Rejected, TraceContext, Unknown, Unobserved
from domain.recorded import BySource, RecordedSignal
from domain.words import (
    CooldownReason,
    Direction,
    Millis,
    SignalType,
    Source,
    TemperatureLevel,
    Trend,
)
from exporters.prometheus.catalogue import CATALOGUE, LOOP_LAG, Kind
from exporters.prometheus.inputs import (
    BuildInfo,
    InstanceGauges,
    JournalGauges,
    LedgerGauges,
    QueueGauges,
    ScrapeInputs,
    WorkerGauges,
)
from exporters.prometheus.instances import IDLE_MS, KEEP_ACTIVE_MS
from exporters.prometheus.metrics import Metrics
from tests.builders import recorded_signal

AT = 1_790_000_000_000
MINUTE = 60_000
OPENMETRICS = ["application/openmetrics-text; version=1.0.0; charset=utf-8"]
BUILD = BuildInfo("1.2.3", "abc", "3.11", "sqlite")

Shown = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Clock:
    """A wall clock that stands still until moved."""

    def __init__(self) -> None:
        self.now: Millis = AT

    def __call__(self) -> Millis:
        """Give the time it shows."""
        return self.now


def metrics(
    inputs: ScrapeInputs | None = None,
    *,
    clock: Clock | None = None,
    series_max: int = 1000,
    providers: Sequence[str] = ("turbozap",),
) -> Metrics:
    """Make a registry with quiet inputs."""
    return Metrics(
        inputs or ScrapeInputs(),
        BUILD,
        now=clock or Clock(),
        max_instance_series=series_max,
        providers=providers,
    )


def scrape(registry: Metrics) -> Shown:
    """Scrape as Prometheus does and give every sample."""
    body, _ = registry.render()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(shown: Shown, name: str, /, **labels: str) -> float | None:
    """Give one sample, None where it is not shown."""
    return shown.get((name, frozenset(labels.items())))


def total(shown: Shown, name: str) -> float:
    """Sum a metric over its labels."""
    return sum(number for (shown_name, _), number in shown.items() if shown_name == name)


def instances_of(shown: Shown) -> set[str]:
    """Give every value of the instance label."""
    return {labels_value for _, labels in shown for key, labels_value in labels if key == "instance_id"}


def exchange(**changes: Any) -> ExchangeFacts:
    """Make an exchange that went well."""
    plain = ExchangeFacts(
        "x1",
        AT,
        Direction.DISPATCH,
        "turbozap",
        "POST",
        "/send/text",
        200,
        None,
        30_000,
        20_000,
        Outcome.READ,
    )
    return plain._replace(**changes)


def test_every_metric_of_the_catalogue_is_shown_with_its_type_and_labels() -> None:
    """Nothing in the catalogue is missing on /metrics, and nothing else of ours is there."""
    everything = ScrapeInputs(
        instances=lambda: [
            InstanceGauges(
                "a", 50, TemperatureLevel.COLD, Trend.UP, None, 0, connected=True, last_signal_at=AT
            )
        ],
        workers=lambda: [
            WorkerGauges("w0", refusals={(Direction.DISPATCH, "bad_length"): 1}, events={"e.x": 1})
        ],
        ledger=lambda: LedgerGauges(BySource(1, 2, 3)),
        journal=lambda: JournalGauges(1, 2, {"store": 0.5}, 3),
        queues=lambda: [QueueGauges("log", 1, 2)],
        api_refusals=lambda: {"unauthorized": 1},
    )
    registry = metrics(everything)
    registry.exchanges(
        [
            exchange(unknown=(Unknown("event", "x"),), unobserved=(Unobserved("request", "cut"),)),
            exchange(outcome=Outcome.UNREADABLE, fault="json"),
        ]
    )
    registry.signals([recorded_signal(1, AT, SignalType.RATE_LIMIT_HIT, context={"code": "429"})])
    body, _ = registry.render()
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}

    ours = {name for name in families if not name.startswith("process_")}
    assert ours == {definition.name for definition in CATALOGUE}
    for definition in CATALOGUE:
        family = families[definition.name]
        assert family.type == definition.kind.value
        assert family.documentation == definition.help
        assert family.samples, definition.name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(definition.labels), sample


def test_names_follow_the_rules_of_the_contract() -> None:
    """Prefix, base units, and no label that collides with the scrape target's."""
    for definition in CATALOGUE:
        assert definition.name.startswith(("reputation_", "http_"))
        assert not definition.name.endswith("_total")
        assert not {"instance", "job", "message_id", "le"} & set(definition.labels)
        assert (definition.kind is Kind.HISTOGRAM) == bool(definition.buckets)
        assert list(definition.buckets) == sorted(definition.buckets)


def test_known_label_sets_exist_before_anything_happens() -> None:
    """`increase()` sees the first event of each kind."""
    shown = scrape(metrics())

    assert (
        value(
            shown,
            "reputation_signals_total",
            type="MESSAGE_FAILED",
            severity="HIGH",
            source="DISPATCH",
            provider="turbozap",
        )
        == 0
    )
    assert value(shown, "reputation_signals_dropped_total", stage="journal", reason="disk_full") == 0
    assert value(shown, "reputation_proxy_errors_total", direction="outbound", error_type="connect") == 0
    assert (
        value(shown, "reputation_exchanges_total", direction="inbound", provider="turbozap", outcome="read")
        == 0
    )
    assert not any(name.endswith("_created") for name, _ in shown)


def test_the_ledger_balances_at_every_scrape() -> None:
    """Observed equals recorded, duplicate, dropped and pending together, whatever was reported so far."""
    observed = [BySource()]
    registry = metrics(ScrapeInputs(ledger=lambda: LedgerGauges(observed[0])))

    def balance() -> float:
        shown = scrape(registry)
        right = (
            total(shown, "reputation_signals_total")
            + total(shown, "reputation_signals_duplicate_total")
            + total(shown, "reputation_signals_dropped_total")
            + total(shown, "reputation_signals_pending")
        )
        assert total(shown, "reputation_signals_observed_total") == right
        return total(shown, "reputation_signals_pending")

    assert balance() == 0
    observed[0] = BySource(webhook=5, dispatch=4, provider=1)
    assert balance() == 10
    registry.signals([recorded_signal(seq, AT + seq) for seq in range(4)])
    assert balance() == 6
    registry.repeated(Counter({Source.WEBHOOK: 3}))
    assert balance() == 3
    registry.lost("journal", "disk_full", 2)
    assert balance() == 1
    registry.exchanges([exchange(rejected=(Rejected(Source.WEBHOOK, "instance_id_empty"),))])
    assert balance() == 0


def test_a_scrape_while_counts_move_sees_one_instant() -> None:
    """Under the shared lock a batch is seen whole or not at all."""
    lock = threading.RLock()
    observed = [0]
    registry = Metrics(
        ScrapeInputs(ledger=lambda: LedgerGauges(BySource(dispatch=observed[0]))),
        BUILD,
        now=Clock(),
        lock=lock,
        providers=["turbozap"],
    )
    stop = threading.Event()

    def record() -> None:
        while not stop.is_set():
            batch = [recorded_signal(seq, AT) for seq in range(10)]
            with lock:
                observed[0] += 10
                registry.signals(batch)

    recorder = threading.Thread(target=record)
    recorder.start()
    pending = [total(scrape(registry), "reputation_signals_pending") for _ in range(20)]
    stop.set()
    recorder.join()

    assert pending == [0] * 20


def test_an_exchange_counts_by_route_and_measures_what_the_sidecar_added() -> None:
    """Durations in seconds by template; overhead is what exceeds the upstream's part."""
    registry = metrics()

    registry.exchanges([exchange(), exchange(status=None, error="CLIENT_CLOSED", upstream_us=None)])

    shown = scrape(registry)
    labels = {"direction": "outbound", "http_request_method": "POST", "http_route": "/send/text"}
    assert value(
        shown, "http_server_request_duration_seconds_sum", **labels, http_response_status_code="200"
    ) == pytest.approx(0.03)
    assert value(
        shown, "http_client_request_duration_seconds_sum", **labels, http_response_status_code="200"
    ) == pytest.approx(0.02)
    assert (
        value(shown, "http_server_request_duration_seconds_count", **labels, http_response_status_code="")
        == 1
    )
    assert (
        value(shown, "http_client_request_duration_seconds_count", **labels, http_response_status_code="")
        == 0
    )
    assert value(shown, "reputation_proxy_overhead_seconds_sum", direction="outbound") == pytest.approx(0.01)
    assert value(shown, "reputation_proxy_overhead_seconds_bucket", direction="outbound", le="0.01") == 1
    assert value(shown, "reputation_proxy_errors_total", direction="outbound", error_type="client_abort") == 1


def test_what_readers_stumbled_over_is_counted_with_its_reason() -> None:
    """Drift, unread bodies, unreadable payloads, signatures and refused facts."""
    registry = metrics()

    registry.exchanges(
        [
            exchange(
                direction=Direction.WEBHOOK,
                outcome=Outcome.UNREADABLE,
                fault="json",
                unknown=(Unknown("event", "newsletter"),),
                unobserved=(Unobserved("request", "cut"),),
                rejected=(Rejected(Source.WEBHOOK, "instance_id_empty"),),
                signature="invalid",
            )
        ]
    )

    shown = scrape(registry)
    assert (
        value(
            shown, "reputation_parse_failures_total", direction="inbound", provider="turbozap", reason="json"
        )
        == 1
    )
    assert (
        value(shown, "reputation_unknown_names_total", provider="turbozap", kind="event", name="newsletter")
        == 1
    )
    assert value(shown, "reputation_bodies_unobserved_total", direction="inbound", reason="cut") == 1
    assert value(shown, "reputation_webhook_signatures_total", provider="turbozap", outcome="invalid") == 1
    assert value(shown, "reputation_signals_dropped_total", stage="ingest", reason="instance_id_empty") == 1


def test_schema_drift_names_are_bounded() -> None:
    """Whatever a gateway invents, beyond 200 names it counts as other."""
    registry = metrics()

    registry.exchanges([exchange(unknown=(Unknown("event", f"name-{n}"),)) for n in range(1000)])

    shown = scrape(registry)
    names = {dict(labels)["name"] for name, labels in shown if name == "reputation_unknown_names_total"}
    assert len(names) == 201
    assert (
        value(shown, "reputation_unknown_names_total", provider="turbozap", kind="event", name="other") == 800
    )


def test_routes_and_statuses_are_bounded() -> None:
    """A provider that answers every status on every route cannot blow up the histograms."""
    registry = metrics()

    registry.exchanges([exchange(template=f"/r{n}", status=100 + n % 500) for n in range(5000)])

    shown = scrape(registry)
    counts = [labels for name, labels in shown if name == "http_server_request_duration_seconds_count"]
    assert len(counts) <= 401
    assert total(shown, "http_server_request_duration_seconds_count") == 5000


def test_a_sampled_trace_is_shown_as_exemplar_only_to_openmetrics() -> None:
    """An unsampled trace exists nowhere, so it is no example."""
    registry = metrics()
    sampled = TraceContext("ab" * 16, "cd" * 8, 3)
    unsampled = TraceContext("12" * 16, "34" * 8, 2)

    registry.exchanges([exchange(trace=sampled), exchange(trace=unsampled, duration_us=200_000)])

    plain, plain_type = registry.render()
    open_metrics, open_type = registry.render(OPENMETRICS)
    assert plain_type.startswith("text/plain")
    assert open_type.startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.endswith(b"# EOF\n")
    assert b"ab" * 16 in open_metrics
    assert b"12" * 16 not in open_metrics
    assert b"ab" * 16 not in plain


def test_a_message_counts_once_a_type_however_often_it_is_reported() -> None:
    """Answer, echo and receipt of one message are one sent message; own reads count nowhere."""
    registry = metrics()
    reports = [
        recorded_signal(1, AT, SignalType.MESSAGE_SENT, message_id="M1"),
        recorded_signal(2, AT, SignalType.MESSAGE_SENT, source=Source.WEBHOOK, message_id="M1"),
        recorded_signal(3, AT, SignalType.MESSAGE_SENT, message_id="M2"),
        recorded_signal(4, AT, SignalType.MESSAGE_DELIVERED, source=Source.WEBHOOK, message_id="M1"),
        recorded_signal(5, AT, SignalType.MESSAGE_READ, source=Source.DISPATCH, message_id="IN1"),
        recorded_signal(6, AT, SignalType.MESSAGE_FAILED, message_id=None),
        recorded_signal(7, AT, SignalType.MESSAGE_FAILED, message_id=None),
    ]

    registry.signals(reports)

    shown = scrape(registry)

    def messages(signal_type: str) -> float | None:
        return value(shown, "reputation_instance_messages_total", instance_id="sales-1", type=signal_type)

    assert messages("MESSAGE_SENT") == 2
    assert messages("MESSAGE_DELIVERED") == 1
    assert messages("MESSAGE_READ") == 0
    assert messages("MESSAGE_FAILED") == 2
    assert value(shown, "reputation_instance_signals_total", instance_id="sales-1", type="MESSAGE_SENT") == 3
    assert value(shown, "reputation_delivery_pending") == 1


def test_latencies_are_measured_in_seconds() -> None:
    """Send latency and delivery latency, by provider."""
    registry = metrics()

    registry.signals(
        [
            recorded_signal(1, AT, SignalType.SEND_LATENCY_OBSERVED, latency_ms=120),
            recorded_signal(
                2, AT, SignalType.MESSAGE_DELIVERED, source=Source.WEBHOOK, message_id="M", latency_ms=2500
            ),
        ]
    )

    shown = scrape(registry)
    assert value(shown, "reputation_send_latency_seconds_sum", provider="turbozap") == pytest.approx(0.12)
    assert value(shown, "reputation_delivery_latency_seconds_sum", provider="turbozap") == pytest.approx(2.5)


def test_rate_limits_count_by_code_and_codes_are_bounded() -> None:
    """The code tells 463 from 429; a provider that invents codes fills at most 16 and `other`."""
    registry = metrics()

    registry.signals(
        [
            recorded_signal(
                n, AT, SignalType.RATE_LIMIT_HIT, source=Source.PROVIDER, context={"code": str(n)}
            )
            for n in range(100)
        ]
    )

    shown = scrape(registry)
    codes = {
        dict(labels)["code"] for name, labels in shown if name == "reputation_instance_rate_limits_total"
    }
    assert len(codes) == 17
    assert value(shown, "reputation_instance_rate_limits_total", instance_id="sales-1", code="other") == 84


def test_instances_beyond_the_bound_share_a_label_and_are_counted() -> None:
    """At most the configured number of instance values, and `__other__`."""
    registry = metrics(series_max=3)

    registry.signals([recorded_signal(1, AT, instance_id=f"i{n}") for n in range(5)])

    shown = scrape(registry)
    assert instances_of(shown) == {"i0", "i1", "i2", "__other__"}
    assert (
        value(shown, "reputation_instance_signals_total", instance_id="__other__", type="MESSAGE_SENT") == 2
    )
    assert value(shown, "reputation_instances_overflow_total") == 2
    assert value(shown, "reputation_instances_tracked") == 3
    assert total(shown, "reputation_instance_signals_total") == total(shown, "reputation_signals_total") == 5


def test_the_least_recently_used_instance_gives_way_once_it_is_silent() -> None:
    """After five silent minutes the one used longest ago leaves with all its series."""
    registry = metrics(series_max=2)

    def signal(instance_id: str, at: Millis) -> None:
        registry.signals([recorded_signal(1, at, instance_id=instance_id)])

    signal("a", AT)
    signal("b", AT + 1)
    signal("a", AT + 2)
    signal("c", AT + 5 * MINUTE)
    assert instances_of(scrape(registry)) == {"a", "b", "__other__"}
    signal("c", AT + 5 * MINUTE + 1)

    shown = scrape(registry)
    assert instances_of(shown) == {"a", "c", "__other__"}
    assert value(shown, "reputation_instance_signals_total", instance_id="c", type="MESSAGE_SENT") == 1


def test_an_instance_silent_for_a_day_leaves() -> None:
    """Idle series go even when nobody needs the place, and come back at 0."""
    clock = Clock()
    registry = metrics(clock=clock)
    registry.signals([recorded_signal(1, AT)])

    clock.now = AT + 24 * 60 * MINUTE
    assert instances_of(scrape(registry)) == {"sales-1", "__other__"}
    clock.now += 1
    assert instances_of(scrape(registry)) == {"__other__"}

    registry.signals([recorded_signal(2, clock.now)])
    assert (
        value(
            scrape(registry), "reputation_instance_signals_total", instance_id="sales-1", type="MESSAGE_SENT"
        )
        == 1
    )


def test_ids_known_only_from_failures_get_at_most_half_of_the_places() -> None:
    """Whoever calls can put any id into a path; a success proves it."""
    registry = metrics(series_max=4)
    made_up = [
        recorded_signal(1, AT, SignalType.MESSAGE_FAILED, instance_id=f"made-up-{n}") for n in range(9)
    ]

    registry.signals(made_up)
    registry.signals([recorded_signal(1, AT, instance_id=f"real-{n}") for n in range(2)])

    assert instances_of(scrape(registry)) == {"made-up-0", "made-up-1", "real-0", "real-1", "__other__"}


def test_a_proven_instance_frees_the_share_of_the_unproven() -> None:
    """An id that failed first and then succeeded no longer counts as made up."""
    registry = metrics(series_max=4)

    def signal(instance_id: str, signal_type: SignalType) -> None:
        registry.signals([recorded_signal(1, AT, signal_type, instance_id=instance_id)])

    for name in ("a", "b"):
        signal(name, SignalType.MESSAGE_FAILED)
    signal("a", SignalType.MESSAGE_SENT)
    signal("c", SignalType.MESSAGE_FAILED)

    assert instances_of(scrape(registry)) == {"a", "b", "c", "__other__"}


def test_a_million_random_ids_keep_scrape_and_memory_bounded() -> None:
    """Series and remembered messages stop growing; 200 000 ids here, the bound is reached long before."""
    registry = metrics(series_max=1000)

    for start in range(0, 200_000, 1000):
        batch = [
            recorded_signal(1, AT + start, instance_id=f"random-{start + n}", message_id=f"m{start + n}")
            for n in range(1000)
        ]
        registry.signals(batch)

    shown = scrape(registry)
    assert len(instances_of(shown)) == 1001
    assert len(shown) < 40_000
    assert total(shown, "reputation_instance_signals_total") == 200_000
    assert len(registry._messages) <= 2 * 65_536


def test_a_full_scrape_takes_less_than_a_second_of_work() -> None:
    """A thousand instances with counters and gauges, in the dearer of the two formats; 0.4 s here."""
    ids = [f"sales-{number}" for number in range(1000)]
    rows = [state(instance_id) for instance_id in ids]
    registry = metrics(ScrapeInputs(instances=lambda: rows))
    registry.signals([recorded_signal(1, AT, instance_id=instance_id) for instance_id in ids])

    began = time.process_time()
    body, _ = registry.render(OPENMETRICS)
    took = time.process_time() - began

    assert body.count(b"\n") > 30_000
    assert took < 1.0


def test_openmetrics_is_valid_by_its_strict_parser() -> None:
    """Exemplars, hostile ids and gauges included: names, order, units and escapes."""
    hostile = 'a"} 1\nreputation_build_info{x="\\'
    registry = metrics(ScrapeInputs(instances=lambda: [state(hostile), state("sales-1")]))
    registry.signals([recorded_signal(1, AT, signal_type, instance_id=hostile) for signal_type in SignalType])
    registry.exchanges([exchange(trace=TraceContext("ab" * 16, "cd" * 8, 1))])
    body, _ = registry.render(OPENMETRICS)

    families = openmetrics(body.decode())  # type: ignore[no-untyped-call]  # the library left it bare
    samples = [sample for family in families for sample in family.samples]

    assert {sample.labels.get("instance_id") for sample in samples} >= {hostile, "sales-1"}
    exemplars = [sample.exemplar for sample in samples if sample.exemplar is not None]
    assert [exemplar.labels for exemplar in exemplars] == [{"trace_id": "ab" * 16, "span_id": "cd" * 8}]


def test_hostile_instance_ids_are_escaped() -> None:
    """Quotes, backslashes and line feeds cannot forge a sample."""
    registry = metrics()
    hostile = 'a"} 1\nreputation_build_info{x="\\'

    registry.signals([recorded_signal(1, AT, instance_id=hostile)])

    assert hostile in instances_of(scrape(registry))
    assert registry.render(OPENMETRICS)[0].count(b"\n# TYPE reputation_build_info") == 1


def state(instance_id: str, **changes: Any) -> InstanceGauges:
    """Make the evaluated state of a healthy instance."""
    healthy = InstanceGauges(
        instance_id, 72, TemperatureLevel.WARM, Trend.UP, None, 0, connected=True, last_signal_at=AT
    )
    return healthy._replace(**changes)


def test_instance_states_are_read_at_the_scrape() -> None:
    """Score, level, trend, cooldown, alerts, connection and last signal of the evaluation snapshot."""
    rows = [state("a", cooldown_reason=CooldownReason.BLOCK_SPIKE, temperature=TemperatureLevel.COOLDOWN)]
    registry = metrics(ScrapeInputs(instances=lambda: rows))

    shown = scrape(registry)

    assert value(shown, "reputation_instance_score", instance_id="a") == 72
    assert value(shown, "reputation_instance_temperature_level", instance_id="a") == 5
    assert value(shown, "reputation_instance_temperature", instance_id="a", temperature="COOLDOWN") == 1
    assert value(shown, "reputation_instance_temperature", instance_id="a", temperature="WARM") == 0
    assert value(shown, "reputation_instance_trend", instance_id="a") == 1
    assert value(shown, "reputation_instance_cooldown", instance_id="a", reason="BLOCK_SPIKE") == 1
    assert value(shown, "reputation_instance_connected", instance_id="a") == 1
    assert value(shown, "reputation_instance_last_signal_timestamp_seconds", instance_id="a") == AT / 1000
    rows.clear()
    assert value(scrape(registry), "reputation_instance_score", instance_id="a") is None


def test_unknown_connections_are_absent_and_no_cooldown_says_none() -> None:
    """Unknown is neither 0 nor 1."""
    registry = metrics(ScrapeInputs(instances=lambda: [state("a", connected=None)]))
    registry.signals([recorded_signal(1, AT, instance_id="a")])

    shown = scrape(registry)

    assert value(shown, "reputation_instance_connected", instance_id="a") is None
    assert value(shown, "reputation_instance_cooldown", instance_id="a", reason="NONE") == 0


def test_states_take_free_places_but_evict_nobody() -> None:
    """Gauges of ten thousand evaluated instances stay within the bound."""
    rows = [state(f"evaluated-{n}") for n in range(10_000)]
    registry = metrics(ScrapeInputs(instances=lambda: rows), series_max=3)
    registry.signals([recorded_signal(1, AT, instance_id="active")])

    assert instances_of(scrape(registry)) == {"active", "evaluated-0", "evaluated-1", "__other__"}


def test_a_cooldown_does_not_end_by_silence() -> None:
    """An instance silent for days is left out, but not while it is in cooldown."""
    days_ago = AT - 3 * 24 * 60 * MINUTE
    rows = [
        state("idle", last_signal_at=days_ago),
        state("resting", last_signal_at=days_ago, cooldown_reason=CooldownReason.SCORE_THRESHOLD),
    ]
    registry = metrics(ScrapeInputs(instances=lambda: rows))

    for _ in range(2):
        assert instances_of(scrape(registry)) == {"resting", "__other__"}


def test_known_instances_start_at_zero() -> None:
    """What the store knows at the start has series before its first signal."""
    registry = metrics(series_max=2)

    registry.known_instances([("a", AT), ("b", AT - 1), ("c", AT - 2)])

    shown = scrape(registry)
    assert instances_of(shown) == {"a", "b", "__other__"}
    assert registry.placed_instances == ["b", "a"]
    assert value(shown, "reputation_instance_messages_total", instance_id="a", type="MESSAGE_FAILED") == 0


def test_known_instances_give_way_to_active_ones_at_once() -> None:
    """A restart does not keep places for numbers that were silent before; a day of silence gets none."""
    registry = metrics(series_max=2)

    registry.known_instances([("a", AT), ("b", AT - KEEP_ACTIVE_MS), ("c", AT - IDLE_MS - 1)])
    registry.signals([recorded_signal(1, AT, instance_id="d")])

    assert instances_of(scrape(registry)) == {"a", "d", "__other__"}


def test_what_a_vanished_worker_had_counted_stays_counted() -> None:
    """Counters never fall because a worker was restarted; gauges speak of the living."""
    pages = [
        WorkerGauges(
            "w0-1",
            open_connections=3,
            active_requests={Direction.DISPATCH: 2},
            loop_lag_counts=[5] + [0] * len(LOOP_LAG.buckets),
            loop_lag_sum_seconds=0.5,
            refusals={(Direction.DISPATCH, "bad_length"): 4},
            events={"observer.crashed": 1},
        )
    ]
    registry = metrics(ScrapeInputs(workers=lambda: pages, events=lambda: {"observer.crashed": 2}))
    scrape(registry)

    pages[:] = [
        WorkerGauges("w0-2", open_connections=1, refusals={(Direction.DISPATCH, "bad_length"): 1}),
        WorkerGauges("w1-1", alive=False, open_connections=9),
    ]
    shown = scrape(registry)

    assert value(shown, "reputation_wire_refusals_total", direction="outbound", reason="bad_length") == 5
    assert value(shown, "reputation_event_loop_lag_seconds_count") == 5
    assert value(shown, "reputation_event_loop_lag_seconds_sum") == 0.5
    assert value(shown, "reputation_sidecar_events_total", event="observer.crashed") == 3
    assert value(shown, "reputation_proxy_open_connections") == 1
    assert value(shown, "reputation_proxy_active_requests", direction="outbound") == 0
    assert value(shown, "reputation_workers") == 1


def test_store_export_and_evaluation_counts() -> None:
    """Each report of the recorder lands in its metric."""
    registry = metrics()

    registry.store_batch(0.02, 300, "ok")
    registry.store_batch(2.0, 300, "failed")
    registry.otlp("emitted", 7)
    registry.export_dropped("log", "queue_full", 11)
    registry.evaluated("stored", 4, 0.008)
    registry.evaluated("stored", 0, 0.0)
    registry.signals([recorded_signal(1, AT)])
    registry.repeated(Counter({Source.DISPATCH: 2}))

    shown = scrape(registry)
    assert value(shown, "reputation_store_write_duration_seconds_count", result="failed") == 1
    assert value(shown, "reputation_store_batch_rows_sum") == 300
    assert value(shown, "reputation_store_rows_total", outcome="failed") == 300
    assert value(shown, "reputation_store_rows_total", outcome="inserted") == 1
    assert value(shown, "reputation_store_rows_total", outcome="duplicate") == 2
    assert value(shown, "reputation_otlp_records_total", outcome="emitted") == 7
    assert value(shown, "reputation_export_dropped_total", sink="log", reason="queue_full") == 11
    assert value(shown, "reputation_evaluations_total", result="stored") == 4
    assert value(shown, "reputation_evaluation_duration_seconds_sum") == pytest.approx(0.008)
    assert value(shown, "reputation_signals_duplicate_total", source="DISPATCH") == 2


def test_journal_queues_and_build_are_shown() -> None:
    """What the composition root tells is passed on."""
    registry = metrics(
        ScrapeInputs(
            journal=lambda: JournalGauges(12, 4096, {"store": 1.5}, 1 << 20),
            queues=lambda: [QueueGauges("otlp", 3, 8192)],
        )
    )

    shown = scrape(registry)

    assert value(shown, "reputation_journal_records") == 12
    assert value(shown, "reputation_journal_size_bytes") == 4096
    assert value(shown, "reputation_journal_capacity_bytes") == 1 << 20
    assert value(shown, "reputation_pipeline_lag_seconds", sink="store") == 1.5
    assert value(shown, "reputation_queue_depth", queue="otlp") == 3
    assert value(shown, "reputation_queue_capacity", queue="otlp") == 8192
    assert (
        value(
            shown,
            "reputation_build_info",
            version="1.2.3",
            revision="abc",
            python_version="3.11",
            store="sqlite",
        )
        == 1
    )


def test_signals_by_type_severity_source_and_provider() -> None:
    """The recorded total splits by the four words of the contract."""
    registry = metrics()
    rows: list[RecordedSignal] = [
        recorded_signal(1, AT, SignalType.QRCODE_REGENERATED, source=Source.PROVIDER)
    ]

    registry.signals(rows)

    assert (
        value(
            scrape(registry),
            "reputation_signals_total",
            type="QRCODE_REGENERATED",
            severity="MEDIUM",
            source="PROVIDER",
            provider="turbozap",
        )
        == 1
    )

"""The Sidecar board: traffic, what the sidecar adds, whether it keeps up, what it loses."""
# ruff: noqa: E501 - a query is read in one piece

from typing import Final

from grafana_foundation_sdk.builders import dashboard as db

from dashboards.grafana import parts
from dashboards.grafana.parts import SELECTOR, AnyPanel, Source

PROM: Final = Source(parts.PROMETHEUS_TYPE, "datasource")


def build() -> db.Dashboard:
    """Build the board."""
    made = parts.board(
        "Sidecar",
        parts.SIDECAR,
        "The sidecar itself: traffic, added latency, journal, ledger, losses, resources.",
    )
    made = made.with_variable(parts.source_variable(PROM, "Data source"))
    for variable in parts.scope_variables(PROM):
        made = made.with_variable(variable)
    made = made.link(parts.board_link("Fleet", parts.FLEET)).link(
        parts.board_link("Instance audit", parts.AUDIT)
    )
    rows = {
        "Now": _now(),
        "Traffic": _traffic(),
        "What is read": _reading(),
        "Journal and ledger": _recording(),
        "Store and evaluation": _store(),
        "Way out": _exports(),
        "Resources": _resources(),
    }
    for title, panels in rows.items():
        made = made.with_row(db.Row(title))
        for panel in panels:
            made = made.with_panel(panel)
    return made


def _sum(metric: str, by: str = "", extra: str = "") -> str:
    """Give the sum of a gauge."""
    return f"sum{f' by ({by})' if by else ''} ({metric}{{{SELECTOR}{extra}}})"


def _rate(metric: str, by: str = "", extra: str = "") -> str:
    """Give the sum of a counter's rate."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{SELECTOR}{extra}}}[$__rate_interval]))"


def _quantile(q: float, metric: str, by: str = "") -> str:
    """Give a quantile of a histogram."""
    return f"histogram_quantile({q}, {_rate(metric + '_bucket', f'{by}, le' if by else 'le')})"


def _graph(
    title: str, description: str, unit: str, *pairs: tuple[str, str], stacked: bool = False
) -> AnyPanel:
    return parts.graph(title, description, unit, PROM, pairs, stacked=stacked)


def _now() -> list[AnyPanel]:
    def one(
        title: str, description: str, unit: str, expr: str, steps: parts.Thresholds = ((None, "text"),)
    ) -> AnyPanel:
        return parts.number(title, description, unit, PROM, expr, steps=steps)

    balanced = ((None, "green"), (1, "orange"))
    return [
        one("Sidecars", "Sidecars that answer their scrape.", "short", f"count(reputation_build_info{{{SELECTOR}}})"),
        one("Workers", "Wire workers that are alive.", "short", _sum("reputation_workers"), ((None, "red"), (1, "green"))),
        one("In flight", "Exchanges in flight.", "short", _sum("reputation_proxy_active_requests")),
        one("Facts pending", "Facts observed and not settled yet.", "short", _sum("reputation_signals_pending")),
        one("Facts lost", "Facts lost in the time range.", "short",
            f"sum(increase(reputation_signals_dropped_total{{{SELECTOR}}}[$__range]))", balanced),
        one("Store lag", "Age of the oldest fact not stored.", "s",
            f"max(reputation_pipeline_lag_seconds{{{SELECTOR}}})", ((None, "green"), (10, "orange"), (60, "red"))),
    ]  # fmt: skip


def _traffic() -> list[AnyPanel]:
    server, client = "http_server_request_duration_seconds", "http_client_request_duration_seconds"
    added = "reputation_proxy_overhead_seconds"
    return [
        _graph("Requests by route", "Exchanges a second, by direction and route template.", "reqps",
               (_rate(f"{server}_count", "direction, http_route"), "{{direction}} {{http_route}}")),
        _graph("Answers by status", "Exchanges a second, by direction and status; empty means no answer.", "reqps",
               (_rate(f"{server}_count", "direction, http_response_status_code"), "{{direction}} {{http_response_status_code}}")),
        _graph("Duration", "Median and 99th percentile as the caller sees it.", "s",
               (_quantile(0.5, server, "direction"), "{{direction}} p50"), (_quantile(0.99, server, "direction"), "{{direction}} p99")),
        _graph("Duration of the upstream", "Median and 99th percentile of provider and dispatcher alone.", "s",
               (_quantile(0.5, client, "direction"), "{{direction}} p50"), (_quantile(0.99, client, "direction"), "{{direction}} p99")),
        _graph("Added latency", "What an exchange took beyond the upstream's answer, receiving the request included.", "s",
               (_quantile(0.5, added, "direction"), "{{direction}} p50"),
               ('max by (direction) (job_direction:reputation_proxy_overhead_seconds:p99_rate5m{job=~"$job"})', "{{direction}} p99")),
        _graph("Failures on the wire", "Exchanges a second the wire could not complete, by reason.", "reqps",
               (_rate("reputation_proxy_errors_total", "direction, error_type"), "{{direction}} {{error_type}}")),
        _graph("Share of failures", "Part of the exchanges that failed at the upstream; the alert fires above 10 %.", "percentunit",
               ('max by (direction) (job_direction:reputation_failed_per_exchange:ratio_rate5m{job=~"$job"})', "{{direction}}")),
        _graph("Refused messages", "Requests and answers a second refused for breaking HTTP, TLS handshakes that failed.", "reqps",
               (_rate("reputation_wire_refusals_total", "direction, reason"), "{{direction}} {{reason}}")),
        _graph("Connections and requests", "Open connections of callers, and exchanges in flight.", "short",
               (_sum("reputation_proxy_open_connections"), "connections"),
               (_sum("reputation_proxy_active_requests", "direction"), "{{direction}} in flight")),
    ]  # fmt: skip


def _reading() -> list[AnyPanel]:
    return [
        _graph("Exchanges by outcome", "Exchanges a second taken from the journal, by what reading gave.", "reqps",
               (_rate("reputation_exchanges_total", "direction, provider, outcome"), "{{direction}} {{provider}} {{outcome}}")),
        _graph("Unreadable payloads", "Known routes a second whose payload did not have the expected shape.", "reqps",
               (_rate("reputation_parse_failures_total", "provider, reason"), "{{provider}} {{reason}}")),
        _graph("Bodies not read", "Bodies a second that were cut or could not be decoded.", "reqps",
               (_rate("reputation_bodies_unobserved_total", "direction, reason"), "{{direction}} {{reason}}")),
        _graph("Schema drift", "Names a second that no reader table knows.", "cps",
               (_rate("reputation_unknown_names_total", "provider, kind, name"), "{{provider}} {{kind}} {{name}}")),
        _graph("Webhook signatures", "Verified callbacks a second, by outcome.", "cps",
               (_rate("reputation_webhook_signatures_total", "provider, outcome"), "{{provider}} {{outcome}}")),
    ]  # fmt: skip


def _recording() -> list[AnyPanel]:
    return [
        _graph("Ledger", "Facts a second: observed is recorded, repeated and lost together, but for what is pending.", "cps",
               (_rate("reputation_signals_observed_total"), "observed"), (_rate("reputation_signals_total"), "recorded"),
               (_rate("reputation_signals_duplicate_total"), "repeated"), (_rate("reputation_signals_dropped_total"), "lost")),
        _graph("Observed by source", "Facts observed a second, by where they were seen.", "cps",
               (_rate("reputation_signals_observed_total", "source"), "{{source}}"), stacked=True),
        _graph("Losses by reason", "Facts lost a second, by stage and reason.", "cps",
               (_rate("reputation_signals_dropped_total", "stage, reason"), "{{stage}} {{reason}}")),
        _graph("Journal on disk", "Size of the journal, and its bound.", "bytes",
               (_sum("reputation_journal_size_bytes", "instance"), "{{instance}}"),
               (_sum("reputation_journal_capacity_bytes", "instance"), "{{instance}} bound")),
        _graph("Journal records", "Records not stored yet.", "short", (_sum("reputation_journal_records", "instance"), "{{instance}}")),
        _graph("Lag", "Age of the oldest fact a sink has not handled.", "s",
               (f"max by (instance, sink) (reputation_pipeline_lag_seconds{{{SELECTOR}}})", "{{instance}} {{sink}}")),
    ]  # fmt: skip


def _store() -> list[AnyPanel]:
    seconds = "reputation_store_write_duration_seconds"
    evaluation = "reputation_evaluation_duration_seconds"
    return [
        _graph("Store", "Time to record a batch, commit included.", "s",
               (_quantile(0.5, seconds, "result"), "{{result}} p50"), (_quantile(0.99, seconds, "result"), "{{result}} p99")),
        _graph("Batches", "Batches a second by result, and mean rows of a batch.", "short",
               (_rate(f"{seconds}_count", "result"), "{{result}} a second"),
               (f"{_rate('reputation_store_batch_rows_sum')} / {_rate('reputation_store_batch_rows_count')}", "rows of a batch")),
        _graph("Rows", "Rows a second, by what the store made of them.", "cps",
               (_rate("reputation_store_rows_total", "outcome"), "{{outcome}}")),
        _graph("Evaluations", "Evaluations a second, by result.", "cps",
               (_rate("reputation_evaluations_total", "result"), "{{result}}")),
        _graph("Evaluation time", "Time of one evaluation.", "s",
               (_quantile(0.5, evaluation), "p50"), (_quantile(0.99, evaluation), "p99")),
        _graph("Instance series", "Instances with series of their own, and signals a second counted under __other__.", "short",
               (_sum("reputation_instances_tracked"), "tracked"), (_rate("reputation_instances_overflow_total"), "overflow a second")),
    ]  # fmt: skip


def _exports() -> list[AnyPanel]:
    return [
        _graph("Dropped on the way out", "Log lines and OTLP records dropped a second; the facts are recorded.", "cps",
               (_rate("reputation_export_dropped_total", "sink, reason"), "{{sink}} {{reason}}")),
        _graph("OTLP", "Records a second on their way to the collector.", "cps",
               (_rate("reputation_otlp_records_total", "outcome"), "{{outcome}}")),
        _graph("Queues", "How full the in-memory queues are.", "percentunit",
               (f"max by (queue) (reputation_queue_depth{{{SELECTOR}}} / reputation_queue_capacity{{{SELECTOR}}})", "{{queue}}")),
    ]  # fmt: skip


def _resources() -> list[AnyPanel]:
    return [
        _graph("CPU", "CPU of the recorder, in cores.", "short",
               (_rate("process_cpu_seconds_total", "instance"), "{{instance}}")),
        _graph("Memory", "Resident memory of the recorder.", "bytes", (_sum("process_resident_memory_bytes", "instance"), "{{instance}}")),
        _graph("Event loop", "How late the workers' event loops run timers.", "s",
               (_quantile(0.5, "reputation_event_loop_lag_seconds", "instance"), "{{instance}} p50"),
               (_quantile(0.99, "reputation_event_loop_lag_seconds", "instance"), "{{instance}} p99")),
        _graph("Events", "The sidecar's own events a second, see the event catalogue.", "cps",
               (_rate("reputation_sidecar_events_total", "event"), "{{event}}")),
        _graph("Admin listener", "Requests a second the admin listener refused, dropped or failed, by reason.", "cps",
               (_rate("reputation_api_refusals_total", "reason"), "{{reason}}")),
        _graph("Versions", "What runs.", "short",
               (f"count by (version, revision, python_version, store) (reputation_build_info{{{SELECTOR}}})",
                "{{version}} {{revision}} Python {{python_version}} {{store}}")),
    ]  # fmt: skip

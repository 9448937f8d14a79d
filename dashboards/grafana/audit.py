"""The Instance audit board: what happened to one number, and why it was judged as it was."""
# ruff: noqa: E501 - a query is read in one piece

from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard as db
from grafana_foundation_sdk.builders import logs, table
from grafana_foundation_sdk.models import dashboard as dm

from dashboards.grafana import parts
from dashboards.grafana.parts import SELECTOR, AnyPanel, Infinity, Source

PROM: Final = Source(parts.PROMETHEUS_TYPE, "prometheus_datasource")
TIMELINE: Final = Source(parts.INFINITY_TYPE, "timeline_datasource")
ONE: Final = f'{SELECTOR},instance_id="$instance_id"'
RANGE: Final = "since=${__timeFrom}&until=${__timeTo}"
PATH: Final = "/v1/instances/${instance_id:percentencode}"
CONNECTION_TYPES: Final = "CONNECTION_CONNECTED,CONNECTION_DISCONNECTED,CONNECTION_ERROR,QRCODE_REGENERATED"


def build() -> db.Dashboard:
    """Build the board."""
    made = parts.board(
        "Instance audit",
        parts.AUDIT,
        "One number: its timeline, its reputation over time, every decision with its reasons.",
    )
    made = made.with_variable(parts.source_variable(PROM, "Prometheus")).with_variable(
        parts.source_variable(TIMELINE, "Timeline")
    )
    for variable in parts.scope_variables(PROM):
        made = made.with_variable(variable)
    providers = f"label_values(reputation_signals_total{{{SELECTOR}}}, provider)"
    made = made.with_variable(parts.query_variable("provider", "Provider", providers, PROM))
    numbers = f"label_values(reputation_instance_signals_total{{{SELECTOR}}}, instance_id)"
    made = made.with_variable(parts.query_variable("instance_id", "Number", numbers, PROM, several=False))
    made = made.link(parts.board_link("Fleet", parts.FLEET)).link(parts.board_link("Sidecar", parts.SIDECAR))
    made = made.with_row(db.Row("Now"))
    for panel in _now():
        made = made.with_panel(panel)
    made = made.with_row(db.Row("What happened"))
    for panel in (_history(), _temperature(), _connection(), _timeline(), _lines(), _decisions(), _gaps()):
        made = made.with_panel(panel)
    made = made.with_row(db.Row("Rates and latency"))
    for panel in _rates():
        made = made.with_panel(panel)
    return made


def annotation() -> dict[str, Any]:
    """Give the annotation query: cooldowns, disconnects and gaps. The SDK has no type for its target."""
    target = Infinity(
        TIMELINE,
        "/v1/annotations?instanceId=${instance_id:percentencode}&" + RANGE,
        "annotations",
        [
            ("time", "time", "timestamp_epoch"),
            ("timeEnd", "timeEnd", "timestamp_epoch"),
            ("title", "title", "string"),
            ("text", "text", "string"),
            ("tags", "tags", "string"),
        ],
        "dataframe",
        "Anno",
    )
    return {
        "datasource": TIMELINE.ref.to_json(),
        "enable": True,
        "hide": False,
        "iconColor": "purple",
        "name": "Cooldowns, disconnects, gaps",
        "target": target.to_json(),
    }


def _now() -> list[AnyPanel]:
    level = f"max(reputation_instance_temperature_level{{{ONE}}})"
    connected = {
        "0": dm.ValueMappingResult(text="no", color="red"),
        "1": dm.ValueMappingResult(text="yes", color="green"),
    }
    trend = {
        "-1": dm.ValueMappingResult(text="down", color="red"),
        "0": dm.ValueMappingResult(text="stable", color="text"),
        "1": dm.ValueMappingResult(text="up", color="green"),
    }
    return [
        parts.number("Score", "Reputation, 0 to 100; it starts at 50.", "short", PROM,
                     f"min(reputation_instance_score{{{ONE}}})",
                     steps=((None, "red"), (30, "orange"), (50, "green")), decimals=0),
        parts.number("Temperature", "Level the score and the cooldown give.", "short", PROM, level).mappings(
            parts.level_mappings()),
        parts.number("Trend", "Where the score is heading.", "short", PROM,
                     f"max(reputation_instance_trend{{{ONE}}})").mappings([dm.ValueMap(options=trend)]),
        parts.number("Connected", "What the provider said last; empty while unknown.", "short", PROM,
                     f"min(reputation_instance_connected{{{ONE}}})").mappings([dm.ValueMap(options=connected)]),
        parts.number("Alerts", "Active alerts of the evaluation.", "short", PROM,
                     f"max(reputation_instance_alerts{{{ONE}}})", steps=((None, "green"), (1, "orange"))),
        parts.number("Last signal", "Time since the newest signal.", "s", PROM,
                     f"time() - max(reputation_instance_last_signal_timestamp_seconds{{{ONE}}})", decimals=0),
    ]  # fmt: skip


def _history() -> AnyPanel:
    return parts.graph(
        "Score over time",
        "Reputation over time; 30 and 50 are where advice changes.",
        "short",
        PROM,
        [(f"min(reputation_instance_score{{{ONE}}})", "score")],
        span=24,
    ).max(100)


def _temperature() -> AnyPanel:
    target = parts.query(PROM, f"max(reputation_instance_temperature_level{{{ONE}}})", "temperature")
    cooldown = parts.query(
        PROM,
        f"max by (reason) (reputation_instance_cooldown{{{ONE}}})",
        "cooldown: {{reason}}",
        "B",
    )
    return (
        parts.states(
            "Temperature and cooldown",
            "Level over time, and the reason while in cooldown.",
            PROM,
            target,
            height=6,
        )
        .with_target(cooldown)
        .override_by_name(
            "temperature",
            [
                dm.DynamicConfigValue(
                    id_val="mappings", value=[mapping.to_json() for mapping in parts.level_mappings()]
                )
            ],
        )
    )


def _connection() -> AnyPanel:
    target = Infinity(
        TIMELINE,
        f"{PATH}/timeline?{RANGE}&type={CONNECTION_TYPES}&limit=5000",
        "signals",
        [("occurredAt", "time", "timestamp"), ("type", "connection", "string")],
    )
    return parts.states(
        "Connection",
        "What the provider said about the connection, from the timeline itself.",
        TIMELINE,
        target,
        height=4,
    )


def _timeline() -> table.Panel:
    target = Infinity(
        TIMELINE,
        f"{PATH}/timeline?{RANGE}&order=desc&limit=500",
        "signals",
        [
            ("occurredAt", "Time", "timestamp"),
            ("type", "Type", "string"),
            ("severity", "Severity", "string"),
            ("source", "Source", "string"),
            ("summary", "What", "string"),
            ("messageId", "Message", "string"),
            ("remoteJid", "Chat", "string"),
            ("latencyMs", "Latency", "number"),
            ("recordedAt", "Recorded", "timestamp"),
        ],
    ).pages(5)
    return _table(
        "Timeline", "Signals of the time range, newest first, at most 2500.", 12, target
    ).override_by_name("Latency", [dm.DynamicConfigValue(id_val="unit", value="ms")])


def _lines() -> logs.Panel:
    target = Infinity(
        TIMELINE,
        f"{PATH}/timeline?{RANGE}&order=desc&limit=500",
        "signals",
        [
            ("occurredAt", "timestamp", "timestamp"),
            ("summary", "body", "string"),
            ("level", "level", "string"),
            ("id", "id", "string"),
        ],
        "logs",
    )
    return (
        logs.Panel()
        .title("Timeline as lines")
        .description("The same signals, one line each, coloured by severity.")
        .datasource(TIMELINE.ref)
        .height(10)
        .span(12)
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .with_target(target)
    )


def _decisions() -> table.Panel:
    target = Infinity(
        TIMELINE,
        f"{PATH}/decisions?{RANGE}&limit=500",
        "decisions",
        [
            ("evaluatedAt", "Time", "timestamp"),
            ("reason", "Asked by", "string"),
            ("before.score", "Score before", "number"),
            ("after.score", "Score after", "number"),
            ("after.temperatureLevel", "Temperature", "string"),
            ("after.cooldownReason", "Cooldown", "string"),
            ("explanation.#.id", "Rules", "string"),
            ("id", "Decision", "string"),
        ],
    )
    return _table(
        "Decisions",
        "Every stored decision of the time range, newest first, with the rules that fired.",
        10,
        target,
    ).span(12)


def _gaps() -> table.Panel:
    target = Infinity(
        TIMELINE,
        f"{PATH}/timeline?{RANGE}&limit=1",
        "gaps",
        [
            ("from", "From", "timestamp"),
            ("to", "To", "timestamp"),
            ("reason", "Reason", "string"),
            ("count", "Facts lost", "number"),
        ],
    )
    return _table("Gaps", "Where facts are missing: known losses of the time range.", 5, target)


def _table(title: str, description: str, height: int, target: Infinity) -> table.Panel:
    return (
        table.Panel()
        .title(title)
        .description(description)
        .unit("string")
        .datasource(TIMELINE.ref)
        .height(height)
        .span(24)
        .filterable(True)
        .with_target(target)
    )


def _rates() -> list[AnyPanel]:
    by_provider = f'{SELECTOR},provider=~"$provider"'
    ratios = [
        ("delivered_per_sent:ratio_rate30m", "delivered"),
        ("replied_per_sent:ratio_rate30m", "replied"),
        ("failed_per_attempt:ratio_rate5m", "failed"),
    ]
    quantiles = [
        (f"histogram_quantile(0.95, sum by (provider, le) (rate(reputation_{kind}_latency_seconds_bucket{{{by_provider}}}[$__rate_interval])))",
         f"{kind} p95 {{{{provider}}}}")
        for kind in ("send", "delivery")
    ]  # fmt: skip
    return [
        parts.graph("Signals by type", "Signals a second of this number.", "cps", PROM,
                    [(f"sum by (type) (rate(reputation_instance_signals_total{{{ONE}}}[$__rate_interval]))", "{{type}}")]),
        parts.graph("Messages by type", "Messages a second, each counted once a type.", "cps", PROM,
                    [(f"sum by (type) (rate(reputation_instance_messages_total{{{ONE}}}[$__rate_interval]))", "{{type}}")]),
        parts.graph("Ratios", "Delivered and replied of sent in 30 minutes, failed of attempts in 5.", "percentunit", PROM,
                    [(f'job_instance_id:reputation_{name}{{job=~"$job",instance_id="$instance_id"}}', legend) for name, legend in ratios]),
        parts.graph("Rate limits", "Rate limits hit a second, by code.", "cps", PROM,
                    [(f"sum by (code) (rate(reputation_instance_rate_limits_total{{{ONE}}}[$__rate_interval]))", "{{code}}")]),
        parts.graph("Latency of the provider", "95th percentile over all numbers of the provider, to compare with.", "s", PROM, quantiles),
    ]  # fmt: skip

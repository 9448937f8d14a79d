"""The Fleet board: who needs attention, and how all numbers fare together."""
# ruff: noqa: E501 - a query is read in one piece

from typing import Final

from grafana_foundation_sdk.builders import dashboard as db
from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import dashboard as dm

from dashboards.grafana import parts
from dashboards.grafana.parts import SELECTOR, AnyPanel, Source

PROM: Final = Source(parts.PROMETHEUS_TYPE, "datasource")


def build() -> db.Dashboard:
    """Build the board."""
    made = parts.board(
        "Fleet", parts.FLEET, "Which numbers need attention, and how the fleet as a whole fares."
    )
    made = made.with_variable(parts.source_variable(PROM, "Data source"))
    for variable in parts.scope_variables(PROM):
        made = made.with_variable(variable)
    made = made.link(parts.board_link("Instance audit", parts.AUDIT)).link(
        parts.board_link("Sidecar", parts.SIDECAR)
    )
    made = made.with_row(db.Row("Who needs attention"))
    for panel in (*_numbers(), _attention(), _temperatures()):
        made = made.with_panel(panel)
    made = made.with_row(db.Row("Messages"))
    for panel in _messages():
        made = made.with_panel(panel)
    made = made.with_row(db.Row("Trouble"))
    for panel in _trouble():
        made = made.with_panel(panel)
    return made


def _numbers() -> list[AnyPanel]:
    bad = ((None, "green"), (1, "orange"), (5, "red"))
    per = f'by (instance_id) (reputation_instance_cooldown{{{SELECTOR},reason!="NONE"}})'
    return [
        parts.number("Numbers", "Instances with series of their own.", "short", PROM,
                     f"sum(reputation_instances_tracked{{{SELECTOR}}})"),
        parts.number("In cooldown", "Numbers that should rest.", "short", PROM,
                     f"count(max {per} == 1) or vector(0)", steps=bad),
        parts.number("Disconnected", "Numbers whose provider reported the connection as lost.", "short", PROM,
                     f"count(min by (instance_id) (reputation_instance_connected{{{SELECTOR}}}) == 0) or vector(0)",
                     steps=bad),
        parts.number("Rate limited", "Numbers with a rate limit hit in the last hour.", "short", PROM,
                     "count(sum by (instance_id) "
                     f"(increase(reputation_instance_rate_limits_total{{{SELECTOR}}}[1h])) > 0) or vector(0)",
                     steps=bad),
        parts.number("Reputation alerts", "Active alerts of the evaluation, over all numbers.", "short", PROM,
                     f"sum(reputation_instance_alerts{{{SELECTOR}}}) or vector(0)", steps=bad),
        parts.number("Lowest score", "The worst score of all numbers, 0 to 100.", "short", PROM,
                     f"min(reputation_instance_score{{{SELECTOR}}})",
                     steps=((None, "red"), (30, "orange"), (50, "green"))),
    ]  # fmt: skip


def _attention() -> table.Panel:
    worst = f"bottomk(20, min by (instance_id) (reputation_instance_score{{{SELECTOR}}}))"
    rows = (
        ("A", worst),
        ("B", f"max by (instance_id) (reputation_instance_temperature_level{{{SELECTOR}}})"),
        ("C", f"max by (instance_id) (reputation_instance_trend{{{SELECTOR}}})"),
        ("D", f"min by (instance_id) (reputation_instance_connected{{{SELECTOR}}})"),
        ("E", f"max by (instance_id) (reputation_instance_alerts{{{SELECTOR}}})"),
        (
            "F",
            'min by (instance_id) (job_instance_id:reputation_delivered_per_sent:ratio_rate30m{job=~"$job"})',
        ),
        (
            "G",
            'max by (instance_id) (job_instance_id:reputation_failed_per_attempt:ratio_rate5m{job=~"$job"})',
        ),
        (
            "H",
            f"time() - max by (instance_id) (reputation_instance_last_signal_timestamp_seconds{{{SELECTOR}}})",
        ),
    )
    names = {
        "instance_id": "Number", "Value #A": "Score", "Value #B": "Temperature", "Value #C": "Trend",
        "Value #D": "Connected", "Value #E": "Alerts", "Value #F": "Delivered", "Value #G": "Failed",
        "Value #H": "Last signal",
    }  # fmt: skip
    panel = (
        table.Panel()
        .title("Numbers that need attention")
        .description(
            "The twenty lowest scores, with connection, alerts and ratios; click a number for its audit board."
        )
        .unit("short")
        .datasource(PROM.ref)
        .height(10)
        .span(24)
        .with_transformation(
            dm.DataTransformerConfig(
                id_val="joinByField", options={"byField": "instance_id", "mode": "outer"}
            )
        )
        .with_transformation(
            dm.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {f"Time {n}": True for n in range(1, 9)} | {"Time": True},
                    "renameByName": names,
                },
            )
        )
        .with_transformation(
            dm.DataTransformerConfig(
                id_val="filterByValue",
                options={
                    "type": "include",
                    "match": "all",
                    "filters": [{"fieldName": "Score", "config": {"id": "isNotNull", "options": {}}}],
                },
            )
        )
        .override_by_name(
            "Number",
            [
                dm.DynamicConfigValue(
                    id_val="links", value=[parts.audit_link("${__value.text:percentencode}")]
                )
            ],
        )
        .override_by_name(
            "Temperature",
            [
                dm.DynamicConfigValue(
                    id_val="mappings", value=[mapping.to_json() for mapping in parts.level_mappings()]
                )
            ],
        )
        .override_by_name("Delivered", [dm.DynamicConfigValue(id_val="unit", value="percentunit")])
        .override_by_name("Failed", [dm.DynamicConfigValue(id_val="unit", value="percentunit")])
        .override_by_name("Last signal", [dm.DynamicConfigValue(id_val="unit", value="s")])
    )
    for ref, expr in rows:
        panel = panel.with_target(parts.query(PROM, expr, ref=ref, instant=True))
    return panel


def _temperatures() -> AnyPanel:
    worst = f"bottomk(25, min by (instance_id) (reputation_instance_score{{{SELECTOR}}}))"
    level = f"max by (instance_id) (reputation_instance_temperature_level{{{SELECTOR}}})"
    return parts.states(
        "Temperature of the lowest scores",
        "Level over time of the numbers with the lowest scores.",
        PROM,
        parts.query(PROM, f"{level} and on (instance_id) {worst}", "{{instance_id}}"),
    ).mappings(parts.level_mappings())


def _messages() -> list[AnyPanel]:
    messages = f"reputation_instance_messages_total{{{SELECTOR}}}"
    levels = f"sum by (temperature) (reputation_instance_temperature{{{SELECTOR}}})"
    ratio = 'job_instance_id:reputation_{}:ratio_rate30m{{job=~"$job"}}'
    return [
        parts.graph("Messages by type", "Messages a second, each counted once a type.", "cps", PROM,
                    [(f"sum by (type) (rate({messages}[$__rate_interval]))", "{{type}}")], stacked=True),
        parts.graph("Signals by type", "Recorded signals a second, by type.", "cps", PROM,
                    [(f"sum by (type) (rate(reputation_signals_total{{{SELECTOR}}}[$__rate_interval]))", "{{type}}")]),
        parts.graph("Numbers by temperature", "How many numbers are at each level.", "short", PROM,
                    [(levels, "{{temperature}}")], stacked=True),
        parts.graph("Delivery ratio", "Delivered of sent in 30 minutes, the ten lowest numbers.", "percentunit", PROM,
                    [(f"bottomk(10, min by (instance_id) ({ratio.format('delivered_per_sent')}))", "{{instance_id}}")]),
        parts.graph("Reply ratio", "Replied of sent in 30 minutes, the ten lowest numbers.", "percentunit", PROM,
                    [(f"bottomk(10, min by (instance_id) ({ratio.format('replied_per_sent')}))", "{{instance_id}}")]),
        parts.graph("Waiting for a receipt", "Messages sent and neither delivered, read nor failed yet, of those remembered.",
                    "short", PROM, [(f"sum(reputation_delivery_pending{{{SELECTOR}}})", "messages")]),
        _latency("Send latency", "From dispatch to the provider's answer.", "reputation_send_latency_seconds"),
        _latency("Delivery latency", "From sent to delivered, by the provider's times.", "reputation_delivery_latency_seconds"),
    ]  # fmt: skip


def _latency(title: str, description: str, metric: str) -> AnyPanel:
    rate = f"sum by (provider, le) (rate({metric}_bucket{{{SELECTOR}}}[$__rate_interval]))"
    return parts.graph(
        title,
        description,
        "s",
        PROM,
        [(f"histogram_quantile({q}, {rate})", f"{{{{provider}}}} p{round(q * 100)}") for q in (0.5, 0.95)],
    )


def _trouble() -> list[AnyPanel]:
    failed = f'reputation_instance_messages_total{{{SELECTOR},type="MESSAGE_FAILED"}}'
    cooldown = f'reputation_instance_cooldown{{{SELECTOR},reason!="NONE"}}'
    lost = "CONNECTION_DISCONNECTED|CONNECTION_ERROR|QRCODE_REGENERATED"
    signals = f'reputation_instance_signals_total{{{SELECTOR},type=~"{lost}"}}'
    return [
        parts.graph("Failures by instance", "Failed messages a second, the ten worst numbers.", "cps", PROM,
                    [(f"topk(10, sum by (instance_id) (rate({failed}[$__rate_interval])))", "{{instance_id}}")]),
        parts.graph("Rate limits by code", "Rate limits hit a second, by the provider's code.", "cps", PROM,
                    [(f"sum by (code) (rate(reputation_instance_rate_limits_total{{{SELECTOR}}}[$__rate_interval]))",
                      "{{code}}")]),
        parts.graph("Cooldowns by reason", "Numbers in cooldown, by reason.", "short", PROM,
                    [(f"sum by (reason) ({cooldown})", "{{reason}}")], stacked=True),
        parts.graph("Connection trouble", "Disconnects, errors and QR codes a second, over all numbers.", "cps", PROM,
                    [(f"sum by (type) (rate({signals}[$__rate_interval]))", "{{type}}")]),
    ]  # fmt: skip

"""What all boards share: data sources, variables, selectors, panels with the settings every panel has."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from grafana_foundation_sdk.builders import common as cb
from grafana_foundation_sdk.builders import dashboard as db
from grafana_foundation_sdk.builders import prometheus as pb
from grafana_foundation_sdk.builders import stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as cm
from grafana_foundation_sdk.models import dashboard as dm
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS_TYPE: Final = "prometheus"
INFINITY_TYPE: Final = "yesoreyeram-infinity-datasource"
SELECTOR: Final = 'job=~"$job",instance=~"$instance"'
"""Stands in every query: which sidecars a board speaks of."""
FLEET, AUDIT, SIDECAR = "reputation-fleet", "reputation-instance", "reputation-sidecar"

LEVELS: Final = (
    ("COLD", "blue"),
    ("WARMING", "light-green"),
    ("WARM", "green"),
    ("HOT", "orange"),
    ("OVERHEATED", "red"),
    ("COOLDOWN", "purple"),
)
"""Temperature levels by the number of `reputation_instance_temperature_level`, and their colours."""

AnyPanel: TypeAlias = Builder[dm.Panel]
Thresholds: TypeAlias = Sequence[tuple[float | None, str]]


class Source:
    """A data source that a board takes from one of its variables."""

    def __init__(self, kind: str, variable: str) -> None:
        self.ref = dm.DataSourceRef(type_val=kind, uid=f"${{{variable}}}")
        self.kind = kind
        self.variable = variable


def source_variable(source: Source, label: str) -> db.DatasourceVariable:
    """Let the reader of a board choose the data source."""
    return db.DatasourceVariable(source.variable).label(label).type(source.kind)


def query_variable(
    name: str, label: str, query: str, source: Source, *, several: bool = True
) -> db.QueryVariable:
    """Make a variable of label values, refreshed with the time range."""
    variable = (
        db.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(source.ref)
        .refresh(dm.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dm.VariableSort.ALPHABETICAL_ASC)
    )
    return variable.multi(True).include_all(True).all_value(".+") if several else variable


def scope_variables(source: Source) -> list[db.QueryVariable]:
    """Give the variables behind `SELECTOR`."""
    return [
        query_variable("job", "Job", "label_values(reputation_build_info, job)", source),
        query_variable(
            "instance", "Sidecar", 'label_values(reputation_build_info{job=~"$job"}, instance)', source
        ),
    ]


def board(title: str, uid: str, description: str) -> db.Dashboard:
    """Start a board with what every board has."""
    return (
        db.Dashboard(f"Reputation / {title}")
        .uid(uid)
        .description(description)
        .tags(["reputation"])
        .readonly()
        .timezone("utc")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(dm.DashboardCursorSync.CROSSHAIR)
    )


def board_link(title: str, uid: str) -> db.DashboardLink:
    """Link to another board, time range and variables kept."""
    return (
        db.DashboardLink(title)
        .type(dm.DashboardLinkType.LINK)
        .icon("dashboard")
        .url(f"/d/{uid}")
        .keep_time(True)
        .include_vars(True)
    )


AUDIT_URL: Final = f"/d/{AUDIT}?${{__url_time_range}}&var-instance_id="


def audit_link(field: str) -> dict[str, Any]:
    """Give a data link from an instance's name to its audit board; `field` names the value."""
    return {"title": "Audit this number", "url": AUDIT_URL + field}


def query(
    source: Source, expr: str, legend: str = "", ref: str = "A", *, instant: bool = False
) -> pb.Dataquery:
    """Make a Prometheus query."""
    made = pb.Dataquery().ref_id(ref).datasource(source.ref).expr(expr).legend_format(legend)
    return made.instant().format(PromQueryFormat.TABLE) if instant else made.range()


def queries(source: Source, pairs: Sequence[tuple[str, str]]) -> list[pb.Dataquery]:
    """Make queries of (expression, legend) pairs, with letters as references."""
    return [query(source, expr, legend, chr(ord("A") + n)) for n, (expr, legend) in enumerate(pairs)]


def thresholds(steps: Thresholds) -> db.ThresholdsConfig:
    """Make thresholds; the first step has no value."""
    return (
        db.ThresholdsConfig()
        .mode(dm.ThresholdsMode.ABSOLUTE)
        .steps([dm.Threshold(value=value, color=color) for value, color in steps])
    )


def graph(
    title: str,
    description: str,
    unit: str,
    source: Source,
    pairs: Sequence[tuple[str, str]],
    *,
    span: int = 8,
    stacked: bool = False,
) -> timeseries.Panel:
    """Make a graph over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(source.ref)
        .height(8)
        .span(span)
        .min(0)
        .fill_opacity(20 if stacked else 5)
        .show_points(cm.VisibilityMode.NEVER)
        .legend(
            cb.VizLegendOptions()
            .display_mode(cm.LegendDisplayMode.LIST)
            .placement(cm.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(cb.VizTooltipOptions().mode(cm.TooltipDisplayMode.MULTI).sort(cm.SortOrder.DESCENDING))
    )
    if stacked:
        panel = panel.stacking(cb.StackingConfig().mode(cm.StackingMode.NORMAL))
    for made in queries(source, pairs):
        panel = panel.with_target(made)
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    source: Source,
    expr: str,
    *,
    legend: str = "",
    steps: Thresholds = ((None, "text"),),
    span: int = 4,
    decimals: int | None = None,
) -> stat.Panel:
    """Make one big number."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(source.ref)
        .height(4)
        .span(span)
        .color_mode(cm.BigValueColorMode.VALUE)
        .graph_mode(cm.BigValueGraphMode.AREA)
        .reduce_options(cb.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(thresholds(steps))
        .with_target(query(source, expr, legend))
    )
    return panel if decimals is None else panel.decimals(decimals)


def level_mappings() -> list[dm.ValueMapping]:
    """Name the numbers of the temperature level."""
    options = {
        str(number): dm.ValueMappingResult(text=name, color=color, index=number)
        for number, (name, color) in enumerate(LEVELS)
    }
    return [dm.ValueMap(options=options)]


def states(
    title: str,
    description: str,
    source: Source,
    target: Builder[Dataquery],
    *,
    span: int = 24,
    height: int = 8,
) -> statetimeline.Panel:
    """Make a state timeline."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .unit("short")
        .datasource(source.ref)
        .height(height)
        .span(span)
        .merge_values(True)
        .show_value(cm.VisibilityMode.AUTO)
        .with_target(target)
    )


class Infinity(Dataquery, Builder[Dataquery]):
    """A query of the Infinity data source, for which the SDK has no types.

    Args:
        source: the data source.
        path: route and query of the admin API, relative to the data source's base URL.
        root: where the rows are in the answer.
        columns: (selector, title, type) of each column; type is string, number or timestamp.
        form: table, logs, timeseries or dataframe.
        ref: reference letter.
    """

    def __init__(
        self,
        source: Source,
        path: str,
        root: str,
        columns: Sequence[tuple[str, str, str]],
        form: str = "table",
        ref: str = "A",
    ) -> None:
        self.body: dict[str, Any] = {
            "refId": ref,
            "datasource": source.ref.to_json(),
            "type": "json",
            "source": "url",
            "parser": "backend",
            "format": form,
            "root_selector": root,
            "filters": [],
            "url": path,
            "url_options": {"method": "GET", "data": ""},
            "columns": [
                {"selector": selector, "text": text, "type": kind} for selector, text, kind in columns
            ],
        }

    def pages(self, most: int) -> "Infinity":
        """Follow `nextCursor` over at most this many pages."""
        self.body |= {
            "pagination_mode": "cursor",
            "pagination_max_pages": most,
            "pagination_param_cursor_field_name": "cursor",
            "pagination_param_cursor_field_type": "query",
            "pagination_param_cursor_extraction_path": "nextCursor",
        }
        return self

    def to_json(self) -> dict[str, Any]:
        """Give the query as it stands in a board."""
        return self.body

    def build(self) -> "Infinity":
        """Be a builder, which is what panels ask for."""
        return self

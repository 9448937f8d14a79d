"""The boards ask only for what there is, and every metric has its panel."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from exporters.prometheus.catalogue import CATALOGUE
from tests.dashboards import queries
from tests.dashboards.promtool import needs_promtool

IDS = [path.stem for path in queries.BOARDS]

each_board = pytest.mark.parametrize("path", queries.BOARDS, ids=IDS)


def test_the_committed_boards_are_what_the_builders_make() -> None:
    """Nobody edits a board by hand: run `python -m dashboards.grafana`."""
    pytest.importorskip("grafana_foundation_sdk", reason="the board builders' library is not installed")
    from dashboards.grafana.__main__ import boards, normal_form  # noqa: PLC0415 - needs that library

    made = {name: normal_form(content) for name, content in boards().items()}

    assert {path.name: path.read_text("utf-8") for path in queries.BOARDS} == made


@each_board
def test_every_panel_says_what_it_shows(path: Path) -> None:
    """Title, description, unit, a place on the grid, and at least one query."""
    content = queries.board(path)
    shown = list(queries.panels(content))

    assert shown
    for panel in shown:
        assert panel["title"], panel
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["gridPos"]["w"] + panel["gridPos"]["x"] <= 24
        if panel["type"] != "logs":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    titles = [panel["title"] for panel in shown]
    assert len(titles) == len(set(titles))


@each_board
def test_boards_have_a_fixed_uid_variables_and_no_data_source_of_their_own(path: Path) -> None:
    """Importable anywhere: the data source is a variable; not editable in the browser."""
    content = queries.board(path)
    variables = {variable["name"]: variable for variable in content["templating"]["list"]}

    assert re.fullmatch(r"reputation-[a-z]+", content["uid"])
    assert content["editable"] is False
    assert content["schemaVersion"] >= 41
    assert {"job", "instance"} <= variables.keys()
    sources = {f"${{{name}}}" for name, variable in variables.items() if variable["type"] == "datasource"}
    assert sources
    for used in re.findall(r'"uid": "(\$\{[^}]+\})"', path.read_text("utf-8")):
        assert used in sources
    for panel in queries.panels(content):
        for target in panel["targets"]:
            assert target["datasource"]["uid"] in sources
            assert target["refId"]


@each_board
def test_links_lead_to_boards_that_exist(path: Path) -> None:
    """Between boards, and from a number to its audit."""
    uids = {queries.board(other)["uid"] for other in queries.BOARDS}

    linked = set(re.findall(r'"/d/([a-z-]+)', path.read_text("utf-8")))

    assert len(linked) >= 2
    assert linked <= uids
    assert all(link["keepTime"] and link["includeVars"] for link in queries.board(path)["links"])
    from_cells = re.findall(r'"(/d/[a-z-]+\?[^"]*)"', path.read_text("utf-8"))
    assert all("${__url_time_range}" in url and "var-instance_id=" in url for url in from_cells)


@each_board
def test_every_metric_and_label_of_every_query_exists(path: Path) -> None:
    """Compared with the exporter's catalogue and the recording rules."""
    known = queries.known()
    asked = list(queries.expressions(queries.board(path)))

    assert asked
    for title, expr in asked:
        names = queries.metric_names(expr)
        assert names, (title, expr)
        assert names <= known.keys(), (title, names - known.keys())
        allowed = set().union(*(known[name] for name in names))
        assert queries.label_names(expr) <= allowed, (title, queries.label_names(expr) - allowed)


@each_board
def test_legends_name_labels_the_query_keeps(path: Path) -> None:
    """A legend of a label that was summed away would be empty."""
    for panel in queries.panels(queries.board(path)):
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")):
                assert label in queries.label_names(target["expr"]) - {"job"}, (panel["title"], label)


@each_board
def test_queries_follow_the_rules_of_boards(path: Path) -> None:
    """Scoped to the chosen sidecars; counters only inside rate or increase; rates over the screen's step."""
    recorded = queries.recorded()
    counters = {metric.shown_as for metric in CATALOGUE if metric.shown_as.endswith("_total")}
    for title, expr in queries.expressions(queries.board(path)):
        for name in queries.metric_names(expr):
            uses = re.findall(rf"(\w*)\(?\s*{re.escape(name)}\{{([^}}]*)\}}", expr)
            assert uses, (title, name)
            for function, matchers in uses:
                assert 'job=~"$job"' in matchers, (title, name)
                if name not in recorded:
                    assert 'instance=~"$instance"' in matchers, (title, name)
                if name in counters or name.endswith(("_bucket", "_count", "_sum")):
                    assert function in ("rate", "increase"), (title, name)
        for window in re.findall(r"rate\([^\[]*\[([^\]]+)\]", expr):
            assert window == "$__rate_interval", (title, window)


def test_every_metric_has_a_panel() -> None:
    """On a board, or in a recording rule that a board shows."""
    on_boards = " ".join(
        expr for path in queries.BOARDS for _, expr in queries.expressions(queries.board(path))
    )
    shown = queries.metric_names(on_boards)
    rules = re.split(r"- record: ", queries.RULES.read_text("utf-8"))[1:]
    for rule in rules:
        name, expr = rule.split("\n", 1)
        if name.strip() in shown:
            shown |= queries.metric_names(expr)

    missing = [
        metric.shown_as for metric in CATALOGUE if not any(name.startswith(metric.shown_as) for name in shown)
    ]

    assert missing == []


def test_every_field_asked_of_the_admin_api_is_in_its_description(openapi: dict[str, Any]) -> None:
    """Routes, parameters and columns, compared with the OpenAPI document."""
    asked = [
        (title, target) for path in queries.BOARDS for title, target in queries.infinity(queries.board(path))
    ]

    assert asked
    for title, target in asked:
        route, _, query = target["url"].partition("?")
        route = route.replace("${instance_id:percentencode}", "{instanceId}")
        operation = openapi["paths"][route]["get"]
        parameters = {parameter["name"] for parameter in operation["parameters"]}
        assert {pair.split("=")[0] for pair in query.split("&")} <= parameters, title
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        row = field(openapi, answer, target["root_selector"])["items"]
        for column in target["columns"]:
            field(openapi, row, column["selector"])


def field(openapi: dict[str, Any], schema: dict[str, Any], path: str) -> dict[str, Any]:
    """Follow a selector through the schemas; `#` is every item of a list."""
    for step in path.split("."):
        schema = resolved(openapi, schema)
        schema = schema["items"] if step == "#" else schema["properties"][step]
    return resolved(openapi, schema)


def resolved(openapi: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow references."""
    while "$ref" in schema:
        schema = openapi["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


@needs_promtool
def test_every_query_is_valid_promql(tmp_path: Path) -> None:
    """Parsed by Prometheus itself, with values where the boards have variables."""
    lines = ["groups:", "  - name: boards", "    rules:"]
    number = 0
    for path in queries.BOARDS:
        for _, expr in queries.expressions(queries.board(path)):
            number += 1
            lines.append(f"      - record: query_{number}")
            lines.append("        expr: " + repr(queries.with_values(expr, "sales-1")).replace("\\'", "''"))
    file = tmp_path / "queries.yml"
    file.write_text("\n".join(lines) + "\n", "utf-8")

    checked = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False, timeout=60
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert number > 80

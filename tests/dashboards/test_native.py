"""The fast motion of the native run; the run itself is a command, it takes two minutes."""

from pathlib import Path

import pytest

from dashboards.native.incidents import OF_NUMBERS, OF_SYSTEMS
from dashboards.native.scaling import scaled, write_configuration
from tests.dashboards import queries


@pytest.mark.parametrize(
    ("rule", "fast"),
    [
        ("rate(x[30m])", "rate(x[30000ms])"),
        ("increase(x[6h])", "increase(x[360000ms])"),
        ("rate(x[1m])", "rate(x[4000ms])"),
        ("x offset 1h", "x offset 60000ms"),
        ("for: 10m", "for: 10000ms"),
        ("for: 0m", "for: 0ms"),
        ("x > 10", "x > 10"),
    ],
)
def test_durations_are_divided_and_limits_are_not(rule: str, fast: str) -> None:
    """Windows keep four scrapes at least."""
    assert scaled(rule, 60) == fast


def test_every_alert_an_incident_waits_for_exists() -> None:
    """A renamed alert fails here, not after two minutes."""
    waited = {alert.name for incident in (*OF_NUMBERS, *OF_SYSTEMS) for alert in incident.alerts}

    assert waited <= {alert.name for alert in queries.alerts()}


def test_the_configuration_names_the_written_rules(tmp_path: Path) -> None:
    """Prometheus finds both files beside its configuration."""
    configuration = write_configuration(tmp_path, queries.ROOT / "prometheus", "127.0.0.1:1", 60)

    text = configuration.read_text("utf-8")
    assert "rules.yml, alerts.yml" in text
    assert "127.0.0.1:1" in text
    assert "ReputationDeliveryDrop" in (tmp_path / "alerts.yml").read_text("utf-8")

"""Prints dashboards/prometheus as a PrometheusRule, for `rules.yml` beside this file."""

import sys
from pathlib import Path
from typing import Any

import yaml

PROMETHEUS = Path(__file__).parent.parent.parent / "dashboards" / "prometheus"


def manifest() -> dict[str, Any]:
    """Give the manifest: the groups of rules.yml and alerts.yml as they are."""
    groups: list[Any] = []
    for name in ("rules.yml", "alerts.yml"):
        groups += yaml.safe_load((PROMETHEUS / name).read_text("utf-8"))["groups"]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "reputation-sidecar"},
        "spec": {"groups": groups},
    }


if __name__ == "__main__":
    sys.stdout.write("# Printed from dashboards/prometheus by print_rules.py; a test compares.\n")
    yaml.safe_dump(manifest(), sys.stdout, sort_keys=False, width=110)

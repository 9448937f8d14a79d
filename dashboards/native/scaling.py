"""The committed rules in fast motion: every window, wait and offset divided by the same number."""

import re
from pathlib import Path
from typing import Final

UNITS_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
STEP_MIN_MS: Final = 4000
"""Four scrapes: a rate over less sees nothing."""

_WINDOW: Final = re.compile(r"\[(\d+)([smhd])\]")
_OFFSET: Final = re.compile(r"offset (\d+)([smhd])")
_FOR: Final = re.compile(r"for: (\d+)([smhd])")


def scaled(rules: str, faster: int) -> str:
    """Divide the durations of a rule file; windows keep at least four seconds."""

    def shorter(match: re.Match[str], least_ms: int) -> str:
        return f"{max(int(match[1]) * UNITS_MS[match[2]] // faster, least_ms)}ms"

    rules = _WINDOW.sub(lambda match: f"[{shorter(match, STEP_MIN_MS)}]", rules)
    rules = _OFFSET.sub(lambda match: f"offset {shorter(match, STEP_MIN_MS)}", rules)
    return _FOR.sub(lambda match: f"for: {shorter(match, 0)}", rules)


def write_configuration(folder: Path, rules: Path, target: str, faster: int) -> Path:
    """Write rules in fast motion and a Prometheus configuration that scrapes `target` every second."""
    names = ("rules.yml", "alerts.yml")
    for name in names:
        (folder / name).write_text(scaled((rules / name).read_text("utf-8"), faster), "utf-8")
    lines = [
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}",
        f"rule_files: [{', '.join(names)}]",
        "scrape_configs:",
        "  - job_name: reputation-sidecar",
        f"    static_configs: [{{targets: ['{target}']}}]",
    ]
    configuration = folder / "prometheus.yml"
    configuration.write_text("\n".join(lines) + "\n", "utf-8")
    return configuration

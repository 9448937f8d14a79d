"""The unit for a plain machine names settings that exist and gives no right that is not needed."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sidecar.settings import options
from tests.test_docs import ROOT

UNIT = ROOT / "deploy/systemd/reputation-sidecar@.service"


class _Unit(configparser.RawConfigParser):
    """Keeps names as they are; a key that stands twice keeps its last value."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def read() -> _Unit:
    unit = _Unit(strict=False)
    unit.read_string(UNIT.read_text("utf-8"))
    return unit


def test_the_units_settings_are_settings() -> None:
    """A renamed setting would leave the service without it."""
    named = set(re.findall(r"^Environment=(SIDECAR_\w+)=", UNIT.read_text("utf-8"), re.MULTILINE))
    known = {option.env for option in options()} | {
        f"{option.env}_FILE" for option in options() if option.secret
    }

    assert named
    assert named <= known


def test_the_service_has_least_rights_and_the_time_to_drain() -> None:
    """No capability, no writable system, one private directory; a stop may take the drain and more."""
    service = read()["Service"]

    assert service["NoNewPrivileges"] == "true"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["StateDirectoryMode"] == "0700"
    assert service["Restart"] == "on-failure"
    drain = next(option.default for option in options() if option.env == "SIDECAR_DRAIN_SECONDS")
    assert int(service["TimeoutStopSec"]) > drain


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    """A misspelt directive is told by systemd itself."""
    copy = tmp_path / "reputation-sidecar@a.service"
    text = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", UNIT.read_text("utf-8"), flags=re.MULTILINE)
    copy.write_text(text, "utf-8")
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )

    assert "Unknown" not in told.stderr, told.stderr

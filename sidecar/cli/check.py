"""`sidecar check`, and the settings as they may be shown."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from sidecar.cli.errors import CONFIGURATION, DONE
from sidecar.config import ConfigurationError, Loaded, load
from sidecar.settings import options


def check_settings(flags: Mapping[str, Any], config_file: str | None, *, as_json: bool) -> int:
    """Print the effective settings with their sources, or every fault."""
    try:
        loaded = load(flags, config_file=config_file)
    except ConfigurationError as error:
        if as_json:
            faults = [fault._asdict() for fault in error.faults]
            sys.stdout.write(json.dumps({"valid": False, "faults": faults}) + "\n")
        else:
            for fault in error.faults:
                sys.stderr.write(f"sidecar: {fault}\n")
        return CONFIGURATION
    shown = shown_settings(loaded)
    if as_json:
        settings = {name: {"value": value, "source": loaded.sources[name]} for name, value in shown.items()}
        sys.stdout.write(json.dumps({"valid": True, "settings": settings}) + "\n")
        return DONE
    for option in options():
        sys.stdout.write(f"{option.env:<36} {shown[option.name]!s:<28} {loaded.sources[option.name]}\n")
    return DONE


def shown_settings(loaded: Loaded) -> dict[str, Any]:
    """Give every setting by name, secrets hidden."""
    return {
        option.name: _shown(getattr(loaded.settings, option.name), secret=option.secret)
        for option in options()
    }


def _shown(value: Any, *, secret: bool) -> Any:
    if secret and value is not None:
        return "(hidden)"
    if isinstance(value, tuple):
        return [f"{route.name}: {route.direction} {route.listen} -> {route.upstream}" for route in value]
    return value

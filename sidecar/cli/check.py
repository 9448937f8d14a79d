"""`sidecar check`, and the settings as they may be shown."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from sidecar.cli.errors import CONFIGURATION, DONE
from sidecar.config import ConfigurationError, load
from sidecar.settings import options, shown


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
    values = shown(loaded.settings)
    if as_json:
        settings = {name: {"value": value, "source": loaded.sources[name]} for name, value in values.items()}
        sys.stdout.write(json.dumps({"valid": True, "settings": settings}) + "\n")
        return DONE
    for option in options():
        sys.stdout.write(f"{option.env:<36} {_word(values[option.name]):<28} {loaded.sources[option.name]}\n")
    return DONE


def _word(value: Any) -> str:
    """Say a value as one would write it in a TOML file; what is unset is a dash."""
    match value:
        case None:
            return "-"
        case bool():
            return "true" if value else "false"
        case list():
            return "; ".join(value) or "-"
        case _:
            return str(value)

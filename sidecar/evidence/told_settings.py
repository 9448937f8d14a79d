"""What a bundle says of settings: beside its decisions, and in its record of configurations."""

from collections.abc import Iterator
from typing import Any

import msgspec

from sidecar import __version__
from sidecar.configured import Configured
from sidecar.evidence import contents
from sidecar.evidence.archive import BundleBroken
from sidecar.evidence.opened import Opened
from sidecar.settings import HIDDEN, options


def check_settings(bundle: Opened) -> None:
    """Hold what the bundle says of settings against its decisions, and against what a sidecar may have.

    Raises:
        BundleBroken: with the first contradiction.
    """
    counted: dict[tuple[str, int, bool], int] = {}
    for decision in bundle.decisions:
        key = (decision.rule_set, decision.window_ms, decision.latency_rules)
        counted[key] = counted.get(key, 0) + 1
    told = {
        (line.rule_set, line.window_ms, line.latency_rules): line.decisions
        for line in bundle.rules_file.settings
    }
    if list(told) != sorted(told) or len(told) != len(bundle.rules_file.settings):
        raise BundleBroken(f"{contents.RULES} names settings twice, or out of order")
    if {key: count for key, count in told.items() if count} != counted:
        raise BundleBroken(f"{contents.RULES} names other settings than the decisions do")
    for configured in bundle.configuration.configurations:
        _check_configured(configured)


def _check_configured(told: Configured) -> None:
    if told.sidecar_version != __version__:
        return  # another version has other settings
    known = {option.name: option for option in options()}
    stated = (told.window_ms, "on" if told.latency_rules else "off")
    if stated != (told.settings.get("window_ms"), told.settings.get("latency_rules")):
        raise BundleBroken(f"{contents.CONFIGURATION} contradicts itself about window or latency rules")
    for name, value in told.settings.items():
        if name in known and not _may_be(
            value, known[name].type, secret=known[name].secret, listed=name == "routes"
        ):
            raise BundleBroken(f"{contents.CONFIGURATION} gives {name} a value that it cannot have")


def _may_be(value: Any, kind: Any, *, secret: bool, listed: bool) -> bool:
    if secret:
        return value in (None, HIDDEN)
    try:
        msgspec.convert(value, list[str] if listed else kind)
    except msgspec.ValidationError:
        return False
    return True


def unknown_settings(bundle: Opened) -> Iterator[str]:
    """Tell of decisions whose settings no recorder said it had."""
    configuration = bundle.configuration
    names = {option.name for option in options()}
    for one in configuration.configurations:
        # Another version has other settings; one that is being worked on may have, too.
        if one.sidecar_version == __version__ and (odd := sorted(names ^ one.settings.keys())):
            yield f"{contents.CONFIGURATION} has not the settings of this version: {', '.join(odd)[:200]}"
            break
    if configuration.taken_from != "recorder":
        return
    told = {(one.rule_set, one.window_ms, one.latency_rules) for one in configuration.configurations}
    for line in bundle.rules_file.settings:
        if line.decisions and (line.rule_set, line.window_ms, line.latency_rules) not in told:
            yield (
                f"{line.decisions} decisions were made with a window of {line.window_ms} ms and rule set "
                f"{line.rule_set}, which {contents.CONFIGURATION} does not name: another sidecar decided, or "
                "it was changed"
            )

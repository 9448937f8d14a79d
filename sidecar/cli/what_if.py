"""`sidecar replay --rules FILE`: where other rule constants would have decided otherwise.

docs/rules.md names the constants.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Final

from domain.decision import Decision
from domain.fold_state import setting_of
from domain.replay import ReplayDecisions, Turn
from domain.rule_constants import with_constants
from domain.rules import RULES, rule_set_id
from sidecar.api.times import iso
from sidecar.bootstrap.offline import kept_setting, open_reader, setting_of_instance
from sidecar.cli.errors import CONFIGURATION, DONE, CommandFailed
from sidecar.cli.finding import settings_for
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, print_line
from sidecar.cli.when import when
from sidecar.clock import now_ms

RULES_FILE_MAX_BYTES: Final = 1 << 20


def what_if(
    place: Place,
    instance_id: str | None,
    rules_file: str,
    since: str | None,
    until: str | None,
    *,
    as_json: bool,
) -> int:
    """Fold the stored facts with other constants, of one instance or of all; list where the two part.

    Reads the store itself, also beside a running sidecar: the API has no such question.
    """
    settings = settings_for(place).settings
    kept = kept_setting(settings)
    rules = with_constants(RULES, _constants(Path(rules_file)))
    now = now_ms()
    first, last = when(since, "--since", now, 0), when(until, "--until", now, now)
    store = open_reader(settings)
    try:
        names = [instance_id] if instance_id is not None else _all(store)
        turns = {}
        for name in names:
            own = setting_of_instance(store, name, kept)
            other = setting_of(own.window_ms, latency_rules=own.latency_rules, rules=rules)
            turns[name] = ReplayDecisions(store, own).what_if(name, other, first, last)
    finally:
        store.close()
    if as_json:
        shown = {name: [_turn(turn) for turn in found] for name, found in turns.items()}
        print_json({"ruleSet": kept.rule_set, "otherRuleSet": rule_set_id(rules), "instances": shown})
        return DONE
    for name, found in turns.items():
        for turn in found:
            print_line(
                f"{iso(turn.at)}  {name}  decided: {_said(turn.decided)}  instead: {_said(turn.instead)}"
            )
    print_line(f"{sum(map(len, turns.values()))} steps part, of {len(turns)} instances")
    return DONE


def _all(store: Any) -> list[str]:
    names: list[str] = []
    while page := store.instances(names[-1] if names else None, 1000):
        names += [one.instance_id for one in page]
    return names


def _constants(path: Path) -> dict[str, float]:
    """Read `"W1.points" = -10` lines, or the same in tables: `[W1]` and `points = -10`."""
    try:
        with path.open("rb") as file:
            text = file.read(RULES_FILE_MAX_BYTES).decode()
        parsed = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CommandFailed(
            f"--rules {path} cannot be read ({why}); name a TOML or JSON file with lines such as "
            '"W1.points" = -10',
            CONFIGURATION,
        ) from error
    if not isinstance(parsed, dict):
        raise CommandFailed(f"--rules {path} must hold a table of names and numbers", CONFIGURATION)
    flat: dict[str, float] = {}
    for name, value in parsed.items():
        inner = (
            {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        )
        flat |= inner
    return flat


def _turn(turn: Turn) -> dict[str, Any]:
    return {"at": iso(turn.at), "decided": _outcome(turn.decided), "instead": _outcome(turn.instead)}


def _outcome(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    after = decision.after
    return {
        "score": after.score,
        "temperatureLevel": after.temperature_level,
        "lifecycle": after.lifecycle,
        "cooldownReason": after.cooldown_reason,
        "rules": [row.finding.rule for row in decision.explanation],
    }


def _said(decision: Decision | None) -> str:
    if decision is None:
        return "nothing"
    rest = f", rests: {decision.after.cooldown_reason}" if decision.after.cooldown_reason else ""
    return f"score {decision.after.score}{rest}"

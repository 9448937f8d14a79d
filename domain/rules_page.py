"""The rule tables as a page: `python -m domain.rules_page > docs/rules.md`. A test holds the two together."""

import sys
from collections.abc import Iterable, Sequence

from domain.rule_constants import constants
from domain.rules import RULES, Condition, Rule, RuleSet, rule_set_id
from domain.signal import SEVERITY_OF, SIGNAL_OF
from domain.words import EventType, SignalType

_INTRO = """# Rules

Printed from the tables in `domain/rules.py` (rule set `{rule_set}`) by `python -m domain.rules_page`; do not
edit by hand. Comparisons are exact on binary doubles. How windows, points and cooldowns follow each other is
told in `domain/fold.py`.

Measures: `deliveredRate` = messagesDelivered / messagesSent; `replyRate` = messagesReplied / messagesSent;
`readRate` = messagesRead / messagesDelivered (all 0 when the divisor is); `deliveryEvidence` =
messagesDelivered + deliveryFailures; `observations` = deliveryEvidence + messagesRead + messagesReplied +
connectionDisconnects. All others are fields of the snapshot.
"""

_SCORE = """A new instance has {rules.score_initial}; the score stays within {rules.score_min} and
{rules.score_max}, clamped before the window's points are added, and again behind them.
"""

_STANDING = """At risk below {rules.at_risk_below}, healthy from {rules.healthy_from}.
NEWBORN: untouched and at most {rules.newborn_score_max}, or after {rules.newborn_cooldowns} cooldowns.
"""


def rules_page(rules: RuleSet = RULES) -> str:
    """Write the page."""
    return "\n".join(
        [
            _INTRO.format(rule_set=rule_set_id(rules)),
            "## Events and signals\n",
            _table(("event", "signal", "severity"), (_signal_row(kind) for kind in EventType)),
            "## Points of a window\n",
            f"Silent unless {_conditions(rules.window_guards)}. All matching rows add up.\n",
            _points(rules.window_rules),
            "## Points of the score\n",
            _SCORE.format(rules=rules),
            _points(rules.score_rules),
            "## Levels\n",
            _table(
                ("score from", "level"), ((_number(row.score_min), row.level.value) for row in rules.levels)
            ),
            f"A change of more than {rules.trend_change} points is a trend, UP or DOWN.\n",
            "## Reasons to rest\n",
            "The first row that holds. C1 to C3 are silent where the window is.\n",
            _table(
                ("rule", "when", "reason"),
                (
                    (rule.id, _conditions(rule.when), rule.reason.value)
                    for rule in (*rules.window_cooldowns, *rules.score_cooldowns)
                ),
            ),
            f"A cooldown lasts at least {rules.cooldown_stay_ms} ms.\n",
            "## Alerts\n",
            _table(
                ("alert", "severity", "when", "carries"),
                (
                    (rule.code.value, rule.severity.value, _conditions(rule.when), rule.fact or "")
                    for rule in rules.alerts
                ),
            ),
            "## Standing\n",
            _STANDING.format(rules=rules),
            _table(
                ("score below", "phase"),
                ((_number(row.score_below), row.phase.value) for row in rules.phases),
            ),
            "## Names of the constants\n",
            "For `sidecar replay --rules FILE`: a TOML or JSON table of these names and other numbers.\n",
            _table(("constant", "value"), ((f"`{n}`", _number(v)) for n, v in constants(rules).items())),
        ]
    )


def _signal_row(kind: EventType) -> tuple[str, str, str]:
    signal: SignalType | None = SIGNAL_OF.get(kind)
    return kind.value, signal.value if signal else "none", SEVERITY_OF[signal].value if signal else ""


def _points(rules: Sequence[Rule]) -> str:
    return _table(("rule", "when", "points"), ((r.id, _conditions(r.when), _worth(r)) for r in rules))


def _worth(rule: Rule) -> str:
    worth = f"{rule.points:+d}"
    if rule.per is not None:
        worth += f" each of {rule.per}"
    return worth if rule.points_max is None else f"{worth}, at most {rule.points_max}"


def _conditions(conditions: Iterable[Condition]) -> str:
    return " and ".join(f"{c.measure} {c.op.value} {_number(c.threshold)}" for c in conditions)


def _number(value: float) -> str:
    return "any" if abs(value) == float("inf") else f"{value:g}" if abs(value) < 1e6 else str(int(value))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(rules_page())

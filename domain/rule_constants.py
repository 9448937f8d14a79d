"""Every number of the rule tables by name: to print them, and to ask what other numbers would decide.

A name is the row and what it says there: `W1.points`, `W1.deliveredRate`, `C1.messagesSent`, `levels.HOT`,
`DELIVERY_DROP.deliveredRate`, `trendChange`. A measure that a row compares twice carries its operator:
`SCORE_DEGRADING.score<`.
"""

from collections.abc import Iterator, Mapping

from domain.errors import InvalidQuery
from domain.rules import AlertRule, Condition, CooldownRule, Level, Phase, Rule, RuleSet
from domain.snapshot import camel


def constants(rules: RuleSet) -> dict[str, float]:
    """Give every constant of a rule set by name, in the order of the tables."""
    return dict(_walk(rules))


def with_constants(rules: RuleSet, changed: Mapping[str, float]) -> RuleSet:
    """Give a rule set with some constants changed; all else stays.

    Raises:
        InvalidQuery: a name that no constant has, or a value that is no number.
    """
    known = constants(rules)
    for name, value in changed.items():
        if name not in known:
            raise InvalidQuery(name, f"no rule constant is called {name}; docs/rules.md lists them")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidQuery(name, f"{name} must be a number, as docs/rules.md has one")
    return _rebuilt(rules, {**known, **changed})


def _walk(rules: RuleSet) -> Iterator[tuple[str, float]]:
    for name, value in zip(rules._fields, rules, strict=True):
        if isinstance(value, int):
            yield camel(name), value
            continue
        assert isinstance(value, tuple)
        for row in value:
            yield from _of_row(name, row)


def _of_row(table: str, row: object) -> Iterator[tuple[str, float]]:
    match row:
        case Condition():
            yield f"guards.{row.measure}", row.threshold
        case Rule() | CooldownRule() | AlertRule():
            for condition in row.when:
                yield _name(row, condition), condition.threshold
            if isinstance(row, Rule):
                yield f"{row.id}.points", row.points
                if row.points_max is not None:
                    yield f"{row.id}.pointsMax", row.points_max
        case Level():
            if abs(row.score_min) != float("inf"):
                yield f"{table}.{row.level}", row.score_min
        case _:
            assert isinstance(row, Phase)
            if abs(row.score_below) != float("inf"):
                yield f"{table}.{row.phase}", row.score_below


def _name(row: Rule | CooldownRule | AlertRule, condition: Condition) -> str:
    head = row.code if isinstance(row, AlertRule) else row.id
    twice = sum(other.measure == condition.measure for other in row.when) > 1
    return f"{head}.{condition.measure}{condition.op if twice else ''}"


def _rebuilt(rules: RuleSet, values: Mapping[str, float]) -> RuleSet:
    fields: dict[str, object] = {}
    for name, value in zip(rules._fields, rules, strict=True):
        if isinstance(value, int):
            fields[name] = int(values[camel(name)])
        else:
            assert isinstance(value, tuple)
            fields[name] = tuple(_row(name, row, values) for row in value)
    return RuleSet(**fields)  # type: ignore[arg-type]  # each field is rebuilt as what it was


def _row(table: str, row: object, values: Mapping[str, float]) -> object:
    match row:
        case Condition():
            return row._replace(threshold=values[f"guards.{row.measure}"])
        case Rule() | CooldownRule() | AlertRule():
            when = tuple(c._replace(threshold=values[_name(row, c)]) for c in row.when)
            if not isinstance(row, Rule):
                return row._replace(when=when)
            most = None if row.points_max is None else int(values[f"{row.id}.pointsMax"])
            return row._replace(when=when, points=int(values[f"{row.id}.points"]), points_max=most)
        case Level():
            return row._replace(score_min=values.get(f"{table}.{row.level}", row.score_min))
        case _:
            assert isinstance(row, Phase)
            return row._replace(score_below=values.get(f"{table}.{row.phase}", row.score_below))

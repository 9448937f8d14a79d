"""Every constant of the rule tables is held by a test: a small change of any changes an outcome."""

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import domain.rules_page
import tests.vectors
from domain.errors import InvalidQuery
from domain.rule_constants import constants, with_constants
from domain.rules import RULES, RuleSet, rule_set_id
from domain.rules_page import rules_page
from tests.domain.edges import EDGES
from tests.vectors.cases import entity_query_case, evaluate_window_case, evaluator_sequence_case

DATA = Path(tests.vectors.__file__).parent / "data"
RUNS: list[tuple[Callable[..., Any], str]] = [
    (evaluate_window_case, "evaluate_window"),
    (entity_query_case, "entity_queries"),
    (evaluator_sequence_case, "evaluator_sequences"),
]
CASES = [
    (run, case["input"], case["expected"])
    for run, name in RUNS
    for case in json.loads((DATA / f"{name}.json").read_text("utf-8"))["cases"]
]


def changes() -> Iterator[Any]:
    for name, value in constants(RULES).items():
        step = 1 if float(value).is_integer() else 0.001
        for changed in (value + step, value - step):
            yield pytest.param(name, changed, id=f"{name}={changed:g}")


def noticed(rules: RuleSet) -> bool:
    """Tell whether any edge or recorded case comes out differently."""
    if any(probe(rules) != expected for _, probe, expected in EDGES):
        return True
    for run, given, expected in CASES:
        try:
            if run(given, rules) != expected:
                return True
        except StopIteration:  # no level or phase fits any more
            return True
    return False


@pytest.mark.parametrize(("name", "probe", "expected"), EDGES, ids=[edge[0] for edge in EDGES])
def test_edges_come_out_as_the_rules_say(
    name: str, probe: Callable[[RuleSet], object], expected: object
) -> None:
    """One step beside each threshold, where the recorded cases leave a gap."""
    del name

    assert probe(RULES) == expected


@pytest.mark.parametrize(("name", "value"), list(changes()))
def test_changing_a_constant_is_noticed(name: str, value: float) -> None:
    """A slip of the pen in the tables cannot pass."""
    assert noticed(with_constants(RULES, {name: value}))


def test_unchanged_constants_give_the_same_rule_set() -> None:
    """What is rebuilt is what was taken apart, hash included."""
    again = with_constants(RULES, constants(RULES))

    assert again == RULES
    assert rule_set_id(again) == rule_set_id(RULES)


def test_a_changed_constant_is_another_rule_set() -> None:
    """A decision names the rules it was made with."""
    assert rule_set_id(with_constants(RULES, {"W1.points": -14})) != rule_set_id(RULES)


@pytest.mark.parametrize(("name", "value"), [("W9.points", 1), ("W1.points", "many"), ("W1.points", True)])
def test_what_is_no_constant_or_no_number_is_refused_by_name(name: str, value: Any) -> None:
    """A what-if file with a slip says so."""
    with pytest.raises(InvalidQuery) as refused:
        with_constants(RULES, {name: value})

    assert refused.value.field == name


def test_the_page_of_rules_is_printed_from_the_tables() -> None:
    """Run `python -m domain.rules_page > docs/rules.md` after changing a rule."""
    committed = Path(__file__).parent.parent.parent / "docs" / "rules.md"

    assert committed.read_text("utf-8") == rules_page(RULES)


def test_the_page_of_rules_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m domain.rules_page` gives the committed page."""
    runpy.run_path(domain.rules_page.__file__, run_name="__main__")

    assert capsys.readouterr().out == rules_page(RULES)

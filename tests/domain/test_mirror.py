"""Every module of the domain has a test file of its own name, or a reason why not. This list only shrinks."""

from pathlib import Path
from typing import Final

import domain

HERE: Final = Path(__file__).parent
MODULES: Final = {file.stem for file in Path(domain.__file__).parent.glob("*.py")} - {"__init__"}

DECLARES: Final = "declares names and shapes; nothing runs in it"
BY_VECTORS: Final = "tests/vectors: recorded and further cases of the reference"

ELSEWHERE: Final[dict[str, str]] = {
    "decide": "test_replay: every decision made, corrected and reproduced",
    "decision": "test_replay: outcome, content, evidence",
    "decision_text": "test_replay: a decision survives its text",
    "errors": DECLARES,
    "evaluation_run": "test_evaluate_health: the use case it carries out",
    "evaluation_task": "test_evaluate_health: the use case it carries out",
    "event": DECLARES,
    "exchange": DECLARES,
    "fact": DECLARES,
    "fold_material": "test_fold and test_fold_mutants: the fold over it, and every slip in it",
    "fold_state": "test_fold: kept, thinned, through text",
    "fold_supply": "test_fold_on: parts, spans, what is read",
    "health_ports": DECLARES,
    "lifecycle": f"{BY_VECTORS}; test_health: along the fold",
    "past": "test_replay and test_read_health: any time, any knowledge",
    "ports": DECLARES,
    "recorded": DECLARES,
    "reputation": BY_VECTORS,
    "rules": "test_rule_constants: a change of any constant is noticed",
    "rules_page": "test_rule_constants: the committed page is what it prints",
    "snapshot": f"{BY_VECTORS}; test_fold: counts kept running equal a recount",
    "words": DECLARES,
}


def test_every_module_has_a_test_file_or_a_reason() -> None:
    """A new module brings its tests, or says where they are."""
    tested = {file.stem.removeprefix("test_") for file in HERE.glob("test_*.py")}

    assert MODULES - tested - ELSEWHERE.keys() == set()


def test_no_reason_outlives_its_module_or_its_need() -> None:
    """A reason for a module that has tests, or is gone, is struck out."""
    tested = {file.stem.removeprefix("test_") for file in HERE.glob("test_*.py")}

    assert ELSEWHERE.keys() & tested == set()
    assert ELSEWHERE.keys() - MODULES == set()

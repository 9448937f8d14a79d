"""Every recorded case of the reference runs against the domain."""

import json
from pathlib import Path

import pytest

from tests.vectors import project
from tests.vectors.cases import EXCLUDED, RUNNERS
from tests.vectors.wire import Json

DATA = Path(__file__).parent / "data"
CASES = [
    (file.stem, document["schema"], case)
    for file in sorted(DATA.glob("*.json"))
    for document in [json.loads(file.read_text("utf-8"))]
    for case in document["cases"]
]


def test_all_609_cases_are_here() -> None:
    """No case of the recorded set was left out of the copy."""
    assert len(CASES) == 609


@pytest.mark.parametrize(("schema", "case"), [pytest.param(s, c, id=f"{f}-{c['name']}") for f, s, c in CASES])
def test_the_reference_mode_gives_what_the_reference_gave(schema: str, case: Json) -> None:
    """The pure functions, put together like the reference, give its recorded output."""
    if EXCLUDED & set(case.get("quirks", ())):
        assert RUNNERS[schema](case["input"]) != case["expected"], (
            "the accident is imitated: stop excluding it"
        )
        return

    assert RUNNERS[schema](case["input"]) == case["expected"]


PROJECT = json.loads((DATA.parent / "project.json").read_text("utf-8"))["cases"]
BY_NAME = {(file, case["name"]): case for file, _, case in CASES}


@pytest.mark.parametrize("ours", [pytest.param(c, id=f"{c['file']}-{c['name']}") for c in PROJECT])
def test_a_fixed_quirk_gives_what_we_expect_beside_the_reference(ours: Json) -> None:
    """Where rules.md section 17 says FIX, our own value is written down and holds."""
    case = BY_NAME[ours["file"], ours["name"]]

    assert set(ours["quirks"]) <= set(case["quirks"])
    assert project.RUNNERS[ours["file"]](case["input"]) == ours["project"]


def test_every_case_with_a_fixed_quirk_has_our_value() -> None:
    """No case of the pure functions that we deviate from is left without an expectation."""
    fixed = {
        (file, case["name"])
        for file, _, case in CASES
        if project.FIXED.get(file, set()) & set(case.get("quirks", ()))
    }

    assert fixed == {(case["file"], case["name"]) for case in PROJECT}

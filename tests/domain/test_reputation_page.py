"""What `docs/reputation.md` says is what the simulation gives."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from docs.simulation import page as written
from docs.simulation.days import DAY, FAULT_SINCE, FAULTS, MIDNIGHT, day
from docs.simulation.looking import WINDOW_MS, by_the_fold
from docs.simulation.page import DOCS, MARK, SEEDS, Compared, compared, further_row, page, plots
from domain.words import CooldownReason
from tests.domain.fold_oracle import Oracle, World

pytestmark = pytest.mark.slow
COMMITTED = (DOCS / "reputation.md").read_text("utf-8")


@pytest.fixture(scope="module")
def days() -> list[Compared]:
    """Simulate the six days of the page once."""
    return [compared(fault) for fault in FAULTS]


def test_the_page_and_its_plots_are_those_of_the_code(days: list[Compared]) -> None:
    """A rule, the fold or the simulation changed: `make reputation` renews what is committed."""
    further = COMMITTED.split(MARK)[1].strip()

    assert page(days, further) == COMMITTED
    for name, text in plots(days).items():
        assert (DOCS / "images" / name).read_text("utf-8") == text


def test_the_table_of_further_days_has_a_row_a_seed_and_the_first_is_right() -> None:
    """All rows take too long for every run; one shows when they are outdated."""
    rows = COMMITTED.split(MARK)[1].strip().splitlines()[2:]

    assert [row.split(" | ")[0] for row in rows] == [f"| {seed}" for seed in SEEDS]
    assert rows[0] == further_row(SEEDS[0])


def test_plots_are_small_and_readable_on_light_and_dark_pages(days: list[Compared]) -> None:
    """Each has a title, a style for dark pages, and stays below 12 kB."""
    for name, text in plots(days).items():
        assert len(text) < 12_000, name
        assert "<title>" in text
        assert "prefers-color-scheme:dark" in text


def test_the_days_are_equal_up_to_the_fault() -> None:
    """Whatever differs from the healthy day comes from the fault."""
    before = [[f for f in day(fault) if f.occurred_at < FAULT_SINCE] for fault in FAULTS]

    assert all(one == other for one, other in pairwise(before))
    assert len({len(day(fault)) for fault in FAULTS}) >= 4


def test_every_fault_is_recognised_and_no_healthy_day_rests(days: list[Compared]) -> None:
    """The claims of the page: at risk within half an hour, the reasons that fit, no false cooldown."""
    healthy, *faulty = days

    assert healthy.ours.rests == []
    assert healthy.reference.rests != []
    for seen in faulty:
        [risk, *_] = written._until_told(seen.ours, healthy.ours)
        found = re.fullmatch(r"(\d+) min", risk)
        assert found, seen.fault.key
        assert int(found[1]) <= 30
    reasons = {seen.fault.key: {r for rest in seen.ours.rests for r in rest.reasons} for seen in faulty}
    assert reasons["delivery"] == {CooldownReason.DELIVERY_DROP}
    assert reasons["disconnects"] == {CooldownReason.CONNECTION_INSTABILITY}
    assert reasons["latency"] == {CooldownReason.SEND_DELAY_SPIKE}


def test_looking_every_minute_gives_what_a_literal_recount_gives() -> None:
    """The page shows the fold, not an artefact of how it was looked at."""
    fault = FAULTS[1]
    facts = [fact for fact in day(fault) if fact.occurred_at < MIDNIGHT + DAY // 3 + 600_000]
    seen, _ = by_the_fold(facts, fault)

    recounted = Oracle(World(facts, (), WINDOW_MS)).run(MIDNIGHT + DAY)

    assert seen.looks[-1].score == recounted.score
    assert seen.entries == recounted.cooldown.entries


def test_every_day_of_the_page_has_its_plot() -> None:
    """Its plots are linked relative to it."""
    targets = re.findall(r"\((images/[^)]+)\)", COMMITTED)

    assert len(targets) == len(FAULTS)
    assert all((DOCS / target).exists() for target in map(Path, targets))

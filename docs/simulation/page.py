"""`python -m docs.simulation.page`: renew `docs/reputation.md` and its plots; `make reputation` does it.

`tests/domain/test_reputation_page.py` fails while what is committed differs from what this gives.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from docs.simulation.days import DAY, FAULT_SINCE, FAULTS, MIDNIGHT, MINUTE, SEED, Fault, day
from docs.simulation.looking import Look, Seen, by_the_fold, by_the_reference
from docs.simulation.plot import plot
from docs.simulation.words import ADVICE, CLOSING, OPENING, READING
from domain.fold_state import Change, Setting
from domain.health import explain_rest, view_of
from domain.words import Millis

DOCS: Final = Path(__file__).parent.parent
HEALTHY: Final = FAULTS[0]
SEEDS: Final = tuple(range(1, 11))
"""Further healthy days, for the share of false cooldowns."""

MARK: Final = "<!-- further healthy days -->"
"""Stands before and behind the table of further days, which is too slow to make again in every test run."""

CHANGES_MAX: Final = 10
"""Decisions listed a day."""


class Compared(NamedTuple):
    """One day as both saw it."""

    fault: Fault
    facts: int
    setting: Setting
    ours: Seen
    reference: Seen


def compared(fault: Fault, seed: int = SEED) -> Compared:
    """Simulate one day and let both look at it."""
    facts = day(fault, seed)
    ours, setting = by_the_fold(facts, fault)
    return Compared(fault, len(facts), setting, ours, by_the_reference(facts, fault))


def page(days: Sequence[Compared], further: str) -> str:
    """Give the page; `further` is the table of further healthy days."""
    healthy = days[0]
    parts = [OPENING, _recognised(days), READING, _false(healthy), f"{MARK}\n{further}\n{MARK}", ADVICE]
    parts += [_day(seen, healthy) for seen in days]
    return "\n\n".join([*parts, CLOSING]) + "\n"


def further_row(seed: int) -> str:
    """Give the row of one further healthy day."""
    seen = compared(HEALTHY, seed)
    cells = [str(seed), *_false_cells(seen.ours), *_false_cells(seen.reference)]
    return f"| {' | '.join(cells)} |"


def further_table(rows: Sequence[str]) -> str:
    """Give the table of further healthy days."""
    head = "| seed | cooldowns | minutes | at risk | reference: cooldowns | minutes | at risk |"
    return "\n".join([head, "|---" * 7 + "|", *rows])


def _recognised(days: Sequence[Compared]) -> str:
    """Give the minutes until the operator could tell the faulty day from the healthy one."""
    rows = [
        "| fault | at risk | cooldown | lowest score | reference: at risk | cooldown | lowest score |",
        "|---" * 7 + "|",
    ]
    healthy = days[0]
    for seen in days[1:]:
        ours = _until_told(seen.ours, healthy.ours)
        reference = _until_told(seen.reference, healthy.reference)
        rows.append(f"| {' | '.join([seen.fault.title, *ours, *reference])} |")
    return "\n".join(rows)


def _until_told(faulty: Seen, healthy: Seen) -> list[str]:
    both = [pair for pair in zip(faulty.looks, healthy.looks, strict=True) if pair[0].at > FAULT_SINCE]
    risk = next((ill.at for ill, well in both if ill.at_risk and not well.at_risk), None)
    rest = next((ill.at for ill, well in both if ill.reason and not well.reason), None)
    return [_minutes(risk), _minutes(rest), str(min(ill.score for ill, _ in both))]


def _minutes(at: Millis | None) -> str:
    return "never" if at is None else f"{(at - FAULT_SINCE) // MINUTE} min"


def _false(healthy: Compared) -> str:
    rows = [
        "| healthy day | cooldowns | minutes in cooldown | minutes at risk | counted entries |",
        "|---" * 5 + "|",
    ]
    for name, seen in (("sidecar", healthy.ours), ("reference", healthy.reference)):
        rows.append(f"| {name} | {' | '.join([*_false_cells(seen), str(seen.entries)])} |")
    return "\n".join(rows)


def _false_cells(seen: Seen) -> list[str]:
    rested = sum(rest.until - rest.since for rest in seen.rests)
    share = 100 * rested / DAY
    return [
        str(len(seen.rests)),
        f"{rested // MINUTE} ({share:.1f} %)",
        str(sum(look.at_risk for look in seen.looks)),
    ]


def _day(seen: Compared, healthy: Compared) -> str:
    fault = seen.fault
    since = MIDNIGHT if fault.key == "healthy" else FAULT_SINCE
    told = f"{fault.told[0].upper()}{fault.told[1:]}. {seen.facts} facts."
    lines = [
        f"## {fault.title}",
        told,
        f"![Score and cooldowns of the day, sidecar and reference](images/reputation-{fault.key}.svg)",
        "What the sidecar stored, decision by decision"
        + (" from 12:00 on (before it, as on the healthy day):" if fault.key != "healthy" else ":"),
        _decisions(seen, since),
        f"The reference would have said: {_summary(seen.reference, since)}.",
    ]
    if fault.key != "healthy":
        lines.append(f"Serious alerts raised by the fault: {_alerts(seen.ours, healthy.ours)}.")
    return "\n\n".join(lines)


def _decisions(seen: Compared, since: Millis) -> str:
    changes = [change for change in seen.ours.changes if change.after.at >= since]
    rows = ["| time | score | level | cooldown | lifecycle | rules that fired |", "|---" * 6 + "|"]
    rows += [_decision(change, seen.setting) for change in changes[:CHANGES_MAX]]
    left = len(changes) - CHANGES_MAX
    return "\n".join(rows) + (f"\n\n{left} further decisions that day." if left > 0 else "")


def _decision(change: Change, setting: Setting) -> str:
    view = view_of(change.after, change.after.at, setting)
    scored = [f"{f.rule} ({f.points:+})" for ended in change.ended for f in ended.evaluation.findings]
    held = [f"{row.finding.rule} (rest)" for row in explain_rest(change.after, change.after.at, setting)]
    cells = [
        _clock(change.after.at),
        str(view.score),
        view.temperature_level.value,
        "" if view.cooldown_reason is None else view.cooldown_reason.value,
        view.lifecycle.value,
        ", ".join([*scored, *held]),
    ]
    return f"| {' | '.join(cells)} |"


def _summary(seen: Seen, since: Millis) -> str:
    spans = [
        f"{_clock(rest.since)} to {_clock(rest.until)} ({', '.join(rest.reasons)})"
        for rest in seen.rests
        if rest.until > since
    ]
    left = len(spans) - CHANGES_MAX
    listed = "; ".join(spans[:CHANGES_MAX]) + (f"; {left} times more" if left > 0 else "")
    lowest = min((look for look in seen.looks if look.at > since), key=_score)
    return (
        f"lowest score {lowest.score} at {_clock(lowest.at)}, {seen.looks[-1].score} at the end, "
        f"{seen.entries} counted cooldowns; in cooldown: {listed or 'never'}"
    )


def _score(look: Look) -> int:
    return look.score


def _alerts(faulty: Seen, healthy: Seen) -> str:
    """Give the serious alerts that only the faulty day has, with the first minute of each."""
    first: dict[str, Millis] = {}
    for ill, well in zip(faulty.looks, healthy.looks, strict=True):
        for code in ill.alerts:
            if code not in well.alerts and ill.at > FAULT_SINCE:
                first.setdefault(code.value, ill.at)
    return ", ".join(f"{code} at {_clock(at)}" for code, at in first.items()) or "none"


def _clock(at: Millis) -> str:
    minute = (at - MIDNIGHT) // MINUTE
    return f"{minute // 60:02}:{minute % 60:02}"


def plots(days: Sequence[Compared]) -> dict[str, str]:
    """Give the plots by file name."""
    return {
        f"reputation-{seen.fault.key}.svg": plot(
            seen.fault.title, seen.ours, seen.reference, faulty=seen.fault.key != "healthy"
        )
        for seen in days
    }


def main() -> None:
    """Write the page and its plots."""
    days = [compared(fault) for fault in FAULTS]
    further = further_table([further_row(seed) for seed in SEEDS])
    (DOCS / "reputation.md").write_text(page(days, further), "utf-8")
    for name, text in plots(days).items():
        (DOCS / "images" / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()

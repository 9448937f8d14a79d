"""`sidecar replay`: stored decisions once more, each with the window and the switch it states."""

from collections import Counter
from typing import Any

from msgspec import UnsetType

from sidecar.api.health import DecisionDetail
from sidecar.cli.errors import DONE, FAILED, UNPROVEN
from sidecar.cli.finding import answering
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, print_line
from sidecar.cli.when import when
from sidecar.clock import now_ms

REPRODUCED, PAST, FOREIGN, DIFFERS = "reproduced", "past", "foreign", "differs"


def replay(place: Place, instance_id: str, since: str | None, until: str | None, *, as_json: bool) -> int:
    """Recompute stored decisions; FAILED at the first that differs, UNPROVEN where not all can be judged."""
    now = now_ms()
    counts: Counter[str] = Counter()
    differs: DecisionDetail | None = None
    with answering(place) as answers:
        walk = answers.replayed(instance_id, when(since, "--since", now, 0), when(until, "--until", now, now))
        for decision in walk:
            outcome = _outcome(decision)
            counts[outcome] += 1
            if outcome == DIFFERS:
                differs = decision
                break
    if as_json:
        print_json(_summary(instance_id, counts, differs))
    else:
        _print(instance_id, counts, differs)
    if differs is not None:
        return FAILED
    return DONE if counts.total() == counts[REPRODUCED] else UNPROVEN


def _outcome(decision: DecisionDetail) -> str:
    if isinstance(decision.differences, UnsetType):
        return PAST
    if any(one.path == "ruleSet" for one in decision.differences):
        return FOREIGN
    return DIFFERS if decision.differences else REPRODUCED


def _summary(instance_id: str, counts: Counter[str], differs: DecisionDetail | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "instanceId": instance_id,
        "decisions": counts.total(),
        "reproduced": counts.total() == counts[REPRODUCED],
        "notReplayed": {"otherRules": counts[FOREIGN], "pastRetention": counts[PAST]},
    }
    if differs is not None:
        assert not isinstance(differs.differences, UnsetType)
        told |= {"decisionId": differs.id, "evaluatedAt": differs.evaluated_at}
        told["difference"] = differs.differences[0]
    return told


def _print(instance_id: str, counts: Counter[str], differs: DecisionDetail | None) -> None:
    if differs is not None:
        assert not isinstance(differs.differences, UnsetType)
        first = differs.differences[0]
        print_line(f"decision {differs.id} of {differs.evaluated_at} is not reproduced:")
        print_line(f"    {first.path}: stored {first.stored!r}, recomputed {first.recomputed!r}")
        return
    print_line(f"{counts[REPRODUCED]} decisions of {instance_id} are reproduced from the stored signals")
    if counts[PAST]:
        print_line(f"{counts[PAST]} are older than the kept signals: not replayed")
    if counts[FOREIGN]:
        print_line(
            f"{counts[FOREIGN]} were made with other rule tables than this version has: not replayed; use "
            "the version that decided"
        )

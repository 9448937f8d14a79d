"""Folds one instance over any span, in parts of bounded size."""

from domain.fold import fold
from domain.fold_state import Folded, Setting, keep
from domain.fold_supply import FACTS_MAX, Move, supply
from domain.health_ports import HealthReading


def fold_on(reading: HealthReading, move: Move, setting: Setting, facts_max: int = FACTS_MAX) -> Folded:
    """Fold to the end of a move; what is read at once is bounded by `facts_max` facts a span.

    More facts than that in one millisecond are read together all the same.
    """
    whole = Folded(move.state, [], [], [])
    while move.passed < move.until:
        material, until = supply(
            reading, [move], setting.window_ms, latency_rules=setting.latency_rules, facts_max=facts_max
        )[move.instance_id]
        if until <= move.passed:
            facts_max *= 2
            continue
        part = fold(move.state, material, until, setting)
        for state in part.kept:
            keep(whole.kept, state)
        whole.changes.extend(part.changes)
        whole.commits.extend(part.commits)
        whole = whole._replace(state=part.state)
        move = move._replace(state=part.state, passed=until, entering=None)
    return whole

"""Small builders of facts for the domain's tests."""

from collections.abc import Sequence

from domain.fact import Fact
from domain.words import Millis, SignalType, Source


def burst(
    kind: SignalType,
    count: int,
    at: Millis,
    *,
    prefix: str = "m",
    step_ms: int = 1,
    source: Source = Source.WEBHOOK,
    is_group: bool = False,
) -> list[Fact]:
    """Make `count` facts of one type, one message each, `step_ms` apart."""
    return [
        Fact("i-1", "", 0, kind, source, at + index * step_ms, f"{prefix}{index}", is_group)
        for index in range(count)
    ]


def numbered(facts: Sequence[Fact], first: int = 1) -> list[Fact]:
    """Give facts their arrival numbers and ids, in this order."""
    return [fact._replace(seq=seq, id=f"f{seq:04}") for seq, fact in enumerate(facts, start=first)]

"""Lets facts arrive in a store, in batches, as recording would."""

from collections.abc import Sequence

from domain.evaluate_health import Evaluated, EvaluateInstanceHealth
from domain.fact import Fact
from domain.fold_on import fold_on
from domain.fold_state import FoldState, Setting, initial
from domain.fold_supply import Move
from domain.recorded import InstanceHead, RecordedSignal
from domain.resume import saved_from_text
from domain.signal import SEVERITY_OF
from domain.words import Millis
from tests.fakes import InMemoryStore


def row_of(fact: Fact, now: Millis) -> RecordedSignal:
    """Make the row of a fact."""
    return RecordedSignal(
        fact.id,
        fact.type,
        SEVERITY_OF[fact.type],
        fact.source,
        fact.instance_id,
        fact.occurred_at,
        now,
        fact.seq,
        "turbozap",
        fact.message_id,
        None,
        fact.is_group,
        fact.latency_ms,
    )


def record(store: InMemoryStore, facts: Sequence[Fact], now: Millis) -> list[RecordedSignal]:
    """Store facts and their instances' heads."""
    rows = [row_of(fact, now) for fact in facts]
    with store.recording() as recording:
        recording.append(rows)
        for row in rows:
            head = InstanceHead(row.instance_id, "turbozap", (), row.seq, row.occurred_at)
            recording.save_heads([head])
    return rows


def arrive(
    store: InMemoryStore, use_case: EvaluateInstanceHealth, facts: Sequence[Fact], now: Millis
) -> list[Evaluated]:
    """Record a batch and evaluate what it touched."""
    return use_case.touched(record(store, facts, now), now)


def state_of(store: InMemoryStore, instance_id: str = "i-1") -> FoldState:
    """Give the stored state of an instance."""
    with store.reading() as reading:
        return saved_from_text(reading.saved([instance_id])[instance_id].state).state


def from_scratch(
    store: InMemoryStore, setting: Setting, until: Millis, instance_id: str = "i-1"
) -> FoldState:
    """Fold everything the store holds of an instance."""
    with store.reading() as reading:
        move = Move(instance_id, initial(setting.rules), -1, until)
        return fold_on(reading, move, setting).state

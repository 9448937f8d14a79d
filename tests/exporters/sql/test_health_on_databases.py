"""Health evaluated on a database is that evaluated in memory: same states and decisions, byte for byte."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import setting_of
from domain.health_ports import DecisionQuery, DecisionRow, SavedState
from domain.read_health import ReadInstanceHealth
from domain.record_signal import RecordReputationSignal
from domain.recorded import InstanceSummary
from domain.retain import DropPastRetention, RetainedStore
from domain.signal import Signal
from domain.words import ActionKind, EvaluationReason, Millis, SignalType, Source
from tests.builders import exchange, journal_slice, redacted_signal
from tests.fakes import InMemoryStore

T0: Millis = 1_700_000_000_000
MINUTE = 60_000
DAY = 86_400_000
INSTANCES = ("sales-1", "sales-2", "sales-3")
SETTING = setting_of(30 * MINUTE)


class Outcome(NamedTuple):
    """Everything evaluation left in a store, and what a reader sees of it."""

    states: dict[str, SavedState]
    decisions: list[DecisionRow]
    instances: list[InstanceSummary]
    answers: list[object]


def story() -> list[list[Signal]]:
    """Give batches of facts: heat, failures, replies, lost connections, and every third batch late."""
    draw = random.Random(20)
    kinds = (
        [SignalType.MESSAGE_SENT] * 8
        + [SignalType.MESSAGE_DELIVERED] * 4
        + [SignalType.MESSAGE_FAILED] * 3
        + [SignalType.MESSAGE_REPLIED, SignalType.CONNECTION_DISCONNECTED, SignalType.RATE_LIMIT_HIT]
    )
    batches = []
    for batch in range(24):
        late = 40 * MINUTE if batch % 3 == 2 else 0
        start = T0 + batch * 9 * MINUTE - late
        batches.append(
            [
                redacted_signal(
                    f"{batch}-{number}",
                    start + draw.randrange(5 * MINUTE),
                    draw.choice(kinds),
                    instance_id=draw.choice(INSTANCES),
                    source=draw.choice([Source.DISPATCH, Source.WEBHOOK]),
                    message_id=f"M{draw.randrange(400)}",
                )
                for number in range(draw.randrange(4, 26))
            ]
        )
    return batches


def play(store: RetainedStore, batches: Sequence[Sequence[Signal]]) -> Outcome:
    """Record and evaluate the story, with an operator, a request, time passing and retention in it."""
    record = RecordReputationSignal(store)
    evaluate = EvaluateInstanceHealth(store, SETTING)
    now = T0
    for number, batch in enumerate(batches):
        now = T0 + number * 9 * MINUTE + 6 * MINUTE
        if number == 12:
            evaluate = EvaluateInstanceHealth(store, SETTING)  # a restart: nothing is left in memory
        recorded = record([journal_slice(exchange(*batch, exchange_id=str(number)), offset=number)], now)
        evaluate.touched(recorded.signals, now)
        if number == 9:
            evaluate.acted("sales-1", ActionKind.ENTER_COOLDOWN, now)
        if number == 15:
            evaluate.requested("sales-2", EvaluationReason.PRE_DISPATCH, now)
        if number == 18:
            DropPastRetention(store, SETTING, 1)(now + DAY - 90 * MINUTE)
    now += 3 * 60 * MINUTE
    evaluate.due(now)

    read = ReadInstanceHealth(store, SETTING)
    answers: list[object] = [
        read.reputation(i, now - back * MINUTE) for i in INSTANCES for back in (0, 17, 100)
    ]
    answers += [read.snapshot(i, None, now - 190 * MINUTE) for i in INSTANCES]
    with store.reading() as reading:
        decisions = [
            row
            for i in INSTANCES
            for row in reading.decisions(DecisionQuery(i, 0, now + DAY, 1000)).decisions
        ]
        states = reading.saved(INSTANCES)
    return Outcome(states, decisions, store.instances(None, 10), answers)


def test_health_on_any_store_is_that_of_the_fake(any_store: RetainedStore) -> None:
    """Late facts, restarts, operators, retention and time give the same everywhere, ids included."""
    batches = story()

    expected = play(InMemoryStore(), batches)
    found = play(any_store, batches)

    assert len(expected.decisions) > 10
    assert any(row.supersedes for row in expected.decisions)
    assert found.states == expected.states
    assert found.decisions == expected.decisions
    assert found.instances == expected.instances
    assert found.answers == expected.answers

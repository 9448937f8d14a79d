"""The connection of an instance: one rule in the fold and in the instance list."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.connection import CONNECTION_OF, Known, shown
from domain.evaluate_health import EvaluateInstanceHealth
from domain.exchange import ExchangeFacts
from domain.fold_state import Setting
from domain.record_signal import RecordReputationSignal, Slice
from domain.recorded import Progress
from domain.signal import Signal
from domain.words import ActionKind, Connection, Lifecycle, Millis, SignalType
from tests.builders import exchange, redacted_signal
from tests.domain.arriving import state_of
from tests.fakes import InMemoryStore

T: Millis = 1_768_564_800_000
INSTANCE = "sales-1"
KINDS = [*CONNECTION_OF, SignalType.MESSAGE_SENT, SignalType.REACTION_SENT, SignalType.MESSAGE_FAILED]


def fact(kind: SignalType, at: Millis, number: int = 0) -> Signal:
    return redacted_signal(f"b{number}", at, kind, message_id=f"m{number}")


def arrived(batches: Sequence[Sequence[Signal]]) -> tuple[InMemoryStore, EvaluateInstanceHealth]:
    """Let facts arrive, batch by batch, recorded and evaluated as the recorder does."""
    store = InMemoryStore()
    record, evaluate = RecordReputationSignal(store), EvaluateInstanceHealth(store, Setting(1_800_000))
    for number, batch in enumerate(batches, start=1):
        facts: list[ExchangeFacts] = [exchange(signal, exchange_id=f"x{number}") for signal in batch]
        rows = record([Slice(Progress("w0", 1, number), facts)], T + 10_000).signals
        evaluate.touched(rows, T + 10_000)
    return store, evaluate


def listed(store: InMemoryStore) -> Connection:
    return store.instances(None, 10)[0].connection


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([0, 0, 1, 2, 1000])), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
@settings(max_examples=200, deadline=None)
def test_the_list_and_the_fold_agree_whatever_the_order_of_arrival(
    drawn: list[tuple[SignalType, int]], order: object
) -> None:
    """Facts of one millisecond, late ones, sends before and behind: both tell one connection."""
    signals = [fact(kind, T + at, number) for number, (kind, at) in enumerate(drawn)]
    in_order, _ = arrived([signals])
    order.shuffle(signals)  # type: ignore[attr-defined]  # a random.Random
    shuffled, _ = arrived([[signal] for signal in signals])

    assert listed(shuffled) is listed(in_order)
    assert state_of(shuffled, INSTANCE).connection is listed(shuffled)
    assert state_of(in_order, INSTANCE).connection is listed(in_order)


@pytest.mark.parametrize("first", CONNECTION_OF)
@pytest.mark.parametrize("second", CONNECTION_OF)
def test_of_one_millisecond_the_later_row_of_the_table_wins(first: SignalType, second: SignalType) -> None:
    """QR code, disconnected, error, connected: the order in which a number comes back."""
    rows = list(CONNECTION_OF)
    winner = rows[max(rows.index(first), rows.index(second))]

    assert Known().after(first, T).after(second, T) == Known(CONNECTION_OF[winner], T)


def test_the_newest_date_wins_by_a_millisecond() -> None:
    """An older fact that comes later changes nothing, a newer one does."""
    connected = Known().after(SignalType.CONNECTION_CONNECTED, T)

    assert connected.after(SignalType.CONNECTION_DISCONNECTED, T - 1) == connected
    assert connected.after(SignalType.CONNECTION_DISCONNECTED, T + 1).state is Connection.DISCONNECTED


def test_a_send_proves_less_than_any_dated_fact() -> None:
    """What was told before the send and comes in behind it still holds."""
    store, _ = arrived(
        [[fact(SignalType.MESSAGE_SENT, T + 5, 1)], [fact(SignalType.CONNECTION_DISCONNECTED, T, 2)]]
    )

    assert listed(store) is Connection.DISCONNECTED
    assert state_of(store, INSTANCE).connection is Connection.DISCONNECTED


def test_a_banned_instance_is_listed_as_disconnected() -> None:
    """The list and the health answer do not contradict each other, whatever still comes in."""
    store, evaluate = arrived([[fact(SignalType.CONNECTION_CONNECTED, T, 1)]])

    evaluate.acted(INSTANCE, ActionKind.BAN, T + 20_000)

    assert listed(store) is Connection.DISCONNECTED
    assert shown(Connection.CONNECTED, Lifecycle.COOLDOWN) is Connection.CONNECTED

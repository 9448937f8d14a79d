"""Recording: the one way into the store."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from domain.errors import StoreUnavailable
from domain.exchange import ExchangeFacts, Rejected
from domain.record_signal import REFUSED, Recorded, RecordReputationSignal, Slice
from domain.recorded import Gap, Progress, RecordedSignal
from domain.signal import Signal
from domain.words import Connection, Millis, SignalType, Source
from tests.builders import exchange, redacted_signal
from tests.fakes import InMemoryStore, Transaction

T = 1_768_500_000_000
NOW = T + 60_000
FOLDER = "w0-1768500000000-17"


class Bench:
    """A store and the use case on it, with a journal position that moves."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.record = RecordReputationSignal(self.store)
        self._offset = 0

    def batch(self, *exchanges: ExchangeFacts, gaps: tuple[Gap, ...] = (), lost: int = 0) -> Slice:
        self._offset += 100
        tally = self.store.progress().get(FOLDER, Progress(FOLDER)).tally
        progress = Progress(FOLDER, 1, self._offset, tally)
        return Slice(progress, exchanges, gaps, Counter({Source.WEBHOOK: lost} if lost else {}))

    def run(self, *exchanges: ExchangeFacts, now: Millis = NOW) -> Recorded:
        return self.record([self.batch(*exchanges)], now)


def fact(signal_type: SignalType, at: Millis, message_id: str | None = None, **fields: object) -> Signal:
    made = redacted_signal(message_id or f"x{at}", at, signal_type, message_id=message_id)
    return made._replace(**fields)  # type: ignore[arg-type] # fields of the tuple by name


def polled(signal_type: SignalType, at: Millis) -> Signal:
    return fact(signal_type, at, source=Source.PROVIDER, polled=True)


def types(rows: list[RecordedSignal]) -> list[SignalType]:
    return [row.type for row in rows]


def test_facts_become_rows_in_arrival_order_numbered_within_their_instance() -> None:
    """The arrival number is contiguous per instance, from 1, over batches."""
    bench = Bench()
    first = bench.run(
        exchange(
            fact(SignalType.MESSAGE_SENT, T, "a"), fact(SignalType.MESSAGE_SENT, T, "b", instance_id="other")
        ),
        exchange(fact(SignalType.MESSAGE_SENT, T + 1, "c")),
    )
    second = bench.run(exchange(fact(SignalType.MESSAGE_SENT, T + 2, "d")))

    numbers = [(row.instance_id, row.seq, row.message_id) for row in first.signals + second.signals]
    assert numbers == [("sales-1", 1, "a"), ("other", 1, "b"), ("sales-1", 2, "c"), ("sales-1", 3, "d")]
    assert {row.recorded_at for row in first.signals} == {NOW}


def test_a_repeat_is_counted_and_stored_once_in_the_batch_and_later() -> None:
    """A redelivered callback is the same signal."""
    bench = Bench()
    receipt = fact(SignalType.MESSAGE_READ, T, "a", source=Source.WEBHOOK)
    first = bench.run(exchange(receipt), exchange(receipt))
    again = bench.run(exchange(receipt._replace(occurred_at=T + 5)))

    assert types(first.signals) == [SignalType.MESSAGE_READ]
    assert (first.repeated, again.repeated) == (Counter({Source.WEBHOOK: 1}), Counter({Source.WEBHOOK: 1}))
    assert again.signals == []


def test_reports_of_different_sources_are_facts_of_their_own() -> None:
    """The API's answer and the echo both stand in the timeline."""
    bench = Bench()
    recorded = bench.run(
        exchange(fact(SignalType.MESSAGE_SENT, T, "a", source=Source.DISPATCH)),
        exchange(fact(SignalType.MESSAGE_SENT, T, "a", source=Source.WEBHOOK)),
    )

    assert len(recorded.signals) == 2


def test_equal_facts_of_one_exchange_are_told_apart_by_their_place() -> None:
    """One body may hold the same thing twice on purpose."""
    bench = Bench()
    same = fact(SignalType.PRESENCE_SET, T)
    first = bench.run(exchange(same, same))
    again = bench.run(exchange(same, same))

    assert len({row.id for row in first.signals}) == 2
    assert again.repeated[Source.DISPATCH] == 2


def test_the_tally_and_the_position_move_in_the_transaction_of_the_rows() -> None:
    """What the ledger says equals what the audit says, after any crash."""
    bench = Bench()
    receipt = fact(SignalType.MESSAGE_READ, T, "a", source=Source.WEBHOOK)
    refused = exchange()._replace(rejected=(Rejected(Source.DISPATCH, "instance_id_empty"),))
    gap = Gap("k", T, T + 1, "disk_full", 3)
    batch = bench.batch(exchange(receipt), exchange(receipt), refused, gaps=(gap,), lost=3)

    recorded = bench.record([batch], NOW)

    stored = bench.store.progress()[FOLDER]
    assert recorded.progress == [stored]
    assert (stored.segment, stored.offset) == (1, 100)
    assert (stored.tally.recorded.webhook, stored.tally.repeated.webhook) == (1, 1)
    assert (stored.tally.lost.webhook, stored.tally.lost.dispatch) == (3, 1)
    assert stored.tally.settled == 6
    assert bench.store.gaps(0, NOW) == [gap]


def test_a_batch_that_fails_leaves_nothing_behind_and_can_be_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lost database connection repeats nothing and misses nothing."""
    bench = Bench()
    batch = bench.batch(exchange(fact(SignalType.MESSAGE_SENT, T, "a")))

    def broken(*_: object) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr("tests.fakes.Transaction.advance", broken)
        with pytest.raises(StoreUnavailable):
            bench.record([batch], NOW)
    assert bench.store.progress() == {}

    assert len(bench.record([batch], NOW).signals) == 1


@pytest.mark.parametrize(
    ("known", "told", "recorded"),
    [
        (None, SignalType.CONNECTION_CONNECTED, True),
        (SignalType.CONNECTION_CONNECTED, SignalType.CONNECTION_CONNECTED, False),
        (SignalType.CONNECTION_CONNECTED, SignalType.CONNECTION_DISCONNECTED, True),
        (SignalType.CONNECTION_DISCONNECTED, SignalType.CONNECTION_DISCONNECTED, False),
        (SignalType.QRCODE_REGENERATED, SignalType.QRCODE_REGENERATED, False),
        (SignalType.MESSAGE_SENT, SignalType.CONNECTION_CONNECTED, False),
    ],
)
def test_a_polled_state_is_recorded_only_if_it_differs_from_the_last_known(
    known: SignalType | None, told: SignalType, recorded: bool
) -> None:
    """A dispatcher that polls every second does not fill the timeline (design section 3, polled state)."""
    bench = Bench()
    if known is not None:
        bench.run(exchange(fact(known, T, "k")))

    result = bench.run(exchange(polled(told, T + 10)))

    assert types(result.signals) == ([told] if recorded else [])
    assert result.repeated.total() == (0 if recorded else 1)


def test_a_callback_is_always_a_fact() -> None:
    """Only answers to polls are compared with what is known."""
    bench = Bench()
    bench.run(exchange(fact(SignalType.CONNECTION_CONNECTED, T)))

    result = bench.run(exchange(fact(SignalType.CONNECTION_CONNECTED, T + 1)))

    assert len(result.signals) == 1


def test_the_newest_claim_decides_the_connection_whatever_arrives_first() -> None:
    """Callbacks come out of order."""
    bench = Bench()
    bench.run(exchange(fact(SignalType.CONNECTION_DISCONNECTED, T + 10)))
    bench.run(exchange(fact(SignalType.CONNECTION_CONNECTED, T + 5)))

    assert bench.store.instances(None, 10)[0].connection is Connection.DISCONNECTED


def test_a_send_connects_only_what_is_unknown() -> None:
    """A successful send proves a connection nobody told of, and contradicts nobody."""
    bench = Bench()
    bench.run(exchange(fact(SignalType.MESSAGE_SENT, T, "a")))
    assert bench.store.instances(None, 10)[0].connection is Connection.CONNECTED

    bench.run(exchange(fact(SignalType.CONNECTION_ERROR, T + 1)))
    bench.run(exchange(fact(SignalType.MESSAGE_SENT, T + 2, "b")))

    assert bench.store.instances(None, 10)[0].connection is Connection.ERROR


def test_a_failed_send_connects_nothing() -> None:
    """Only success proves a connection."""
    bench = Bench()
    bench.run(exchange(fact(SignalType.MESSAGE_FAILED, T)))

    assert bench.store.instances(None, 10)[0].connection is Connection.UNKNOWN


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
def test_a_delivery_gets_its_latency_from_the_earliest_send_of_its_message(together: bool) -> None:
    """By the provider's times, across batches (rules.md Q10)."""
    bench = Bench()
    sends = exchange(
        fact(SignalType.MESSAGE_SENT, T + 100, "a", source=Source.DISPATCH),
        fact(SignalType.MESSAGE_SENT, T, "a", source=Source.WEBHOOK),
    )
    delivery = exchange(fact(SignalType.MESSAGE_DELIVERED, T + 2_500, "a", source=Source.WEBHOOK))
    rows = (
        bench.run(sends, delivery).signals
        if together
        else bench.run(sends).signals + bench.run(delivery).signals
    )

    assert [row.latency_ms for row in rows if row.type is SignalType.MESSAGE_DELIVERED] == [2_500]


@pytest.mark.parametrize(
    ("sent_at", "message_id"), [(T + 5_000, "a"), (None, "a"), (T, None)], ids=["later", "unknown", "no id"]
)
def test_a_delivery_without_an_earlier_send_has_no_latency(
    sent_at: int | None, message_id: str | None
) -> None:
    """Never negative, never guessed."""
    bench = Bench()
    if sent_at is not None:
        bench.run(exchange(fact(SignalType.MESSAGE_SENT, sent_at, "a")))

    rows = bench.run(exchange(fact(SignalType.MESSAGE_DELIVERED, T + 2_500, message_id))).signals

    assert [row.latency_ms for row in rows] == [None]


def test_a_latency_that_was_given_is_never_overwritten() -> None:
    """What a fact states itself holds (rules.md Q10)."""
    bench = Bench()
    delivery = fact(SignalType.MESSAGE_DELIVERED, T + 2_500, "a", latency_ms=7)

    rows = bench.run(exchange(fact(SignalType.MESSAGE_SENT, T, "a")), exchange(delivery)).signals

    assert [row.latency_ms for row in rows if row.type is SignalType.MESSAGE_DELIVERED] == [7]


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
def test_an_alias_is_replaced_by_the_name_seen_with_it(together: bool) -> None:
    """After a restart TurboZap names an instance by its uuid only (design section 3, instance alias)."""
    bench = Bench()
    named = exchange(fact(SignalType.MESSAGE_SENT, T, "a", instance_id="vendas-01", alias="uuid-1"))
    unnamed = exchange(fact(SignalType.MESSAGE_READ, T + 1, "a", instance_id="uuid-1"))
    rows = (
        bench.run(named, unnamed).signals
        if together
        else bench.run(named).signals + bench.run(unnamed).signals
    )

    assert {row.instance_id for row in rows} == {"vendas-01"}
    assert [row.seq for row in rows] == [1, 2]


def test_an_alias_learned_later_leaves_the_connection_as_it_is() -> None:
    """A name beside a message says nothing of how the instance is connected."""
    bench = Bench()
    bench.run(exchange(fact(SignalType.CONNECTION_DISCONNECTED, T, source=Source.PROVIDER)))
    bench.run(exchange(fact(SignalType.MESSAGE_READ, T + 1, "a", alias="uuid-1")))

    [head] = bench.store.instances(None, 5)

    assert (head.connection, head.last_signal_at) == (Connection.DISCONNECTED, T + 1)


def test_an_unknown_alias_stays_an_instance_of_its_own() -> None:
    """Nothing is guessed about a name never seen with another."""
    bench = Bench()
    rows = bench.run(exchange(fact(SignalType.MESSAGE_READ, T, "a", instance_id="uuid-1"))).signals

    assert [row.instance_id for row in rows] == ["uuid-1"]


def test_an_empty_batch_moves_the_position_only() -> None:
    """Exchanges without facts are done with, too."""
    bench = Bench()
    recorded = bench.run(exchange())

    assert recorded.signals == []
    assert bench.store.progress()[FOLDER].offset == 100


class RefusingStore(InMemoryStore):
    """Takes every row but those of one message, as a database refuses a row for its content."""

    @contextmanager
    def recording(self) -> Iterator[Transaction]:
        """Open a transaction that refuses."""
        with super().recording() as transaction:
            take = transaction.append

            def append(rows: Sequence[RecordedSignal]) -> list[RecordedSignal]:
                take([row for row in rows if row.message_id != "bad"])
                return [row for row in rows if row.message_id == "bad"]

            transaction.append = append  # type: ignore[method-assign,assignment]  # a double of the outermost port
            yield transaction


def test_a_row_the_store_refuses_is_a_gap_and_lost_and_the_others_are_recorded() -> None:
    """Law of the ledger: recorded + repeated + lost is what was observed."""
    bench = Bench()
    bench.store = RefusingStore()
    bench.record = RecordReputationSignal(bench.store)
    facts = [fact(SignalType.MESSAGE_SENT, T, "a"), fact(SignalType.MESSAGE_SENT, T + 1, "bad")]

    recorded = bench.run(exchange(*facts))

    assert [row.message_id for row in recorded.signals] == ["a"]
    assert [row.message_id for row in recorded.refused] == ["bad"]
    [gap] = bench.store.gaps(T, T + 10, "sales-1")
    assert (gap.reason, gap.lost, gap.since) == (REFUSED, 1, T + 1)
    tally = recorded.progress[0].tally
    assert (tally.recorded.total, tally.lost.total) == (1, 1)


def test_a_send_while_connected_moves_no_connection() -> None:
    """What is known stays known, with the date of the fact that told it."""
    bench = Bench()
    bench.run(exchange(fact(SignalType.CONNECTION_CONNECTED, T)))
    bench.run(exchange(fact(SignalType.MESSAGE_SENT, T + 5, "a")))

    head = bench.store._tables.heads["sales-1"]
    assert (head.connection, head.connection_at) == (Connection.CONNECTED, T)

"""What every store promises, on both databases: exactly once, in order, every page, nothing stuck."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import StoreUnavailable
from domain.identity import signal_id
from domain.record_signal import REFUSED, RecordReputationSignal
from domain.recorded import BySource, Gap, InstanceHead, Progress, RecordedSignal, Tally
from domain.retain import RetainedStore
from domain.timeline import PageKey, TimelineQuery
from domain.words import Connection, Lifecycle, Severity, SignalType, Source, TemperatureLevel, Trend
from exporters.sql import reading
from exporters.sql.store import SqlStore
from tests.builders import exchange, journal_slice, recorded_signal, redacted_signal

T0 = 1_700_000_000_000


def put(store: RetainedStore, *signals: RecordedSignal) -> None:
    """Insert rows with their heads, as the recorder would."""
    with store.recording() as recording:
        heads = recording.lock(sorted({signal.instance_id for signal in signals}))
        assert recording.append(signals) == []
        for signal in signals:
            head = heads[signal.instance_id]
            heads[signal.instance_id] = head._replace(
                last_seq=max(head.last_seq, signal.seq),
                last_signal_at=max(head.last_signal_at, signal.occurred_at),
            )
        recording.save_heads(list(heads.values()))


def everything(instance_id: str = "sales-1", **limits: Any) -> TimelineQuery:
    """Ask for all of an instance's time."""
    return TimelineQuery(instance_id, 0, 2 * T0)._replace(**limits)


def seqs(store: RetainedStore, query: TimelineQuery) -> list[int]:
    """Give the arrival numbers of one page."""
    return [signal.seq for signal in store.timeline(query).signals]


def test_a_row_comes_back_as_it_was_recorded(any_store: RetainedStore) -> None:
    """Every field survives the any_store, absent ones stay absent."""
    full = RecordedSignal(
        "6a5c1c55-1111-5222-8333-444455556666",
        SignalType.RATE_LIMIT_HIT,
        Severity.HIGH,
        Source.PROVIDER,
        "Verkauf Süd/1",
        T0 + 1,
        T0 + 2,
        1,
        "cloud_api",
        "wamid:00112233445566778899aabbccddeeff",
        "a1b2c3d4e5f60718",
        True,
        0,
        {"code": "130429", "httpStatus": 429, "endpoint": "/messages", "codeMeaning": "Größe 🚦"},
        "4bf92f3577b34da6a3ce929d0e0e4736",
    )
    bare = recorded_signal(2, T0 + 3, instance_id="Verkauf Süd/1")

    put(any_store, full, bare)

    assert any_store.timeline(everything("Verkauf Süd/1")).signals == [full, bare]


def test_times_survive_to_the_millisecond_from_the_first_to_the_last(any_store: RetainedStore) -> None:
    """No rounding anywhere between 1970 and the year 9999."""
    times = (1, 999, T0 + 1, T0 + 999, 4_102_444_800_001, 253_402_300_799_999)
    put(any_store, *(recorded_signal(n, at, recorded_at=at) for n, at in enumerate(times, 1)))

    found = any_store.timeline(TimelineQuery("sales-1", 0, 253_402_300_799_999)).signals

    assert [(row.occurred_at, row.recorded_at) for row in found] == [(at, at) for at in times]


def test_a_latency_beyond_the_column_is_stored_as_the_most_it_holds(store: SqlStore) -> None:
    """A phone that was off for a month costs no row."""
    put(store, recorded_signal(1, T0, latency_ms=2**31 - 1), recorded_signal(2, T0, latency_ms=2**40))

    latencies = [row.latency_ms for row in store.timeline(everything()).signals]

    assert latencies == [2**31 - 1, 2**31 - 1]


def test_order_is_by_date_and_then_by_arrival(any_store: RetainedStore) -> None:
    """A late fact stands where it is dated; equal dates keep arrival, both ways round."""
    put(any_store, *(recorded_signal(n, T0 + at) for n, at in ((1, 5), (2, 3), (3, 5), (4, 5), (5, 1))))

    ascending = seqs(any_store, everything())
    descending = seqs(any_store, everything(descending=True))

    assert ascending == [5, 2, 1, 3, 4]
    assert descending == ascending[::-1]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_a_walk_over_pages_sees_each_row_once(
    any_store: RetainedStore, *, descending: bool, limit: int
) -> None:
    """Equal dates that straddle a page are neither repeated nor left out; the last page says so."""
    put(any_store, *(recorded_signal(n, T0 + n // 3) for n in range(1, 8)))

    walked: list[int] = []
    after: PageKey | None = None
    pages = 0
    while True:
        page = any_store.timeline(everything(descending=descending, limit=limit, after=after))
        walked += [signal.seq for signal in page.signals]
        pages += 1
        after = page.next_key
        if after is None:
            break

    assert walked == sorted(range(1, 8), reverse=descending)
    assert pages == -(-7 // limit)


def test_inserting_between_two_pages_neither_repeats_nor_hides_a_row(any_store: RetainedStore) -> None:
    """Rows behind the walk stay behind, rows ahead of it are seen."""
    put(any_store, *(recorded_signal(n, T0 + 10 * n) for n in range(1, 7)))

    first = any_store.timeline(everything(limit=3))
    put(any_store, recorded_signal(7, T0 + 5), recorded_signal(8, T0 + 30), recorded_signal(9, T0 + 45))
    second = any_store.timeline(everything(limit=10, after=first.next_key))

    assert [row.seq for row in first.signals] == [1, 2, 3]
    assert [row.seq for row in second.signals] == [8, 4, 9, 5, 6]


def test_streaming_a_range_gives_every_row_in_bounded_pages(store: SqlStore) -> None:
    """A range longer than a page comes whole and in order, a thousand rows at a time at most."""
    put(store, *(recorded_signal(n, T0 + n // 4) for n in range(1, 2502)))

    pages = list(store.stream(everything(limit=1)))

    assert [len(page) for page in pages] == [1000, 1000, 501]
    assert [row.seq for page in pages for row in page] == list(range(1, 2502))


def test_bounds_of_the_range_are_inclusive(any_store: RetainedStore) -> None:
    """A fact dated on either bound belongs to the range, one millisecond outside it does not."""
    put(any_store, *(recorded_signal(n, T0 + n) for n in range(1, 6)))

    found = seqs(any_store, TimelineQuery("sales-1", T0 + 2, T0 + 4))

    assert found == [2, 3, 4]


def test_filters_narrow_together_and_leave_other_instances_out(any_store: RetainedStore) -> None:
    """Each filter narrows; several values of one are alternatives; no other instance shows."""
    put(
        any_store,
        recorded_signal(1, T0, message_id="M1"),
        recorded_signal(2, T0, SignalType.MESSAGE_DELIVERED, source=Source.WEBHOOK, message_id="M1"),
        recorded_signal(3, T0, SignalType.MESSAGE_FAILED, source=Source.WEBHOOK, message_id="M2"),
        recorded_signal(4, T0, SignalType.QRCODE_REGENERATED, source=Source.PROVIDER),
        recorded_signal(1, T0, SignalType.MESSAGE_FAILED, instance_id="sales-2", message_id="M1"),
    )
    types = frozenset({SignalType.MESSAGE_FAILED, SignalType.MESSAGE_DELIVERED})

    assert seqs(any_store, everything(types=types)) == [2, 3]
    assert seqs(any_store, everything(severities=frozenset({Severity.HIGH, Severity.MEDIUM}))) == [3, 4]
    assert seqs(any_store, everything(sources=frozenset({Source.WEBHOOK}))) == [2, 3]
    assert seqs(any_store, everything(message_id="M1")) == [1, 2]
    assert seqs(any_store, everything(types=types, message_id="M1", sources=frozenset({Source.WEBHOOK}))) == [
        2
    ]
    assert seqs(any_store, everything("unknown")) == []


def test_a_batch_tried_again_records_nothing_twice(any_store: RetainedStore) -> None:
    """The same journal slice, recorded again, gives repeats only; position and tally say so."""
    record = RecordReputationSignal(any_store)
    batch = [
        journal_slice(
            exchange(redacted_signal("M1", T0, message_id="M1"), redacted_signal("M2", T0, message_id="M2")),
            offset=100,
        )
    ]

    first = record(batch, T0)
    again = record(batch, T0 + 1)

    assert [row.seq for row in first.signals] == [1, 2]
    assert again.signals == []
    assert again.repeated == Counter({Source.DISPATCH: 2})
    assert seqs(any_store, everything()) == [1, 2]
    assert any_store.progress() == {
        "w0": Progress("w0", 1, 100, Tally(BySource(), BySource(dispatch=2), BySource()))
    }


def test_rows_and_position_go_together_or_not_at_all(any_store: RetainedStore) -> None:
    """A batch that fails behind its rows leaves neither rows nor heads nor a position."""

    def crash_behind_the_rows() -> None:
        with any_store.recording() as recording:
            heads = recording.lock(["sales-1"])
            recording.append([recorded_signal(1, T0)])
            recording.save_heads([heads["sales-1"]._replace(last_seq=1)])
            recording.advance([Progress("w0", 1, 5)], [Gap("g", T0, T0, "disk_full", 1)])
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        crash_behind_the_rows()

    assert any_store.timeline(everything()).signals == []
    assert any_store.progress() == {}
    assert any_store.gaps(0, 2 * T0) == []
    with any_store.recording() as recording:
        assert recording.lock(["sales-1"])["sales-1"].last_seq == 0


def test_progress_is_kept_by_sidecar_and_folder(store_url: str, open_store: Callable[..., SqlStore]) -> None:
    """The newest position of each folder counts; another sidecar's folders are not ours."""
    tally = Tally(BySource(1, 2, 3), BySource(4, 5, 6), BySource(7, 8, 9))
    store = open_store(store_url, "s1")
    for offset in (5, 17):
        with store.recording() as recording:
            recording.advance([Progress("w0", 1, offset, tally), Progress("w1", 3, offset)], [])
    store.close()

    other = open_store(store_url, "s2")
    with other.recording() as recording:
        recording.advance([Progress("w0", 9, 99)], [])
    theirs = other.progress()
    other.close()
    ours = open_store(store_url, "s1").progress()

    assert theirs == {"w0": Progress("w0", 9, 99)}
    assert ours == {"w0": Progress("w0", 1, 17, tally), "w1": Progress("w1", 3, 17)}


def test_heads_and_aliases_come_back_and_the_newest_claim_wins(any_store: RetainedStore) -> None:
    """A head is stored whole; an alias leads to the instance that showed it last."""
    head = InstanceHead("sales-1", "turbozap", ("old", "shared"), 7, T0, Connection.QRCODE, T0 - 5)
    with any_store.recording() as recording:
        assert recording.lock(["sales-1"]) == {"sales-1": InstanceHead("sales-1")}
        recording.save_heads([head])
    with any_store.recording() as recording:
        recording.lock(["sales-2"])
        recording.save_heads([InstanceHead("sales-2", aliases=("shared",), last_seq=1)])

    with any_store.recording() as recording:
        heads = recording.lock(["sales-1", "sales-3"])
        resolved = recording.resolve(["old", "shared", "unknown"])

    assert heads == {"sales-1": head, "sales-3": InstanceHead("sales-3")}
    assert resolved == {"old": "sales-1", "shared": "sales-2"}


def test_known_and_first_sent_answer_for_more_keys_than_a_statement_takes(any_store: RetainedStore) -> None:
    """Lookups are cut into pieces, and only exact pairs match."""
    rows = [recorded_signal(n, T0 + n, message_id=f"M{n}") for n in range(1, 1502)]
    put(any_store, *rows, recorded_signal(1, T0 - 5, instance_id="sales-2", message_id="M1"))
    delivered = recorded_signal(1502, T0 - 9, SignalType.MESSAGE_DELIVERED, message_id="M2")
    again = recorded_signal(1503, T0 - 3, message_id="M3")
    put(any_store, delivered, again)

    with any_store.recording() as recording:
        known = recording.known((row.instance_id, row.id) for row in [*rows, recorded_signal(9000, T0)])
        crossed = recording.known([("sales-2", "sales-1#1"), ("sales-1", "sales-2#1")])
        sent = recording.first_sent(("sales-1", f"M{n}") for n in range(1, 2002))

    assert known == {(row.instance_id, row.id) for row in rows}
    assert crossed == set()
    assert len(sent) == 1501
    assert (sent["sales-1", "M1"], sent["sales-1", "M2"], sent["sales-1", "M3"]) == (T0 + 1, T0 + 2, T0 - 3)


def test_gaps_overlap_the_range_and_are_accounted_once(any_store: RetainedStore) -> None:
    """A gap shows where it touches the range; everyone's and the instance's own; a key counts once."""
    gaps = [
        Gap("a", T0, T0 + 10, "disk_full", 3),
        Gap("b", T0 + 20, T0 + 30, "observer_crash", 1, "sales-1"),
        Gap("c", T0 + 20, T0 + 30, "observer_crash", 1, "sales-2"),
        Gap("d", T0 + 40, T0 + 40, "quarantined", 5),
    ]
    with any_store.recording() as recording:
        recording.advance([], gaps)
    with any_store.recording() as recording:
        recording.advance([], [gaps[0]._replace(lost=99)])

    assert any_store.gaps(T0 + 10, T0 + 40, "sales-1") == [gaps[0], gaps[1], gaps[3]]
    assert any_store.gaps(T0 + 11, T0 + 39, "sales-1") == [gaps[1]]
    assert any_store.gaps(0, 2 * T0) == [gaps[0], gaps[3]]


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_gaps_that_an_answer_has_no_room_for_are_told_as_one(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """The newest stand for themselves, all before them in one with their sum: no loss goes untold."""
    monkeypatch.setattr(reading, "GAPS_MAX", most)
    gaps = [
        Gap(name, T0 + at, T0 + 10 * at, "disk_full", 1 + at)
        for name, at in zip("abc", (0, 1, 1), strict=True)
    ]
    with store.recording() as recording:
        recording.advance([], [*gaps, Gap("x", T0, T0 + 99, "disk_full", 50, "sales-2")])

    told = store.gaps(T0, T0 + 90, "sales-1")

    assert sum(gap.lost for gap in told) == sum(gap.lost for gap in gaps)
    assert len(told) == min(3, most + 1)
    if most < 3:
        kept = gaps[3 - most :]
        rest = gaps[: 3 - most]
        until = max(gap.until for gap in rest)
        earlier = Gap("earlier_gaps", T0, until, "earlier_gaps", sum(gap.lost for gap in rest))
        assert sorted(told) == sorted([*kept, earlier])


def test_instances_are_listed_by_code_point_and_paged_by_name(any_store: RetainedStore) -> None:
    """Upper case before lower case on every database; a page goes on behind the last name."""
    names = ["B-2", "a-10", "a-9", "Zürich", "äußerst", "_x"]
    put(any_store, *(recorded_signal(1, T0 + n, instance_id=name) for n, name in enumerate(names)))

    first = any_store.instances(None, 2)
    rest = any_store.instances(first[-1].instance_id, 100)

    listed = first + rest
    assert [one.instance_id for one in listed] == sorted(names)
    assert len(first) == 2
    fresh = listed[0]
    assert (fresh.score, fresh.temperature_level, fresh.trend) == (50, TemperatureLevel.COLD, Trend.STABLE)
    assert (fresh.lifecycle, fresh.cooldown_reason, fresh.last_evaluated_at) == (
        Lifecycle.CREATED,
        None,
        None,
    )
    assert fresh.last_signal_at == T0 + names.index(fresh.instance_id)


def test_a_row_the_database_refuses_never_blocks_the_line(store: SqlStore) -> None:
    """The rows around it are stored, it stands as a gap, and the ledger balances."""
    record = RecordReputationSignal(store)
    facts = [redacted_signal(f"M{n}", T0 + n, message_id=f"M{n}") for n in range(1, 12)]
    facts[6] = facts[6]._replace(context={"endpoint": "half a pair: \ud800"})
    bad_id = signal_id("sales-1", Source.DISPATCH, SignalType.MESSAGE_SENT, "M7")

    recorded = record([journal_slice(exchange(*facts), offset=1)], T0)

    assert [row.id for row in recorded.refused] == [bad_id]
    assert [row.message_id for row in recorded.signals] == [f"M{n}" for n in range(1, 12) if n != 7]
    assert store.timeline(everything()).signals == recorded.signals
    assert store.gaps(0, 2 * T0, "sales-1") == [
        Gap(f"{REFUSED}:sales-1:{bad_id}", T0 + 7, T0 + 7, REFUSED, 1, "sales-1")
    ]
    assert store.progress()["w0"].tally == Tally(BySource(dispatch=10), BySource(), BySource(dispatch=1))


def test_retention_drops_what_is_older_in_bounded_batches_and_keeps_the_rest(
    any_store: RetainedStore,
) -> None:
    """Exactly the horizon is kept, at most `limit` rows go a call, gaps and heads stay."""
    put(any_store, *(recorded_signal(n, T0 + n) for n in range(1, 11)))
    put(any_store, *(recorded_signal(n, T0 + n, instance_id="sales-2") for n in range(1, 11)))
    with any_store.recording() as recording:
        recording.advance([], [Gap("g", T0, T0, "disk_full", 1)])

    dropped = [any_store.drop_before(T0 + 8, 5) for _ in range(4)]

    assert dropped == [5, 5, 4, 0]
    assert seqs(any_store, everything()) == [8, 9, 10]
    assert seqs(any_store, everything("sales-2")) == [8, 9, 10]
    assert len(any_store.gaps(0, 2 * T0)) == 1
    with any_store.recording() as recording:
        assert recording.lock(["sales-1"])["sales-1"].last_seq == 10


def test_recording_goes_on_where_it_ended_after_reopening(
    store_url: str, open_store: Callable[..., SqlStore]
) -> None:
    """Arrival numbers, positions and known ids survive the process."""
    first = open_store(store_url)
    RecordReputationSignal(first)([journal_slice(exchange(redacted_signal("M1", T0)), offset=1)], T0)
    first.close()

    second = open_store(store_url)
    facts = exchange(redacted_signal("M1", T0), redacted_signal("M2", T0))
    recorded = RecordReputationSignal(second)([journal_slice(facts, offset=2)], T0)

    assert [row.seq for row in recorded.signals] == [2]
    assert second.progress()["w0"].offset == 2


def test_a_store_that_is_not_open_is_unavailable(store_url: str) -> None:
    """Neither reading nor recording works before `open` and after `close`."""
    store = SqlStore(store_url, sidecar_id="s1")

    with pytest.raises(StoreUnavailable, match="not open"):
        store.timeline(everything())
    store.open()
    store.close()
    with pytest.raises(StoreUnavailable, match="not open"), store.recording():
        pass


def test_reading_sees_only_what_is_committed_and_never_waits(store: SqlStore) -> None:
    """While a batch is open, a reader answers at once with the state before it."""
    put(store, recorded_signal(1, T0))

    with store.recording() as recording:
        recording.lock(["sales-1"])
        recording.append([recorded_signal(2, T0)])
        during = seqs(store, everything())

    assert during == [1]
    assert seqs(store, everything()) == [1, 2]

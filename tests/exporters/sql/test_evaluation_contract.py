"""What every store promises to evaluation, on both databases."""

import random
from collections.abc import Callable

import pytest

from domain.health_ports import (
    Checkpoint,
    DecisionKey,
    DecisionQuery,
    DecisionRow,
    Fact,
    OperatorAction,
    Preview,
    SavedState,
    Span,
)
from domain.recorded import InstanceSummary, RecordedSignal
from domain.retain import RetainedStore
from domain.snapshot import count
from domain.words import (
    ActionKind,
    Connection,
    CooldownReason,
    EvaluationReason,
    Lifecycle,
    RiskLevel,
    SignalType,
    Source,
    TemperatureLevel,
    Trend,
)
from exporters.sql.store import SqlStore
from tests.builders import recorded_signal

T0 = 1_700_000_000_000

COLD = Preview(
    50,
    TemperatureLevel.COLD,
    Trend.STABLE,
    RiskLevel.LOW,
    Lifecycle.CREATED,
    None,
    None,
    0,
    None,
    T0,
)
RESTING = Preview(
    12,
    TemperatureLevel.COOLDOWN,
    Trend.DOWN,
    RiskLevel.HIGH,
    Lifecycle.COOLDOWN,
    CooldownReason.BLOCK_SPIKE,
    T0 + 1,
    3,
    T0 + 2,
    T0 + 3,
)


def put(store: RetainedStore, *signals: RecordedSignal) -> None:
    """Insert rows with their heads, as the recorder would."""
    with store.recording() as recording:
        heads = recording.lock(sorted({signal.instance_id for signal in signals}))
        recording.append(signals)
        for signal in signals:
            head = heads[signal.instance_id]
            heads[signal.instance_id] = head._replace(
                last_seq=max(head.last_seq, signal.seq),
                last_signal_at=max(head.last_signal_at, signal.occurred_at),
            )
        recording.save_heads(list(heads.values()))


def fact(signal: RecordedSignal) -> Fact:
    """Give as much of a row as a fold reads."""
    return Fact(
        signal.instance_id,
        signal.id,
        signal.seq,
        signal.type,
        signal.source,
        signal.occurred_at,
        signal.message_id,
        signal.is_group,
        signal.latency_ms,
    )


def state(instance_id: str = "sales-1", **fields: object) -> SavedState:
    """Make a saved state."""
    base = SavedState(instance_id, T0, 1, 0, None, 1, "w1800000", '{"score": 50}', COLD)
    return base._replace(**fields)  # type: ignore[arg-type] # each test names fields of the right type


def checkpoint(at: int, *, base: bool = False, setting: str = "w1800000", text: str = "s") -> Checkpoint:
    """Make a checkpoint of one instance."""
    return Checkpoint("sales-1", at, base, 7, 2, setting, text)


def decision(
    number: int, at: int, instance_id: str = "sales-1", supersedes: str | None = None
) -> DecisionRow:
    """Make a decision; `arrival` is the store's to give."""
    return DecisionRow(
        f"d{number}",
        instance_id,
        at,
        at + 5,
        -1,
        EvaluationReason.WEBHOOK,
        "rules",
        number,
        1,
        supersedes,
        '{"b": 1.50,  "a": "Größe"}',
    )


def test_a_saved_state_comes_back_whole_and_the_newest_counts(any_store: RetainedStore) -> None:
    """State, position, version and preview survive; saving again overwrites; others are missing."""
    full = state(at=T0 + 9, seq=4, actions=2, due_at=T0 + 60_000, version=2, preview=RESTING)
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.save([state(), state("sales-2")])
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.save([full])
        inside = evaluating.saved(["sales-1"])

    with any_store.reading() as reading:
        outside = reading.saved(["sales-1", "sales-2", "unknown"])

    assert inside == {"sales-1": full}
    assert outside == {"sales-1": full, "sales-2": state("sales-2")}


def test_saving_a_state_shows_in_the_instance_list_and_leaves_the_head_alone(
    any_store: RetainedStore,
) -> None:
    """Recording and evaluation share a row without overwriting each other's columns."""
    put(any_store, recorded_signal(1, T0))
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.save([state(preview=RESTING)])
    put(any_store, recorded_signal(2, T0 + 7))

    listed = any_store.instances(None, 10)
    with any_store.recording() as recording:
        head = recording.lock(["sales-1"])["sales-1"]

    assert listed == [
        InstanceSummary(
            "sales-1",
            "",
            12,
            TemperatureLevel.COOLDOWN,
            Trend.DOWN,
            RiskLevel.HIGH,
            Lifecycle.COOLDOWN,
            Connection.UNKNOWN,
            CooldownReason.BLOCK_SPIKE,
            T0 + 7,
            T0 + 3,
        )
    ]
    assert head.last_seq == 2


def test_an_evaluation_that_fails_leaves_nothing(any_store: RetainedStore) -> None:
    """State, checkpoints, actions and decisions go together or not at all; no instance springs up."""

    def crash() -> None:
        with any_store.evaluating(["sales-1"]) as evaluating:
            evaluating.save([state()])
            evaluating.add_checkpoints([checkpoint(T0)])
            evaluating.add_action(OperatorAction("sales-1", "a", 0, ActionKind.BAN, T0))
            evaluating.add_decisions([decision(1, T0)])
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        crash()

    with any_store.reading() as reading:
        assert reading.saved(["sales-1"]) == {}
        assert reading.checkpoint("sales-1", 2 * T0, "w1800000") is None
        assert reading.actions([Span("sales-1", 0, 2 * T0)]) == []
        assert reading.decision("d1") is None
    assert any_store.instances(None, 10) == []


def test_last_arrivals_are_those_of_the_heads(any_store: RetainedStore) -> None:
    """An instance without a fact is missing, also when it was locked or evaluated."""
    put(any_store, recorded_signal(1, T0), recorded_signal(2, T0))
    with any_store.evaluating(["sales-2"]) as evaluating:
        evaluating.save([state("sales-2")])
        last = evaluating.last_seqs(["sales-1", "sales-2", "unknown"])

    assert last == {"sales-1": 2}


def test_arrivals_behind_a_number_come_in_order_and_bounded_an_instance(any_store: RetainedStore) -> None:
    """Each instance goes on behind its own number, at most `limit` each, in order of arrival."""
    ours = [
        recorded_signal(n, T0 - n, message_id=f"M{n}", is_group=n == 3, latency_ms=n) for n in range(1, 6)
    ]
    theirs = [recorded_signal(n, T0, instance_id="sales-2") for n in range(1, 3)]
    put(any_store, *theirs, *ours)

    with any_store.reading() as reading:
        found = reading.arrivals({"sales-2": 0, "sales-1": 1, "unknown": 0}, 3)
        none = reading.arrivals({"sales-1": 5}, 3)
        nothing_asked = reading.arrivals({}, 3)

    assert found == [fact(row) for row in (*ours[1:4], *theirs)]
    assert none == nothing_asked == []


def test_facts_of_spans_have_inclusive_bounds_an_arrival_bound_and_a_limit(any_store: RetainedStore) -> None:
    """Several spans of several instances in one answer, in order; a cut-off takes the end of a span."""
    ours = [recorded_signal(n, T0 + 10 * (n % 4)) for n in range(1, 9)]
    theirs = [recorded_signal(1, T0 + 10, SignalType.MESSAGE_REPLIED, instance_id="sales-0")]
    put(any_store, *ours, *theirs)
    by_date = sorted(ours, key=lambda row: (row.occurred_at, row.seq))

    with any_store.reading() as reading:
        found = reading.facts(
            [
                Span("sales-1", T0 + 30, T0 + 30),
                Span("sales-1", T0 + 1, T0 + 20, 5),
                Span("sales-0", T0 + 10, T0 + 10),
                Span("sales-1", T0 + 31, T0 + 99),
            ],
            10,
        )
        cut = reading.facts([Span("sales-1", 0, 2 * T0)], 3)

    inside = [row for row in by_date if (1 <= row.occurred_at - T0 <= 20 and row.seq <= 5)]
    last = [row for row in by_date if row.occurred_at == T0 + 30]
    assert found == [fact(row) for row in (*theirs, *inside, *last)]
    assert cut == [fact(row) for row in by_date[:3]]


def test_reports_of_a_message_are_all_facts_that_name_it(any_store: RetainedStore) -> None:
    """Every report of the messages asked for, of that instance only."""
    put(
        any_store,
        recorded_signal(1, T0, message_id="M1"),
        recorded_signal(2, T0, SignalType.MESSAGE_SENT, source=Source.WEBHOOK, message_id="M1"),
        recorded_signal(3, T0, SignalType.MESSAGE_DELIVERED, source=Source.WEBHOOK, message_id="M2"),
        recorded_signal(4, T0),
        recorded_signal(1, T0, instance_id="sales-2", message_id="M1"),
    )

    with any_store.reading() as reading:
        found = reading.reports({("sales-1", "M1"), ("sales-2", "M2"), ("sales-1", "M2")})

    assert sorted(one.seq for one in found) == [1, 2, 3]
    assert {one.instance_id for one in found} == {"sales-1"}


def test_evidence_is_newest_first_and_of_the_types_asked_for(any_store: RetainedStore) -> None:
    """Bounded by dates, arrival, types and limit."""
    failed, sent = SignalType.MESSAGE_FAILED, SignalType.MESSAGE_SENT
    put(any_store, *(recorded_signal(n, T0 + n // 2, failed if n % 3 else sent) for n in range(1, 10)))

    with any_store.reading() as reading:
        found = reading.evidence(Span("sales-1", T0 + 1, T0 + 4, 8), [failed], 3)

    assert found == ["sales-1#8", "sales-1#7", "sales-1#5"]


def test_the_earliest_late_fact_is_found_among_the_arrivals(any_store: RetainedStore) -> None:
    """Of what arrived behind a number the earliest date; nothing behind it, none."""
    put(any_store, *(recorded_signal(n, T0 + at) for n, at in ((1, 1), (2, 50), (3, 20), (4, 30))))

    with any_store.reading() as reading:
        assert reading.earliest_behind("sales-1", 1) == T0 + 20
        assert reading.earliest_behind("sales-1", 3) == T0 + 30
        assert reading.earliest_behind("sales-1", 4) is None
        assert reading.earliest_behind("unknown", 0) is None


def test_actions_are_numbered_by_arrival_and_read_by_date(store: SqlStore) -> None:
    """Numbers count each instance's actions; a span bounds dates and arrival; a known id is left as it is."""
    with store.evaluating(["sales-1", "sales-2"]) as evaluating:
        late = evaluating.add_action(OperatorAction("sales-1", "b", 0, ActionKind.ENTER_COOLDOWN, T0 + 9))
        early = evaluating.add_action(OperatorAction("sales-1", "c", 0, ActionKind.LEAVE_COOLDOWN, T0))
        other = evaluating.add_action(OperatorAction("sales-2", "b", 0, ActionKind.BAN, T0))
        again = evaluating.add_action(OperatorAction("sales-1", "b", 0, ActionKind.BAN, T0 + 100))
        same_time = evaluating.add_action(OperatorAction("sales-1", "a", 0, ActionKind.REINITIALISE, T0 + 9))

    with store.reading() as reading:
        everything = reading.actions([Span("sales-1", T0, T0 + 9), Span("sales-2", T0, T0)])
        bounded = reading.actions([Span("sales-1", T0 + 1, T0 + 9, 2)])

    assert [late.seq, early.seq, other.seq, same_time.seq] == [1, 2, 1, 3]
    assert again == late
    assert everything == [early, same_time, late, other]
    assert bounded == [late]


def test_an_action_without_an_id_gets_one_that_sorts_by_arrival(store: SqlStore) -> None:
    """Actions of one instant take effect in the order they came."""
    with store.evaluating(["sales-1"]) as evaluating:
        added = [
            evaluating.add_action(OperatorAction("sales-1", "", 0, ActionKind.ENTER_COOLDOWN, T0))
            for _ in range(11)
        ]

    assert len({action.id for action in added}) == 11
    with store.reading() as reading:
        assert reading.actions([Span("sales-1", T0, T0)]) == added


def test_the_newest_checkpoint_before_a_time_and_of_the_setting_is_given(any_store: RetainedStore) -> None:
    """Dated strictly before, folded with the same setting, bases included; equal keys overwrite."""
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.add_checkpoints(
            [
                checkpoint(T0, base=True),
                checkpoint(T0 + 10),
                checkpoint(T0 + 20, setting="w1"),
                checkpoint(T0 + 30, text="old"),
            ]
        )
        evaluating.add_checkpoints([checkpoint(T0 + 30, text="new")])

    with any_store.reading() as reading:
        newest = reading.checkpoint("sales-1", T0 + 31, "w1800000")
        before = reading.checkpoint("sales-1", T0 + 30, "w1800000")
        other = reading.checkpoint("sales-1", T0 + 31, "w1")
        at_base = reading.checkpoint("sales-1", T0 + 10, "w1800000")
        none = reading.checkpoint("sales-1", T0, "w1800000")

    assert newest == checkpoint(T0 + 30, text="new")
    assert before == checkpoint(T0 + 10)
    assert other == checkpoint(T0 + 20, setting="w1")
    assert at_base == checkpoint(T0, base=True)
    assert none is None


def test_dropping_checkpoints_spares_the_base_and_what_is_earlier(any_store: RetainedStore) -> None:
    """Late facts make later states void, never the base."""
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.add_checkpoints([checkpoint(T0 + n, base=n == 20) for n in (10, 20, 30)])
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.drop_checkpoints("sales-1", T0 + 20)

    with any_store.reading() as reading:
        assert reading.checkpoint("sales-1", 2 * T0, "w1800000") == checkpoint(T0 + 20, base=True)
        assert reading.base("sales-1") == checkpoint(T0 + 20, base=True)
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.drop_checkpoints("sales-1", 0)
    with any_store.reading() as reading:
        assert reading.checkpoint("sales-1", T0 + 20, "w1800000") is None


def test_a_new_base_replaces_everything_before_it(any_store: RetainedStore) -> None:
    """There is at most one base; states behind it stay."""
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.add_checkpoints([checkpoint(T0, base=True), checkpoint(T0 + 10), checkpoint(T0 + 30)])
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.add_checkpoints([checkpoint(T0 + 20, base=True)])

    with any_store.reading() as reading:
        assert reading.base("sales-1") == checkpoint(T0 + 20, base=True)
        assert reading.checkpoint("sales-1", T0 + 20, "w1800000") is None
        assert reading.checkpoint("sales-1", 2 * T0, "w1800000") == checkpoint(T0 + 30)


def test_decisions_are_numbered_once_and_come_back_byte_for_byte(any_store: RetainedStore) -> None:
    """A decision stored again keeps its number and content; another instance counts on its own."""
    first = decision(1, T0)
    with any_store.evaluating(["sales-1", "sales-2"]) as evaluating:
        evaluating.add_decisions([first, decision(2, T0 - 5, supersedes="d1"), decision(3, T0, "sales-2")])
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.add_decisions([first._replace(body="{}"), decision(4, T0), decision(4, T0)])

    with any_store.reading() as reading:
        stored = [reading.decision(f"d{n}") for n in range(1, 6)]

    assert stored == [
        first._replace(arrival=1),
        decision(2, T0 - 5, supersedes="d1")._replace(arrival=2),
        decision(3, T0, "sales-2")._replace(arrival=1),
        decision(4, T0)._replace(arrival=3),
        None,
    ]


def test_numbers_of_decisions_outside_a_range_are_given(store: SqlStore) -> None:
    """Both bounds are inside; another instance's decisions are none of this one's."""
    with store.evaluating(["sales-1", "sales-2"]) as evaluating:
        rows = [decision(n, T0 + at) for n, at in ((1, 0), (2, -1), (3, 5), (4, 6), (5, 2))]
        evaluating.add_decisions([*rows, decision(6, T0 - 9, "sales-2")])

    with store.reading() as reading:
        assert reading.decided_elsewhere("sales-1", T0, T0 + 5) == [2, 4]
        assert reading.decided_elsewhere("nobody", T0, T0 + 5) == []


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_a_walk_over_decisions_sees_each_once_newest_first(any_store: RetainedStore, limit: int) -> None:
    """By date and then by arrival, across pages, inside inclusive bounds."""
    with any_store.evaluating(["sales-1"]) as evaluating:
        evaluating.add_decisions([decision(n, T0 + n // 3) for n in range(9)])

    walked: list[str] = []
    after: DecisionKey | None = None
    with any_store.reading() as reading:
        while True:
            page = reading.decisions(DecisionQuery("sales-1", T0, T0 + 1, limit, after))
            walked += [row.id for row in page.decisions]
            after = page.next_key
            if after is None:
                break

    assert walked == ["d5", "d4", "d3", "d2", "d1", "d0"]


def test_due_and_left_behind_instances_are_found(any_store: RetainedStore) -> None:
    """Due by time, earliest first; left behind by a crash, or never evaluated, by name."""
    for name in ("sales-1", "sales-2", "sales-3", "sales-4"):
        put(any_store, recorded_signal(1, T0, instance_id=name))
    with any_store.evaluating(["sales-1", "sales-2", "sales-3"]) as evaluating:
        evaluating.save(
            [
                state("sales-1", due_at=T0 + 50),
                state("sales-2", due_at=T0 + 40),
                state("sales-3", due_at=None, seq=0),
            ]
        )

    assert any_store.due(T0 + 39, 10) == []
    assert any_store.due(T0 + 50, 10) == ["sales-2", "sales-1"]
    assert any_store.due(T0 + 50, 1) == ["sales-2"]
    assert any_store.unevaluated(10) == ["sales-3", "sales-4"]
    assert any_store.unevaluated(1) == ["sales-3"]


@pytest.mark.parametrize("latency", [False, True])
def test_a_snapshot_equals_the_domains_count_of_the_same_facts(
    any_store: RetainedStore, *, latency: bool
) -> None:
    """One aggregate of the database counts what the domain counts fact by fact, in every window."""
    draw = random.Random(7)
    facts = [
        recorded_signal(
            n,
            T0 + draw.randrange(60),
            draw.choice(list(SignalType)),
            source=draw.choice(list(Source)),
            message_id=draw.choice([None, *(f"M{m}" for m in range(12))]),
            is_group=draw.random() < 0.5,
            latency_ms=draw.choice([None, 0, draw.randrange(100_000)]),
        )
        for n in range(1, 1501)
    ]
    put(any_store, *facts, recorded_signal(1, T0 + 5, instance_id="sales-2"))
    windows = [(0, 59), (10, 20), (30, 30), (59, 0), (100, 200)]

    with any_store.reading() as reading:
        counted = [
            reading.snapshot("sales-1", T0 + since, T0 + until, latency=latency) for since, until in windows
        ]

    assert counted == [
        count(map(fact, facts), T0 + since, T0 + until, latency=latency) for since, until in windows
    ]
    assert counted[0].group_interactions > 0
    assert counted[0].average_send_latency_ms > 0


def test_one_reading_speaks_of_one_commit(any_store: RetainedStore) -> None:
    """What is recorded while a reading is open does not show in it."""
    put(any_store, recorded_signal(1, T0))

    with any_store.reading() as reading:
        before = reading.last_seqs(["sales-1"])
        put(any_store, recorded_signal(2, T0))
        after = (reading.last_seqs(["sales-1"]), len(reading.arrivals({"sales-1": 0}, 10)))

    assert before == {"sales-1": 1}
    assert after == ({"sales-1": 1}, 1)


def test_states_survive_the_process(store_url: str, open_store: Callable[..., SqlStore]) -> None:
    """A restarted recorder resumes where it stood."""
    first = open_store(store_url)
    with first.evaluating(["sales-1"]) as evaluating:
        evaluating.save([state(preview=RESTING)])
    first.close()

    second = open_store(store_url)
    with second.reading() as reading:
        assert reading.saved(["sales-1"]) == {"sales-1": state(preview=RESTING)}

"""Worlds for the fold's property tests: bursts of facts that make scores move and cooldowns begin."""

from hypothesis import strategies as st

from domain.fact import Fact
from domain.health_ports import OperatorAction
from domain.words import ActionKind, Millis, SignalType, Source
from tests.domain.fold_oracle import World

START: Millis = 1_768_564_800_000
WINDOW = 1_800_000

_TYPES = st.sampled_from(
    [
        SignalType.MESSAGE_SENT,
        SignalType.MESSAGE_DELIVERED,
        SignalType.MESSAGE_READ,
        SignalType.MESSAGE_REPLIED,
        SignalType.MESSAGE_FAILED,
        SignalType.CONNECTION_DISCONNECTED,
        SignalType.CONNECTION_CONNECTED,
        SignalType.QRCODE_REGENERATED,
        SignalType.SEND_LATENCY_OBSERVED,
        SignalType.REACTION_SENT,
    ]
)

_SHAPES: list[list[tuple[SignalType, int]]] = [
    [(SignalType.MESSAGE_SENT, 20), (SignalType.MESSAGE_FAILED, 5)],
    [(SignalType.MESSAGE_SENT, 12), (SignalType.MESSAGE_DELIVERED, 12)],
    [(SignalType.MESSAGE_SENT, 5), (SignalType.CONNECTION_DISCONNECTED, 5)],
    [(SignalType.MESSAGE_FAILED, 4), (SignalType.CONNECTION_DISCONNECTED, 3)],
    [(SignalType.MESSAGE_REPLIED, 3)],
    [(SignalType.MESSAGE_DELIVERED, 6)],
]


@st.composite
def dates(draw: st.DrawFn) -> Millis:
    """Times that meet at the windows' edges: multiples of five minutes, a millisecond off now and then."""
    return START + draw(st.integers(0, 60)) * 300_000 + draw(st.sampled_from([0, 0, 0, -1, 1]))


@st.composite
def bursts(draw: st.DrawFn, number: int) -> list[Fact]:
    """Several facts around one time; `number` keeps the messages of different bursts mostly apart."""
    at = draw(dates())
    shape = draw(st.sampled_from(_SHAPES) | st.lists(st.tuples(_TYPES, st.integers(1, 3)), max_size=3))
    spread = draw(st.sampled_from([0, 1, 1000]))
    prefix = draw(st.sampled_from([f"b{number}", "shared"]))
    return [
        Fact(
            "i-1",
            "",
            0,
            kind,
            draw(st.sampled_from([Source.WEBHOOK, Source.DISPATCH])),
            at + index * spread,
            draw(st.sampled_from([f"{prefix}-{index}", f"{prefix}-{index}", None])),
            is_group=index == 1,
            latency_ms=draw(st.sampled_from([None, None, 40_000])),
        )
        for kind, count in shape
        for index in range(count)
    ]


@st.composite
def worlds(draw: st.DrawFn, *, actions: bool = True, latency: bool = False) -> World:
    """An instance's facts, numbered in order of arrival, and its operator's actions."""
    count = draw(st.integers(0, 6))
    made = [fact for number in range(count) for fact in draw(bursts(number))]
    order = draw(st.permutations(range(len(made)))) if draw(st.booleans()) else range(len(made))
    facts = [made[index]._replace(seq=seq, id=f"f{seq:04}") for seq, index in enumerate(order, start=1)]
    acted = draw(st.lists(st.tuples(st.sampled_from(ActionKind), dates()), max_size=3 if actions else 0))
    done = [OperatorAction("i-1", f"a{seq}", seq, kind, at) for seq, (kind, at) in enumerate(acted, start=1)]
    sent: dict[str, Millis] | None = None
    if latency:
        sent = {}
        for fact in facts:
            if fact.type is SignalType.MESSAGE_SENT and fact.message_id:
                sent[fact.message_id] = min(fact.occurred_at, sent.get(fact.message_id, fact.occurred_at))
    return World(facts, done, WINDOW, sent)

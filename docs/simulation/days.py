"""Simulated days of one instance: a healthy one, and five with a fault from 12:00 to 14:00.

Made from a seed with nothing but the standard library's generator, so every run gives the same facts. What a
healthy day is like is assumed: a small shop with a campaign an hour by day, conversations beside it, a few
phones that are offline, a reply to about every eighth message.
"""

import math
import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from domain.fact import Fact
from domain.words import Millis, SignalType, Source

SECOND: Final[Millis] = 1_000
MINUTE: Final[Millis] = 60_000
HOUR: Final[Millis] = 3_600_000
DAY: Final[Millis] = 24 * HOUR
MIDNIGHT: Final[Millis] = 1_768_521_600_000
"""2026-01-16, 00:00 UTC."""

FAULT_SINCE: Final = MIDNIGHT + 12 * HOUR
FAULT_UNTIL: Final = MIDNIGHT + 14 * HOUR

SEED: Final = 20260116


class Behaviour(NamedTuple):
    """What happens to a message; shares are of 1."""

    failed: float = 0.005
    limited: float = 0.0
    delivered: float = 0.97
    offline: float = 0.02
    delay_ms: Millis = 0
    read: float = 0.65
    replied: float = 0.2
    """Of those read: about an eighth of what was sent."""


class Fault(NamedTuple):
    """A fault: its name, what it does to messages, and whether the connection drops."""

    key: str
    title: str
    told: str
    behaviour: Behaviour = Behaviour()
    disconnects: int = 0
    latency_rules: bool = False


FAULTS: Final = (
    Fault("healthy", "A healthy day", "no fault"),
    Fault(
        "delivery",
        "Delivery at 20 %",
        "from 12:00 to 14:00 only every fifth message is delivered",
        Behaviour(delivered=0.2),
    ),
    Fault(
        "disconnects",
        "Five disconnects",
        "the connection drops at 12:00, 12:05, 12:10, 12:15 and 12:20, for half a minute each",
        disconnects=5,
    ),
    Fault(
        "limits",
        "Rate limits",
        "from 12:00 to 14:00 four of ten sends are refused with status 429",
        Behaviour(failed=0.4, limited=1.0),
    ),
    Fault(
        "replies",
        "1 % replies",
        "from 12:00 to 14:00 every hundredth message is answered",
        Behaviour(replied=0.015),
    ),
    Fault(
        "latency",
        "Slow deliveries, latency rules on",
        "from 12:00 to 14:00 deliveries take 30 to 90 seconds longer; `SIDECAR_LATENCY_RULES` is on",
        Behaviour(delay_ms=60 * SECOND),
        latency_rules=True,
    ),
)


def day(fault: Fault, seed: int = SEED) -> list[Fact]:
    """Give the facts of a day, by date; a fact arrives when it is dated."""
    draw = random.Random(seed)  # noqa: S311 - a simulation, no secret
    facts: list[Fact] = []
    for number, at in enumerate(sorted(_sends(draw))):
        faulty = FAULT_SINCE <= at < FAULT_UNTIL
        # The fault has a generator of its own: all days are equal up to it, and in what it does not touch.
        own = random.Random(seed * 100_003 + number)  # noqa: S311 - see above
        facts += _message(own, at, f"m{number}", fault.behaviour if faulty else Behaviour())
    facts += _connection(MIDNIGHT + 4 * HOUR)
    for number in range(fault.disconnects):
        facts += _connection(FAULT_SINCE + number * 5 * MINUTE)
    facts.sort(key=lambda fact: (fact.occurred_at, fact.message_id or "", fact.type))
    inside = [fact for fact in facts if fact.occurred_at < MIDNIGHT + DAY]
    return [fact._replace(seq=seq, id=f"f{seq}") for seq, fact in enumerate(inside, start=1)]


def _sends(draw: random.Random) -> Iterator[Millis]:
    """Give the times of all sends: a campaign an hour from 8 to 20, conversations from 7 to 23."""
    for hour in range(8, 20):
        at = MIDNIGHT + hour * HOUR + draw.randint(0, 25) * MINUTE
        for _ in range(draw.randint(30, 60)):
            yield at
            at += draw.randint(8, 15) * SECOND + draw.randint(0, 999)
    at = MIDNIGHT + 7 * HOUR
    while (at := at + int(draw.expovariate(1 / (8 * MINUTE)))) < MIDNIGHT + 23 * HOUR:
        yield at


def _message(draw: random.Random, at: Millis, message_id: str, seen: Behaviour) -> Iterator[Fact]:
    """Tell what becomes of one message."""
    failed, delivered, offline, read, replied, limited = (draw.random() for _ in range(6))
    waits = [draw.gauss(0, 1) for _ in range(3)]
    asleep = int(draw.expovariate(1 / (40 * MINUTE)))
    slow = int(seen.delay_ms * draw.uniform(0.5, 1.5))
    if failed < seen.failed:
        yield _fact(SignalType.MESSAGE_FAILED, Source.DISPATCH, at, message_id)
        if limited < seen.limited:
            yield _fact(SignalType.RATE_LIMIT_HIT, Source.PROVIDER, at, message_id)
        return
    yield _fact(SignalType.MESSAGE_SENT, Source.DISPATCH, at, message_id)
    if delivered >= seen.delivered:
        return
    taken = int(2_500 * math.exp(0.8 * waits[0])) + slow + (asleep if offline < seen.offline else 0)
    at += taken
    yield _fact(SignalType.MESSAGE_DELIVERED, Source.WEBHOOK, at, message_id, taken)
    if read >= seen.read:
        return
    at += int(3 * MINUTE * math.exp(waits[1]))
    yield _fact(SignalType.MESSAGE_READ, Source.WEBHOOK, at, message_id)
    if replied < seen.replied:
        at += int(3 * MINUTE * math.exp(waits[2]))
        yield _fact(SignalType.MESSAGE_REPLIED, Source.WEBHOOK, at, f"{message_id}-reply")


def _connection(at: Millis) -> Iterator[Fact]:
    yield _fact(SignalType.CONNECTION_DISCONNECTED, Source.PROVIDER, at)
    yield _fact(SignalType.CONNECTION_CONNECTED, Source.PROVIDER, at + 30 * SECOND)


def _fact(
    kind: SignalType, source: Source, at: Millis, message_id: str | None = None, latency_ms: int | None = None
) -> Fact:
    return Fact("sales-1", "", 0, kind, source, at, message_id, latency_ms=latency_ms)

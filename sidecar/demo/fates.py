"""What befalls a simulated instance: a pure function of the seed, the instance and the number of the send.

Nothing depends on the clock or on the order in which instances call, so a seed always tells the same story.
Shares are probabilities; a cycle counts the sends of one instance from 0.
"""

from enum import StrEnum
from random import Random
from typing import Final, NamedTuple


class Refusal(StrEnum):
    """Why the gateway does not send."""

    RATE_LIMITED = "rate_limited"
    """A proxy in front of the gateway answers 429 in HTML; a button send gets WhatsApp's 463."""
    NOT_SENT = "not_sent"
    """The gateway answers 500 and hides the reason."""


class Fate(NamedTuple):
    """How one instance fares.

    Attributes:
        story: shown to whoever watches the demo.
        delivered, read, replied: share of the accepted sends that get so far; each presumes the one before.
        failed: share of the accepted sends that are reported failed instead.
        not_sent: share of sends answered 500.
        limited_from: place in a cycle of `LIMIT_CYCLE` sends from which every send is rate limited.
        slow_from: place in a cycle of `SLOW_CYCLE` sends from which answers take `SLOW_SECONDS` longer.
        connect_fails_every: each so many calls of connect are answered 500; 0 for never.
        drops_every: the connection is lost after each so many sends; 0 for never.
        as_base64: its callbacks are configured as base64 text.
    """

    story: str
    delivered: float = 0.97
    read: float = 0.75
    replied: float = 0.3
    failed: float = 0.0
    not_sent: float = 0.0
    limited_from: int | None = None
    slow_from: int | None = None
    drops_every: int = 0
    connect_fails_every: int = 0
    as_base64: bool = False


LIMIT_CYCLE: Final = 16
SLOW_CYCLE: Final = 24
SLOW_SECONDS: Final = (0.8, 2.5)
ANSWER_SECONDS: Final = (0.004, 0.06)

HEALTHY: Final = Fate("delivers, is read and answered")

FATES: Final[dict[str, Fate]] = {
    "sales-healthy": HEALTHY,
    "support-slow": Fate("answers slowly in spells", slow_from=12),
    "promo-limited": Fate("is rate limited: 429 and 463", replied=0.08, limited_from=9),
    "store-flapping": Fate(
        "loses its connection again and again", drops_every=6, connect_fails_every=3, as_base64=True
    ),
    "alerts-failing": Fate(
        "is accepted but hardly delivered", delivered=0.15, replied=0.05, failed=0.35, not_sent=0.2
    ),
}
"""The five instances of the demo."""


class Receipt(NamedTuple):
    """A receipt of an accepted send: its status as TurboZap spells it, and seconds after the send."""

    status: str
    after_s: float


class Outcome(NamedTuple):
    """What becomes of one send.

    Attributes:
        answer_after_s: how long the gateway takes to answer.
        refusal: set when it does not send.
        receipts: of an accepted send, in time order.
        reply_after_s: when the contact answers; None for never.
        connection_lost: the connection goes down behind this send.
    """

    answer_after_s: float
    refusal: Refusal | None = None
    receipts: tuple[Receipt, ...] = ()
    reply_after_s: float | None = None
    connection_lost: bool = False


def outcome(seed: int, instance: str, fate: Fate, number: int) -> Outcome:
    """Tell what becomes of an instance's send; `number` counts its sends from 0."""
    draw = Random(f"{seed}/{instance}/{number}")
    answer_after_s = draw.uniform(*ANSWER_SECONDS)
    if fate.slow_from is not None and number % SLOW_CYCLE >= fate.slow_from:
        answer_after_s += draw.uniform(*SLOW_SECONDS)
    lost = bool(fate.drops_every) and (number + 1) % fate.drops_every == 0
    if fate.limited_from is not None and number % LIMIT_CYCLE >= fate.limited_from:
        return Outcome(answer_after_s, Refusal.RATE_LIMITED)
    if draw.random() < fate.not_sent:
        return Outcome(answer_after_s, Refusal.NOT_SENT)
    receipts, reply_after_s = _life(draw, fate)
    return Outcome(answer_after_s, None, receipts, reply_after_s, lost)


def _life(draw: Random, fate: Fate) -> tuple[tuple[Receipt, ...], float | None]:
    """Draw the receipts of an accepted send, and when it is answered."""
    if draw.random() < fate.failed:
        return (Receipt("failed", draw.uniform(0.2, 1.0)),), None
    if draw.random() >= fate.delivered:
        return (), None
    at = draw.uniform(0.2, 1.2)
    receipts = [Receipt("delivered", at)]
    if draw.random() >= fate.read:
        return tuple(receipts), None
    at += draw.uniform(0.3, 2.0)
    receipts.append(Receipt("read", at))
    if draw.random() >= fate.replied:
        return tuple(receipts), None
    return tuple(receipts), at + draw.uniform(0.5, 2.0)

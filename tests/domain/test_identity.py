"""The id of a signal is derived, so that the same fact is the same row."""

import uuid

from domain.identity import NAMESPACE, keeping, signal_id
from domain.words import SignalType, Source

FACT = ("vendas-01", Source.WEBHOOK, SignalType.MESSAGE_READ, "3EB0")


def test_the_id_is_the_standard_uuid5_of_its_parts() -> None:
    """Anybody can recompute an id with a standard library (RFC 9562 section 5.5)."""
    name = "vendas-01\x1fWEBHOOK\x1fMESSAGE_READ\x1f3EB0"

    assert signal_id(*FACT) == str(uuid.uuid5(NAMESPACE, name))


def test_each_part_and_the_ordinal_change_the_id() -> None:
    """Facts that differ in one part are different facts."""
    ids = {
        signal_id(*FACT),
        signal_id("vendas-02", *FACT[1:]),
        signal_id(FACT[0], Source.DISPATCH, *FACT[2:]),
        signal_id(*FACT[:2], SignalType.MESSAGE_SENT, FACT[3]),
        signal_id(*FACT[:3], "3EB1"),
        signal_id(*FACT, 1),
        signal_id(*FACT, 2),
    }

    assert len(ids) == 7


def test_parts_cannot_run_into_each_other() -> None:
    """A separator that no part may hold keeps ("ab", "c") apart from ("a", "bc")."""
    one = signal_id("ab", Source.WEBHOOK, SignalType.MESSAGE_READ, "c")
    other = signal_id("a", Source.WEBHOOK, SignalType.MESSAGE_READ, "bc")

    assert one != other


def test_a_fact_that_was_recorded_elsewhere_keeps_its_id() -> None:
    """Only a whole id is kept; anything else with that beginning is a basis like another."""
    identity = signal_id("a", Source.WEBHOOK, SignalType.MESSAGE_READ, "M1")

    assert signal_id("b", Source.DISPATCH, SignalType.MESSAGE_SENT, keeping(identity), 3) == identity
    assert signal_id("b", Source.DISPATCH, SignalType.MESSAGE_SENT, keeping("x" * 36)) != "x" * 36

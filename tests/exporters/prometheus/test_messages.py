"""The memory of recent messages: first reports, pending deliveries, a bound."""

from domain.words import SignalType
from exporters.prometheus.messages import BIT_OF, MessageMemory

SENT = BIT_OF[SignalType.MESSAGE_SENT]
DELIVERED = BIT_OF[SignalType.MESSAGE_DELIVERED]
FAILED = BIT_OF[SignalType.MESSAGE_FAILED]


def test_only_the_first_report_of_a_type_counts() -> None:
    """Types are told apart, and so are instances."""
    memory = MessageMemory()

    assert memory.first("a", "M", SENT)
    assert not memory.first("a", "M", SENT)
    assert memory.first("a", "M", DELIVERED)
    assert memory.first("b", "M", SENT)


def test_a_message_waits_until_receipt_or_failure() -> None:
    """Pending counts sent messages whose fate is open, whatever order reports come in."""
    memory = MessageMemory()

    memory.first("a", "1", SENT)
    memory.first("a", "2", SENT)
    assert memory.pending == 2
    memory.first("a", "1", DELIVERED)
    memory.first("a", "2", FAILED)
    memory.first("a", "3", DELIVERED)
    memory.first("a", "3", SENT)
    assert memory.pending == 0


def test_the_memory_forgets_the_older_generation_only() -> None:
    """A message in use moves to the younger generation; what nobody reported again goes, pending too."""
    memory = MessageMemory(generation_max=2)

    for message in ("1", "2", "3"):
        memory.first("a", message, SENT)
    assert not memory.first("a", "1", SENT)  # found in the older generation, and moved
    memory.first("a", "4", SENT)

    assert not memory.first("a", "1", SENT)
    assert not memory.first("a", "3", SENT)
    assert memory.first("a", "2", SENT)  # forgotten
    assert len(memory) <= 4
    assert memory.pending == len(memory)

"""The form of records: exact after a round trip, readable when fields are added behind."""

import msgspec

from domain.exchange import ExchangeFacts, Rejected, TraceContext, Unknown, Unobserved
from domain.recorded import BySource
from domain.words import SignalType, Source
from sidecar.journal.layout import (
    FOLDER_NAME,
    WRITER_REASONS,
    LossReason,
    LossRow,
    LossTotals,
    count_facts,
    decode_facts,
    decode_state,
    encode,
    started_at,
)
from tests.builders import redacted_signal
from tests.sidecar.journal.journaling import facts


def test_facts_come_back_as_they_were() -> None:
    """Every field, enum members included."""
    signal = redacted_signal(
        "b", 5, SignalType.MESSAGE_FAILED, source=Source.PROVIDER, context={"httpStatus": 429, "code": "X"}
    )
    one = facts(1)._replace(
        unknown=(Unknown("event", "odd"),),
        unobserved=(Unobserved("response", "cut"),),
        rejected=(Rejected(Source.WEBHOOK, "instance_id_empty"),),
        trace=TraceContext("a" * 32, "b" * 16, 1),
        signals=(signal, redacted_signal("c", 6)),
        upstream_us=None,
    )

    back = decode_facts(encode(one))

    assert back == one
    assert back.signals[0].source is Source.PROVIDER
    assert isinstance(back.rejected[0], Rejected)


def test_a_record_of_before_a_field_was_added_is_still_read() -> None:
    """Fields are added at the end, with defaults; what old records lack is the default."""
    whole = msgspec.msgpack.decode(encode(facts(1)))
    old = msgspec.msgpack.encode(whole[:11])

    assert decode_facts(old) == ExchangeFacts(*facts(1)[:11])


def test_facts_are_counted_by_source_with_those_refused() -> None:
    """Refused facts were observed too; the recorder counts them as lost."""
    mixed = facts(1, count=2)._replace(
        rejected=(Rejected(Source.WEBHOOK, "x"), Rejected(Source.PROVIDER, "y"))
    )

    assert count_facts(mixed) == (1, 2, 1)
    assert count_facts(facts(1, count=0)) == (0, 0, 0)


def test_losses_come_back_as_they_were() -> None:
    """A STATE record's payload."""
    losses = LossTotals((LossRow("disk_full", facts_by_source(), 1, 2),), 3)

    assert decode_state(encode(losses)) == losses


def facts_by_source() -> BySource:
    """Make some numbers."""
    return BySource(1, 2, 3)


def test_reasons_keep_their_place_on_the_page() -> None:
    """The table of a page is by position: a reason is appended, never inserted."""
    assert [reason.value for reason in WRITER_REASONS] == [
        "disk_full", "journal_full", "write_failed", "record_too_large", "unencodable", "observer_crash",
    ]  # fmt: skip
    assert len(LossReason) <= 16


def test_folder_names_tell_when_their_worker_started() -> None:
    """And nothing else is a folder of ours."""
    assert started_at("w12-1700000000000-99") == 1_700_000_000_000
    assert FOLDER_NAME.fullmatch("w12-1700000000000-99")
    assert not FOLDER_NAME.fullmatch(".w12-1700000000000-99")
    assert not FOLDER_NAME.fullmatch("lost+found")

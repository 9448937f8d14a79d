"""From an event to a redacted signal."""

from typing import Any

import pytest

import domain.signal
from domain.errors import SignalRejected
from domain.event import Event
from domain.redaction import Redactor, RemoteJidMode
from domain.signal import CONTEXT_KEYS, REMEMBERED_MAX, SEVERITY_OF, SIGNAL_OF, Signal, to_signal
from domain.words import EventType, Severity, SignalType, Source

REDACTOR = Redactor(RemoteJidMode.HASH, b"0123456789abcdef")
NOW = 1_768_500_000_000


def signal_of(**fields: Any) -> Signal | None:
    event = Event(
        **{
            "type": EventType.MESSAGE_SENT,
            "source": Source.WEBHOOK,
            "instance_id": "v",
            "occurred_at": NOW - 1,
            **fields,
        }
    )
    return to_signal(
        event,
        redactor=REDACTOR,
        exchange_id="x-1",
        observed_at=NOW,
        known_codes=frozenset({"rate-overlimit"}),
    )


def kept(**fields: Any) -> Signal:
    signal = signal_of(**fields)
    assert signal is not None
    return signal


def test_every_signal_type_but_the_renamed_is_reached_by_its_own_event() -> None:
    """The mapping of rules.md section 3, whole."""
    renamed = {
        EventType.CONNECTION_QRCODE: SignalType.QRCODE_REGENERATED,
        EventType.MESSAGE_RECEIVED: SignalType.MESSAGE_REPLIED,
        EventType.GROUP_MESSAGE_RECEIVED: SignalType.MESSAGE_REPLIED,
    }
    none = {"REACTION_RECEIVED", "BLOCK_DETECTED", "DELIVERY_FAILURE", "GROUP_JOINED", "GROUP_LEFT"}
    for event in EventType:
        expected = renamed.get(event) or (None if event.value in none else SignalType(event.value))
        assert SIGNAL_OF.get(event) is expected
        signal = signal_of(type=event)
        assert (signal.type if signal else None) is expected


def test_severity_is_fixed_by_the_type() -> None:
    """HIGH for what hurts, MEDIUM for a new QR code, LOW otherwise (design section 3)."""
    high = {"MESSAGE_FAILED", "RATE_LIMIT_HIT", "CONNECTION_ERROR", "CONNECTION_DISCONNECTED"}
    for signal_type in SignalType:
        expected = Severity.HIGH if signal_type.value in high else Severity.LOW
        if signal_type is SignalType.QRCODE_REGENERATED:
            expected = Severity.MEDIUM
        assert SEVERITY_OF[signal_type] is expected


@pytest.mark.parametrize(
    ("instance_id", "reason"),
    [
        ("", "instance_id_empty"),
        ("x" * 129, "instance_id_too_long"),
        ("a\nb", "instance_id_invalid"),
        ("a\x1fb", "instance_id_invalid"),
        ("a\x85b", "instance_id_invalid"),
        ("\ud800", "instance_id_invalid"),
    ],
)
def test_an_instance_id_that_names_nothing_is_refused_with_its_reason(instance_id: str, reason: str) -> None:
    """No row without an instance, no control character in any output."""
    with pytest.raises(SignalRejected) as refused:
        signal_of(instance_id=instance_id)

    assert refused.value.reason == reason


def test_the_longest_instance_id_is_kept() -> None:
    """128 characters are the bound, inclusive."""
    assert kept(instance_id="x" * 128).instance_id == "x" * 128


@pytest.mark.parametrize("message_id", ["x" * 257, "a\x00b", "a\x1fb"])
def test_a_message_id_that_cannot_be_stored_is_refused(message_id: str) -> None:
    """PostgreSQL takes no NUL; the separator of ids must not occur."""
    with pytest.raises(SignalRejected):
        signal_of(message_id=message_id)


def test_context_keeps_the_allow_list_only() -> None:
    """A reader that passes too much leaks nothing."""
    context = {"action": "SEND_TEXT", "text": "hello", "to": "5511900000001"}

    assert kept(context=context).context == {"action": "SEND_TEXT"}
    assert "text" not in CONTEXT_KEYS


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("429", "429"),
        ("123456789", "123456789"),
        ("1234567890", "other"),
        ("TIMEOUT", "TIMEOUT"),
        ("Timeout for 5511900000001", "other"),
        ("rate-overlimit", "rate-overlimit"),
        ("A" * 41, "other"),
    ],
)
def test_codes_pass_in_their_two_forms_or_from_the_table(code: str, expected: str) -> None:
    """An error text or a phone number is never taken for a code."""
    assert kept(context={"code": code}).context == {"code": expected}
    assert kept(context={"reasonCode": code}).context == {"reasonCode": expected}


@pytest.mark.parametrize("occurred_at", [None, 0, -5, 253_402_300_800_000])
def test_a_fact_without_usable_time_gets_that_of_its_observation_and_says_so(occurred_at: int | None) -> None:
    """rules.md Q22: never an invalid date, and the timeline shows whose clock it was."""
    signal = kept(occurred_at=occurred_at)

    assert signal.occurred_at == NOW
    assert signal.context == {"timeSource": "observed"}


def test_a_dispatch_fact_is_dated_by_observation_as_a_rule() -> None:
    """The time of our own observation needs no remark there."""
    signal = kept(source=Source.DISPATCH, occurred_at=None)

    assert signal.occurred_at == NOW
    assert signal.context == {}


def test_the_basis_is_the_message_then_the_readers_then_the_exchange() -> None:
    """Design section 3, signal id: the first of these that exists."""
    assert kept(message_id="m", basis="b").basis == "m"
    assert kept(basis="b").basis == "b"
    assert kept().basis == "x-1"


def test_a_wamid_never_reaches_the_basis() -> None:
    """Not even as the input of a digest that has no key."""
    signal = kept(message_id="wamid.HBgNNTUx")

    assert signal.message_id == signal.basis
    assert signal.basis.startswith("wamid:")


@pytest.mark.parametrize(
    ("alias", "expected"),
    [("6f1c2f1e", "6f1c2f1e"), ("", None), ("x" * 129, None), ("a\nb", None), ("\ud800", None), (None, None)],
)
def test_an_alias_that_could_name_no_instance_is_left_out(alias: str | None, expected: str | None) -> None:
    """It is stored like an instance id, so it is bounded like one; the fact itself is kept."""
    assert kept(alias=alias).alias == expected


def test_the_chat_is_redacted() -> None:
    """No phone number leaves the worker."""
    assert kept(remote_jid="5511900000001@s.whatsapp.net").remote_jid == REDACTOR.remote_jid(
        "5511900000001@s.whatsapp.net"
    )


def test_what_is_remembered_of_ids_and_contexts_is_bounded() -> None:
    """However many different ones pass, memory holds a stated number and every answer stays right."""
    for number in range(REMEMBERED_MAX + 2):
        signal = kept(instance_id=f"i-{number}", context={"httpStatus": number, "text": "hello"})

        assert signal.context == {"httpStatus": number}
    assert len(domain.signal._good_ids) <= REMEMBERED_MAX
    assert len(domain.signal._good_contexts) <= REMEMBERED_MAX


@pytest.mark.parametrize(("length", "kept_as"), [(128, "x" * 128), (129, "other")])
def test_a_context_value_has_a_longest_form(length: int, kept_as: str) -> None:
    """128 characters pass; what is longer is no word of a table."""
    assert kept(context={"status": "x" * length}).context == {"status": kept_as}

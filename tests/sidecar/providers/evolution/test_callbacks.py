"""Evolution API's callbacks: notes 2.3, rules R9 to R13."""

import pytest

from sidecar.providers.contract import Fault, Reader, UnreadableExchange
from tests.fixtures import OBSERVED_AT
from tests.sidecar.providers.exchanges import Json, Told, callback, told

USER = "5521900000002@s.whatsapp.net"


def envelope(event: str, data: Json, **more: Json) -> Json:
    return {
        "event": event,
        "instance": "loja",
        "data": data,
        "date_time": "2026-01-15T12:00:05.120Z",
        "apikey": "secret",
        **more,
    }


def heard(reader: Reader, event: str, data: Json, **more: Json) -> Told:
    return told(reader, callback(envelope(event, data, **more)))


def message(**more: Json) -> Json:
    key = {"remoteJid": USER, "fromMe": False, "id": "3AF0", **more.pop("key", {})}
    return {"key": key, "messageType": "conversation", "messageTimestamp": 1768489204, **more}


@pytest.mark.parametrize(
    ("event", "more", "signal_type", "message_type"),
    [
        ("messages.upsert", {}, "MESSAGE_REPLIED", "text"),
        ("messages.upsert", {"messageType": "reactionMessage"}, "MESSAGE_REPLIED", "reaction"),
        ("messages.upsert", {"key": {"fromMe": True}}, "MESSAGE_SENT", "text"),
        (
            "messages.upsert",
            {"key": {"fromMe": True}, "messageType": "reactionMessage"},
            "REACTION_SENT",
            "reaction",
        ),
        ("send.message", {"messageType": "imageMessage"}, "MESSAGE_SENT", "image"),
        ("send.message", {"messageType": "reactionMessage"}, "REACTION_SENT", "reaction"),
        ("messages.upsert", {"messageType": None}, "MESSAGE_REPLIED", "other"),
    ],
)
def test_a_message_is_a_reply_or_one_of_ours(
    evolution: Reader, event: str, more: Json, signal_type: str, message_type: str
) -> None:
    """Direction and type decide; the time is the message's own seconds, never `date_time`."""
    signal = heard(evolution, event, message(**more)).one

    assert (signal.type, signal.message_id, signal.remote_jid) == (signal_type, "3AF0", USER)
    assert (signal.context["messageType"], signal.occurred_at) == (message_type, 1_768_489_204_000)


def test_the_status_of_an_inbound_message_is_no_receipt(evolution: Reader) -> None:
    """Inbound ones say DELIVERY_ACK, which means nothing about ours."""
    signal = heard(evolution, "messages.upsert", message(status="DELIVERY_ACK")).one

    assert (signal.type, "status" in signal.context) == ("MESSAGE_REPLIED", False)


@pytest.mark.parametrize(
    ("status", "shown"), [("PENDING", "PENDING"), (2, "SERVER_ACK"), ("Ana", "other"), (9, "other")]
)
def test_the_status_of_an_echo_is_shown_if_known(evolution: Reader, status: Json, shown: str) -> None:
    """Names and numbers of the table pass, others do not."""
    assert heard(evolution, "send.message", message(status=status)).one.context["status"] == shown


@pytest.mark.parametrize(
    ("stamp", "occurred_at"),
    [
        (1768489204, 1_768_489_204_000),
        ("1768489204", 1_768_489_204_000),
        ({"low": 1768489204, "high": 0, "unsigned": True}, 1_768_489_204_000),
        (None, OBSERVED_AT),
        ("soon", OBSERVED_AT),
        (-5, OBSERVED_AT),
    ],
)
def test_message_times_are_seconds_in_three_spellings(
    evolution: Reader, stamp: Json, occurred_at: int
) -> None:
    """Number, text, or a 64-bit number in two halves."""
    assert heard(evolution, "messages.upsert", message(messageTimestamp=stamp)).one.occurred_at == occurred_at


@pytest.mark.parametrize(
    "more",
    [
        {"key": {"remoteJid": "status@broadcast"}},
        {"key": {"remoteJid": "1@newsletter"}},
        {"messageType": "protocolMessage"},
        {"messageType": "editedMessage"},
    ],
)
def test_stories_channels_edits_and_deletes_say_nothing(evolution: Reader, more: Json) -> None:
    """R13."""
    reading = heard(evolution, "messages.upsert", message(**more))

    assert (reading.signals, reading.fault) == ([], None)


def test_a_list_of_messages_is_read_whole(evolution: Reader) -> None:
    """`data` may be a list; what follows a nameless message is missed and said to be."""
    several = [message(), message(key={"id": "B"})]

    assert [s.message_id for s in heard(evolution, "messages.upsert", several).signals] == ["3AF0", "B"]
    broken = heard(evolution, "messages.upsert", [message(), {"messageType": "conversation"}])
    assert ([s.message_id for s in broken.signals], broken.fault) == (["3AF0"], "data_missing")


@pytest.mark.parametrize(
    ("status", "from_me", "types"),
    [
        ("ERROR", True, ["MESSAGE_FAILED"]),
        ("SERVER_ACK", True, ["MESSAGE_SENT"]),
        ("DELIVERY_ACK", True, ["MESSAGE_DELIVERED"]),
        ("READ", True, ["MESSAGE_READ"]),
        ("PLAYED", True, ["MESSAGE_READ"]),
        (0, True, ["MESSAGE_FAILED"]),
        (3, True, ["MESSAGE_DELIVERED"]),
        (5, True, ["MESSAGE_READ"]),
        ("PENDING", True, []),
        ("DELETED", True, []),
        ("EDITED", True, []),
        ("READ", False, []),
        ("DELIVERY_ACK", False, []),
        ("READ", None, []),
        ("SENT", False, ["MESSAGE_SENT"]),
        ("DELIVERED", False, ["MESSAGE_DELIVERED"]),
        ("FAILED", False, ["MESSAGE_FAILED"]),
        (None, True, []),
    ],
)
def test_a_receipt_counts_where_it_is_about_our_message(
    evolution: Reader, status: Json, from_me: bool | None, types: list[str]
) -> None:
    """Baileys' words need `fromMe`; Meta's three do not, since that channel says false of our own."""
    data = {"keyId": "3EB0", "messageId": "cmdbrow", "remoteJid": USER, "fromMe": from_me, "status": status}

    reading = heard(evolution, "messages.update", data)

    assert (reading.types, reading.unknown) == (types, [])
    assert all((s.message_id, s.remote_jid) == ("3EB0", USER) for s in reading.signals)
    assert all(s.occurred_at == OBSERVED_AT for s in reading.signals)


@pytest.mark.parametrize(
    ("data", "message_id"),
    [
        ({"key": {"id": "A", "remoteJid": USER, "fromMe": True}}, "A"),
        ({"id": "B", "remoteJid": USER, "fromMe": True}, "B"),
        ({"keyId": "", "messageId": "cmdbrow", "remoteJid": USER, "fromMe": True}, None),
    ],
)
def test_older_spellings_of_the_id_are_read_and_the_database_id_never(
    evolution: Reader, data: Json, message_id: str | None
) -> None:
    """1.x bodies say `data.id` or `data.key.id`."""
    signal = heard(evolution, "messages.update", {"status": "READ", **data}).one

    assert (signal.message_id, signal.remote_jid) == (message_id, USER)


def test_an_edit_that_looks_like_a_receipt_says_nothing(evolution: Reader) -> None:
    """2.3.7 reports edits as SERVER_ACK with the new text."""
    data = {"keyId": "3EB0", "remoteJid": USER, "fromMe": True, "status": "SERVER_ACK"}

    assert heard(evolution, "messages.update", {**data, "message": {"conversation": "new"}}).types == []
    assert heard(evolution, "messages.update", {**data, "message": None}).types == ["MESSAGE_SENT"]


def test_a_receipt_of_a_story_says_nothing_and_an_unknown_status_is_drift(evolution: Reader) -> None:
    """R13; the first stranger of a batch is named."""
    data = {"keyId": "3EB0", "remoteJid": "status@broadcast", "fromMe": True, "status": "READ"}
    strange = [{**data, "status": "EATEN"}, {**data, "status": 77}]

    assert heard(evolution, "messages.update", data).signals == []
    assert heard(evolution, "messages.update", strange).unknown == [("status", "EATEN")]


@pytest.mark.parametrize(
    ("event", "data", "signal_type", "status", "reason"),
    [
        ("connection.update", {"state": "open", "statusReason": 200}, "CONNECTION_CONNECTED", "open", None),
        (
            "connection.update",
            {"state": "close", "statusReason": 440},
            "CONNECTION_DISCONNECTED",
            "close",
            "440",
        ),
        (
            "connection.update",
            {"state": "refused", "statusReason": "x"},
            "CONNECTION_ERROR",
            "refused",
            "other",
        ),
        ("connection.update", {"state": "close"}, "CONNECTION_DISCONNECTED", "close", None),
        (
            "status.instance",
            {"status": "closed", "disconnectionReasonCode": 403},
            "CONNECTION_DISCONNECTED",
            "closed",
            "403",
        ),
        ("logout.instance", None, "CONNECTION_DISCONNECTED", None, None),
        ("qrcode.updated", {"qrcode": {"code": "2@A"}}, "QRCODE_REGENERATED", None, None),
        ("qrcode.updated", {"message": "limit", "statusCode": 500}, "CONNECTION_ERROR", None, "500"),
    ],
)
def test_connection_events(
    evolution: Reader, event: str, data: Json, signal_type: str, status: str | None, reason: str | None
) -> None:
    """States, reasons as codes, and the end of the QR codes; the time is that of reception."""
    signal = heard(evolution, event, data).one

    assert (signal.type, signal.source, signal.occurred_at) == (signal_type, "PROVIDER", OBSERVED_AT)
    assert (signal.context.get("status"), signal.context.get("reasonCode")) == (status, reason)
    assert signal.context["timeSource"] == "observed"


@pytest.mark.parametrize(
    ("event", "data", "unknown", "fault"),
    [
        ("connection.update", {"state": "connecting"}, [], None),
        ("connection.update", {"state": "zen"}, [("state", "zen")], None),
        ("connection.update", {}, [], None),
        ("status.instance", {"status": "zen"}, [("status", "zen")], None),
        ("status.instance", {}, [], None),
        ("qrcode.updated", {}, [], "data_missing"),
        ("qrcode.updated", None, [], "data_missing"),
        ("messages.upsert", None, [], "data_missing"),
        ("messages.upsert", 5, [], "body_unreadable"),
        ("messages.update", "x", [], "body_unreadable"),
        ("connection.update", [], [], "body_unreadable"),
        ("status.instance", [], [], "body_unreadable"),
        ("contacts.update", [{}], [], None),
        ("labels.edit", {}, [], None),
        ("error", {}, [], None),
        ("call", [{}], [], None),
        ("messages.vaporized", {}, [("event", "messages.vaporized")], None),
    ],
)
def test_what_gives_no_fact(
    evolution: Reader, event: str, data: Json, unknown: Json, fault: str | None
) -> None:
    """Known and quiet, unknown and reported, or wrong and said to be."""
    reading = heard(evolution, event, data)

    assert (reading.signals, reading.unknown, reading.fault) == ([], unknown, fault)


def test_a_redelivered_body_is_the_same_fact_and_another_body_is_another(evolution: Reader) -> None:
    """Without an id of its own, a stamped body identifies itself; an unstamped one does not."""
    data = {"state": "close"}

    first = heard(evolution, "connection.update", data).one.basis
    again = heard(evolution, "connection.update", data).one.basis
    later = heard(evolution, "connection.update", data, date_time="2026-01-15T12:00:06.120Z").one.basis
    unstamped = heard(evolution, "connection.update", data, date_time=None).one.basis

    assert first == again != later
    assert first.startswith("body:")
    assert unstamped == "x"


def test_a_callback_that_is_no_json_is_one_named_error(evolution: Reader) -> None:
    """And an empty one is nothing."""
    assert told(evolution, callback(None)).signals == []
    with pytest.raises(UnreadableExchange) as raised:
        evolution.read(callback(b"event=x"))
    assert raised.value.reason is Fault.BODY_UNREADABLE

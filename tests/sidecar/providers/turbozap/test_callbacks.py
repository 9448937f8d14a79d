"""TurboZap's callbacks: notes 1.3 and 1.4, rules R9 to R13."""

import base64
import json

import pytest

from sidecar.exchange import Body, BodyState
from sidecar.providers.contract import Fault, Reader, UnreadableExchange
from tests.fixtures import OBSERVED_AT
from tests.sidecar.providers.exchanges import Json, Told, body, callback, told

UUID = "6f1c2f1e-0a4b-4c7d-9a51-3d2b8c7e1001"
AT = "2026-01-15T12:00:05.120934-03:00"
AT_MS = 1_768_489_205_120
USER = "5521900000002@s.whatsapp.net"
GROUP = "120363000000000001@g.us"


def envelope(event: str, data: Json, **more: Json) -> Json:
    return {
        "event": event,
        "instance_id": UUID,
        "instance": "vendas-01",
        "timestamp": AT,
        "data": data,
        **more,
    }


def heard(reader: Reader, event: str, data: Json, **more: Json) -> Told:
    return told(reader, callback(envelope(event, data, **more)))


@pytest.mark.parametrize("event", ["messages.upsert", "message.received"])
@pytest.mark.parametrize(
    ("data", "signal_type", "jid", "is_group"),
    [
        ({"from": "5521900000002:7@s.whatsapp.net", "to": USER}, "MESSAGE_REPLIED", USER, False),
        ({"from": USER, "to": GROUP, "is_group": True}, "MESSAGE_REPLIED", GROUP, True),
        ({"from": "x@s.whatsapp.net", "to": USER, "fromMe": True}, "MESSAGE_SENT", USER, False),
        ({"to": USER, "fromMe": True, "type": "reaction"}, "REACTION_SENT", USER, False),
        ({"from": USER, "type": "reaction"}, "MESSAGE_REPLIED", USER, False),
        ({"from": None, "chat": USER}, "MESSAGE_REPLIED", USER, False),
    ],
)
def test_a_message_is_a_reply_or_one_of_ours(
    turbozap: Reader, event: str, data: Json, signal_type: str, jid: str, is_group: bool
) -> None:
    """Direction decides the type; the chat is the group or the other side, never a participant."""
    signal = heard(turbozap, event, {"message_id": "3AF0", **data}).one

    assert (signal.type, signal.source, signal.message_id) == (signal_type, "WEBHOOK", "3AF0")
    assert (signal.remote_jid, signal.is_group) == (jid, is_group)
    assert signal.context["event"] == event


@pytest.mark.parametrize(
    ("name", "message_type", "drift"),
    [
        ("text", "text", []),
        ("ptt", "audio", []),
        ("sticker", "sticker", []),
        ("location", "other", []),
        ("hologram", "other", [("messageType", "hologram")]),
        ("Ana 5511900000001", "other", [("messageType", "other")]),
        (None, "other", []),
    ],
)
def test_message_types_are_normalized(
    turbozap: Reader, name: str | None, message_type: str, drift: Json
) -> None:
    """Unknown types are `other`, reported under a bounded name."""
    reading = heard(turbozap, "messages.upsert", {"from": USER, "type": name})

    assert (reading.one.context["messageType"], reading.unknown) == (message_type, drift)


@pytest.mark.parametrize(
    "data",
    [
        {"from": "status@broadcast", "to": "status@broadcast"},
        {"from": USER, "to": "status@broadcast"},
        {"from": "1@newsletter", "to": "1@newsletter"},
        {"to": "1@broadcast", "fromMe": True},
    ],
)
def test_stories_lists_and_channels_say_nothing(turbozap: Reader, data: Json) -> None:
    """R13."""
    assert heard(turbozap, "messages.upsert", data).signals == []


@pytest.mark.parametrize("event", ["send.message", "send-message", "message.sent"])
@pytest.mark.parametrize(
    ("to", "jid", "is_group"),
    [
        ("5511900000001", "5511900000001@s.whatsapp.net", False),
        ("123456789012345", "123456789012345@s.whatsapp.net", False),
        ("1234567890123456", "1234567890123456@g.us", True),
        ("5511900000001-1600000000", "5511900000001-1600000000@g.us", True),
        ("5511900000001@s.whatsapp.net", "5511900000001@s.whatsapp.net", False),
        (None, None, False),
    ],
)
def test_an_echo_gets_its_server_back(
    turbozap: Reader, event: str, to: str | None, jid: str | None, is_group: bool
) -> None:
    """More than 15 digits, or digits-dash-digits, is a group that lost `@g.us`."""
    signal = heard(turbozap, event, {"message_id": "3EB0", "to": to, "type": "text", "status": "sent"}).one

    assert (signal.type, signal.remote_jid, signal.is_group) == ("MESSAGE_SENT", jid, is_group)
    assert signal.context == {"event": event, "messageType": "text", "status": "sent"}


def test_an_echo_of_a_story_says_nothing(turbozap: Reader) -> None:
    """`to` is the word `status` there."""
    assert heard(turbozap, "send.message", {"to": "status", "type": "image"}).signals == []


def test_an_echo_of_a_reaction_is_a_reaction(turbozap: Reader) -> None:
    """And an unknown status is not repeated."""
    signal = heard(turbozap, "send.message", {"to": "55119", "type": "reaction", "status": "flying"}).one

    assert (signal.type, signal.context["status"]) == ("REACTION_SENT", "other")


@pytest.mark.parametrize("event", ["message.ack", "messages.update"])
@pytest.mark.parametrize(
    ("status", "types", "drift"),
    [
        ("sent", ["MESSAGE_SENT"], []),
        ("delivered", ["MESSAGE_DELIVERED"], []),
        ("read", ["MESSAGE_READ"], []),
        ("played", ["MESSAGE_READ"], []),
        ("failed", ["MESSAGE_FAILED"], []),
        ("unknown", [], []),
        ("eaten", [], [("status", "eaten")]),
        (None, [], []),
    ],
)
def test_a_receipt_says_what_became_of_our_message(
    turbozap: Reader, event: str, status: str | None, types: list[str], drift: Json
) -> None:
    """`from` is the chat; without a status it is an edit."""
    reading = heard(turbozap, event, {"message_id": "3EB0", "from": GROUP, "status": status})

    assert (reading.types, reading.unknown) == (types, drift)
    assert [(s.message_id, s.remote_jid, s.is_group) for s in reading.signals] == [
        ("3EB0", GROUP, True)
    ] * len(types)


def test_a_receipt_of_a_story_says_nothing(turbozap: Reader) -> None:
    """R13 holds for receipts."""
    assert heard(turbozap, "message.ack", {"from": "status@broadcast", "status": "read"}).signals == []


@pytest.mark.parametrize(
    ("data", "types", "code"),
    [
        ({"error": "server returned error 463"}, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"], "463"),
        ({"code": 429}, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"], "429"),
        ({"code": "12"}, ["MESSAGE_FAILED"], "12"),
        ({"error": "call 5511900000001"}, ["MESSAGE_FAILED"], None),
    ],
)
def test_a_failed_receipt_may_carry_a_limit(
    turbozap: Reader, data: Json, types: list[str], code: str | None
) -> None:
    """R9: both facts name the message; the error's text goes no further."""
    reading = heard(turbozap, "messages.update", {"message_id": "3EB0", "status": "failed", **data})

    assert reading.types == types
    assert all(s.message_id == "3EB0" and s.context.get("code") == code for s in reading.signals)
    assert "55119" not in repr(reading)


@pytest.mark.parametrize(
    ("status", "types", "drift"),
    [
        ("connected", ["CONNECTION_CONNECTED"], []),
        ("disconnected", ["CONNECTION_DISCONNECTED"], []),
        ("logged_out", ["CONNECTION_DISCONNECTED"], []),
        ("qrcode", ["QRCODE_REGENERATED"], []),
        ("error", ["CONNECTION_ERROR"], []),
        ("connecting", [], []),
        ("melted", [], [("status", "melted")]),
    ],
)
def test_a_connection_event_gives_its_state(
    turbozap: Reader, status: str, types: list[str], drift: Json
) -> None:
    """Server's and client's words both; a callback is always a fact, never polled."""
    reading = heard(turbozap, "connection.update", {"status": status})

    assert (reading.types, reading.unknown) == (types, drift)
    assert all(s.source == "PROVIDER" and not s.polled for s in reading.signals)
    assert all((s.occurred_at, s.alias) == (AT_MS, UUID) for s in reading.signals)


def test_a_connection_event_without_status_is_a_fault(turbozap: Reader) -> None:
    """It promises a status; none is guessed."""
    assert heard(turbozap, "connection.update", {}).fault == "data_missing"


def test_the_first_qr_code_announced_twice_is_one_fact(turbozap: Reader) -> None:
    """Equal codes share a basis, whatever the envelopes' times."""
    first = heard(turbozap, "qrcode.updated", {"code": "2@A", "qr_code": "data:"}).one
    again = heard(turbozap, "qrcode.updated", {"code": "2@A"}, timestamp="2026-01-15T12:00:06Z").one
    other = heard(turbozap, "qrcode.updated", {"qr_code": "data:image"}).one
    bare = heard(turbozap, "qrcode.updated", {}).one

    assert first.basis == again.basis != other.basis
    assert bare.basis == f"time:{AT}"


@pytest.mark.parametrize(
    "event",
    [
        "messages.set", "contacts.update", "chats.upsert", "groups.upsert", "group.participants.update",
        "presence.update", "call.offer", "poll.vote", "button.response", "list.response", "typebot.start",
        "application.startup", "new.jwt", "errors", "messages.delete", "message.revoked",
    ],
)  # fmt: skip
def test_other_known_events_say_nothing(turbozap: Reader, event: str) -> None:
    """Known and without a fact: no drift is reported, whatever their data."""
    reading = heard(turbozap, event, [{"status": 17}])

    assert (reading.signals, reading.unknown, reading.fault) == ([], [], None)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("messages.vaporized", "messages.vaporized"),
        ("", "other"),
        ("5511900000001", "other"),
        ("a b", "other"),
    ],
)
def test_an_unknown_event_is_drift(turbozap: Reader, event: str, name: str) -> None:
    """Its name is shown only if it is short, plain and no phone number."""
    reading = heard(turbozap, event, {})

    assert (reading.signals, reading.unknown) == ([], [("event", name)])


@pytest.mark.parametrize(
    ("names", "header", "instance_id", "alias"),
    [
        ({}, UUID, "vendas-01", UUID),
        ({"instance": "", "instance_name": "loja"}, None, "loja", UUID),
        ({"instance": ""}, None, UUID, None),
        ({"instance": None, "instance_id": None}, UUID, UUID, None),
        ({"instance_id": ""}, UUID, "vendas-01", UUID),
        ({"instance_id": ""}, None, "vendas-01", None),
    ],
)
def test_the_instance_is_its_name_and_the_uuid_its_alias(
    turbozap: Reader, names: Json, header: str | None, instance_id: str, alias: str | None
) -> None:
    """Name, else the client's spelling of it, else uuid, else the header's (notes 0.2)."""
    headers = {"X-Instance-ID": header} if header else {}
    exchange = callback(envelope("connection.update", {"status": "connected"}, **names), headers)

    signal = told(turbozap, exchange).one

    assert (signal.instance_id, signal.alias) == (instance_id, alias)


@pytest.mark.parametrize(
    ("data_at", "envelope_at", "occurred_at", "basis"),
    [
        (
            "2026-01-15T12:00:04.999999999-03:00",
            AT,
            1_768_489_204_999,
            "time:2026-01-15T12:00:04.999999999-03:00",
        ),
        (None, AT, AT_MS, f"time:{AT}"),
        ("yesterday", AT, AT_MS, f"time:{AT}"),
        (1768489204, AT, AT_MS, f"time:{AT}"),
        ("0001-01-01T00:00:00Z", AT, AT_MS, f"time:{AT}"),
        ("2026-01-15T12:00:04", AT, AT_MS, f"time:{AT}"),
        (None, None, OBSERVED_AT, "x"),
    ],
)
def test_the_facts_own_time_comes_first(
    turbozap: Reader, data_at: str | int | None, envelope_at: str | None, occurred_at: int, basis: str
) -> None:
    """Payload, else envelope, else the time of observation; the first two also identify the fact."""
    signal = heard(
        turbozap, "messages.upsert", {"from": USER, "timestamp": data_at}, timestamp=envelope_at
    ).one

    assert (signal.occurred_at, signal.basis) == (occurred_at, basis)


@pytest.mark.parametrize(
    "more",
    [
        {"data": None, "data_value": {"status": "connected"}},
        {"data": {"status": "disconnected"}, "data_value": {"status": "connected"}},
        {"data": '{"status":"connected"}'},
        {"data": {"status": "connected"}, "data_value": None},
    ],
)
def test_the_clients_spelling_of_data_is_read(turbozap: Reader, more: Json) -> None:
    """`data_value` wins, and JSON in a text is JSON (notes 1.4)."""
    exchange = callback(envelope("connection.update", None) | more)

    assert told(turbozap, exchange).types == ["CONNECTION_CONNECTED"]


@pytest.mark.parametrize("data", [None, {"data": "missing"}, ["x"], 5, True, '"'])
@pytest.mark.parametrize(
    "event", ["messages.upsert", "send.message", "message.ack", "connection.update", "qrcode.updated"]
)
def test_data_of_a_wrong_form_never_breaks_the_reader(turbozap: Reader, event: str, data: Json) -> None:
    """Wrong data is a fault or a poor fact, never an exception."""
    reading = heard(turbozap, event, data)

    assert reading.fault in {None, "data_missing", "body_unreadable"}


def test_data_in_a_text_that_is_no_text_is_missing(turbozap: Reader) -> None:
    """Bytes that are no UTF-8 hold no data."""
    exchange = callback(None)
    exchange.request_body = body(b'{"event":"connection.update","data":"\xff"}')

    assert told(turbozap, exchange).fault == "data_missing"


def test_base64_mode_is_told_by_content(turbozap: Reader) -> None:
    """The header that announces it may be lost; line breaks in the base64 do not matter."""
    plain = json.dumps(envelope("connection.update", {"status": "connected"})).encode()

    assert told(turbozap, callback(base64.b64encode(plain))).types == ["CONNECTION_CONNECTED"]
    assert told(turbozap, callback(base64.encodebytes(plain))).types == ["CONNECTION_CONNECTED"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Body(b"not json", BodyState.WHOLE), Fault.BODY_UNREADABLE),
        (Body(b"bm90IGpzb24=", BodyState.WHOLE), Fault.BODY_UNREADABLE),
        (Body(b"[]", BodyState.WHOLE), Fault.BODY_UNREADABLE),
        (Body(b'{"event":5}', BodyState.WHOLE), Fault.BODY_UNREADABLE),
        (Body(b'{"event":', BodyState.CUT), Fault.BODY_CUT),
        (Body(b"\x00", BodyState.UNDECODABLE), Fault.BODY_UNDECODABLE),
    ],
)
def test_a_callback_that_cannot_be_read_is_one_named_error(
    turbozap: Reader, content: Body, reason: Fault
) -> None:
    """UnreadableExchange says why; nothing else leaves the reader."""
    exchange = callback(None)
    exchange.request_body = content

    with pytest.raises(UnreadableExchange) as raised:
        turbozap.read(exchange)

    assert (raised.value.reason, raised.value.template) == (reason, "/{callback}")


def test_a_callback_without_body_says_nothing(turbozap: Reader) -> None:
    """A probe of the endpoint is no fault."""
    reading = told(turbozap, callback(None, method="GET"))

    assert (reading.signals, reading.fault) == ([], None)


def test_half_an_emoji_does_not_cost_the_message(turbozap: Reader) -> None:
    """JavaScript in between may escape half a surrogate pair; whole pairs and backslashes stay."""
    text = envelope("messages.upsert", {"from": USER, "message_id": "3AF0", "content": "HERE"})
    raw = json.dumps(text).replace("HERE", r"\ud83d\ude00 \ud83d cut \\ud83d \udc00").encode()
    exchange = callback(None)
    exchange.request_body = body(b"\xef\xbb\xbf" + raw)

    assert told(turbozap, exchange).one.message_id == "3AF0"

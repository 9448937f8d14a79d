"""WAHA's callbacks: notes 3.3, rules R9 to R13."""

import pytest

from sidecar.providers.contract import Fault, Reader, UnreadableExchange
from tests.fixtures import OBSERVED_AT
from tests.sidecar.providers.exchanges import Json, Told, callback, told

USER = "5521900000002@s.whatsapp.net"
AT_MS = 1_768_489_205_120


def envelope(event: str, payload: Json, **more: Json) -> Json:
    return {
        "id": "evt_01",
        "timestamp": AT_MS,
        "event": event,
        "session": "suporte",
        "me": {"id": "5511900000099@c.us"},
        "payload": payload,
        "engine": "GOWS",
        **more,
    }


def heard(reader: Reader, event: str, payload: Json, **more: Json) -> Told:
    return told(reader, callback(envelope(event, payload, **more)))


@pytest.mark.parametrize(
    ("event", "payload", "signal_type", "jid"),
    [
        ("message", {"id": "false_5521900000002@c.us_A"}, "MESSAGE_REPLIED", USER),
        ("message.any", {"id": "false_1@g.us_A_5521900000002@c.us"}, "MESSAGE_REPLIED", "1@g.us"),
        ("message.any", {"id": "true_5521900000002@c.us_A"}, "MESSAGE_SENT", USER),
        ("message.any", {"id": "A", "fromMe": True, "to": USER}, "MESSAGE_SENT", USER),
        ("message", {"id": "A", "from": USER}, "MESSAGE_REPLIED", USER),
        (
            "message.any",
            {"id": {"id": "A", "_serialized": "true_5521900000002@c.us_A"}},
            "MESSAGE_SENT",
            USER,
        ),
        ("message.reaction", {"id": "false_5521900000002@c.us_A"}, "MESSAGE_REPLIED", USER),
        ("message.reaction", {"id": "true_5521900000002@c.us_A"}, "REACTION_SENT", USER),
    ],
)
def test_a_message_is_a_reply_or_one_of_ours(
    waha: Reader, event: str, payload: Json, signal_type: str, jid: str
) -> None:
    """The serialized id decides chat and direction; `from` and `to` only where it is silent."""
    signal = heard(waha, event, payload).one

    assert (signal.type, signal.source, signal.message_id, signal.remote_jid) == (
        signal_type,
        "WEBHOOK",
        "A",
        jid,
    )
    assert signal.occurred_at == AT_MS


@pytest.mark.parametrize(
    ("more", "message_type"),
    [
        ({"body": "hi"}, "text"),
        ({"body": ""}, "other"),
        ({"hasMedia": True, "media": {"mimetype": "image/jpeg"}}, "image"),
        ({"hasMedia": True, "media": None}, "other"),
        ({"body": "hi", "_data": {"type": "chat"}}, "text"),
        ({"hasMedia": True, "_data": {"type": "sticker"}}, "sticker"),
        ({"body": "hi", "_data": {"type": "gp2"}}, "text"),
        ({"body": "hi", "_data": [1]}, "text"),
        ({"body": "/9j/4AAQ", "_data": {"type": "location"}}, "other"),
        ({"body": "BEGIN:VCARD", "_data": {"type": "vcard"}}, "other"),
        ({"body": {"x": 1}, "media": "none"}, "text"),
        ({"body": None, "media": ["x"]}, "other"),
    ],
)
def test_message_types(waha: Reader, more: Json, message_type: str) -> None:
    """The engine's own word where WEBJS gives one, else media type, else text."""
    signal = heard(waha, "message", {"id": "false_1@c.us_A", **more}).one

    assert signal.context["messageType"] == message_type


@pytest.mark.parametrize(
    ("stamp", "envelope_at", "occurred_at"),
    [
        (1768489204, AT_MS, 1_768_489_204_000),
        ("1768489204", AT_MS, 1_768_489_204_000),
        (1768489204.5, AT_MS, 1_768_489_204_500),
        (None, AT_MS, AT_MS),
        (None, None, OBSERVED_AT),
    ],
)
def test_message_times_are_seconds_and_envelope_times_milliseconds(
    waha: Reader, stamp: Json, envelope_at: Json, occurred_at: int
) -> None:
    """The unit is the field's, never guessed from the size."""
    payload = {"id": "false_1@c.us_A", "timestamp": stamp}

    assert heard(waha, "message", payload, timestamp=envelope_at).one.occurred_at == occurred_at


@pytest.mark.parametrize("event", ["message.ack", "message.ack.group"])
@pytest.mark.parametrize(
    ("ack", "types", "status"),
    [
        (-1, ["MESSAGE_FAILED"], "ERROR"),
        (0, [], None),
        (1, ["MESSAGE_SENT"], "SERVER"),
        (2, ["MESSAGE_DELIVERED"], "DEVICE"),
        (3, ["MESSAGE_READ"], "READ"),
        (4, ["MESSAGE_READ"], "PLAYED"),
    ],
)
def test_acks(waha: Reader, event: str, ack: int, types: list[str], status: str | None) -> None:
    """By number; the time is the envelope's, for a WEBJS receipt shows that of the message."""
    payload = {"id": "true_1@c.us_A", "ack": ack, "timestamp": 1768400000}

    reading = heard(waha, event, payload)

    assert reading.types == types
    assert all(
        (s.context["status"], s.occurred_at, s.message_id) == (status, AT_MS, "A") for s in reading.signals
    )


@pytest.mark.parametrize(
    ("payload", "unknown", "fault"),
    [
        ({"id": "false_1@c.us_A", "ack": 2}, [], None),
        ({"id": "A", "fromMe": False, "from": "1@c.us", "ack": 3}, [], None),
        ({"id": "true_status@broadcast_A", "ack": 3}, [], None),
        ({"id": "true_1@c.us_A", "ack": 9}, [("ack", "9")], None),
        ({"id": "true_1@c.us_A"}, [], "data_missing"),
        ([], [], "body_unreadable"),
        (None, [], "data_missing"),
    ],
)
def test_acks_that_give_no_fact(waha: Reader, payload: Json, unknown: Json, fault: str | None) -> None:
    """Not ours, of a story, unknown, or wrong."""
    reading = heard(waha, "message.ack", payload)

    assert (reading.signals, reading.unknown, reading.fault) == ([], unknown, fault)


@pytest.mark.parametrize(
    ("error", "types", "code"),
    [
        ({"code": "463", "reason": "account_restricted"}, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"], "463"),
        ({"code": 429}, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"], "429"),
        ({"code": "479"}, ["MESSAGE_FAILED"], "479"),
        ({"code": None}, ["MESSAGE_FAILED"], None),
        ({"code": "5511900000001"}, ["MESSAGE_FAILED"], "other"),
        ("text", ["MESSAGE_FAILED"], None),
    ],
)
def test_the_error_of_a_failed_ack(waha: Reader, error: Json, types: list[str], code: str | None) -> None:
    """Its code goes to the context; 463 is a rate limit about that message."""
    reading = heard(waha, "message.ack", {"id": "true_1@c.us_A", "ack": -1, "error": error})

    assert reading.types == types
    assert all((s.message_id, s.context.get("code")) == ("A", code) for s in reading.signals)


def test_a_code_on_a_good_ack_is_not_a_failure(waha: Reader) -> None:
    """Only ack -1 fails."""
    reading = heard(waha, "message.ack", {"id": "true_1@c.us_A", "ack": 2, "error": {"code": "463"}})

    assert (reading.types, reading.one.context.get("code")) == (["MESSAGE_DELIVERED"], None)


@pytest.mark.parametrize(
    ("status", "types", "unknown"),
    [
        ("WORKING", ["CONNECTION_CONNECTED"], []),
        ("SCAN_QR_CODE", ["QRCODE_REGENERATED"], []),
        ("FAILED", ["CONNECTION_ERROR"], []),
        ("STOPPED", ["CONNECTION_DISCONNECTED"], []),
        ("STARTING", [], []),
        ("ZEN", [], [("status", "ZEN")]),
        (None, [], [("status", "other")]),
    ],
)
def test_session_states(waha: Reader, status: str | None, types: list[str], unknown: Json) -> None:
    """A callback is always a fact."""
    reading = heard(waha, "session.status", {"status": status})

    assert (reading.types, reading.unknown) == (types, unknown)
    assert all(s.source == "PROVIDER" and not s.polled for s in reading.signals)


@pytest.mark.parametrize(
    ("me", "codes"),
    [
        ({"reachoutTimelock": {"isActive": True}}, ["REACHOUT_TIMELOCK"]),
        ({"reachoutTimelock": {"isActive": False}}, []),
        ({"messageCapping": {"cappingStatus": "CAPPED"}}, ["MESSAGE_CAPPING"]),
        ({"messageCapping": {"cappingStatus": "FIRST_WARNING"}}, []),
        (
            {"reachoutTimelock": {"isActive": True}, "messageCapping": {"cappingStatus": "CAPPED"}},
            ["REACHOUT_TIMELOCK", "MESSAGE_CAPPING"],
        ),
        (None, []),
        ([1], []),
    ],
)
def test_restrictions_beside_a_session_state(waha: Reader, me: Json, codes: list[str]) -> None:
    """An active timelock or a used-up quota is a rate limit, also while the session works."""
    reading = heard(waha, "session.status", {"status": "WORKING"}, me=me)

    assert reading.types == ["CONNECTION_CONNECTED", *["RATE_LIMIT_HIT"] * len(codes)]
    assert [s.context["code"] for s in reading.signals[1:]] == codes


@pytest.mark.parametrize(
    ("event", "unknown"),
    [
        ("message.waiting", []),
        ("message.revoked", []),
        ("message.edited", []),
        ("presence.update", []),
        ("poll.vote.failed", []),
        ("group.v2.join", []),
        ("chat.archive", []),
        ("call.received", []),
        ("label.upsert", []),
        ("event.response", []),
        ("state.change", []),
        ("engine.event", []),
        ("message.vaporized", [("event", "message.vaporized")]),
        (None, [("event", "other")]),
    ],
)
def test_other_events_say_nothing(waha: Reader, event: str, unknown: Json) -> None:
    """Known ones are quiet, unknown ones drift."""
    reading = heard(waha, event, [1])

    assert (reading.signals, reading.unknown, reading.fault) == ([], unknown, None)


@pytest.mark.parametrize("payload", [[], 5, {"id": 5}, {"id": "true_status@broadcast_A"}])
def test_messages_that_give_no_fact(waha: Reader, payload: Json) -> None:
    """Wrong or of a story."""
    assert heard(waha, "message", payload).signals == []


def test_a_session_status_of_a_wrong_form_is_a_fault(waha: Reader) -> None:
    """Nothing is made of it."""
    assert heard(waha, "session.status", [1]).fault == "body_unreadable"


@pytest.mark.parametrize(
    ("more", "headers", "same_as_header"),
    [({"id": "evt_02"}, {}, False), ({"id": None}, {"X-Webhook-Request-Id": "evt_02"}, True)],
)
def test_a_fact_without_message_is_known_by_its_event(
    waha: Reader, more: Json, headers: dict[str, str], *, same_as_header: bool
) -> None:
    """The envelope's id, else the request id that each retry repeats, else the time."""

    def basis(more: Json, headers: dict[str, str]) -> str:
        return told(
            waha, callback(envelope("session.status", {"status": "FAILED"}, **more), headers)
        ).one.basis

    assert basis(more, headers) == basis({"id": "evt_02"}, {})
    assert basis(more, headers) != basis({"id": "evt_03"}, {})
    assert basis({"id": None}, {}) == f"time:{AT_MS}"
    assert same_as_header == ("X-Webhook-Request-Id" in headers)


def test_a_callback_that_is_no_json_is_one_named_error(waha: Reader) -> None:
    """And an empty one is nothing."""
    assert told(waha, callback(None)).signals == []
    with pytest.raises(UnreadableExchange) as raised:
        waha.read(callback(b"event=x"))
    assert raised.value.reason is Fault.BODY_UNREADABLE

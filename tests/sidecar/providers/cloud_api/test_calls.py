"""The Cloud API's calls and answers: notes 4.1 and 4.2, rules R1 to R8, R14."""

import pytest

from sidecar.exchange import WireError
from sidecar.providers.contract import Reader
from tests.sidecar.providers.exchanges import Json, call, told

NUMBER = "106500000000001"
PATH = f"/v23.0/{NUMBER}/messages"
TO = {"messaging_product": "whatsapp", "to": "5511900000001"}
JID = "5511900000001@s.whatsapp.net"
READ = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN"}


def sent(**more: Json) -> Json:
    return {"contacts": [{"input": "x", "wa_id": "5511900000001"}], "messages": [{"id": "wamid.A", **more}]}


@pytest.mark.parametrize("path", [PATH, f"/{NUMBER}/messages"])
@pytest.mark.parametrize(
    ("kind", "action", "message_type", "unknown"),
    [
        ("text", "SEND_TEXT", "text", []),
        (None, "SEND_TEXT", "text", []),
        ("template", "SEND_TEXT", "other", []),
        ("interactive", "SEND_TEXT", "other", []),
        ("location", "SEND_TEXT", "other", []),
        ("contacts", "SEND_TEXT", "other", []),
        ("image", "SEND_MEDIA", "image", []),
        ("video", "SEND_MEDIA", "video", []),
        ("document", "SEND_MEDIA", "document", []),
        ("sticker", "SEND_MEDIA", "sticker", []),
        ("audio", "SEND_AUDIO", "audio", []),
        ("hologram", "SEND_TEXT", "other", [("messageType", "hologram")]),
    ],
)
def test_the_body_decides_what_is_sent(
    cloud_api: Reader, path: str, kind: str | None, action: str, message_type: str, unknown: Json
) -> None:
    """One URL, many actions; the version may be absent."""
    reading = told(cloud_api, call("POST", path, {**TO, "type": kind}, 200, sent()))

    message = reading.signals[0]
    assert (message.type, message.instance_id, message.remote_jid) == ("MESSAGE_SENT", NUMBER, JID)
    assert (message.context["action"], message.context["messageType"]) == (action, message_type)
    assert message.context["endpoint"] == f"POST {reading.template}"
    assert reading.unknown == unknown


@pytest.mark.parametrize(
    ("asked", "answer", "jid", "is_group"),
    [
        ({"to": "+55 11 90000-0001"}, {"messages": [{"id": "wamid.A"}]}, JID, False),
        ({"to": "1"}, sent(), JID, False),
        (
            {"to": "1"},
            {"contacts": [{"input": "1"}], "messages": [{"id": "wamid.A"}]},
            "1@s.whatsapp.net",
            False,
        ),
        ({"to": "Y2FwaV9ncm91cA", "recipient_type": "group"}, sent(), "Y2FwaV9ncm91cA", True),
        ({"to": "120363", "recipient_type": "group"}, sent(), "120363", True),
        ({"to": "US.1349"}, {"messages": [{"id": "wamid.A"}]}, "US.1349", False),
        ({}, {"messages": [{"id": "wamid.A"}]}, None, False),
    ],
)
def test_the_chat(cloud_api: Reader, asked: Json, answer: Json, jid: str | None, *, is_group: bool) -> None:
    """The answer's number wins; opaque ids of groups and scoped users stay as they are."""
    signal = told(cloud_api, call("POST", PATH, {"type": "text", **asked}, 200, answer)).signals[0]

    assert (signal.remote_jid, signal.is_group) == (jid, is_group)


@pytest.mark.parametrize(
    ("status", "shown", "unknown"),
    [
        ("accepted", "accepted", []),
        ("held_for_quality_assessment", "held_for_quality_assessment", []),
        ("paused", "other", [("status", "paused")]),
        (None, None, []),
    ],
)
def test_message_status(cloud_api: Reader, status: str | None, shown: str | None, unknown: Json) -> None:
    """It goes to `status` where the table knows it."""
    reading = told(cloud_api, call("POST", PATH, TO, 200, sent(message_status=status)))

    assert (reading.signals[0].context.get("status"), reading.unknown) == (shown, unknown)


@pytest.mark.parametrize(
    ("status", "code", "types"),
    [
        (400, 4, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"]),
        (400, 80007, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"]),
        (429, 130429, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"]),
        (400, 131048, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"]),
        (200, 131056, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"]),
        (403, 368, ["MESSAGE_FAILED", "CONNECTION_ERROR"]),
        (403, 131031, ["MESSAGE_FAILED", "CONNECTION_ERROR"]),
        (400, 131047, ["MESSAGE_FAILED"]),
        (401, 190, ["MESSAGE_FAILED"]),
        (403, 200, ["MESSAGE_FAILED"]),
        (400, 132001, ["MESSAGE_FAILED"]),
        (400, 463, ["MESSAGE_FAILED"]),
        (429, 17, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"]),
    ],
)
def test_the_code_decides_not_the_http_status(
    cloud_api: Reader, status: int, code: int, types: list[str]
) -> None:
    """The table of notes 4.2; 463 is no timelock here."""
    answer = {"error": {"message": "x", "code": code, "error_subcode": 463}}

    reading = told(cloud_api, call("POST", PATH, TO, status, answer))

    assert reading.types == types
    assert all(s.context["code"] == str(code) for s in reading.signals)
    assert [s.source for s in reading.signals[1:]] == ["PROVIDER"] * (len(types) - 1)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"<html>", "body_unreadable"),
        ({"messages": []}, "data_missing"),
        ({"messages": [{"id": ""}]}, "data_missing"),
        ({}, "data_missing"),
    ],
)
def test_a_2xx_without_a_message_id_states_nothing(cloud_api: Reader, answer: Json, fault: str) -> None:
    """R1 wants the body's word."""
    reading = told(cloud_api, call("POST", PATH, TO, 200, answer))

    assert (reading.signals, reading.fault) == ([], fault)


def test_other_failures(cloud_api: Reader) -> None:
    """A refusal under 2xx, a page of a proxy, and what the wire lost."""
    assert told(cloud_api, call("POST", PATH, TO, 200, {"success": False})).types == ["MESSAGE_FAILED"]
    assert told(cloud_api, call("POST", PATH, TO, 502, b"<html>")).types == ["MESSAGE_FAILED"]
    lost = told(cloud_api, call("POST", PATH, TO, None, error=WireError.TLS_ERROR)).one
    assert (lost.type, lost.context["code"]) == ("MESSAGE_FAILED", "TLS_ERROR")


@pytest.mark.parametrize(
    ("status", "answer", "types"),
    [
        (500, {"error": {"code": 1}}, []),
        (429, None, ["RATE_LIMIT_HIT"]),
        (400, {"error": {"code": 131056}}, ["RATE_LIMIT_HIT"]),
        (200, sent(), []),
    ],
)
def test_an_unread_request_hides_what_was_asked(
    cloud_api: Reader, status: int, answer: Json, types: list[str]
) -> None:
    """Send, reading or typing: without the body nobody knows; a limit is one all the same."""
    reading = told(cloud_api, call("POST", PATH, b'{"to":', status, answer))

    assert (reading.types, reading.fault) == (types, "body_unreadable")


@pytest.mark.parametrize("answer", [{"success": True}, b"ok"])
def test_reading_and_typing(cloud_api: Reader, answer: Json) -> None:
    """Typing sets a presence and reads a message in one call (R4, R5)."""
    read = told(cloud_api, call("POST", PATH, READ, 200, answer)).one
    typing = told(cloud_api, call("POST", PATH, {**READ, "typing_indicator": {"type": "text"}}, 200, answer))

    assert (read.type, read.source, read.message_id) == ("MESSAGE_READ", "DISPATCH", "wamid.IN")
    assert read.context["action"] == "MARK_AS_READ"
    assert typing.types == ["PRESENCE_SET", "MESSAGE_READ"]
    assert (typing.signals[0].context["presence"], typing.signals[0].message_id) == ("composing", None)


@pytest.mark.parametrize(
    ("status", "answer", "types"),
    [
        (200, {"success": False}, []),
        (200, {"error": {"code": 131000}}, []),
        (500, {"error": {"code": 131000}}, []),
        (400, {"error": {"code": 368}}, []),
        (429, {"error": {"code": 130429}}, ["RATE_LIMIT_HIT"]),
    ],
)
def test_reading_that_fails_says_nothing_but_a_limit(
    cloud_api: Reader, status: int, answer: Json, types: list[str]
) -> None:
    """R3 to R5; the account block is told on sends."""
    assert told(cloud_api, call("POST", PATH, READ, status, answer)).types == types


@pytest.mark.parametrize(
    ("status", "types", "unknown"),
    [
        ("CONNECTED", ["CONNECTION_CONNECTED"], []),
        ("DISCONNECTED", ["CONNECTION_DISCONNECTED"], []),
        ("BANNED", ["CONNECTION_ERROR"], []),
        ("RESTRICTED", ["CONNECTION_ERROR"], []),
        ("RATE_LIMITED", ["RATE_LIMIT_HIT"], []),
        ("FLAGGED", [], []),
        ("ZEN", [], [("state", "ZEN")]),
        (None, [], []),
    ],
)
def test_the_status_of_a_number(
    cloud_api: Reader, status: str | None, types: list[str], unknown: Json
) -> None:
    """R6, and the one status that is a rate limit."""
    answer = {"status": status, "quality_rating": "GREEN", "id": NUMBER}

    reading = told(cloud_api, call("GET", f"/v23.0/{NUMBER}?fields=status", None, 200, answer))

    assert (reading.types, reading.unknown) == (types, unknown)
    assert all(s.instance_id == NUMBER and s.source == "PROVIDER" for s in reading.signals)


def test_only_a_number_is_asked_for_fields(cloud_api: Reader) -> None:
    """Any object of the Graph has such a URL: without `fields` it is no status call."""
    answer = {"status": "CONNECTED"}

    assert told(cloud_api, call("GET", "/v23.0/900000000000001", None, 200, answer)).types == []
    assert told(cloud_api, call("GET", "/v23.0/900000000000001", None, 500, {})).types == []
    assert told(cloud_api, call("GET", f"/{NUMBER}?fields=status", None, 500, {})).types == [
        "CONNECTION_ERROR"
    ]


@pytest.mark.parametrize(
    ("path", "status", "answer", "types"),
    [
        ("register", 200, {"success": True}, []),
        ("register", 200, {"success": False}, ["CONNECTION_ERROR"]),
        ("register", 200, {"error": {"code": 1}}, ["CONNECTION_ERROR"]),
        ("register", 400, {"error": {"code": 133016}}, ["RATE_LIMIT_HIT"]),
        ("register", 500, {"error": {"code": 1}}, ["CONNECTION_ERROR"]),
        ("register", 200, b"ok", []),
        ("deregister", 200, {"success": True}, ["CONNECTION_DISCONNECTED"]),
        ("deregister", 200, {"success": False}, []),
        ("deregister", 200, b"ok", ["CONNECTION_DISCONNECTED"]),
        ("deregister", 400, {"error": {"code": 133016}}, ["RATE_LIMIT_HIT"]),
        ("media", 200, {"id": "9"}, []),
        ("media", 429, {}, ["RATE_LIMIT_HIT"]),
        ("templates", 200, {}, []),
        ("block_users", 400, {"error": {"code": 80007}}, ["RATE_LIMIT_HIT"]),
    ],
)
def test_other_calls(cloud_api: Reader, path: str, status: int, answer: Json, types: list[str]) -> None:
    """R7, R8 and the registration limit."""
    assert told(cloud_api, call("POST", f"/v23.0/{NUMBER}/{path}", {}, status, answer)).types == types

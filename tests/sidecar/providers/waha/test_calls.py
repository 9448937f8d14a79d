"""WAHA's calls and answers: notes 3.1 and 3.2, rules R1 to R8, R14 and R15."""

import pytest

from sidecar.exchange import Body, BodyState, WireError
from sidecar.providers.contract import Reader
from tests.sidecar.providers.exchanges import Json, call, told

TO = {"session": "suporte", "chatId": "5511900000001@c.us", "text": "t"}
JID = "5511900000001@s.whatsapp.net"
SENT = {"id": "true_5511900000001@c.us_3EB0D0", "_data": None}


@pytest.mark.parametrize(
    ("method", "path", "action", "message_type"),
    [
        ("POST", "/api/sendText", "SEND_TEXT", "text"),
        ("POST", "/api/sendtext", "SEND_TEXT", "text"),
        ("POST", "/api/sendImage", "SEND_MEDIA", "image"),
        ("POST", "/api/sendFile", "SEND_MEDIA", "other"),
        ("POST", "/api/sendVideo", "SEND_MEDIA", "video"),
        ("POST", "/api/sendVoice", "SEND_AUDIO", "audio"),
        ("POST", "/api/sendPoll", "SEND_TEXT", "other"),
        ("POST", "/api/sendLocation", "SEND_TEXT", "other"),
        ("POST", "/api/sendContactVcard", "SEND_TEXT", "other"),
        ("POST", "/api/sendLinkPreview", "SEND_TEXT", "text"),
        ("POST", "/api/send/link-custom-preview", "SEND_TEXT", "text"),
        ("POST", "/api/sendButtons", "SEND_TEXT", "other"),
        ("POST", "/api/sendList", "SEND_TEXT", "other"),
        ("POST", "/api/forwardMessage", "SEND_TEXT", "other"),
        ("POST", "/api/reply", "SEND_TEXT", "text"),
    ],
)
def test_each_send_route_is_a_send(
    waha: Reader, method: str, path: str, action: str, message_type: str
) -> None:
    """The session is in the body; letter case does not matter to Express."""
    message, latency = told(waha, call(method, path, TO, 201, SENT)).signals

    assert (message.type, message.instance_id, message.message_id) == ("MESSAGE_SENT", "suporte", "3EB0D0")
    assert (message.context["action"], message.context["messageType"]) == (action, message_type)
    assert (message.remote_jid, latency.latency_ms) == (JID, 250)


def test_a_file_takes_its_kind_from_the_mime_type(waha: Reader) -> None:
    """`sendFile` sends anything."""
    asked = {**TO, "file": {"mimetype": "application/pdf", "url": "https://files.example.test/a"}}

    signal = told(waha, call("POST", "/api/sendFile", asked, 201, SENT)).signals[0]

    assert signal.context["messageType"] == "document"


@pytest.mark.parametrize(
    ("query", "instance_id"),
    [("session=suporte&phone=5511900000001&text=a+b", "suporte"), ("phone=5511900000001%40c.us", "default")],
)
def test_the_old_send_names_session_and_phone_in_its_query(
    waha: Reader, query: str, instance_id: str
) -> None:
    """GET still works; number and text stay out of the endpoint."""
    signal = told(waha, call("GET", f"/api/sendText?{query}", None, 201, SENT)).signals[0]

    assert (signal.instance_id, signal.remote_jid) == (instance_id, JID)
    assert signal.context["endpoint"] == "GET /api/sendText"


@pytest.mark.parametrize(
    ("answer", "message_id", "jid"),
    [
        ({"id": {"fromMe": True, "id": "A", "_serialized": "true_1@g.us_A"}}, "A", "1@g.us"),
        ({"id": {"id": "A"}}, "A", JID),
        ({"id": "true_1@g.us_A_5511900000099@c.us"}, "A", "1@g.us"),
        ({"id": "A"}, "A", JID),
        ({"id": {"id": "A", "_serialized": "5511900000001@c.us"}}, "A", JID),
        ({"key": {"id": "A", "remoteJid": "1@s.whatsapp.net"}}, "A", "1@s.whatsapp.net"),
        (
            {"key": {"id": "A", "remoteJid": "9@lid", "remoteJidAlt": "1@s.whatsapp.net"}},
            "A",
            "1@s.whatsapp.net",
        ),
        ({"key": {"id": "A"}}, "A", JID),
    ],
)
def test_each_engine_names_the_message_its_own_way(
    waha: Reader, answer: Json, message_id: str, jid: str
) -> None:
    """WEBJS gives an object, GOWS a serialized text, NOWEB Baileys' key; the answer's chat wins."""
    signal = told(waha, call("POST", "/api/sendText", TO, 201, answer)).signals[0]

    assert (signal.message_id, signal.remote_jid) == (message_id, jid)


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("answer", "message_id"),
    [({"id": "true_2@c.us_R"}, "R"), (None, None), (b"null", None), ({}, None)],
)
def test_a_reaction_may_be_answered_with_nothing(
    waha: Reader, method: str, answer: Json, message_id: str | None
) -> None:
    """The chat is in the serialized id reacted to; on WEBJS a 2xx alone is success."""
    asked = {"session": "s", "messageId": "false_2@c.us_3AF0", "reaction": "x"}

    reaction, latency = told(waha, call(method, "/api/reaction", asked, 200, answer)).signals

    assert (reaction.type, reaction.message_id, reaction.remote_jid) == (
        "REACTION_SENT",
        message_id,
        "2@s.whatsapp.net",
    )
    assert latency.type == "SEND_LATENCY_OBSERVED"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [(None, "body_empty"), (b"null", "body_empty"), ({}, "data_missing"), (b"<html>", "body_unreadable")],
)
def test_another_send_needs_its_id(waha: Reader, answer: Json, fault: str) -> None:
    """R1 wants the body's word; without it nothing is stated."""
    reading = told(waha, call("POST", "/api/sendText", TO, 201, answer))

    assert (reading.signals, reading.fault) == ([], fault)


@pytest.mark.parametrize(
    ("status", "answer", "types", "code"),
    [
        (201, {"error": "server returned error 463"}, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"], "463"),
        (201, {"error": True}, ["MESSAGE_FAILED"], None),
        (500, {"exception": {"details": "server returned error 479"}}, ["MESSAGE_FAILED"], "479"),
        (
            500,
            {"exception": {"message": "rate-overlimit", "data": 429}},
            ["MESSAGE_FAILED", "RATE_LIMIT_HIT"],
            "rate-overlimit",
        ),
        (500, {"exception": {"message": "x", "data": 429}}, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"], "429"),
        (500, {"exception": {"message": "x", "code": 2, "data": {"a": 1}}}, ["MESSAGE_FAILED"], None),
        (400, {"statusCode": 400, "message": ["chatId must be a string"]}, ["MESSAGE_FAILED"], None),
        (400, {"message": ["x", "server returned error 463"]}, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"], "463"),
        (400, {"error": "server returned error 479"}, ["MESSAGE_FAILED"], "479"),
        (429, None, ["MESSAGE_FAILED", "RATE_LIMIT_HIT"], "429"),
        (502, b"<html>", ["MESSAGE_FAILED"], None),
    ],
)
def test_refusals(waha: Reader, status: int, answer: Json, types: list[str], code: str | None) -> None:
    """Engine errors, NestJS errors and errors under 2xx; gRPC's own code says nothing."""
    reading = told(waha, call("POST", "/api/sendText", TO, status, answer))

    assert reading.types == types
    assert reading.signals[-1].context.get("code") == code
    assert all(signal.remote_jid == JID for signal in reading.signals)


def test_the_echoed_request_of_an_engine_error_is_not_read(waha: Reader) -> None:
    """An error text inside the echo is the customer's own words, not WhatsApp's."""
    answer = {"exception": {"message": "x"}, "request": {"body": {"text": "server returned error 463"}}}

    assert told(waha, call("POST", "/api/sendText", TO, 500, answer)).types == ["MESSAGE_FAILED"]


@pytest.mark.parametrize(
    ("state", "type_"),
    [
        ("WORKING", "CONNECTION_CONNECTED"),
        ("FAILED", "CONNECTION_ERROR"),
        ("STOPPED", "CONNECTION_DISCONNECTED"),
        ("SCAN_QR_CODE", None),
        ("STARTING", None),
        ("NEW", None),
    ],
)
def test_a_422_states_the_session(waha: Reader, state: str, type_: str | None) -> None:
    """Beside a failed send, alone on a connection call, and nothing on presence or reading."""
    answer = {"error": "not as expected", "session": "suporte", "status": state, "expected": ["WORKING"]}
    also = [type_] if type_ else []

    sent = told(waha, call("POST", "/api/sendText", TO, 422, answer))
    assert sent.types == ["MESSAGE_FAILED", *also]
    assert all(s.polled and s.context["status"] == state for s in sent.signals[1:])
    assert told(waha, call("GET", "/api/suporte/auth/qr", None, 422, answer)).types == also
    assert told(waha, call("POST", "/api/startTyping", TO, 422, answer)).types == []
    assert told(waha, call("POST", "/api/sendSeen", TO, 422, answer)).types == []
    assert told(waha, call("POST", "/api/sendText", TO, 400, answer)).types == ["MESSAGE_FAILED"]


@pytest.mark.parametrize(
    ("request_body", "answer", "instance_id"),
    [
        (Body(b'{"text":"x"}', BodyState.WHOLE), {}, "default"),
        (Body(b'{"text":"x', BodyState.CUT), {"session": "suporte"}, "suporte"),
        (Body(b'{"text":"x', BodyState.CUT), {}, ""),
    ],
)
def test_an_absent_session_means_default_but_an_unread_one_means_none(
    waha: Reader, request_body: Body, answer: Json, instance_id: str
) -> None:
    """What could not be read is not guessed; the answer may name it."""
    exchange = call("POST", "/api/sendText", None, 422, answer)
    exchange.request_body = request_body

    reading = waha.read(exchange)

    assert reading.events[0].instance_id == instance_id
    assert (reading.fault is None) == (request_body.state is BodyState.WHOLE)


def test_a_send_the_wire_lost_is_a_failure(waha: Reader) -> None:
    """R2."""
    failed = told(waha, call("POST", "/api/sendText", TO, None, error=WireError.NETWORK_ERROR)).one

    assert (failed.type, failed.context["code"]) == ("MESSAGE_FAILED", "NETWORK_ERROR")


def test_a_send_to_a_story_says_nothing_but_a_limit(waha: Reader) -> None:
    """R13."""
    story = {"session": "s", "chatId": "status@broadcast"}

    assert told(waha, call("POST", "/api/sendText", story, 201, SENT)).types == []
    assert told(waha, call("POST", "/api/sendText", story, 429)).types == ["RATE_LIMIT_HIT"]
    assert told(waha, call("POST", "/api/startTyping", story, 201)).types == []
    assert told(waha, call("POST", "/api/sendSeen", story, 201)).types == []


@pytest.mark.parametrize(
    ("path", "asked", "shown", "unknown"),
    [
        ("/api/startTyping", TO, "typing", []),
        ("/api/stopTyping", TO, "paused", []),
        ("/api/suporte/presence", {"presence": "offline"}, "offline", []),
        ("/api/suporte/presence", {"presence": "recording", "chatId": "1@c.us"}, "recording", []),
        ("/api/suporte/presence", {"presence": "dancing"}, "other", [("presence", "dancing")]),
        ("/api/suporte/presence", {}, None, []),
    ],
)
def test_presence(waha: Reader, path: str, asked: Json, shown: str | None, unknown: Json) -> None:
    """Path or body says which; a 2xx is enough (R4)."""
    reading = told(waha, call("POST", path, asked, 201, b"null"))

    assert (reading.one.type, reading.one.context.get("presence")) == ("PRESENCE_SET", shown)
    assert (reading.one.instance_id, reading.unknown) == ("suporte", unknown)


@pytest.mark.parametrize(
    ("path", "asked", "expected"),
    [
        ("/api/sendSeen", TO, [(None, JID)]),
        ("/api/sendSeen", {**TO, "messageId": "false_5511900000001@c.us_A"}, [("A", JID)]),
        (
            "/api/sendSeen",
            {**TO, "messageIds": ["false_5511900000001@c.us_A", "B"]},
            [("A", JID), ("B", JID)],
        ),
        ("/api/suporte/chats/5511900000001%40c.us/messages/read", None, [(None, JID)]),
    ],
)
def test_mark_as_read_is_one_fact_a_message(waha: Reader, path: str, asked: Json, expected: Json) -> None:
    """One fact a message named, one without id where only a chat is (R5)."""
    reading = told(waha, call("POST", path, asked, 201, b"null"))

    assert [(s.message_id, s.remote_jid) for s in reading.signals] == expected
    assert all(
        (s.type, s.source, s.instance_id) == ("MESSAGE_READ", "DISPATCH", "suporte") for s in reading.signals
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/sessions/suporte/start"),
        ("POST", "/api/sessions/suporte/restart"),
        ("GET", "/api/sessions/suporte"),
    ],
)
@pytest.mark.parametrize(
    ("answer", "types", "unknown", "fault"),
    [
        ({"status": "WORKING"}, ["CONNECTION_CONNECTED"], [], None),
        ({"status": "SCAN_QR_CODE"}, ["QRCODE_REGENERATED"], [], None),
        ({"status": "FAILED"}, ["CONNECTION_ERROR"], [], None),
        ({"status": "STOPPED"}, ["CONNECTION_DISCONNECTED"], [], None),
        ({"status": "STARTING"}, [], [], None),
        ({"status": "ZEN"}, [], [("state", "ZEN")], None),
        ({"error": "no"}, ["CONNECTION_ERROR"], [], None),
        ({}, [], [], None),
        (b"<html>", [], [], "body_unreadable"),
    ],
)
def test_a_session_answer_gives_its_state(
    waha: Reader, method: str, path: str, answer: Json, types: list[str], unknown: Json, fault: str | None
) -> None:
    """R6 and R7."""
    reading = told(waha, call(method, path, None, 200, answer))

    assert (reading.types, reading.unknown, reading.fault) == (types, unknown, fault)


@pytest.mark.parametrize(
    ("body", "answer_type", "hashed"),
    [
        (Body(b"\x89PNG...", BodyState.WHOLE), "image/png", True),
        (Body(b"\x89PNG", BodyState.CUT), "image/png", False),
        (Body(b'{"mimetype":"image/png","data":"aGk="}', BodyState.WHOLE), "application/json", True),
        (Body(b'{"mimetype":"image/png","data":""}', BodyState.ELIDED), "application/json", False),
        (Body(b'{"value":"2@A"}', BodyState.WHOLE), "application/json; charset=utf-8", True),
    ],
)
def test_a_qr_code_comes_as_picture_or_json(
    waha: Reader, body: Body, answer_type: str, *, hashed: bool
) -> None:
    """All three forms are a QR code; only a whole one is known by its hash."""
    exchange = call("GET", "/api/suporte/auth/qr", None, 200, None, answer_type=answer_type)
    exchange.response_body = body

    signal = told(waha, exchange).one

    assert (signal.type, signal.polled) == ("QRCODE_REGENERATED", True)
    assert signal.basis.startswith("qr:") == hashed


@pytest.mark.parametrize(
    ("method", "path", "status", "types"),
    [
        ("GET", "/api/sessions/s", 500, ["CONNECTION_ERROR"]),
        ("GET", "/api/sessions/s", 404, []),
        ("POST", "/api/sessions/s/logout", 201, ["CONNECTION_DISCONNECTED"]),
        ("POST", "/api/sessions/s/logout", 500, []),
        ("POST", "/api/sessions/s/logout", 429, ["RATE_LIMIT_HIT"]),
        ("POST", "/api/sessions/s/stop", 201, []),
        ("PUT", "/api/sessions/s", 200, []),
        ("GET", "/api/sessions", 200, []),
        ("POST", "/api/s/auth/request-code", 201, []),
        ("GET", "/api/server/version", 200, []),
    ],
)
def test_other_calls(waha: Reader, method: str, path: str, status: int, types: list[str]) -> None:
    """R7 and R8; management says nothing."""
    assert told(waha, call(method, path, None, status, {"name": "s"})).types == types


@pytest.mark.parametrize(
    ("path", "template", "unknown"),
    [
        ("/api/sendHologram", "/api/{kind}", [("action", "sendHologram")]),
        ("/api/checkNumberStatus", "/api/{kind}", []),
        ("/api/suporte/chats/1/archive", "/api/{session}/chats/{...}", []),
    ],
)
def test_a_new_kind_of_send_is_drift(waha: Reader, path: str, template: str, unknown: Json) -> None:
    """A send the table does not know gives no fact, but somebody hears of it."""
    reading = told(waha, call("POST", path, TO, 201, SENT))

    assert (reading.signals, reading.template, reading.unknown) == ([], template, unknown)


def test_a_call_of_no_fact_still_meets_a_rate_limit(waha: Reader) -> None:
    """R3 holds for any call that names its session."""
    limit = told(waha, call("GET", "/api/suporte/contacts/all", None, 429)).one

    assert (limit.type, limit.instance_id) == ("RATE_LIMIT_HIT", "suporte")


def test_a_session_called_like_a_route_is_still_a_session(waha: Reader) -> None:
    """The placeholder is tried where the literal ends nowhere."""
    reading = told(waha, call("POST", "/api/sessions/presence", {"presence": "online"}, 201, None))

    assert (reading.one.type, reading.one.instance_id) == ("PRESENCE_SET", "sessions")


@pytest.mark.parametrize("value", ["5511900000001@c.us", "true_5511900000001@c.us"])
def test_an_id_that_names_a_chat_is_no_message_id(waha: Reader, value: str) -> None:
    """A phone number never passes as the name of a message."""
    reading = told(waha, call("POST", "/api/sendText", TO, 201, {"id": value}))

    assert (reading.signals, reading.fault) == ([], "data_missing")


def test_a_reading_takes_its_chat_from_the_message_where_none_is_named(waha: Reader) -> None:
    """The serialized id holds it; a story's is left out."""
    asked = {"session": "s", "messageIds": ["false_5511900000001@c.us_A", "false_status@broadcast_B"]}

    read = told(waha, call("POST", "/api/sendSeen", asked, 201, {}))

    assert (read.one.remote_jid, read.one.message_id) == ("5511900000001@s.whatsapp.net", "A")


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("POST", "/api/sendPollVote", {"session": "s"}),
        ("GET", "/api/s/lids/pn/5511900000001", None),
        ("POST", "/api/s/events", {}),
        ("GET", "/api/s/presence/5511900000001%40c.us", None),
        ("POST", "/api/sessions/s/stop", None),
    ],
)
def test_any_call_may_meet_a_rate_limit(waha: Reader, method: str, path: str, asked: Json) -> None:
    """R3: alone, about the session that the path or the body names."""
    read = told(waha, call(method, path, asked, 429, None))

    assert (read.one.type.value, read.one.instance_id) == ("RATE_LIMIT_HIT", "s")
    assert "5511900000001" not in repr(read)


def test_a_send_whose_answer_names_a_channel_says_nothing(waha: Reader) -> None:
    """R13, told by the answer alone."""
    asked = {"session": "s", "text": "x"}

    assert told(waha, call("POST", "/api/sendText", asked, 201, {"id": "true_1@newsletter_A"})).signals == []

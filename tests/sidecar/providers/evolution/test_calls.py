"""Evolution API's calls and answers: notes 2.1 and 2.2, rules R1 to R8, R14 and R15."""

import pytest

from sidecar.exchange import WireError
from sidecar.providers.contract import Reader
from tests.sidecar.providers.exchanges import Json, call, told

TO = {"number": "5511900000001", "text": "t"}
JID = "5511900000001@s.whatsapp.net"


def sent(**more: Json) -> Json:
    return {
        "key": {"remoteJid": JID, "fromMe": True, "id": "3EB0E0"},
        "status": "PENDING",
        "message": {"conversation": "t"},
        "messageTimestamp": 1768489200,
        **more,
    }


@pytest.mark.parametrize(
    ("route", "action", "message_type"),
    [
        ("sendText", "SEND_TEXT", "text"),
        ("SENDTEXT", "SEND_TEXT", "text"),
        ("sendMedia", "SEND_MEDIA", "other"),
        ("sendPtv", "SEND_MEDIA", "video"),
        ("sendSticker", "SEND_MEDIA", "sticker"),
        ("sendWhatsAppAudio", "SEND_AUDIO", "audio"),
        ("sendLocation", "SEND_TEXT", "other"),
        ("sendContact", "SEND_TEXT", "other"),
        ("sendPoll", "SEND_TEXT", "other"),
        ("sendList", "SEND_TEXT", "other"),
        ("sendButtons", "SEND_TEXT", "other"),
        ("sendTemplate", "SEND_TEXT", "other"),
    ],
)
def test_each_send_route_is_a_send(evolution: Reader, route: str, action: str, message_type: str) -> None:
    """Every send route gives MESSAGE_SENT and a latency; letter case does not matter to Express."""
    reading = told(evolution, call("POST", f"/message/{route}/loja%20centro", TO, 201, sent()))

    message, latency = reading.signals
    assert (message.type, message.instance_id, message.message_id) == (
        "MESSAGE_SENT",
        "loja centro",
        "3EB0E0",
    )
    assert (message.context["action"], message.context["messageType"]) == (action, message_type)
    assert message.context["status"] == "PENDING"
    assert latency.latency_ms == 250
    assert reading.template.lower() == f"/message/{route}/{{instance}}".lower()


@pytest.mark.parametrize(
    ("request_more", "answer_more", "message_type"),
    [
        ({"mediatype": "image"}, {}, "image"),
        ({"mimetype": "video/mp4"}, {}, "video"),
        ({"mediatype": "image"}, {"messageType": "documentWithCaptionMessage"}, "document"),
        ({}, {"messageType": "somethingNewMessage"}, "other"),
        ({}, {"messageType": "extendedTextMessage"}, "text"),
    ],
)
def test_media_takes_its_kind_from_the_answer_then_the_request(
    evolution: Reader, request_more: Json, answer_more: Json, message_type: str
) -> None:
    """What was really sent is in the answer."""
    exchange = call("POST", "/message/sendMedia/v", {**TO, **request_more}, 201, sent(**answer_more))

    assert told(evolution, exchange).signals[0].context["messageType"] == message_type


def test_a_multipart_upload_is_read_from_its_answer(evolution: Reader) -> None:
    """The request holds a file of any size and nothing that is needed; that is no fault."""
    exchange = call(
        "POST",
        "/message/sendMedia/v",
        b"--x\r\n",
        201,
        sent(),
        request_type="Multipart/form-data; boundary=x",
    )

    reading = told(evolution, exchange)

    assert (reading.signals[0].remote_jid, reading.fault) == (JID, None)


def test_a_request_that_cannot_be_read_is_a_fault_beside_the_facts(evolution: Reader) -> None:
    """Path and answer prove the send."""
    reading = told(evolution, call("POST", "/message/sendText/v", b"{", 201, sent()))

    assert (reading.types[0], reading.signals[0].remote_jid, reading.fault) == (
        "MESSAGE_SENT",
        JID,
        "body_unreadable",
    )


@pytest.mark.parametrize(
    ("key", "jid"),
    [
        ({"remoteJid": "558400000003@s.whatsapp.net"}, "558400000003@s.whatsapp.net"),
        (
            {"remoteJid": "99@lid", "remoteJidAlt": "558400000003@s.whatsapp.net"},
            "558400000003@s.whatsapp.net",
        ),
        ({"remoteJid": "99@lid", "remoteJidAlt": "77@lid"}, "99@lid"),
        ({"remoteJid": "99@lid"}, "99@lid"),
        ({}, JID),
    ],
)
def test_the_jid_of_the_answer_wins(evolution: Reader, key: Json, jid: str) -> None:
    """Corrected numbers and LIDs come from the answer; the number asked for is the last resort."""
    exchange = call("POST", "/message/sendText/v", TO, 201, {"key": {"id": "3EB0", **key}})

    assert told(evolution, exchange).signals[0].remote_jid == jid


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (400, {"status": 400, "response": {"message": ["Error: Connection Closed"]}}, None),
        (400, {"response": {"message": "[object Object]"}}, None),
        (400, {"response": {"message": [{"exists": False, "number": "5511900000404"}]}}, None),
        (400, {"response": "server returned error 479"}, "479"),
        (400, {"message": "server returned error 479"}, "479"),
        (401, {"status": 401, "error": "Unauthorized"}, None),
        (500, b"oops", None),
        (201, {"error": True, "message": "no"}, None),
        (201, {"key": {"remoteJid": JID}}, None),
        (201, {"key": None}, None),
        (201, {"message": "(#190)", "code": 190, "fbtrace_id": "x"}, "190"),
        (400, {"error": {"code": 131026, "message": "x"}}, "131026"),
        (400, {"error": {"message": "server returned error 479"}}, "479"),
        (400, {"code": "ERR_BAD_REQUEST"}, None),
    ],
)
def test_a_refused_send_is_a_failure(evolution: Reader, status: int, answer: Json, code: str | None) -> None:
    """A send succeeded only if `key.id` is there; 2xx alone says nothing (notes 2.2)."""
    failed = told(evolution, call("POST", "/message/sendText/v", TO, status, answer)).one

    assert (failed.type, failed.remote_jid, failed.context.get("code")) == ("MESSAGE_FAILED", JID, code)


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (400, {"response": {"message": "Error: rate-overlimit"}}, "rate-overlimit"),
        (429, b"<html>", "429"),
        (201, {"code": 130429, "message": "x"}, "130429"),
        (201, {"code": 80007, "message": "x"}, "80007"),
        (400, {"response": {"message": ["x", 5, "server returned error 463"]}}, "463"),
    ],
)
def test_a_rate_limit_comes_beside_the_failure(
    evolution: Reader, status: int, answer: Json, code: str
) -> None:
    """Engine texts, Meta's codes and HTTP 429 alike (R3, R15)."""
    reading = told(evolution, call("POST", "/message/sendText/v", TO, status, answer))

    assert reading.types == ["MESSAGE_FAILED", "RATE_LIMIT_HIT"]
    assert reading.code("RATE_LIMIT_HIT") == code


def test_an_unreadable_2xx_states_nothing(evolution: Reader) -> None:
    """R13."""
    reading = told(evolution, call("POST", "/message/sendText/v", TO, 201, b"<html>"))

    assert (reading.signals, reading.fault) == ([], "body_unreadable")


def test_a_send_the_wire_lost_is_a_failure(evolution: Reader) -> None:
    """R2."""
    exchange = call(
        "POST", "/message/sendReaction/v", {"key": {"remoteJid": JID}}, None, error=WireError.TIMEOUT
    )

    failed = told(evolution, exchange).one

    assert (failed.type, failed.remote_jid, failed.context["code"]) == ("MESSAGE_FAILED", JID, "TIMEOUT")


def test_an_unknown_status_is_not_repeated(evolution: Reader) -> None:
    """Only the six known names pass."""
    reading = told(evolution, call("POST", "/message/sendText/v", TO, 201, sent(status="Ana")))

    assert reading.signals[0].context["status"] == "other"


def test_a_send_to_a_story_says_nothing_but_a_limit(evolution: Reader) -> None:
    """R13."""
    story = {"number": "status@broadcast"}

    assert told(evolution, call("POST", "/message/sendText/v", story, 201, sent())).types == []
    assert told(evolution, call("POST", "/message/sendText/v", story, 429)).types == ["RATE_LIMIT_HIT"]


@pytest.mark.parametrize(
    ("path", "asked", "answer", "shown", "jid"),
    [
        ("/chat/sendPresence/v", {"number": 5511900000001}, {"presence": "composing"}, "composing", JID),
        ("/instance/setPresence/v", {"presence": "available"}, {}, "available", None),
        ("/instance/setPresence/v", {"presence": "available"}, b"ok", "available", None),
        ("/instance/setPresence/v", {}, {"presence": "dancing"}, "other", None),
        ("/instance/setPresence/v", {}, {}, None, None),
    ],
)
def test_presence(
    evolution: Reader, path: str, asked: Json, answer: Json, shown: str | None, jid: str | None
) -> None:
    """The answer's word, else the request's (R4)."""
    reading = told(evolution, call("POST", path, asked, 201, answer))

    assert (reading.one.type, reading.one.context.get("presence")) == ("PRESENCE_SET", shown)
    assert reading.one.remote_jid == jid
    assert reading.unknown == ([("presence", "dancing")] if shown == "other" else [])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            {"readMessages": [{"remoteJid": JID, "id": "A"}, {"remoteJid": "1@g.us", "id": "B"}]},
            [("A", JID), ("B", "1@g.us")],
        ),
        ({"readMessages": [{"remoteJid": JID}, {"remoteJid": "status@broadcast", "id": "S"}]}, [(None, JID)]),
        ({"number": "5511900000001"}, [(None, JID)]),
        ({}, [(None, None)]),
        (b"{", [(None, None)]),
    ],
)
def test_mark_as_read_is_one_fact_a_message(evolution: Reader, asked: Json, expected: Json) -> None:
    """One fact a message named, one without id where only a chat is (R5); stories are left out."""
    reading = told(evolution, call("POST", "/chat/markMessageAsRead/v", asked, 201, {"read": "success"}))

    assert [(s.message_id, s.remote_jid) for s in reading.signals] == expected
    assert all((s.type, s.source) == ("MESSAGE_READ", "DISPATCH") for s in reading.signals)


@pytest.mark.parametrize("path", ["/chat/markMessageAsRead/v", "/chat/sendPresence/v"])
@pytest.mark.parametrize(
    ("status", "answer", "types"),
    [(400, {}, []), (201, {"error": True}, []), (429, {}, ["RATE_LIMIT_HIT"]), (500, {}, [])],
)
def test_presence_and_reading_that_fail_say_nothing_but_a_limit(
    evolution: Reader, path: str, status: int, answer: Json, types: list[str]
) -> None:
    """R3 to R5."""
    assert told(evolution, call("POST", path, TO, status, answer)).types == types


@pytest.mark.parametrize(
    ("answer", "types", "status"),
    [
        ({"code": "2@A", "base64": "data:"}, ["QRCODE_REGENERATED"], None),
        ({"code": None, "base64": "data:"}, ["QRCODE_REGENERATED"], None),
        ({"code": None, "base64": None, "pairingCode": "ABCD"}, [], None),
        ({"instance": {"state": "open"}}, ["CONNECTION_CONNECTED"], "open"),
        ({"instance": {"state": "close"}}, ["CONNECTION_DISCONNECTED"], "close"),
        ({"instance": {"state": "refused"}}, ["CONNECTION_ERROR"], "refused"),
        ({"instance": {"state": "connecting"}}, [], None),
        ({"instance": {}}, [], None),
        ({"error": True, "message": "Error: Connection Failure"}, ["CONNECTION_ERROR"], None),
        ({"error": "no"}, ["CONNECTION_ERROR"], None),
        ({"error": False}, [], None),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/instance/connect/v"),
        ("POST", "/instance/restart/v"),
        ("GET", "/instance/connectionState/v"),
    ],
)
def test_a_connection_answer_gives_its_state(
    evolution: Reader, method: str, path: str, answer: Json, types: list[str], status: str | None
) -> None:
    """R6 and R7: a code, a state, or an error under 200."""
    reading = told(evolution, call(method, path, None, 200, answer))

    assert reading.types == types
    assert [s.context.get("status") for s in reading.signals] == [status] * len(types)


def test_an_unknown_state_is_drift(evolution: Reader) -> None:
    """No fact is made of it."""
    reading = told(
        evolution, call("GET", "/instance/connectionState/v", None, 200, {"instance": {"state": "zen"}})
    )

    assert (reading.signals, reading.unknown) == ([], [("state", "zen")])


@pytest.mark.parametrize(
    ("status", "types"), [(500, ["CONNECTION_ERROR"]), (404, []), (429, ["RATE_LIMIT_HIT"])]
)
def test_a_failed_connection_call_is_an_error_at_5xx_only(
    evolution: Reader, status: int, types: list[str]
) -> None:
    """R7."""
    assert told(evolution, call("GET", "/instance/connectionState/v", None, status, {})).types == types


@pytest.mark.parametrize(
    ("status", "answer", "types"),
    [
        (200, {"status": "SUCCESS", "error": False}, ["CONNECTION_DISCONNECTED"]),
        (200, b"bye", ["CONNECTION_DISCONNECTED"]),
        (200, {"error": True}, []),
        (500, {}, []),
    ],
)
def test_logout(evolution: Reader, status: int, answer: Json, types: list[str]) -> None:
    """R8."""
    assert told(evolution, call("DELETE", "/instance/logout/v", None, status, answer)).types == types


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("POST", "/message/sendStatus/v", "/message/sendStatus/{instance}"),
        ("GET", "/instance/fetchInstances", "/instance/fetchInstances"),
        ("POST", "/instance/create", "/instance/create"),
        ("DELETE", "/instance/delete/v", "/instance/{call}/{instance}"),
        ("POST", "/group/create/v", "/group/{call}/{instance}"),
        ("GET", "/manager", "_OTHER"),
        ("GET", "/socket.io/?EIO=4&apikey=x", "_OTHER"),
    ],
)
def test_other_calls_say_nothing(evolution: Reader, method: str, path: str, template: str) -> None:
    """Stories, management and streams pass without a fact."""
    reading = told(evolution, call(method, path, TO, 200, sent()))

    assert (reading.signals, reading.template) == ([], template)


def test_a_call_of_no_fact_still_meets_a_rate_limit(evolution: Reader) -> None:
    """R3 holds for any call, and the last segment names the instance."""
    limit = told(evolution, call("POST", "/group/create/loja", TO, 429)).one

    assert (limit.type, limit.instance_id, limit.context["action"]) == ("RATE_LIMIT_HIT", "loja", "OTHER")


def test_a_new_kind_of_message_is_drift(evolution: Reader) -> None:
    """A send the table does not know gives no fact, but somebody hears of it."""
    reading = told(evolution, call("POST", "/message/sendHologram/loja", TO, 201, sent()))

    assert (reading.signals, reading.unknown) == ([], [("action", "sendHologram")])


def test_an_upload_whose_answer_names_a_story_says_nothing(evolution: Reader) -> None:
    """R13, told by the answer alone."""
    answer = {"key": {"remoteJid": "status@broadcast", "fromMe": True, "id": "A"}}
    upload = call("POST", "/message/sendMedia/v", b"--x", 201, answer, request_type="multipart/form-data")

    assert told(evolution, upload).signals == []


@pytest.mark.parametrize(
    "path", ["/proxy/set/v", "/typebot/start/v", "/message/unknown/v", "/websocket/set/v"]
)
def test_any_call_that_names_its_instance_may_meet_a_rate_limit(evolution: Reader, path: str) -> None:
    """R3: alone."""
    read = told(evolution, call("POST", path, {}, 429, None))

    assert (read.one.type.value, read.one.instance_id) == ("RATE_LIMIT_HIT", "v")

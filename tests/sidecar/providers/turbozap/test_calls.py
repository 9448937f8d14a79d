"""TurboZap's calls and answers: notes 1.1, 1.2 and 1.4, rules R1 to R8, R14 and R15."""

import pytest

from sidecar.exchange import Body, BodyState, Exchange, WireError
from sidecar.providers.contract import Reader
from tests.sidecar.providers.exchanges import Json, body, call, told

TO = {"to": "5511900000001", "text": "t"}
JID = "5511900000001@s.whatsapp.net"
SENT = {"success": True, "data": {"id": "0b8f", "message_id": "3EB0A1", "status": "sent"}}


def refusal(message: str, **more: Json) -> Json:
    return {"success": False, "error": {"message": message, **more}}


def send(answer: Json = None, status: int | None = 200, error: WireError | None = None) -> Exchange:
    return call("POST", "/message/vendas-01/text", TO, status, answer, error=error)


@pytest.mark.parametrize(
    ("kind", "action", "message_type"),
    [
        ("text", "SEND_TEXT", "text"),
        ("media", "SEND_MEDIA", "other"),
        ("audio", "SEND_AUDIO", "audio"),
        ("sticker", "SEND_MEDIA", "sticker"),
        ("carousel", "SEND_MEDIA", "image"),
        ("location", "SEND_TEXT", "other"),
        ("contact", "SEND_TEXT", "other"),
        ("poll", "SEND_TEXT", "other"),
        ("button", "SEND_TEXT", "other"),
        ("list", "SEND_TEXT", "other"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/api"])
def test_each_send_route_is_a_send(
    turbozap: Reader, kind: str, action: str, message_type: str, prefix: str
) -> None:
    """Every send route gives MESSAGE_SENT and a latency, and keeps the prefix it was called with."""
    reading = told(turbozap, call("POST", f"{prefix}/message/vendas-01/{kind}", TO, 200, SENT))

    sent, latency = reading.signals
    assert (sent.type, sent.source, sent.instance_id) == ("MESSAGE_SENT", "DISPATCH", "vendas-01")
    assert (sent.message_id, sent.remote_jid, sent.is_group) == ("3EB0A1", JID, False)
    assert sent.context == {
        "action": action,
        "endpoint": f"POST {prefix}/message/{{instance}}/{kind}",
        "httpStatus": 200,
        "messageType": message_type,
        "status": "sent",
    }
    assert (latency.type, latency.latency_ms, latency.message_id) == ("SEND_LATENCY_OBSERVED", 250, "3EB0A1")
    assert (reading.template, reading.unknown, reading.fault) == (
        f"{prefix}/message/{{instance}}/{kind}",
        [],
        None,
    )


def test_a_reaction_is_a_reaction(turbozap: Reader) -> None:
    """The answer's id is the reaction's own, and its failure is a MESSAGE_FAILED (R2)."""
    asked = {"to": JID, "message_id": "3AF0", "emoji": "x"}

    sent = told(turbozap, call("POST", "/message/v/reaction", asked, 200, SENT)).signals[0]
    failed = told(turbozap, call("POST", "/message/v/reaction", asked, 500, refusal("no"))).one

    assert (sent.type, sent.message_id, sent.context["messageType"]) == (
        "REACTION_SENT",
        "3EB0A1",
        "reaction",
    )
    assert (failed.type, failed.context["action"]) == ("MESSAGE_FAILED", "SEND_REACTION")


@pytest.mark.parametrize(
    ("mime", "message_type"),
    [
        ("image/jpeg", "image"),
        ("VIDEO/mp4", "video"),
        ("audio/ogg; codecs=opus", "audio"),
        ("application/pdf", "document"),
        ("text/csv", "document"),
        ("model/stl", "document"),
        ("nonsense", "other"),
    ],
)
def test_media_takes_its_kind_from_the_mime_type(turbozap: Reader, mime: str, message_type: str) -> None:
    """`/media` sends whatever the mime type says."""
    asked = {"to": JID, "media_url": "https://files.example.test/a", "mime_type": mime}

    reading = told(turbozap, call("POST", "/message/v/media", asked, 200, SENT))

    assert reading.signals[0].context["messageType"] == message_type


@pytest.mark.parametrize(
    ("asked", "jid", "is_group"),
    [
        ({"to": "+55 (11) 90000-0001"}, JID, False),
        ({"to": "5511900000001:12@s.whatsapp.net"}, JID, False),
        ({"to": "5511900000001@c.us"}, JID, False),
        ({"to": "120363000000000001@g.us"}, "120363000000000001@g.us", True),
        ({"phone": "5511900000001"}, JID, False),
        ({"to": "nobody"}, None, False),
        ({}, None, False),
    ],
)
def test_the_recipient_takes_its_normal_form(
    turbozap: Reader, asked: Json, jid: str | None, is_group: bool
) -> None:
    """Digits with any punctuation and JIDs of users and groups come out alike; `phone` is a button's."""
    sent = told(turbozap, call("POST", "/message/v/button", asked, 200, SENT)).signals[0]

    assert (sent.remote_jid, sent.is_group) == (jid, is_group)


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (200, refusal("Failed to send message"), None),
        (200, {"success": True, "data": {"message_id": "", "status": "sent"}}, "NO_MESSAGE_ID"),
        (200, {"success": True, "data": None}, "NO_MESSAGE_ID"),
        (200, {}, "NO_MESSAGE_ID"),
        (400, refusal("Invalid"), None),
        (400, SENT, None),
        (404, refusal("Cannot POST /message"), None),
        (500, refusal("runtime error: nil pointer dereference"), None),
        (500, refusal("x", code="HTTP_409"), "HTTP_409"),
        (500, refusal("x", code=17), "17"),
        (500, {"success": False, "error": "server returned error 479"}, "479"),
        (500, refusal("server returned error 12345678901"), None),
        (502, b"<html>Bad Gateway</html>", None),
        (503, None, None),
        (302, None, None),
    ],
)
def test_a_refused_send_is_a_failure(turbozap: Reader, status: int, answer: Json, code: str | None) -> None:
    """Success needs 2xx, `success` not false, and a message id; all else that was read is a failure."""
    failed = told(turbozap, send(answer, status)).one

    assert (failed.type, failed.source, failed.remote_jid) == ("MESSAGE_FAILED", "DISPATCH", JID)
    assert (failed.context["httpStatus"], failed.context.get("code")) == (status, code)


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (429, b"<html>429</html>", "429"),
        (429, None, "429"),
        (429, refusal("slow down"), "429"),
        (429, refusal("x", code="HTTP_429"), "HTTP_429"),
        (500, refusal("failed: server returned error 463"), "463"),
        (200, refusal("failed: server returned error 463"), "463"),
        (500, refusal("server returned error 429"), "429"),
        (500, {"error": "rate-overlimit"}, "rate-overlimit"),
    ],
)
def test_a_rate_limit_comes_beside_the_failure(
    turbozap: Reader, status: int, answer: Json, code: str
) -> None:
    """HTTP 429 or a rate-limit code also gives RATE_LIMIT_HIT, with the provider's code first (R3)."""
    reading = told(turbozap, send(answer, status))

    assert reading.types == ["MESSAGE_FAILED", "RATE_LIMIT_HIT"]
    limit = reading.signals[1]
    assert (limit.source, limit.context["code"], limit.context["endpoint"]) == (
        "PROVIDER",
        code,
        "POST /message/{instance}/text",
    )


def test_the_meaning_of_463_says_that_it_is_disputed(turbozap: Reader) -> None:
    """The code table's meaning goes into the context."""
    limit = told(turbozap, send(refusal("server returned error 463"), 500)).signals[1]

    assert limit.context["codeMeaning"] == "REACHOUT_TIMELOCK_OR_MISSING_PRIVACY_TOKEN"


@pytest.mark.parametrize(
    ("error", "code"),
    [(error, "TIMEOUT" if "TIMEOUT" in error else error.value) for error in WireError],
)
def test_a_send_the_wire_lost_is_a_failure_with_the_wires_code(
    turbozap: Reader, error: WireError, code: str
) -> None:
    """No answer is a failure too; both timeouts are one to the dispatcher."""
    failed = told(turbozap, send(status=None, error=error)).one

    assert (failed.type, failed.context["code"], failed.remote_jid) == ("MESSAGE_FAILED", code, JID)
    assert "httpStatus" not in failed.context


def test_an_answer_broken_off_is_a_failure_even_under_200(turbozap: Reader) -> None:
    """The dispatcher saw an aborted connection; no latency is stated for an answer that never ended."""
    exchange = send(status=200, error=WireError.BROKEN_RESPONSE)
    exchange.response_body = Body(b'{"success":true,"da', BodyState.CUT)

    failed = told(turbozap, exchange).one

    assert (failed.type, failed.context["code"]) == ("MESSAGE_FAILED", "BROKEN_RESPONSE")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Body(b"<html>hi</html>", BodyState.WHOLE), "body_unreadable"),
        (Body(b"[]", BodyState.WHOLE), "body_unreadable"),
        (Body(b'{"success":"yes"}', BodyState.WHOLE), "body_unreadable"),
        (Body(b'{"success":true,"data":{"mess', BodyState.CUT), "body_cut"),
        (Body(b"\x1f\x8b", BodyState.UNDECODABLE), "body_undecodable"),
        (body(None), "body_empty"),
    ],
)
def test_a_2xx_send_whose_answer_cannot_be_read_states_nothing(
    turbozap: Reader, answer: Body, fault: str
) -> None:
    """Neither success nor failure is proven, so the reading says only why."""
    exchange = send()
    exchange.response_body = answer

    reading = told(turbozap, exchange)

    assert (reading.signals, reading.fault) == ([], fault)


@pytest.mark.parametrize("state", [BodyState.CUT, BodyState.UNDECODABLE])
def test_an_unreadable_request_still_gives_what_path_and_answer_prove(
    turbozap: Reader, state: BodyState
) -> None:
    """The send is a fact without its chat; the fault tells that something was missing."""
    exchange = send(SENT)
    exchange.request_body = Body(b'{"to":"551190', state)

    reading = told(turbozap, exchange)

    assert reading.types == ["MESSAGE_SENT", "SEND_LATENCY_OBSERVED"]
    assert (reading.signals[0].remote_jid, reading.fault) == (None, f"body_{state.value}")


def test_elided_media_is_not_missed(turbozap: Reader) -> None:
    """Long strings left out of a copy do not matter: the fields around them are read."""
    exchange = call("POST", "/message/v/audio", {"base64": "", "to": JID}, 200, SENT)
    exchange.request_body = exchange.request_body._replace(state=BodyState.ELIDED)

    reading = told(turbozap, exchange)

    assert (reading.signals[0].remote_jid, reading.fault) == (JID, None)


def test_an_unknown_status_of_a_send_is_not_repeated(turbozap: Reader) -> None:
    """A value no table knows may hold anything."""
    answer = {"success": True, "data": {"message_id": "3EB0A1", "status": "hello 5511900000001"}}

    assert told(turbozap, send(answer)).signals[0].context["status"] == "other"


def test_without_its_times_a_send_has_no_latency(turbozap: Reader) -> None:
    """A duration that was not measured is not stated."""
    exchange = send(SENT)
    exchange.received_ns = 0

    assert told(turbozap, exchange).types == ["MESSAGE_SENT"]


@pytest.mark.parametrize("chat", ["status@broadcast", "1234@broadcast", "1234@newsletter"])
def test_stories_lists_and_channels_are_no_messages(turbozap: Reader, chat: str) -> None:
    """R13: nothing is recorded of them, but a rate limit still is one."""
    asked = {"to": chat, "text": "t"}

    assert told(turbozap, call("POST", "/message/v/text", asked, 200, SENT)).types == []
    assert told(turbozap, call("POST", "/message/v/text", asked, 429)).types == ["RATE_LIMIT_HIT"]


@pytest.mark.parametrize(
    ("path", "answered", "shown"),
    [
        ("available", "available", "available"),
        ("unavailable", "unavailable", "unavailable"),
        ("composing", "composing", "composing"),
        ("recording", "recording", "recording"),
        ("clear", "paused", "paused"),
        ("clear", None, "paused"),
        ("available", "composing", "composing"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/api"])
def test_presence_is_what_the_answer_says(
    turbozap: Reader, path: str, answered: str | None, shown: str, prefix: str
) -> None:
    """The path asks, the answer decides; without its word the path counts."""
    answer = {"success": True, "data": {"presence": answered, "chat": "5511900000001@s.whatsapp.net"}}

    presence = told(turbozap, call("POST", f"{prefix}/presence/v/{path}", TO, 200, answer)).one

    assert (presence.type, presence.source, presence.remote_jid) == ("PRESENCE_SET", "DISPATCH", JID)
    assert (presence.context["presence"], presence.context["action"]) == (shown, "SET_PRESENCE")


def test_an_unknown_presence_is_drift(turbozap: Reader) -> None:
    """The fact stands, its value is `other`, and the name is reported."""
    answer = {"success": True, "data": {"presence": "dancing"}}

    reading = told(turbozap, call("POST", "/api/presence/v/composing", TO, 200, answer))

    assert reading.one.context["presence"] == "other"
    assert reading.unknown == [("presence", "dancing")]


def test_presence_needs_no_more_than_a_2xx(turbozap: Reader) -> None:
    """An answer that cannot be read does not undo what path and status prove (R4)."""
    reading = told(turbozap, call("POST", "/api/presence/v/clear", TO, 200, b"ok"))

    assert (reading.one.context["presence"], reading.fault) == ("paused", "body_unreadable")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/presence/v/composing"), ("POST", "/instance/v/logout")],
)
@pytest.mark.parametrize(
    ("status", "answer", "types"),
    [
        (500, refusal("x"), []),
        (404, refusal("x"), []),
        (200, refusal("x"), []),
        (200, refusal("server returned error 463"), ["RATE_LIMIT_HIT"]),
        (429, None, ["RATE_LIMIT_HIT"]),
        (500, refusal("rate-overlimit"), ["RATE_LIMIT_HIT"]),
    ],
)
def test_presence_and_logout_that_fail_say_nothing_but_a_rate_limit(
    turbozap: Reader, method: str, path: str, status: int, answer: Json, types: list[str]
) -> None:
    """R4 and R8: failure gives nothing; R3 holds for any call."""
    assert told(turbozap, call(method, path, None, status, answer)).types == types


@pytest.mark.parametrize("error", list(WireError))
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/presence/v/composing"),
        ("POST", "/instance/v/connect"),
        ("GET", "/instance/v/status"),
        ("POST", "/instance/v/logout"),
        ("GET", "/instance/list"),
    ],
)
def test_what_the_wire_lost_is_no_fact_unless_it_is_a_send(
    turbozap: Reader, method: str, path: str, error: WireError
) -> None:
    """No answer says nothing about presence, connection or session."""
    assert told(turbozap, call(method, path, None, None, error=error)).types == []


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("POST", "/instance/v/connect", "CONNECT"),
        ("PUT", "/instance/v/restart", "CONNECT"),
        ("GET", "/instance/v/qrcode", "GET_QRCODE"),
        ("GET", "/api/instance/v/status", "GET_STATUS"),
    ],
)
@pytest.mark.parametrize(
    ("data", "signal_type", "status"),
    [
        ({"status": "connected", "phone_number": "5511900000099"}, "CONNECTION_CONNECTED", "connected"),
        ({"status": "disconnected"}, "CONNECTION_DISCONNECTED", "disconnected"),
        ({"status": "error"}, "CONNECTION_ERROR", "error"),
        ({"status": "qrcode", "qr_code": "data:", "code": "2@X"}, "QRCODE_REGENERATED", "qrcode"),
        ({"status": "connecting", "qr_code": "data:"}, "QRCODE_REGENERATED", "connecting"),
        ({"code": "2@X"}, "QRCODE_REGENERATED", None),
        ({"status": "new", "code": "2@X"}, "QRCODE_REGENERATED", None),
    ],
)
def test_a_connection_answer_gives_its_state(
    turbozap: Reader, method: str, path: str, action: str, data: Json, signal_type: str, status: str | None
) -> None:
    """R6: code or state, polled, so that it counts only when it is news."""
    state = told(turbozap, call(method, path, None, 200, {"success": True, "data": data})).one

    assert (state.type, state.source, state.polled) == (signal_type, "PROVIDER", True)
    assert (state.context["action"], state.context.get("status")) == (action, status)


def test_one_qr_code_is_one_fact_and_another_is_another(turbozap: Reader) -> None:
    """A QR code is known by its hash; the code itself is nowhere in the signal."""

    def seen(code: str) -> str:
        data = {"status": "qrcode", "code": code}
        return told(turbozap, call("GET", "/instance/v/qrcode", None, 200, {"data": data})).one.basis

    assert seen("2@AAA") == seen("2@AAA")
    assert seen("2@AAA") != seen("2@BBB")
    assert "AAA" not in seen("2@AAA")


@pytest.mark.parametrize("status", ["connecting", "restarting", "pending", None])
def test_states_on_the_way_say_nothing(turbozap: Reader, status: str | None) -> None:
    """Connecting is no fact yet."""
    reading = told(turbozap, call("POST", "/instance/v/connect", None, 200, {"data": {"status": status}}))

    assert (reading.signals, reading.unknown) == ([], [])


def test_an_unknown_state_is_drift(turbozap: Reader) -> None:
    """No fact is made of a word no table knows, but somebody hears of it."""
    reading = told(turbozap, call("GET", "/instance/v/status", None, 200, {"data": {"status": "frozen"}}))

    assert (reading.signals, reading.unknown) == ([], [("state", "frozen")])


@pytest.mark.parametrize(
    ("status", "answer", "types"),
    [
        (500, refusal("x"), ["CONNECTION_ERROR"]),
        (502, b"<html>", ["CONNECTION_ERROR"]),
        (200, refusal("x"), ["CONNECTION_ERROR"]),
        (500, refusal("server returned error 463"), ["CONNECTION_ERROR", "RATE_LIMIT_HIT"]),
        (404, refusal("x"), []),
        (401, refusal("x"), []),
        (429, None, ["RATE_LIMIT_HIT"]),
    ],
)
def test_a_failed_connection_call_is_an_error_at_5xx_only(
    turbozap: Reader, status: int, answer: Json, types: list[str]
) -> None:
    """R7: 5xx or an error under 2xx is the gateway's trouble, 4xx the caller's."""
    reading = told(turbozap, call("GET", "/instance/v/status", None, status, answer))

    assert reading.types == types
    assert all(signal.source == "PROVIDER" and not signal.polled for signal in reading.signals)


def test_an_unreadable_state_says_nothing(turbozap: Reader) -> None:
    """A status call whose 200 cannot be read proves no state."""
    reading = told(turbozap, call("GET", "/instance/v/status", None, 200, b"ok"))

    assert (reading.signals, reading.fault) == ([], "body_unreadable")


@pytest.mark.parametrize(
    ("answer", "status", "fault"),
    [
        ({"success": True, "data": {"status": "disconnected"}}, "disconnected", None),
        ({"success": True, "data": {"status": "gone"}}, None, None),
        ({"success": True}, None, None),
        (b"bye", None, "body_unreadable"),
    ],
)
def test_logout_disconnects(turbozap: Reader, answer: Json, status: str | None, fault: str | None) -> None:
    """R8: a 2xx is enough."""
    reading = told(turbozap, call("POST", "/instance/v/logout", None, 200, answer))

    assert (reading.one.type, reading.one.polled) == ("CONNECTION_DISCONNECTED", False)
    assert (reading.one.context.get("status"), reading.fault) == (status, fault)


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("POST", "/message/v/story", "/message/{instance}/story"),
        ("POST", "/instance/create", "/instance/create"),
        ("GET", "/api/instance/list", "/api/instance/list"),
        ("GET", "/instance/v", "/instance/{instance}"),
        ("DELETE", "/instance/v", "/instance/{instance}"),
        ("PUT", "/instance/v", "/instance/{instance}"),
        ("GET", "/message/v/text", "/message/{instance}/{...}"),
        ("POST", "/Message/v/text", "_OTHER"),
        ("POST", "/api/group/v/create", "/api/group/{instance}/{...}"),
        ("GET", "/stats/v/a/b", "/stats/{instance}/{...}"),
        ("GET", "/stats/v", "_OTHER"),
        ("GET", "/api/sse/v", "_OTHER"),
        ("GET", "/", "_OTHER"),
        ("POST", "message/v/text", "_OTHER"),
        ("POST", "/message//text", "_OTHER"),
    ],
)
def test_other_calls_say_nothing(turbozap: Reader, method: str, path: str, template: str) -> None:
    """What is no send, presence or connection call passes without a fact; its label is bounded."""
    reading = told(turbozap, call(method, path, TO, 200, SENT))

    assert (reading.signals, reading.template) == ([], template)


@pytest.mark.parametrize("path", ["/message/vendas-01/text/", "/message/vendas-01/text?trace=1"])
def test_a_trailing_slash_and_a_query_do_not_matter(turbozap: Reader, path: str) -> None:
    """Routing allows the slash, and the query is no part of the endpoint."""
    reading = told(turbozap, call("POST", path, TO, 200, SENT))

    assert reading.signals[0].context["endpoint"] == "POST /message/{instance}/text"


def test_a_new_kind_of_message_is_drift(turbozap: Reader) -> None:
    """A send the table does not know gives no fact, but somebody hears of it, once it worked."""
    worked = told(turbozap, call("POST", "/message/v/hologram", TO, 200, SENT))
    failed = told(turbozap, call("POST", "/message/v/hologram", TO, 404, refusal("Cannot POST")))

    assert (worked.signals, worked.unknown) == ([], [("action", "hologram")])
    assert (failed.signals, failed.unknown) == ([], [])


@pytest.mark.parametrize(
    "path", ["/instance/vendas-01", "/api/group/vendas-01/create", "/stats/vendas-01/x/y"]
)
def test_a_429_on_another_call_comes_alone(turbozap: Reader, path: str) -> None:
    """R3 holds for any call that names its instance."""
    limit = told(turbozap, call("GET", path, None, 429)).one

    assert (limit.type, limit.instance_id, limit.context["action"]) == (
        "RATE_LIMIT_HIT",
        "vendas-01",
        "OTHER",
    )


@pytest.mark.parametrize(
    ("answer", "jid"),
    [
        ({"presence": "composing", "chat": "5511900000002@s.whatsapp.net"}, "5511900000002@s.whatsapp.net"),
        ({"presence": "composing"}, "5511900000001@s.whatsapp.net"),
    ],
)
def test_the_chat_of_a_presence_is_the_answers_else_the_requests(
    turbozap: Reader, answer: Json, jid: str
) -> None:
    """The answer's word wins."""
    done = {"success": True, "data": answer}

    read = told(turbozap, call("POST", "/presence/v/composing", {"to": "5511900000001"}, 200, done))

    assert read.one.remote_jid == jid


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/message/v/history"), ("DELETE", "/api/instance/v/x"), ("GET", "/presence/v/x")],
)
def test_any_call_that_names_its_instance_may_meet_a_rate_limit(
    turbozap: Reader, method: str, path: str
) -> None:
    """R3: alone."""
    read = told(turbozap, call(method, path, None, 429, None))

    assert (read.one.type.value, read.one.instance_id) == ("RATE_LIMIT_HIT", "v")

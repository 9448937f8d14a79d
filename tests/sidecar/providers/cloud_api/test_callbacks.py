"""The Cloud API's callbacks: notes 4.3, rules R9 to R13."""

import pytest

from sidecar.providers.contract import UNKNOWN_MAX, Fault, Reader, UnreadableExchange
from tests.fixtures import OBSERVED_AT
from tests.sidecar.providers.exchanges import Json, Told, callback, told

NUMBER = "106500000000001"
WABA = "102200000000009"
USER = "5521900000002@s.whatsapp.net"
META = {"display_phone_number": "5511900000099", "phone_number_id": NUMBER}


def envelope(*changes: Json, time: Json = None) -> Json:
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": WABA, "time": time, "changes": list(changes)}],
    }


def change(field: str, **value: Json) -> Json:
    return {"field": field, "value": value}


def heard(reader: Reader, *changes: Json, time: Json = None) -> Told:
    return told(reader, callback(envelope(*changes, time=time)))


def status(name: str, **more: Json) -> Json:
    return {
        "id": "wamid.A",
        "status": name,
        "timestamp": "1768489203",
        "recipient_id": "5521900000002",
        **more,
    }


@pytest.mark.parametrize(
    ("name", "types", "unknown"),
    [
        ("sent", ["MESSAGE_SENT"], []),
        ("delivered", ["MESSAGE_DELIVERED"], []),
        ("read", ["MESSAGE_READ"], []),
        ("played", ["MESSAGE_READ"], []),
        ("failed", ["MESSAGE_FAILED"], []),
        ("deleted", [], []),
        ("eaten", [], [("status", "eaten")]),
    ],
)
def test_statuses(cloud_api: Reader, name: str, types: list[str], unknown: Json) -> None:
    """Seconds since the epoch as text; the number is the instance."""
    reading = heard(cloud_api, change("messages", metadata=META, statuses=[status(name)]))

    assert (reading.types, reading.unknown) == (types, unknown)
    for signal in reading.signals:
        assert (signal.instance_id, signal.message_id, signal.remote_jid) == (NUMBER, "wamid.A", USER)
        assert (signal.occurred_at, signal.source) == (1_768_489_203_000, "WEBHOOK")
        assert signal.context == {"event": "messages", "status": name}


@pytest.mark.parametrize(
    ("errors", "types", "code"),
    [
        ([{"code": 131026}], ["MESSAGE_FAILED"], "131026"),
        ([{"code": 131048}], ["MESSAGE_FAILED", "RATE_LIMIT_HIT"], "131048"),
        ([{"code": 131031}], ["MESSAGE_FAILED", "CONNECTION_ERROR"], "131031"),
        ([{"code": 131026}, {"code": 131048}], ["MESSAGE_FAILED"], "131026"),
        ([{"title": "x"}], ["MESSAGE_FAILED"], None),
        ([], ["MESSAGE_FAILED"], None),
    ],
)
def test_the_first_error_of_a_failure(
    cloud_api: Reader, errors: Json, types: list[str], code: str | None
) -> None:
    """Its code goes to the context, and may be a limit or a block about that message (R9)."""
    reading = heard(cloud_api, change("messages", metadata=META, statuses=[status("failed", errors=errors)]))

    assert reading.types == types
    assert all((s.message_id, s.context.get("code")) == ("wamid.A", code) for s in reading.signals)
    assert [s.source for s in reading.signals] == ["WEBHOOK", "PROVIDER"][: len(types)]


def test_a_group_is_the_chat_of_its_statuses(cloud_api: Reader) -> None:
    """One status a participant; the chat is the group."""
    group = status("read", recipient_id="Y2FwaQ", recipient_type="group", recipient_participant_id="55")

    signal = heard(cloud_api, change("messages", metadata=META, statuses=[group])).one

    assert (signal.remote_jid, signal.is_group) == ("Y2FwaQ", True)


@pytest.mark.parametrize(
    ("message", "message_type", "jid", "unknown"),
    [
        ({"type": "text", "from": "5521900000002"}, "text", USER, []),
        ({"type": "reaction", "from": "5521900000002"}, "reaction", USER, []),
        ({"type": "button", "from": "5521900000002"}, "other", USER, []),
        ({"type": "interactive", "from": "5521900000002"}, "other", USER, []),
        ({"type": "unsupported", "from": "5521900000002"}, "other", USER, []),
        ({"type": "image", "from": "5521900000002", "group_id": "Y2FwaQ"}, "image", "Y2FwaQ", []),
        ({"type": "hologram", "from": "5521900000002"}, "other", USER, [("messageType", "hologram")]),
        ({"from": "5521900000002"}, "other", USER, []),
        ({"type": "text"}, "text", None, []),
    ],
)
def test_messages_are_replies(
    cloud_api: Reader, message: Json, message_type: str, jid: str | None, unknown: Json
) -> None:
    """Of a user or in a group, reactions too (R10)."""
    asked = {"id": "wamid.B", "timestamp": "1768489204", **message}

    reading = heard(cloud_api, change("messages", metadata=META, messages=[asked]))

    assert (reading.one.type, reading.one.remote_jid) == ("MESSAGE_REPLIED", jid)
    assert (reading.one.context["messageType"], reading.unknown) == (message_type, unknown)
    assert reading.one.is_group == ("group_id" in message)


@pytest.mark.parametrize("field", ["messages", "message_echoes"])
def test_system_messages_and_edits_say_nothing(cloud_api: Reader, field: str) -> None:
    """Nobody wrote them, or nobody wrote them anew (R13)."""
    where = "messages" if field == "messages" else "smb_message_echoes"
    several = [{"id": "wamid.B", "type": kind} for kind in ("system", "edit", "revoke")]

    assert heard(cloud_api, change(where, metadata=META, **{field: several})).signals == []


def test_echoes_of_the_business_app(cloud_api: Reader) -> None:
    """A number shared with the app: what a person sent there (R11); the chat is `to`."""
    echoes = [
        {"id": "wamid.B", "to": "5521900000002", "type": "text", "timestamp": "1768489204"},
        {"id": "wamid.C", "to": "5521900000002", "type": "reaction", "timestamp": "1768489205"},
        {"id": "wamid.D", "group_id": "Y2FwaQ", "type": "image", "timestamp": "1768489206"},
    ]

    reading = heard(cloud_api, change("smb_message_echoes", metadata=META, message_echoes=echoes))

    assert reading.types == ["MESSAGE_SENT", "REACTION_SENT", "MESSAGE_SENT"]
    assert [s.remote_jid for s in reading.signals] == [USER, USER, "Y2FwaQ"]


@pytest.mark.parametrize(
    ("code", "types"),
    [(130429, ["RATE_LIMIT_HIT"]), (368, ["CONNECTION_ERROR"]), (131000, []), (None, [])],
)
def test_errors_out_of_band(cloud_api: Reader, code: int | None, types: list[str]) -> None:
    """About no message: a limit or a block of the number, else nothing."""
    reading = heard(cloud_api, change("messages", metadata=META, errors=[{"code": code}]), time=1768489300)

    assert reading.types == types
    assert all((s.instance_id, s.message_id) == (NUMBER, None) for s in reading.signals)


@pytest.mark.parametrize(
    ("value", "types", "shown"),
    [
        (
            {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}},
            ["CONNECTION_DISCONNECTED"],
            "DISABLE",
        ),
        (
            {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "SCHEDULE_FOR_DISABLE"}},
            ["CONNECTION_ERROR"],
            "SCHEDULE_FOR_DISABLE",
        ),
        (
            {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "REINSTATE"}},
            ["CONNECTION_CONNECTED"],
            "REINSTATE",
        ),
        ({"event": "ACCOUNT_RESTRICTION"}, ["CONNECTION_ERROR"], "ACCOUNT_RESTRICTION"),
        ({"event": "ACCOUNT_VIOLATION"}, ["CONNECTION_ERROR"], "ACCOUNT_VIOLATION"),
        ({"event": "ACCOUNT_DELETED"}, ["CONNECTION_DISCONNECTED"], "ACCOUNT_DELETED"),
    ],
)
def test_account_updates(cloud_api: Reader, value: Json, types: list[str], shown: str) -> None:
    """No number is named: the account is the instance; `entry.time` is seconds as a number."""
    reading = heard(cloud_api, change("account_update", **value), time=1768489300)

    assert reading.types == types
    assert (reading.one.instance_id, reading.one.occurred_at) == (WABA, 1_768_489_300_000)
    assert reading.one.context == {"event": "account_update", "status": shown}


@pytest.mark.parametrize(
    ("field", "value", "unknown"),
    [
        ("account_update", {"event": "VERIFIED_ACCOUNT"}, []),
        ("account_update", {"event": "ACCOUNT_ZEN"}, [("status", "ACCOUNT_ZEN")]),
        (
            "account_update",
            {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "Z"}},
            [("status", "Z")],
        ),
        ("account_update", {"event": "DISABLED_UPDATE"}, [("status", "other")]),
        ("phone_number_quality_update", {"event": "UPGRADE"}, []),
        ("phone_number_quality_update", {"event": "THROUGHPUT_UPGRADE"}, []),
        ("phone_number_quality_update", {"event": "ZEN"}, [("status", "ZEN")]),
        ("message_template_status_update", {"event": "APPROVED"}, []),
        ("account_alerts", {}, []),
        ("flows", {}, []),
        ("zen", {}, [("event", "zen")]),
    ],
)
def test_what_gives_no_fact(cloud_api: Reader, field: str, value: Json, unknown: Json) -> None:
    """Known and quiet, or unknown and reported."""
    reading = heard(cloud_api, change(field, **value))

    assert (reading.signals, reading.unknown, reading.fault) == ([], unknown, None)


@pytest.mark.parametrize("event", ["DOWNGRADE", "FLAGGED"])
def test_a_lowered_quality_is_a_rate_limit(cloud_api: Reader, event: str) -> None:
    """`code` is the event."""
    value = {"event": event, "display_phone_number": "5511900000099"}

    signal = heard(cloud_api, change("phone_number_quality_update", **value), time=1768489301).one

    assert (signal.type, signal.instance_id, signal.context["code"]) == ("RATE_LIMIT_HIT", WABA, event)
    assert signal.occurred_at == 1_768_489_301_000


def test_one_body_may_hold_many_numbers(cloud_api: Reader) -> None:
    """Several entries, changes and statuses, in the order of the body."""
    other = {**META, "phone_number_id": "106500000000002"}
    content = {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": WABA,
                "changes": [change("messages", metadata=META, statuses=[status("sent"), status("read")])],
            },
            {"id": "1", "changes": [change("messages", metadata=other, statuses=[status("delivered")])]},
            {"id": "2", "changes": [change("messages", statuses=[status("failed")])]},
            {"id": "3"},
        ],
    }

    reading = told(cloud_api, callback(content))

    assert [(s.type, s.instance_id) for s in reading.signals] == [
        ("MESSAGE_SENT", NUMBER),
        ("MESSAGE_READ", NUMBER),
        ("MESSAGE_DELIVERED", "106500000000002"),
        ("MESSAGE_FAILED", "2"),
    ]


@pytest.mark.parametrize(
    ("value", "fault"), [(5, "body_unreadable"), (None, "data_missing"), ({"statuses": 5}, "body_unreadable")]
)
def test_one_bad_part_costs_its_own_facts_only(cloud_api: Reader, value: Json, fault: str) -> None:
    """The rest of the batch is read, and the fault says that something was missed."""
    good = change("messages", metadata=META, statuses=[status("sent")])

    reading = heard(cloud_api, {"field": "messages", "value": value}, good)

    assert (reading.types, reading.fault) == (["MESSAGE_SENT"], fault)


def test_a_message_without_a_time_takes_its_entrys(cloud_api: Reader) -> None:
    """And without that the time of observation."""
    timeless = change("messages", metadata=META, statuses=[status("sent", timestamp=None)])

    assert heard(cloud_api, timeless, time=1768489300).one.occurred_at == 1_768_489_300_000
    assert heard(cloud_api, timeless).one.occurred_at == OBSERVED_AT


def test_facts_of_one_second_stay_apart(cloud_api: Reader) -> None:
    """Whole seconds may hold two limits; a repeated body is the same one."""

    def basis(event: str, time: int | None) -> str:
        return heard(cloud_api, change("phone_number_quality_update", event=event), time=time).one.basis

    assert basis("FLAGGED", 1) == basis("FLAGGED", 1)
    assert basis("FLAGGED", 1) != basis("DOWNGRADE", 1)
    assert basis("FLAGGED", None) == "x"


@pytest.mark.parametrize("odd", [5, {"id": 5}, {"status": []}, {"errors": [{"code": {}}]}, None, "sent"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_status_costs_itself_only(cloud_api: Reader, odd: Json, place: int) -> None:
    """The others of its change are facts, and so are its messages; the fault says that one was missed."""
    statuses = [status("sent"), status("read")]
    statuses.insert(place, odd)
    message = {"from": "5511900000001", "id": "wamid.9", "timestamp": "1768489204", "type": "text"}

    reading = heard(cloud_api, change("messages", metadata=META, statuses=statuses, messages=[message, 7]))

    assert reading.types == ["MESSAGE_SENT", "MESSAGE_READ", "MESSAGE_REPLIED"]
    assert reading.fault == "body_unreadable"


def test_strangers_of_a_batch_are_bounded(cloud_api: Reader) -> None:
    """A body full of unknown names reports only the first."""
    many = [status(f"odd{n}") for n in range(UNKNOWN_MAX + 5)]

    reading = heard(cloud_api, change("messages", metadata=META, statuses=many))

    assert len(reading.unknown) == UNKNOWN_MAX


@pytest.mark.parametrize(
    ("content", "unknown", "fault"),
    [
        (None, [], None),
        ({"object": "page", "entry": []}, [("object", "page")], None),
        ({"entry": []}, [("object", "other")], None),
        ({"object": "whatsapp_business_account"}, [], "data_missing"),
    ],
)
def test_other_bodies(cloud_api: Reader, content: Json, unknown: Json, fault: str | None) -> None:
    """The handshake, another product's callback, and an empty batch."""
    reading = told(cloud_api, callback(content))

    assert (reading.signals, reading.unknown, reading.fault) == ([], unknown, fault)


def test_a_callback_that_is_no_json_is_one_named_error(cloud_api: Reader) -> None:
    """Whatever the form of the rubbish."""
    with pytest.raises(UnreadableExchange) as raised:
        cloud_api.read(callback(b"event=x"))
    assert raised.value.reason is Fault.BODY_UNREADABLE

"""The simulated gateway's spelling against recorded traffic."""

import base64
import json
import re
from datetime import datetime
from typing import Any

import pytest

from sidecar.demo import turbozap
from tests.sidecar.demo.shapes import fixture, shape

AT = 1_768_489_205_120  # 2026-01-15T12:00:05.120-03:00
CHAT = "5511900000001@s.whatsapp.net"
MESSAGE = "3EB0A1B2C3D4E5F60001"
CALLBACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "wh-send-message": ("send.message", turbozap.echo("vendas-01", MESSAGE, CHAT, "text", AT)),
    "wh-message-ack-read": ("message.ack", turbozap.receipt(MESSAGE, CHAT, "read", AT)),
    "wh-messages-update-delivered": ("messages.update", turbozap.receipt(MESSAGE, CHAT, "delivered", AT)),
    "wh-messages-upsert-inbound": ("messages.upsert", turbozap.reply(MESSAGE, CHAT, MESSAGE, AT)),
    "wh-connection-connected": ("connection.update", {"status": "connected"}),
    "wh-connection-logged-out": ("connection.update", {"status": "logged_out"}),
    "wh-qrcode-updated": ("qrcode.updated", turbozap.qr_code("vendas-01", 1)),
}


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_has_the_recorded_shape(name: str) -> None:
    """Envelope, data and headers have the fixture's keys and kinds of values, and its constant words."""
    event, data = CALLBACKS[name]
    recorded = fixture(name)["request"]

    made = turbozap.callback(event, "vendas-01", data, AT)

    body = json.loads(made.body)
    assert shape(body) == shape(recorded["body"])
    assert set(made.headers) == set(recorded["headers"])
    for header in ("Content-Type", "User-Agent", "X-Webhook-Event"):
        assert made.headers[header] == recorded["headers"][header]
    assert made.headers["X-Instance-ID"] == body["instance_id"]
    for key in ("event", "instance"):
        assert body[key] == recorded["body"][key]
    for key in ("status", "type", "fromMe", "is_group"):
        assert body["data"].get(key) == recorded["body"]["data"].get(key)


def test_base64_mode_wraps_the_whole_envelope() -> None:
    """In base64 mode the body is text that decodes to the envelope, with the fixture's headers."""
    recorded = fixture("wh-base64-disconnected")["request"]

    made = turbozap.callback("connection.update", "vendas-01", {"status": "disconnected"}, AT, as_base64=True)

    theirs = json.loads(base64.b64decode(recorded["body_raw"]))
    assert shape(json.loads(base64.b64decode(made.body))) == shape(theirs)
    assert set(made.headers) == set(recorded["headers"])
    assert made.headers["Content-Type"] == "text/plain"
    assert made.headers["X-Content-Transfer-Encoding"] == "base64"


def test_a_group_reply_names_group_and_participant() -> None:
    """In a group `to` is the chat and `from` the participant, as recorded."""
    data = turbozap.reply(MESSAGE, "120363000000000001@g.us", MESSAGE, AT)

    recorded = fixture("wh-messages-upsert-group")["request"]["body"]["data"]

    assert data["to"] == recorded["to"]
    assert data["from"] == recorded["from"]
    assert data["is_group"] is recorded["is_group"] is True


def test_an_echo_to_a_group_loses_its_server() -> None:
    """`to` of `send.message` is the bare user part."""
    assert turbozap.echo("a", MESSAGE, "120363000000000001@g.us", "text", AT)["to"] == "120363000000000001"


@pytest.mark.parametrize(("at", "extra_ns"), [(AT, 0), (AT, 120_934), (AT - AT % 1000, 0), (0, 0), (1, 1)])
def test_times_are_spelled_as_go_does(at: int, extra_ns: int) -> None:
    """Local offset, at most nine fractional digits, no trailing zero, and the same instant read back."""
    text = turbozap.rfc3339(at, extra_ns)

    fraction = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?-03:00", text)
    assert fraction is not None
    assert not (fraction[1] or "x").endswith("0")
    assert int(datetime.fromisoformat(text).timestamp() * 1000 + 0.5) == at


def test_receipts_have_whole_seconds() -> None:
    """WhatsApp's receipt times carry no fraction."""
    assert turbozap.receipt(MESSAGE, CHAT, "read", AT)["timestamp"] == "2026-01-15T12:00:05-03:00"


@pytest.mark.parametrize(
    ("recipient", "chat"),
    [
        ("5511900000001", "5511900000001@s.whatsapp.net"),
        ("+55 (11) 90000-0001", "5511900000001@s.whatsapp.net"),
        ("5511900000001@s.whatsapp.net", "5511900000001@s.whatsapp.net"),
        ("120363000000000001@g.us", "120363000000000001@g.us"),
    ],
)
def test_a_recipient_becomes_its_chat(recipient: str, chat: str) -> None:
    """Digits with any punctuation and both kinds of JID are understood, as by the gateway's validator."""
    assert turbozap.chat_of(recipient) == chat


def test_message_ids_differ_by_what_makes_them() -> None:
    """Ids look like WhatsApp's, are stable, and differ between runs, instances and numbers."""
    ids = {
        turbozap.message_id("3EB0", run, name, number)
        for run in ("1", "2")
        for name in ("a", "b")
        for number in range(50)
    }

    assert len(ids) == 200
    assert all(re.fullmatch(r"3EB0[0-9A-F]{16}", message) for message in ids)
    assert turbozap.message_id("3EB0", "1", "a", 0) == turbozap.message_id("3EB0", "1", "a", 0)

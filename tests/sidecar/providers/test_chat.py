"""The normal form of a chat (notes 0.2)."""

import pytest

from domain.redaction import Redactor, RemoteJidMode
from domain.signal import to_signal
from sidecar.exchange import Exchange
from sidecar.providers import reader
from sidecar.providers.chat import JID_MAX, NO_CHAT, Chat, chat, first_chat, phone_first
from tests.fixtures import OBSERVED_AT
from tests.sidecar.providers.exchanges import call, callback

KEY = b"0123456789abcdef"
JID = "5511900000001@s.whatsapp.net"


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("5511900000001", Chat(JID)),
        ("+55 (11) 90000-0001", Chat(JID)),
        ("5511900000001@s.whatsapp.net", Chat(JID)),
        ("5511900000001@c.us", Chat(JID)),
        ("5511900000001:12@s.whatsapp.net", Chat(JID)),
        ("5511900000001@S.WhatsApp.net", Chat(JID)),
        ("120363000000000001@g.us", Chat("120363000000000001@g.us", is_group=True)),
        ("123456@lid", Chat("123456@lid")),
        ("status@broadcast", Chat("status@broadcast", unheard=True)),
        ("1@broadcast", Chat("1@broadcast", unheard=True)),
        ("1@newsletter", Chat("1@newsletter", unheard=True)),
        ("٣٤٥", NO_CHAT),
        ("nobody", NO_CHAT),
        ("@s.whatsapp.net", NO_CHAT),
        ("", NO_CHAT),
        (None, NO_CHAT),
        ("1" * JID_MAX, Chat("1" * JID_MAX + "@s.whatsapp.net")),
        ("1" * (JID_MAX + 1), NO_CHAT),
    ],
)
def test_chats_come_out_alike(raw: str | None, normal: Chat) -> None:
    """One chat has one spelling, whatever the gateway wrote; what names none is none."""
    assert chat(raw) == normal


@pytest.mark.parametrize(
    ("raws", "jid"),
    [((None, "", "5511900000001"), JID), (("x", None), None), ((), None), (("1@g.us", "2@g.us"), "1@g.us")],
)
def test_the_first_spelling_that_names_a_chat_counts(raws: tuple[str | None, ...], jid: str | None) -> None:
    """Empty ones are passed over."""
    assert first_chat(*raws).jid == jid


@pytest.mark.parametrize(
    ("jid", "alternative", "found"),
    [
        ("9@lid", "5511900000001@c.us", JID),
        ("9@lid", "8@lid", "9@lid"),
        ("9@lid", None, "9@lid"),
        ("1@g.us", "5511900000001@s.whatsapp.net", "1@g.us"),
        (None, "5511900000001@s.whatsapp.net", None),
    ],
)
def test_a_phone_beside_a_lid_wins(jid: str | None, alternative: str | None, found: str | None) -> None:
    """So that answers and receipts of one chat meet."""
    assert phone_first(jid, alternative).jid == found


def digests(redactor: Redactor) -> dict[str, str | None]:
    """Give what each reader's traffic leaves of one number, by how the gateway wrote it."""
    number = "5511900000001"

    def of(name: str, exchange: Exchange) -> str | None:
        event = reader(name).read(exchange).events[0]
        signal = to_signal(
            event, redactor=redactor, exchange_id="x", observed_at=OBSERVED_AT, known_codes=frozenset()
        )
        assert signal is not None
        return signal.remote_jid

    def turbozap(raw: str) -> Exchange:
        return callback({"event": "message.ack", "instance": "i", "data": {"from": raw, "status": "read"}})

    def evolution(raw: str, other: str | None = None) -> Exchange:
        key = {"remoteJid": raw, "remoteJidAlt": other, "fromMe": True, "id": "A"}
        return callback({"event": "messages.upsert", "instance": "i", "data": {"key": key}})

    def waha(raw: str) -> Exchange:
        payload = {"id": f"true_{raw}_A", "fromMe": True, "ack": 3}
        return callback({"event": "message.ack", "session": "i", "payload": payload})

    def meta(raw: str) -> Exchange:
        value = {"metadata": {"phone_number_id": "9"}, "statuses": [{"status": "read", "recipient_id": raw}]}
        change = {"field": "messages", "value": value}
        return callback({"object": "whatsapp_business_account", "entry": [{"changes": [change]}]})

    ok = {"messages": [{"id": "B"}], "contacts": [{"wa_id": number}]}
    written = "+55 (11) 90000-0001"
    return {
        "turbozap device": of("turbozap", turbozap(f"{number}:12@s.whatsapp.net")),
        "turbozap bare": of("turbozap", turbozap(number)),
        "turbozap written": of("turbozap", call("POST", "/message/i/text", {"to": written}, 500)),
        "turbozap number": of("turbozap", call("POST", "/message/i/text", {"to": int(number)}, 500)),
        "evolution": of("evolution", evolution(f"{number}@s.whatsapp.net")),
        "evolution lid": of("evolution", evolution("98127364501928@lid", f"{number}@s.whatsapp.net")),
        "evolution number": of(
            "evolution", call("POST", "/message/sendText/i", {"number": int(number)}, 500)
        ),
        "waha": of("waha", waha(f"{number}@c.us")),
        "waha query": of("waha", call("GET", f"/api/sendText?phone=%2B{number}&session=i", None, 500)),
        "cloud api": of("cloud_api", meta(number)),
        "cloud api wa_id": of(
            "cloud_api", call("POST", "/9/messages", {"to": "+55 11 9 0000 0002"}, 200, ok)
        ),
        "cloud api number": of("cloud_api", call("POST", "/9/messages", {"to": int(number)}, 500)),
    }


def test_a_number_has_one_digest_on_all_providers() -> None:
    """With plus, device part, `@c.us`, bare digits or as wa_id: sidecars that share the key agree."""
    found = digests(Redactor(RemoteJidMode.HASH, KEY))

    assert len(set(found.values())) == 1, found
    assert found["waha"] == Redactor(RemoteJidMode.HASH, KEY).remote_jid("5511900000001@s.whatsapp.net")
    assert len(str(found["waha"])) == 16


def test_a_lid_and_a_group_are_not_the_number() -> None:
    """The same digits on another server are another chat."""
    redactor = Redactor(RemoteJidMode.HASH, KEY)
    kept = {redactor.remote_jid(chat(f"5511900000001@{s}").jid or "") for s in ("lid", "g.us", "c.us")}

    assert len(kept) == 3


def test_dropped_and_plain_hold_for_all_providers() -> None:
    """`drop` keeps nothing of it, `plain` keeps the one normal form."""
    assert set(digests(Redactor(RemoteJidMode.DROP, KEY)).values()) == {None}
    assert set(digests(Redactor(RemoteJidMode.PLAIN, KEY)).values()) == {"5511900000001@s.whatsapp.net"}

"""The normal form of a chat (notes 0.2)."""

import pytest

from sidecar.providers.chat import JID_MAX, NO_CHAT, Chat, chat, first_chat, phone_first

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

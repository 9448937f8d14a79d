"""What remains of personal ids."""

import hashlib
import hmac

import pytest

from domain.redaction import CACHE_MAX, Redactor, RemoteJidMode

KEY = b"0123456789abcdef"
JID = "5511900000001@s.whatsapp.net"
WAMID = "wamid.HBgNNTUxMTkwMDAwMDAwMRUCABEYEjA="


def test_a_chat_id_becomes_a_keyed_digest_of_sixteen_hex_digits() -> None:
    """Without the key nobody can try all phone numbers."""
    kept = Redactor(RemoteJidMode.HASH, KEY).remote_jid(JID)

    assert kept == hmac.new(KEY, JID.encode(), hashlib.sha256).hexdigest()[:16]


def test_the_same_chat_keeps_its_digest_under_the_same_key_only() -> None:
    """Sidecars that share the key can be compared, others cannot."""
    same = {Redactor(RemoteJidMode.HASH, KEY).remote_jid(JID) for _ in range(2)}

    assert len(same) == 1
    assert Redactor(RemoteJidMode.HASH, KEY[::-1]).remote_jid(JID) not in same


def test_drop_keeps_nothing_and_plain_keeps_all() -> None:
    """The two other modes do what they say."""
    assert Redactor(RemoteJidMode.DROP, KEY).remote_jid(JID) is None
    assert Redactor(RemoteJidMode.PLAIN, KEY).remote_jid(JID) == JID


@pytest.mark.parametrize("mode", [RemoteJidMode.HASH, RemoteJidMode.DROP])
def test_a_wamid_is_kept_as_its_digest(mode: RemoteJidMode) -> None:
    """A wamid carries the phone number in base64; 32 hex digits of a digest do not."""
    kept = Redactor(mode, KEY).message_id(WAMID)

    assert kept == "wamid:" + hmac.new(KEY, WAMID.encode(), hashlib.sha256).hexdigest()[:32]


def test_other_message_ids_and_plain_mode_keep_the_id() -> None:
    """Ids without a phone number stay searchable."""
    assert Redactor(RemoteJidMode.HASH, KEY).message_id("3EB0A1") == "3EB0A1"
    assert Redactor(RemoteJidMode.PLAIN, KEY).message_id(WAMID) == WAMID


@pytest.mark.parametrize("mode", [RemoteJidMode.HASH, RemoteJidMode.DROP])
@pytest.mark.parametrize(
    "message_id", ["true_5511900000001@c.us_3EB0A1", JID, "@", "5511900000001", "12345678"]
)
def test_an_id_that_holds_a_chat_or_may_be_a_number_is_kept_as_its_digest(
    mode: RemoteJidMode, message_id: str
) -> None:
    """A gateway that hands out serialized ids does not hand out its customers' numbers."""
    kept = Redactor(mode, KEY).message_id(message_id)

    assert kept == "id:" + hmac.new(KEY, message_id.encode(), hashlib.sha256).hexdigest()[:32]
    assert Redactor(RemoteJidMode.PLAIN, KEY).message_id(message_id) == message_id


@pytest.mark.parametrize(
    "message_id", ["3EB0A1B2C3D4E5F60001", "1234567", "3A12345678901234567", "1F-12345678"]
)
def test_an_id_of_whatsapp_stays_as_it_is(message_id: str) -> None:
    """So that an operator finds in the gateway what the timeline names."""
    assert Redactor(RemoteJidMode.HASH, KEY).message_id(message_id) == message_id


def test_a_short_key_is_refused() -> None:
    """Eleven digits are tried in seconds against a guessable key."""
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Redactor(RemoteJidMode.HASH, KEY[:15])


def test_the_cache_is_bounded_and_never_changes_an_answer() -> None:
    """A flood of chats costs bounded memory and correct digests."""
    redactor = Redactor(RemoteJidMode.HASH, KEY)
    first = redactor.remote_jid(JID)
    for number in range(CACHE_MAX + 10):
        redactor.remote_jid(str(number))

    assert len(redactor._jids) <= CACHE_MAX
    assert redactor.remote_jid(JID) == first


def test_ids_that_are_no_valid_text_do_not_break_it() -> None:
    """Lone surrogates of hostile JSON give a digest too."""
    kept = Redactor(RemoteJidMode.HASH, KEY).remote_jid("\ud800")

    assert kept is not None
    assert len(kept) == 16


def test_a_digest_stays_itself_so_that_exports_can_be_recorded_again() -> None:
    """Hashing twice would make one chat two."""
    redactor = Redactor(RemoteJidMode.HASH, b"k" * 32)
    digest = redactor.remote_jid("5511999990000@s.whatsapp.net")

    assert digest is not None
    assert redactor.remote_jid(digest) == digest
    assert redactor.remote_jid("551199999000012") != "551199999000012"
    assert Redactor(RemoteJidMode.DROP, b"k" * 32).remote_jid(digest) is None


def test_what_no_database_or_terminal_could_hold_is_no_chat() -> None:
    """A chat id comes from a body anyone may send: plain mode keeps what can be shown, within a bound."""
    plain = Redactor(RemoteJidMode.PLAIN, b"k" * 16)

    assert plain.remote_jid("5511900000001@s.whatsapp.net") == "5511900000001@s.whatsapp.net"
    assert plain.remote_jid("a" * 128) == "a" * 128
    assert [plain.remote_jid(odd) for odd in ("a" * 129, "a\x00b", "a\nb", "\x1b[2J", "\ud800")] == [None] * 5

"""What the simulated dispatcher calls."""

from collections import Counter

from sidecar.demo.calls import work
from tests.sidecar.demo.shapes import fixture


def test_a_seed_repeats_the_same_work() -> None:
    """Equal seed, instance and number give an equal call; another seed gives other work."""
    story = [work(3, "a", number) for number in range(50)]

    assert story == [work(3, "a", number) for number in range(50)]
    assert story != [work(4, "a", number) for number in range(50)]


def test_every_kind_of_send_and_both_spellings_occur() -> None:
    """Text, media, audio, button, reaction and presence are called, with and without `/api`."""
    calls = [work(1, "a", number) for number in range(600)]

    kinds = Counter(call.path.rsplit("/", 1)[1] for call in calls)
    prefixes = {call.path.startswith("/api/") for call in calls if "/message/" in call.path}
    fields = {key for call in calls if call.path.endswith("/reaction") for key in call.json or {}}
    chats = [str((call.json or {})["to"]) for call in calls]

    assert {"text", "media", "audio", "button", "location", "reaction", "available", "composing"} == set(
        kinds
    )
    assert kinds["text"] > 250
    assert prefixes == {True, False}
    assert {"emoji", "reaction"} <= fields
    assert any(chat.endswith("@g.us") for chat in chats)
    assert any(chat.isdigit() for chat in chats)


def test_bodies_have_the_recorded_fields() -> None:
    """A body carries the fields that a recorded request of its kind carries."""
    calls = [work(1, "a", number) for number in range(300)]
    recorded = {
        "text": set(fixture("send-text-ok")["request"]["body"]),
        "media": set(fixture("send-media-ok")["request"]["body"]),
        "audio": set(fixture("send-audio-ok")["request"]["body"]),
        "button": set(fixture("send-button-463")["request"]["body"]),
        "composing": set(fixture("presence-composing-ok")["request"]["body"]),
        "available": set(fixture("presence-client-posts-to-available")["request"]["body"]),
    }

    for call in calls:
        kind = call.path.rsplit("/", 1)[1]
        if kind in recorded:
            assert set(call.json or {}) == recorded[kind]

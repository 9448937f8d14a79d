"""What befalls a simulated instance."""

import pytest

from sidecar.demo.fates import FATES, HEALTHY, LIMIT_CYCLE, SLOW_CYCLE, SLOW_SECONDS, Fate, Refusal, outcome


def test_a_seed_tells_the_same_story_again() -> None:
    """Equal seed, instance and number give an equal outcome, whatever was asked in between."""
    forward = [outcome(7, "a", HEALTHY, number) for number in range(50)]

    backward = [outcome(7, "a", HEALTHY, number) for number in reversed(range(50))]

    assert forward == backward[::-1]


def test_seed_and_instance_each_change_the_story() -> None:
    """Another seed or another instance fares differently."""
    story = [outcome(7, "a", HEALTHY, number) for number in range(20)]

    assert story != [outcome(8, "a", HEALTHY, number) for number in range(20)]
    assert story != [outcome(7, "b", HEALTHY, number) for number in range(20)]


@pytest.mark.parametrize("name", FATES)
def test_receipts_come_in_the_order_of_life(name: str) -> None:
    """Delivered comes before read, read before the reply; a failed message has no other receipt."""
    for number in range(300):
        fared = outcome(1, name, FATES[name], number)
        words = [receipt.status for receipt in fared.receipts]
        times = [receipt.after_s for receipt in fared.receipts]

        assert words in ([], ["failed"], ["delivered"], ["delivered", "read"])
        assert times == sorted(times)
        if fared.reply_after_s is not None:
            assert words == ["delivered", "read"]
            assert fared.reply_after_s > times[-1]
        if fared.refusal is not None:
            assert not words


def test_a_limited_instance_is_refused_from_its_place_in_the_cycle_on() -> None:
    """Sends are rate limited from the named place to the end of the cycle, and nowhere else."""
    fate = Fate("", limited_from=9)

    refused = [outcome(1, "a", fate, number).refusal for number in range(2 * LIMIT_CYCLE)]

    expected = [
        Refusal.RATE_LIMITED if number % LIMIT_CYCLE >= 9 else None for number in range(2 * LIMIT_CYCLE)
    ]
    assert refused == expected


def test_a_slow_spell_begins_and_ends_in_each_cycle() -> None:
    """Answers take at least the shortest slow time inside the spell and never outside."""
    fate = Fate("", slow_from=12)

    slow = [
        outcome(1, "a", fate, number).answer_after_s >= SLOW_SECONDS[0] for number in range(SLOW_CYCLE + 1)
    ]

    assert slow == [False] * 12 + [True] * 12 + [False]


def test_the_connection_is_lost_behind_each_nth_send() -> None:
    """With `drops_every` 6 the sixth and the twelfth send lose the connection."""
    fate = Fate("", drops_every=6)

    lost = [number for number in range(14) if outcome(1, "a", fate, number).connection_lost]

    assert lost == [5, 11]


def test_the_five_fates_differ_in_what_they_show() -> None:
    """Healthy delivers nearly all, failing hardly any, and only the limited one is rate limited."""
    stories = {name: [outcome(1, name, fate, n) for n in range(400)] for name, fate in FATES.items()}
    delivered = {
        name: sum(bool(o.receipts) and o.receipts[0].status == "delivered" for o in story) / len(story)
        for name, story in stories.items()
    }
    limited = {
        name for name, story in stories.items() if any(o.refusal is Refusal.RATE_LIMITED for o in story)
    }

    assert delivered["sales-healthy"] > 0.9
    assert delivered["alerts-failing"] < 0.25
    assert limited == {"promo-limited"}
    assert len(FATES) == 5

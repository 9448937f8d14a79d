"""The simulated gateway behind the routes."""

import asyncio
import json

from sidecar.demo.callbacks import CallbackPoster
from sidecar.demo.fates import Fate
from sidecar.demo.gateway import INSTANCES_MAX, TIMERS_MAX, Gateway, Instance
from sidecar.demo.turbozap import Callback


class Kept(CallbackPoster):
    """A poster that keeps what it is given: event, `data` and delay."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.kept: list[tuple[str, dict[str, object], float]] = []

    def post(self, callback: Callback, after_s: float = 0.0) -> None:
        """Keep a callback."""
        body = json.loads(callback.body)
        self.kept.append((body["event"], body["data"], after_s))


def gateway(run: str = "1", seed: int = 1) -> tuple[Gateway, Kept]:
    """Make a gateway whose `sales-healthy` is connected."""
    poster = Kept()
    made = Gateway(poster, seed=seed, run=run)
    made.instances["sales-healthy"].state = "connected"
    return made, poster


def test_two_runs_of_one_seed_tell_one_story_with_ids_of_their_own() -> None:
    """Outcomes are equal, message ids are not: facts of a second run in one store are no repeats."""
    stories = []
    for run in ("1", "2"):
        made, _ = gateway(run)
        stories.append([made.send(made.instances["sales-healthy"], "text", "551190") for _ in range(30)])

    first, second = stories
    assert [sent.outcome for sent in first] == [sent.outcome for sent in second]
    assert {sent.message_id for sent in first}.isdisjoint({sent.message_id for sent in second})


def test_in_a_group_each_participant_sends_a_receipt_of_one_id() -> None:
    """Two participants: each receipt comes twice under both names, the reply once."""
    made, poster = gateway()
    instance = Instance("g", Fate("", delivered=1.0, read=1.0, replied=1.0))

    made.send(instance, "text", "120363000000000001@g.us")

    events = [(event, data.get("status")) for event, data, _ in poster.kept]
    assert events.count(("message.ack", "delivered")) == 2
    assert events.count(("messages.update", "read")) == 2
    assert [event for event, _ in events].count("messages.upsert") == 1
    receipts = [data for event, data, _ in poster.kept if event == "message.ack"]
    assert len({str(data["message_id"]) for data in receipts}) == 1


def test_connects_and_instances_are_bounded() -> None:
    """A flood of state changes or of created instances stops at its bound."""

    async def scenario() -> None:
        made, _ = gateway()
        for number in range(TIMERS_MAX + 10):
            made.connect(Instance(f"i{number}", Fate("")))
        created = [made.create(f"n{number}") for number in range(INSTANCES_MAX + 10)]

        assert len(made._timers) == TIMERS_MAX
        assert len(made.instances) == INSTANCES_MAX
        assert created[-1] is None
        made.close()
        assert not made._timers

    asyncio.run(scenario())


def test_each_nth_connect_fails_where_fate_says_so() -> None:
    """With `connect_fails_every` 3 the third and the sixth call fail."""

    async def scenario() -> None:
        made, _ = gateway()
        instance = Instance("f", Fate("", connect_fails_every=3))
        assert [made.connect(instance) for _ in range(6)] == [True, True, False, True, True, False]
        made.close()

    asyncio.run(scenario())

"""GET /v1/stream over the real listener, and the hub behind it."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it publishes no types

from domain.decision import Decision
from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import setting_of
from domain.recorded import RecordedSignal
from domain.words import ActionKind, SignalType, Source
from sidecar.api import Hub, stream
from sidecar.api.session import SESSION_MS
from tests.builders import recorded_signal
from tests.domain.arriving import arrive
from tests.domain.facts import burst, numbered
from tests.fakes import InMemoryStore
from tests.sidecar.api.fleet import strict_document
from tests.sidecar.api.serving import NOW, Admin, admin, run, until


def row(seq: int, instance_id: str = "sales-1", **fields: Any) -> RecordedSignal:
    """Make a signal of one instance."""
    return recorded_signal(seq, NOW, instance_id=instance_id, **fields)


def _validator(name: str) -> Any:
    described = strict_document()
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
    )


VALIDATORS: Final = {"signal": _validator("SignalAnswer"), "decision": _validator("DecisionAnswer")}


def _decisions() -> list[Decision]:
    """Make decisions of a number that fails, and say the same of another."""
    store = InMemoryStore()
    use_case = EvaluateInstanceHealth(store, setting_of(1_800_000))
    facts = burst(SignalType.MESSAGE_FAILED, 6, NOW) + burst(SignalType.CONNECTION_DISCONNECTED, 5, NOW + 9)
    [evaluated] = arrive(store, use_case, numbered(facts), NOW + 99)
    made = [*evaluated.decisions, use_case.acted("i-1", ActionKind.BAN, NOW + 100)]
    return [one._replace(instance_id=name) for one in made for name in ("a", "a/b")]


DECISIONS: Final = _decisions()


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """Read events as they come; comments and the retry line are left out."""
    name = ""
    async for line in response.content:
        if line.startswith(b"event: "):
            name = line[7:].decode().strip()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])


async def subscribers(hub: Hub, count: int) -> None:
    """Wait until that many streams are open."""
    await until(lambda: len(hub) == count)


async def is_cut(response: aiohttp.ClientResponse) -> bool:
    """Read to the end, and tell whether it was broken off."""
    try:
        while await response.content.readany():
            pass
    except aiohttp.ClientError:
        return True
    return False


def open_stream(api: Admin, query: str = "") -> Any:
    """Open an event stream."""
    return api.http.get(f"{api.base}/v1/stream{query}")


def test_a_stream_shows_what_is_recorded_in_the_timelines_form() -> None:
    """Each signal arrives as the timeline would show it, published from any thread, in order."""

    async def story() -> tuple[list[tuple[str, Any]], Any]:
        hub = Hub()
        async with admin(hub=hub) as api, open_stream(api) as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            await subscribers(hub, 1)
            await asyncio.to_thread(hub.publish, [row(1), row(2, "sales-2")])
            hub.publish([row(3)])
            feed = events(response)
            seen = [await anext(feed) for _ in range(3)]
            api.parts.store.rows.append(row(1))  # type: ignore[attr-defined]  # the list store
            page = (await api.get("/v1/instances/sales-1/timeline")).json
            return seen, page["signals"][0]

    seen, in_timeline = run(story)

    assert [(name, data["id"]) for name, data in seen] == [
        ("signal", "sales-1#1"),
        ("signal", "sales-2#2"),
        ("signal", "sales-1#3"),
    ]
    assert seen[0][1] == in_timeline


def test_a_stream_of_one_instance_shows_no_other() -> None:
    """The filter holds, for odd ids as well."""

    async def story() -> list[str]:
        hub = Hub()
        async with admin(hub=hub) as api, open_stream(api, "?instanceId=a%2Fb") as response:
            await subscribers(hub, 1)
            hub.publish([row(1, "a"), row(2, "a/b"), row(3, "b"), row(4, "a/b")])
            feed = events(response)
            return [(await anext(feed))[1]["id"] for _ in range(2)]

    assert run(story) == ["a/b#2", "a/b#4"]


def test_a_client_that_does_not_read_is_dropped_and_counted_while_others_go_on() -> None:
    """The slow stream is cut; the hub never waits for it, and the other stream misses nothing."""

    async def story() -> tuple[int, int, bool]:
        hub = Hub(queue_max=50)
        big = {"codeMeaning": "x" * 60_000}  # fills the sockets' own buffers soon
        async with admin(hub=hub) as api, open_stream(api, "?instanceId=good") as good:
            slow = await open_stream(api, "?instanceId=slow")
            await subscribers(hub, 2)
            feed, heard, sent = events(good), 0, 0
            while hub.dropped == 0:
                sent += 1
                hub.publish([row(sent, "good"), row(sent, "slow", context=big)])
                await anext(feed)
                heard += 1
            await subscribers(hub, 1)
            hub.publish([row(sent + 1, "good")])
            await anext(feed)
            assert await is_cut(slow), "a stream that lost events must not end as if it were whole"
            slow.close()
            return hub.dropped, len(hub), heard == sent

    assert run(story) == (1, 1, True)


_NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=20)
_WORDS = st.text(max_size=30) | st.sampled_from(["\n\ndata: x", "\r", "\u2028", "event: decision"])
_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "a/b"]) | _NAMES,
        st.sampled_from(SignalType),
        st.sampled_from(Source),
        st.dictionaries(
            st.sampled_from(["code", "status", "endpoint"]), _WORDS | st.integers(0, 999), max_size=3
        ),
        st.integers(0, 10**6) | st.none(),
    ),
    max_size=12,
)


@given(_ROWS, st.sampled_from(["a", "a/b", None]), st.data())
@settings(max_examples=30, deadline=None)
def test_every_event_is_one_of_the_described_answers_in_order(
    drawn: list[tuple[str, SignalType, Source, Any, int | None]], wanted: str | None, data: st.DataObject
) -> None:
    """Whatever stands in them: one event, one line of JSON each, as the document describes it."""
    rows = [
        recorded_signal(
            seq, NOW + seq, kind, instance_id=name, source=source, context=context, latency_ms=latency
        )
        for seq, (name, kind, source, context, latency) in enumerate(drawn, 1)
    ]
    decided = data.draw(st.lists(st.sampled_from(DECISIONS), max_size=3))

    async def story() -> list[tuple[str, Any]]:
        hub = Hub()
        mine = hub.subscribe(wanted)
        assert mine is not None
        hub.publish(rows, decided)
        text = (await mine.next(5.0) or b"").decode() if rows or decided else ""
        found = []
        for event in text.split("\n\n")[:-1]:
            name, line = event.split("\n")
            assert name.startswith("event: ")
            found.append((name.removeprefix("event: "), json.loads(line.removeprefix("data: "))))
        return found

    heard = [row for row in rows if wanted in (None, row.instance_id)]
    expected = [("signal", row.id) for row in heard]
    expected += [("decision", one.id) for one in decided if wanted in (None, one.instance_id)]
    if not expected:
        return
    found = run(story)

    assert [(name, data["id"]) for name, data in found] == expected
    for name, answer in found:
        VALIDATORS[name].validate(answer)


def test_publishing_costs_nothing_while_nobody_listens() -> None:
    """Without a stream nothing is printed, scheduled or kept."""
    hub = Hub()

    class Unprintable(list[RecordedSignal]):
        def __iter__(self) -> Any:
            raise AssertionError

    hub.publish(Unprintable())

    assert len(hub) == 0


def test_streams_beyond_the_bound_are_refused_and_counted() -> None:
    """One stream too many gives 429 and when to try again; a closed one makes room."""

    async def story() -> tuple[Any, int, int]:
        hub = Hub(streams_max=1)
        async with admin(hub=hub) as api:
            async with open_stream(api) as first:
                await subscribers(hub, 1)
                refused = await api.get("/v1/stream")
                assert first.status == 200
            while len(hub):  # the server notices at its next write
                hub.publish([row(1)])
                await asyncio.sleep(0.005)
            async with open_stream(api) as again:
                return refused.problem, hub.refused, again.status

    assert run(story) == ((429, "too_many_streams", None), 1, 200)


def test_a_quiet_stream_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream without events still writes, so that both ends notice a dead connection."""
    monkeypatch.setattr(stream, "PING_SECONDS", 0.01)

    async def story() -> list[bytes]:
        async with admin() as api, open_stream(api) as response:
            return [await response.content.readline() for _ in range(3)]

    assert run(story) == [b"retry: 2000\n", b"\n", b": ping\n"]


def test_a_stream_ends_after_its_hour_so_that_an_ended_session_reads_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The end is clean, the place is free, and connecting again is up to the session, which has ended."""
    monkeypatch.setattr(stream, "STREAM_SECONDS", 0.1)
    clock = [NOW]

    async def story() -> tuple[bool, int, int]:
        hub = Hub()
        async with admin(hub=hub, token="secret", clock=lambda: clock[0]) as api:
            cookie = (await api.post("/session", json={"token": "secret"})).headers["Set-Cookie"]
            headers = {"Cookie": cookie.partition(";")[0]}
            async with api.http.get(f"{api.base}/v1/stream", headers=headers) as response:
                clock[0] += SESSION_MS
                cut = await is_cut(response)
            again = (await api.get("/v1/stream", headers=headers)).status
            return cut, len(hub), again

    assert run(story) == (False, 0, 401)


def test_stopping_ends_every_stream_cleanly_and_soon() -> None:
    """The listener's stop does not wait for streams that would never end."""

    async def story() -> bytes:
        hub = Hub()
        async with aiohttp.ClientSession() as http:
            async with admin(hub=hub) as api:
                response = await http.get(f"{api.base}/v1/stream")
                await subscribers(hub, 1)
            return await response.content.read()

    assert run(story) == b"retry: 2000\n\n"


def test_publishing_after_the_loop_is_gone_is_harmless() -> None:
    """The recorder's thread may outlive the loop by a batch."""
    hub = Hub()

    async def story() -> None:
        assert hub.subscribe(None) is not None

    run(story)
    thread = threading.Thread(target=hub.publish, args=([row(1)],))
    thread.start()
    thread.join(5)

    assert not thread.is_alive()

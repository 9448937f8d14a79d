"""Posting callbacks: times, retries, bounds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from sidecar.demo.callbacks import RETRY_SECONDS, CallbackPoster
from sidecar.demo.serving import Listener
from sidecar.demo.turbozap import Callback, callback
from tests.sidecar.demo.waiting import until

CALLBACK = callback("connection.update", "a", {"status": "connected"}, 0)
SCALE = 0.02


class Target:
    """A webhook that answers as told and keeps what came: path, body, time."""

    def __init__(self, answer: Callable[[int], int]) -> None:
        self.came: list[tuple[str, bytes, float]] = []
        self._answer = answer

    async def handle(self, request: web.Request) -> web.Response:
        """Answer the n-th request, counted from 1."""
        self.came.append((request.path, await request.read(), asyncio.get_running_loop().time()))
        return web.Response(status=self._answer(len(self.came)))


@asynccontextmanager
async def posting_to(
    answer: Callable[[int], int], *, by_events: bool = False, waiting_max: int = 1000
) -> AsyncIterator[tuple[Target, CallbackPoster]]:
    """Give a target and a started poster that posts to it."""
    target = Target(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", target.handle)
    listener = Listener(app)
    url = f"http://{await listener.start()}/hook"
    poster = CallbackPoster(url, retry_scale=SCALE, by_events=by_events, waiting_max=waiting_max)
    poster.start()
    try:
        yield target, poster
    finally:
        await poster.close()
        await listener.close()


def test_a_refused_callback_is_posted_again_with_growing_waits() -> None:
    """Two refusals and a 200 make three posts of the same bytes, after 1 and 4 scaled seconds."""

    async def scenario() -> None:
        async with posting_to(lambda number: 500 if number < 3 else 200) as (target, poster):
            poster.post(CALLBACK)
            await until(lambda: poster.counts["posted"] == 1)

            times = [at for _, _, at in target.came]
            assert [body for _, body, _ in target.came] == [CALLBACK.body] * 3
            assert times[1] - times[0] >= RETRY_SECONDS[0] * SCALE
            assert times[2] - times[1] >= RETRY_SECONDS[1] * SCALE
            assert poster.counts == {"posted": 1, "refused": 2, "retried": 2}
            await until(lambda: poster.pending == 0)  # it is let go a moment after it is counted

    asyncio.run(scenario())


def test_after_three_retries_a_callback_is_given_up() -> None:
    """Four posts in all, then it is counted as given up and never comes again."""

    async def scenario() -> None:
        async with posting_to(lambda _: 404) as (target, poster):
            poster.post(CALLBACK)
            await until(lambda: poster.counts["given_up"] == 1)

            assert len(target.came) == 4
            assert poster.counts == {"refused": 4, "retried": 3, "given_up": 1}

    asyncio.run(scenario())


def test_an_unreachable_target_is_tried_as_often_as_one_that_refuses() -> None:
    """A connection that is refused counts as a failed attempt."""

    async def scenario() -> None:
        poster = CallbackPoster("http://127.0.0.1:1/hook", retry_scale=0.001)
        poster.start()
        poster.post(CALLBACK)
        await until(lambda: poster.counts["given_up"] == 1)
        await poster.close()

        assert poster.counts["refused"] == 4

    asyncio.run(scenario())


def test_a_callback_waits_for_its_time_and_overtakes_later_ones() -> None:
    """Order is that of the times asked for, not that of asking."""

    async def scenario() -> None:
        async with posting_to(lambda _: 200) as (target, poster):
            poster.post(Callback("late", {}, b"late"), 0.15)
            poster.post(Callback("soon", {}, b"soon"), 0.01)
            await until(lambda: poster.counts["posted"] == 2)

            assert [body for _, body, _ in target.came] == [b"soon", b"late"]

    asyncio.run(scenario())


def test_one_callback_too_many_is_dropped_and_counted() -> None:
    """The line holds what its bound says; the next is dropped, the held ones are unsent at the end."""

    async def scenario() -> None:
        async with posting_to(lambda _: 200, waiting_max=3) as (_, poster):
            for _ in range(5):
                poster.post(CALLBACK, 60.0)
            await poster.close()

            assert poster.counts == {"dropped": 2, "unsent": 3}
            assert poster.pending == 0

    asyncio.run(scenario())


def test_by_events_mode_appends_the_slug_to_the_path() -> None:
    """Dots of the event's name become dashes behind the configured path."""

    async def scenario() -> None:
        async with posting_to(lambda _: 200, by_events=True) as (target, poster):
            poster.post(CALLBACK)
            await until(lambda: poster.counts["posted"] == 1)

            assert target.came[0][0] == "/hook/connection-update"

    asyncio.run(scenario())


def test_without_a_target_nothing_waits() -> None:
    """No URL: the callback is dropped at once and counted."""
    poster_counts: dict[str, int] = {}

    async def scenario() -> None:
        poster = CallbackPoster(None)
        poster.start()
        poster.post(CALLBACK)
        assert poster.pending == 0
        await poster.close()
        poster_counts.update(poster.counts)

    asyncio.run(scenario())

    assert poster_counts["no_target"] == 1

"""The lanes of the readers: bounds that hold, turns that come back."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from sidecar.api.errors import ApiError
from sidecar.api.readers import LAG_MAX_MS, Lane, Readers
from sidecar.tasks import spawn
from tests.sidecar.api.serving import run


def test_no_more_calls_run_at_once_than_allowed_and_the_rest_waits_its_turn() -> None:
    """Two of five calls run at a time; all five end."""
    running, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2, timeout=10)

    def work() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1
        return most

    async def story() -> int:
        with ThreadPoolExecutor(6) as pool:
            lane = Lane(pool, 2, 10, 10)
            await asyncio.gather(*(lane.run(work) for _ in range(6)))
        return most

    assert run(story) == 2


@pytest.mark.parametrize(("waiting_max", "status"), [(0, 429), (1, 503)])
def test_a_caller_beyond_the_bound_is_turned_away_and_counted(waiting_max: int, status: int) -> None:
    """Too many waiting is 429 at once, a turn that does not come is 503; both say when to try again."""
    release = threading.Event()

    async def story() -> tuple[int, str, int]:
        with ThreadPoolExecutor(2) as pool:
            lane = Lane(pool, 1, 1, 0.05)
            first = spawn(lane.run(lambda: release.wait(10)), name="first")
            await asyncio.sleep(0)
            lane._waiting_max = waiting_max
            with pytest.raises(ApiError) as caught:
                await lane.run(lambda: None)
            release.set()
            await first
            return caught.value.status, caught.value.headers["Retry-After"], lane.refused

    assert run(story) == (status, "1", 1)


def test_a_caller_that_goes_away_keeps_its_turn_until_its_work_ends() -> None:
    """The thread is busy still, so the next caller waits; then the turn is free again."""
    release, started = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        release.wait(10)
        raise ValueError("nobody is there to see it")

    async def story() -> str:
        with ThreadPoolExecutor(2) as pool:
            lane = Lane(pool, 1, 1, 10)
            gone = spawn(lane.run(work), name="gone")
            await asyncio.to_thread(started.wait, 10)
            gone.cancel()
            await asyncio.wait([gone])
            heir = spawn(lane.run(lambda: "mine"), name="heir")
            done, _ = await asyncio.wait([heir], timeout=0.05)
            assert not done, "the turn was given away while the thread still worked"
            release.set()
            return str(await heir)

    assert run(story) == "mine"


def test_a_stopped_pool_is_said_to_be_stopping() -> None:
    """A question that comes during the stop gets 503 and no traceback."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()

    async def story() -> str:
        lane = Lane(pool, 1, 1, 1)
        for _ in range(3):  # the turn must come back each time
            with pytest.raises(ApiError) as caught:
                await lane.run(lambda: None)
        return caught.value.code

    assert run(story) == "stopping"


@pytest.mark.parametrize(("lag_ms", "at_once"), [(LAG_MAX_MS, 4), (LAG_MAX_MS + 1, 1)])
def test_readers_step_back_while_facts_wait_for_recording(lag_ms: int, at_once: int) -> None:
    """Questions and pages of downloads go one at a time then, and all of them are answered still."""
    running, most, lock = 0, 0, threading.Lock()
    met = threading.Barrier(at_once, timeout=10)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        met.wait()
        with lock:
            running -= 1

    async def story() -> int:
        with ThreadPoolExecutor(6) as pool:
            readers = Readers(pool, lambda: lag_ms)
            await asyncio.gather(*(readers.questions.run(work) for _ in range(8)))
            if at_once == 1:
                await asyncio.gather(*(lane.run(work) for lane in (readers.questions, readers.exports)))
        return most

    assert run(story) == at_once


def test_between_two_reads_recording_gets_as_long_as_the_first_took() -> None:
    """Half of the time at least is recording's; a download's page rests three times as long."""

    async def story() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        pause = threading.Event()
        with ThreadPoolExecutor(2) as pool:
            readers = Readers(pool, lambda: 60_000)
            began = loop.time()
            for _ in range(3):
                await readers.questions.run(lambda: pause.wait(0.05))
            questions, began = loop.time() - began, loop.time()
            for _ in range(3):
                await readers.exports.run(lambda: pause.wait(0.05))
            return questions, loop.time() - began

    questions, exports = run(story)

    assert questions >= 0.05 * 5
    assert exports >= 0.05 * 10


def test_a_reader_that_gives_up_while_stepping_back_loses_no_turn() -> None:
    """Callers that leave or wait too long, many more than there are turns, take none with them."""
    release = threading.Event()

    async def story() -> tuple[list[int], str]:
        with ThreadPoolExecutor(2) as pool:
            readers = Readers(pool, lambda: 60_000, wait_seconds=0.05)
            first = spawn(readers.questions.run(lambda: release.wait(10)), name="first")
            await asyncio.sleep(0)
            refused = await asyncio.gather(
                *(readers.questions.run(lambda: None) for _ in range(9)), return_exceptions=True
            )
            left = spawn(readers.questions.run(lambda: None), name="left")
            await asyncio.sleep(0)
            left.cancel()
            release.set()
            await first
            return [one.status for one in refused if isinstance(one, ApiError)], await patient(readers)

    async def patient(readers: Readers) -> str:
        while True:
            with suppress(ApiError):
                return await readers.questions.run(lambda: "answered")

    assert run(story) == ([503] * 9, "answered")


def test_how_far_recording_is_behind_is_asked_ten_times_a_second_at_most() -> None:
    """The answer costs a lock that recording wants as well."""
    asked = 0

    def lag_ms() -> int:
        nonlocal asked
        asked += 1
        return 0

    async def story() -> int:
        with ThreadPoolExecutor(2) as pool:
            readers = Readers(pool, lag_ms)
            for _ in range(50):
                await readers.questions.run(lambda: None)
        return asked

    assert run(story) < 25

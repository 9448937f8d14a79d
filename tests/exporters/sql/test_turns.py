"""Turns are taken in order, whoever hurries."""

import threading

import pytest

from domain.errors import StoreUnavailable
from exporters.sql.turns import Turns
from tests.e2e.sidecars import until


def test_whoever_gives_it_back_and_asks_again_waits_behind_the_others() -> None:
    """A loop that takes turn after turn lets everyone else in between."""
    turns = Turns()
    order: list[str] = []
    stop = threading.Event()

    def hurrying() -> None:
        while not stop.is_set():
            with turns.take(10):
                order.append("hurried")

    thread = threading.Thread(target=hurrying)
    thread.start()
    until(lambda: len(order) > 100)
    for _ in range(20):
        with turns.take(5):
            order.append("waited")
    stop.set()
    thread.join()

    assert order.count("waited") == 20


def test_those_who_wait_are_served_in_the_order_they_came() -> None:
    """First come, first served."""
    turns, served = Turns(), list[int]()

    def taking(number: int) -> None:
        with turns.take(10):
            served.append(number)

    threads = [threading.Thread(target=taking, args=(n,)) for n in range(5)]
    with turns.take(1):
        for count, thread in enumerate(threads, 1):
            thread.start()
            until(lambda count=count: len(turns._waiting) == count)  # type: ignore[misc] # a default binds the number
    for thread in threads:
        thread.join()

    assert served == [0, 1, 2, 3, 4]


def test_one_who_waited_too_long_is_told_and_holds_up_nobody() -> None:
    """Giving up leaves the queue; the next one gets its turn."""
    turns = Turns()

    with turns.take(1), pytest.raises(StoreUnavailable, match="busy"), turns.take(0.01):
        pytest.fail("taken twice")
    with turns.take(0.01):
        served = True

    assert served

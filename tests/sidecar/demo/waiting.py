"""Waits for a condition with a deadline; the one way these tests wait."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], *, seconds: float = 10.0, what: str = "the condition") -> None:
    """Return once the condition holds; fail when it does not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, f"{what} did not come within {seconds} s"
        await asyncio.sleep(0.005)

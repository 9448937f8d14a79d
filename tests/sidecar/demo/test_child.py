"""The sidecar as a child process of the demo."""

import asyncio
from pathlib import Path

import pytest

from sidecar.demo.child import SidecarChild, SidecarFailedError


def test_a_sidecar_that_cannot_start_says_why(tmp_path: Path) -> None:
    """Its fault list is in the error; nothing of it is left running."""

    async def scenario() -> None:
        child = SidecarChild({"provider": "carrier-pigeon"}, {}, tmp_path / "log")
        with pytest.raises(SidecarFailedError, match="SIDECAR_PROVIDER_URL"):
            await child.start()

        assert not child.alive
        assert await child.stop() == 2

    asyncio.run(scenario())


def test_what_the_environment_says_of_a_sidecar_is_left_out(tmp_path: Path) -> None:
    """An inherited `SIDECAR_*` of the caller's own sidecar does not reach the demo's."""

    async def scenario() -> None:
        child = SidecarChild({}, {"SIDECAR_PROVIDER_URL": "http://127.0.0.1:9"}, tmp_path / "log")
        with pytest.raises(SidecarFailedError, match="SIDECAR_PROVIDER_URL: is required"):
            await child.start()

    asyncio.run(scenario())

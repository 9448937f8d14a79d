"""One Prometheus process, and the questions asked of it."""

import asyncio
import json
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import aiohttp

READY_SECONDS: Final = 20.0


class PrometheusMissing(Exception):  # noqa: N818 - says what is the matter
    """`prometheus` is not on the path."""


class Alerting(NamedTuple):
    """An alert that is pending or firing: its name and the number or sidecar it is about."""

    name: str
    about: str


class Prometheus:
    """Runs until `stop`.

    Attributes:
        url: base URL of its API.
    """

    def __init__(self, configuration: Path) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise PrometheusMissing
        self._program = program
        self._configuration = configuration
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self.url = ""

    async def start(self) -> None:
        """Start on a free loopback port and wait until it is ready."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        folder = self._configuration.parent
        self._process = await asyncio.create_subprocess_exec(
            self._program,
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={address}",
            "--enable-feature=exemplar-storage",
            "--log.level=error",
        )
        self.url = f"http://{address}"
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        if not await until(self._is_ready, READY_SECONDS):
            raise PrometheusMissing

    async def stop(self) -> None:
        """End it."""
        if self._session is not None:
            await self._session.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def firing(self) -> set[Alerting]:
        """Give what fires."""
        content = await self._get("alerts")
        return {
            Alerting(alert["labels"]["alertname"], alert["labels"].get("instance_id", ""))
            for alert in content["alerts"]
            if alert["state"] == "firing"
        }

    async def rows(self, expr: str) -> int:
        """Give the number of series a query has now."""
        content = await self._get("query", query=expr)
        return len(content["result"])

    async def target_is_up(self) -> bool:
        """Tell whether the sidecar is being scraped."""
        return await self.rows("up == 1") == 1

    async def _is_ready(self) -> bool:
        assert self._session is not None
        try:
            async with self._session.get(f"{self.url}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        assert self._session is not None
        async with self._session.get(f"{self.url}/api/v1/{what}?{urlencode(parameters)}") as response:
            content = json.loads(await response.text())
        if content["status"] != "success":
            raise ValueError(f"{parameters}: {content.get('error')}")
        data: dict[str, Any] = content["data"]
        return data


async def until(condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Wait for a condition, asked four times a second; tell whether it came true in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        if await condition():
            return True
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(0.25)

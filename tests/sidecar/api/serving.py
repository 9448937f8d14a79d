"""The real admin listener on a free port, with a real client, for the tests of this folder."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp
from aiohttp import web
from yarl import URL

from domain.ports import Recording, SignalStore
from domain.recorded import Gap, InstanceSummary, Progress, RecordedSignal
from domain.redaction import Redactor, RemoteJidMode
from domain.timeline import PageKey, TimelinePage, TimelineQuery
from domain.words import Connection, Lifecycle, Millis, RiskLevel, TemperatureLevel, Trend
from sidecar.api import AdminCounts, AdminParts, Health, Hub, make_app, serve

T = TypeVar("T")

NOW: Final[Millis] = 1_800_000_000_000
KEY: Final = b"a key of the tests, long enough"
REDACTOR: Final = Redactor(RemoteJidMode.HASH, KEY)


def summary(instance_id: str, **changed: Any) -> InstanceSummary:
    """Make a line of the instance list, that of a new instance but for `changed`."""
    new = InstanceSummary(
        instance_id,
        "turbozap",
        50,
        TemperatureLevel.COLD,
        Trend.STABLE,
        RiskLevel.LOW,
        Lifecycle.ACTIVE,
        Connection.CONNECTED,
        None,
        NOW,
        None,
    )
    return new._replace(**changed)


class ListStore:
    """A store over lists, for what needs faults or exact content; the rest runs on the real one."""

    def __init__(
        self,
        rows: Sequence[RecordedSignal] = (),
        gaps: Sequence[Gap] = (),
        instances: Sequence[InstanceSummary] = (),
    ) -> None:
        self.rows = list(rows)
        self.known_gaps = list(gaps)
        self.summaries = list(instances)
        self.fault: Exception | None = None
        self.before_read: Callable[[], None] = lambda: None
        self.queries: list[TimelineQuery] = []

    def recording(self) -> AbstractContextManager[Recording]:
        """Refuse: the API never records."""
        raise NotImplementedError

    def progress(self) -> dict[str, Progress]:
        """Give nothing: the API never asks."""
        return {}

    def give_back(self) -> bool:
        """Give nothing back."""
        return False

    def drop_before(self, horizon: Millis, limit: int) -> int:
        """Refuse: the API never drops."""
        raise NotImplementedError

    def timeline(self, query: TimelineQuery) -> TimelinePage:
        """Filter, sort and cut the rows."""
        self._enter()
        self.queries.append(query)
        found = sorted(filter(_inside(query), self.rows), key=_key, reverse=query.descending)
        if query.after is not None:
            after = query.after
            found = [row for row in found if (_key(row) < after if query.descending else _key(row) > after)]
        page = found[: query.limit]
        return TimelinePage(page, _key(page[-1]) if len(found) > query.limit else None)

    def gaps(self, since: Millis, until: Millis, instance_id: str | None = None) -> list[Gap]:
        """Give the overlapping gaps."""
        self._enter()
        return [
            gap
            for gap in self.known_gaps
            if gap.since <= until and gap.until >= since and gap.instance_id in (None, instance_id)
        ]

    def instances(self, after: str | None, limit: int) -> list[InstanceSummary]:
        """Give the lines behind `after`."""
        self._enter()
        found = sorted(self.summaries, key=lambda line: line.instance_id)
        return [line for line in found if after is None or line.instance_id > after][:limit]

    def _enter(self) -> None:
        self.before_read()
        if self.fault is not None:
            raise self.fault


def _inside(query: TimelineQuery) -> Callable[[RecordedSignal], bool]:
    return lambda row: (
        row.instance_id == query.instance_id
        and query.since <= row.occurred_at <= query.until
        and (not query.types or row.type in query.types)
        and (not query.severities or row.severity in query.severities)
        and (not query.sources or row.source in query.sources)
        and query.message_id in (None, row.message_id)
    )


def _key(row: RecordedSignal) -> PageKey:
    return PageKey(row.occurred_at, row.seq)


@dataclass
class Reply:
    """What came back; `json` only where the body is JSON."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)

    @property
    def problem(self) -> tuple[int, str, str | None]:
        """Give status, code and field of an error, and demand that it has exactly the error's form."""
        error = self.json["error"]
        assert set(self.json) == {"error"}
        assert {"code", "message"} <= set(error) <= {"code", "message", "field"}
        assert "Traceback" not in self.body.decode()
        return self.status, error["code"], error.get("field")


@dataclass
class Admin:
    """A running admin listener."""

    base: str
    http: aiohttp.ClientSession
    parts: AdminParts
    app: web.Application

    async def get(self, target: str, *, method: str = "GET", **options: Any) -> Reply:
        """Ask for a target, which goes over the wire exactly as written."""
        url = URL(self.base + target, encoded=True)
        async with self.http.request(method, url, allow_redirects=False, **options) as response:
            return Reply(response.status, response.headers, await response.read())

    async def post(self, target: str, **options: Any) -> Reply:
        """Post to a target."""
        return await self.get(target, method="POST", **options)


@asynccontextmanager
async def admin(store: SignalStore | None = None, **changed: Any) -> AsyncIterator[Admin]:
    """Run the listener over a store; `changed` replaces parts."""
    own: Executor = ThreadPoolExecutor(4)
    given: dict[str, Any] = {
        "store": store if store is not None else ListStore(),
        "readers": own,
        "render_metrics": lambda accept: (b"# TYPE up gauge\nup 1\n", "text/plain; version=0.0.4"),
        "health": Health,
        "redactor": REDACTOR,
        "hub": Hub(),
        "clock": lambda: NOW,
        "counts": AdminCounts(),
    }
    parts = AdminParts(**(given | changed))
    app = make_app(parts)
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    listener = await serve(app, [sock])
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            yield Admin(f"http://127.0.0.1:{port}", http, parts, app)
    finally:
        await listener.stop()
        own.shutdown()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the story's deadline is the deadline."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in aiohttp, which sets no event
        await asyncio.sleep(0.005)


def run(story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run one test's story in a loop of its own, with a deadline."""

    async def bounded() -> T:
        async with asyncio.timeout(30):
            return await story()

    return asyncio.run(bounded())

"""Reading the sidecar's metrics, as the real exporter writes them, and its lists."""

import asyncio
from collections import Counter
from typing import Any

from aiohttp import web

from domain.recorded import BySource, RecordedSignal
from domain.words import SignalType, Source
from exporters.prometheus.inputs import BuildInfo, LedgerGauges, ScrapeInputs
from exporters.prometheus.metrics import Metrics
from sidecar.demo.reading import AdminReader, Ledger, millis, read_metrics
from sidecar.demo.serving import Listener
from tests.builders import recorded_signal

NOW = 1_768_489_205_000


def exposed(signals: list[RecordedSignal], *, repeated: int = 0, lost: int = 0, observed: int) -> str:
    """Give the exporter's text after these facts."""
    inputs = ScrapeInputs(ledger=lambda: LedgerGauges(BySource(dispatch=observed)))
    metrics = Metrics(inputs, BuildInfo("0", "", "3", "sqlite"), now=lambda: NOW, providers=["turbozap"])
    metrics.signals(signals)
    metrics.repeated(Counter({Source.DISPATCH: repeated}))
    metrics.lost("journal", "disk_full", lost)
    return metrics.render()[0].decode()


def test_the_ledger_is_read_from_the_real_exporters_text() -> None:
    """All five numbers are found, pending being what the exporter itself says."""
    signals = [recorded_signal(n, NOW, context={"httpStatus": 200}) for n in range(1, 6)]

    reading = read_metrics(exposed(signals, repeated=3, lost=2, observed=11))

    assert reading.ledger == Ledger(observed=11, recorded=5, repeated=3, lost=2, pending=1)
    assert reading.ledger.balances
    assert reading.lost_by_reason == {"journal: disk_full": 2}


def test_messages_count_once_and_failures_by_fact() -> None:
    """Two reports of one send are one message and two facts; states of the list stand beside them."""
    ok: dict[str, str | int] = {"httpStatus": 200}
    signals = [
        recorded_signal(1, NOW, message_id="A", context=ok),
        recorded_signal(2, NOW, message_id="A", source=Source.WEBHOOK),
        recorded_signal(3, NOW, SignalType.MESSAGE_FAILED, context={"httpStatus": 500}),
        recorded_signal(4, NOW, SignalType.RATE_LIMIT_HIT, source=Source.PROVIDER, context={"code": "429"}),
    ]

    reading = read_metrics(exposed(signals, observed=4), [{"instanceId": "sales-1", "score": 50}])

    row = reading.rows["sales-1"]
    assert row.messages["MESSAGE_SENT"] == 1
    assert row.facts["MESSAGE_SENT"] == 2
    assert row.facts["MESSAGE_FAILED"] == 1
    assert row.rate_limits == 1
    assert row.state["score"] == 50


def test_a_ledger_that_does_not_balance_says_so() -> None:
    """One fact too few on the right side shows in its words."""
    ledger = Ledger(observed=3, recorded=1, repeated=1)

    assert not ledger.balances
    assert "DOES NOT EQUAL" in str(ledger)


class Admin:
    """An admin listener with two pages of instances and a timeline each."""

    def __init__(self) -> None:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/v1/instances", self._instances)
        app.router.add_get("/v1/instances/{id}/timeline", self._timeline)
        self.listener = Listener(app)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text='# TYPE reputation_signals counter\nreputation_signals_total{type="X"} 2\n')

    async def _instances(self, request: web.Request) -> web.Response:
        second = request.query.get("cursor") == "next"
        page: dict[str, Any] = {
            "instances": [{"instanceId": "b" if second else "a"}],
            "nextCursor": None if second else "next",
        }
        return web.json_response(page)

    async def _timeline(self, request: web.Request) -> web.Response:
        assert request.headers["Accept"] == "application/x-ndjson"
        lines = [
            '{"id": "1", "recordedAt": "2026-01-15T15:00:04.999Z"}',
            '{"id": "2", "recordedAt": "2026-01-15T15:00:05.000Z"}',
            '{"gap": {"reason": "disk_full"}}',
            '{"id": "3", "recordedAt": "2026-01-15T15:00:06.000Z"}',
        ]
        return web.Response(text="\n".join(lines), content_type="application/x-ndjson")


def test_all_pages_and_only_rows_since_the_start_are_counted() -> None:
    """The instance list is walked to its end; rows recorded earlier and gaps do not count as stored."""

    async def scenario() -> None:
        admin = Admin()
        reader = AdminReader(await admin.listener.start())
        reading = await reader.look()
        stored = await reader.stored_since(NOW)
        await reader.close()
        await admin.listener.close()

        assert reading is not None
        assert set(reading.rows) == {"a", "b"}
        assert reading.ledger.recorded == 2
        assert stored == 4

    asyncio.run(scenario())


def test_a_listener_that_is_away_is_no_reading() -> None:
    """Nobody answers: None, not an error."""

    async def scenario() -> None:
        reader = AdminReader("127.0.0.1:1")
        assert await reader.look() is None
        assert await reader.stored_since(NOW) is None
        await reader.close()

    asyncio.run(scenario())


def test_times_of_the_api_are_read_to_the_millisecond() -> None:
    """ISO-8601 with `Z` becomes epoch milliseconds."""
    assert millis("2026-01-15T15:00:05.000Z") == NOW
    assert millis("2026-01-15T15:00:05.001Z") == NOW + 1

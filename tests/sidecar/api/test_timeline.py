"""GET /v1/instances/{id}/timeline over the real listener."""

import asyncio
import csv
import io
import json
from typing import Any

import pytest

from domain.errors import StoreUnavailable
from domain.recorded import Gap, RecordedSignal
from domain.timeline import PageKey, TimelinePage, TimelineQuery
from domain.words import SignalType, Source
from sidecar.api import timeline
from sidecar.api.params import Param
from sidecar.api.times import iso
from tests.builders import recorded_signal
from tests.sidecar.api.serving import NOW, REDACTOR, ListStore, Reply, admin, run, until

TARGET = "/v1/instances/sales-1/timeline"


def rows(count: int, *, step: int = 1000) -> list[RecordedSignal]:
    """Make that many signals, the newest at NOW."""
    return [recorded_signal(n, NOW - (count - n) * step) for n in range(1, count + 1)]


def test_a_page_shows_every_field_of_the_contract_and_leaves_absent_values_out() -> None:
    """Signals carry the contract's names; isGroup and context are always there; the last cursor is null."""
    store = ListStore(
        [
            recorded_signal(1, NOW - 2000, context={"action": "send", "httpStatus": 200}),
            recorded_signal(
                2,
                NOW - 1000,
                SignalType.MESSAGE_DELIVERED,
                source=Source.WEBHOOK,
                message_id="3EB0",
                remote_jid="0123456789abcdef",
                is_group=True,
                latency_ms=1000,
                recorded_at=NOW,
            ),
        ],
        [Gap("k", NOW - 5000, NOW - 4000, "journal_full", 7)],
    )

    async def story() -> dict[str, Any]:
        async with admin(store) as api:
            answer = (await api.get(TARGET)).json
            assert isinstance(answer, dict)
            return answer

    answer = run(story)

    assert answer == {
        "instanceId": "sales-1",
        "since": iso(NOW - 1_800_000),
        "until": iso(NOW),
        "signals": [
            {
                "id": "sales-1#1",
                "type": "MESSAGE_SENT",
                "severity": "LOW",
                "source": "DISPATCH",
                "instanceId": "sales-1",
                "occurredAt": iso(NOW - 2000),
                "recordedAt": iso(NOW - 2000),
                "isGroup": False,
                "context": {"action": "send", "httpStatus": 200},
                "summary": "message sent (dispatch), HTTP 200",
                "level": "info",
            },
            {
                "id": "sales-1#2",
                "type": "MESSAGE_DELIVERED",
                "severity": "LOW",
                "source": "WEBHOOK",
                "instanceId": "sales-1",
                "occurredAt": iso(NOW - 1000),
                "recordedAt": iso(NOW),
                "messageId": "3EB0",
                "remoteJid": "0123456789abcdef",
                "isGroup": True,
                "latencyMs": 1000,
                "context": {},
                "summary": "message delivered (webhook), group, 1000 ms",
                "level": "info",
            },
        ],
        "gaps": [{"from": iso(NOW - 5000), "to": iso(NOW - 4000), "reason": "journal_full", "count": 7}],
        "nextCursor": None,
    }


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_show_every_signal_once_in_order_while_more_arrive(order: str) -> None:
    """Following nextCursor sees each row of the first page's range once, though rows arrive in between."""
    store = ListStore(rows(25), [Gap("k", NOW - 5000, NOW, "disk_full", 1)])

    async def story() -> tuple[list[str], list[int]]:
        seen, gaps, cursor, clock = [], [], "", NOW
        async with admin(store, clock=lambda: clock) as api:
            while True:
                reply = await api.get(f"{TARGET}?order={order}&limit=10{cursor}")
                assert reply.status == 200
                seen += [signal["id"] for signal in reply.json["signals"]]
                gaps.append(len(reply.json["gaps"]))
                if reply.json["nextCursor"] is None:
                    return seen, gaps
                cursor = f"&cursor={reply.json['nextCursor']}"
                clock += 1000  # the default bounds move on; those of the first page must hold
                store.rows.append(recorded_signal(len(store.rows) + 1, clock))

    seen, gaps = run(story)

    expected = [f"sales-1#{n}" for n in range(1, 26)]
    assert seen == (expected if order == "asc" else expected[::-1])
    assert gaps == [1, 0, 0], "gaps stand on the first page only"


def test_filters_reach_the_store_as_asked() -> None:
    """Types, severities, sources by comma or repeated, empty means all, message ids as they are stored."""
    store = ListStore()
    target = (
        f"{TARGET}?since=2026-01-31T12:00:00Z&until={NOW}&type=MESSAGE_SENT,MESSAGE_FAILED&severity=LOW&severity=HIGH"
        "&source=&messageId=wamid.HBgL&order=desc&limit=1"
    )

    async def story() -> int:
        async with admin(store) as api:
            return (await api.get(target)).status

    assert run(story) == 200
    assert store.queries == [
        TimelineQuery(
            "sales-1",
            1_769_860_800_000,
            NOW,
            frozenset({SignalType.MESSAGE_SENT, SignalType.MESSAGE_FAILED}),
            frozenset({"LOW", "HIGH"}),  # type: ignore[arg-type]  # str enums equal their text
            frozenset(),
            REDACTOR.message_id("wamid.HBgL"),
            descending=True,
            limit=1,
        )
    ]


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("since=yesterday", "invalid_parameter", "since"),
        ("since=-1", "invalid_parameter", "since"),
        ("until=99999999999999999", "invalid_parameter", "until"),
        ("until=2026-02-30T00:00:00Z", "invalid_parameter", "until"),
        ("until=2026-01-01T00:00:00+02:00", "invalid_parameter", "until"),
        ("type=MESSAGE_SENT,SENT", "invalid_parameter", "type"),
        ("severity=low", "invalid_parameter", "severity"),
        ("source=PHONE", "invalid_parameter", "source"),
        ("order=up", "invalid_parameter", "order"),
        ("limit=0", "invalid_parameter", "limit"),
        ("limit=5001", "invalid_parameter", "limit"),
        ("limit=ten", "invalid_parameter", "limit"),
        ("limit=1&limit=2", "invalid_parameter", "limit"),
        ("limit=%D9%A1", "invalid_parameter", "limit"),
        ("messageId=a%00b", "invalid_parameter", "messageId"),
        ("messageId=" + "x" * 513, "invalid_parameter", "messageId"),
        ("cursor=!", "bad_cursor", "cursor"),
        ("cursor=AAAA", "bad_cursor", "cursor"),
        ("cursor=WyIiLDFd", "bad_cursor", "cursor"),
        ("severtiy=LOW", "unknown_parameter", None),
    ],
)
def test_every_bad_parameter_is_refused_by_name(query: str, code: str, field: str | None) -> None:
    """A value out of its domain gives 400 with code and field."""

    async def story() -> tuple[int, str, str | None]:
        async with admin() as api:
            return (await api.get(f"{TARGET}?{query}")).problem

    assert run(story) == (400, code, field)


@pytest.mark.parametrize("param", timeline.PARAMS, ids=lambda param: str(param.name))
def test_no_error_repeats_what_was_sent(param: Param[Any]) -> None:
    """A number typed into the wrong field does not come back, nor does an unknown parameter's name."""

    async def story() -> list[Reply]:
        async with admin() as api:
            wrong = await api.get(f"{TARGET}?{param.name}=%005511987654321")
            unknown = await api.get(f"{TARGET}?5511987654321=x&{param.name}=1")
            return [wrong, unknown]

    for reply in run(story):
        assert reply.status == 400
        assert b"5511987654321" not in reply.body


def test_a_cursor_of_another_question_is_refused() -> None:
    """A cursor with other filters, other bounds or another instance gives 400 instead of skipped rows."""
    store = ListStore(rows(3))

    async def story() -> list[tuple[int, str, str | None]]:
        async with admin(store) as api:
            cursor = (await api.get(f"{TARGET}?limit=1")).json["nextCursor"]
            return [
                (await api.get(f"{target}cursor={cursor}")).problem
                for target in (
                    f"{TARGET}?order=desc&",
                    f"{TARGET}?type=MESSAGE_SENT&",
                    f"{TARGET}?since=1&",
                    "/v1/instances/sales-2/timeline?",
                )
            ]

    assert run(story) == [(400, "bad_cursor", "cursor")] * 4


def test_an_unknown_instance_has_an_empty_timeline() -> None:
    """The timeline of a number nobody saw is 200 with empty lists, as are inverted bounds."""

    async def story() -> list[Any]:
        async with admin(ListStore(rows(2))) as api:
            unknown = await api.get("/v1/instances/nobody/timeline")
            inverted = await api.get(f"{TARGET}?since={NOW}&until={NOW - 5000}")
            assert unknown.status == inverted.status == 200
            return [unknown.json["signals"], unknown.json["nextCursor"], inverted.json["signals"]]

    assert run(story) == [[], None, []]


@pytest.mark.parametrize(
    ("path_id", "instance_id"),
    [
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("a%2fb", "a/b"),
        ("a+b", "a+b"),
        ("loja%20s%C3%A3o", "loja são"),
        ("%3Cb%3E", "<b>"),
    ],
)
def test_an_instance_id_is_decoded_exactly_once(path_id: str, instance_id: str) -> None:
    """Any id the recorder accepts can be asked for, slashes included."""

    async def story() -> object:
        async with admin() as api:
            return (await api.get(f"/v1/instances/{path_id}/timeline")).json["instanceId"]

    assert run(story) == instance_id


@pytest.mark.parametrize("path_id", ["%00", "a%0Ab", "%FF", "x" * 129])
def test_an_impossible_instance_id_is_refused(path_id: str) -> None:
    """What could never have been recorded gives 400, not an empty answer."""

    async def story() -> tuple[int, str, str | None]:
        async with admin() as api:
            return (await api.get(f"/v1/instances/{path_id}/timeline")).problem

    assert run(story) == (400, "invalid_instance_id", "instanceId")


def test_ndjson_streams_the_whole_range_with_its_gaps() -> None:
    """One JSON object a line: gaps, then all signals, whatever the limit says."""
    store = ListStore(rows(2500, step=10), [Gap("k", NOW - 50, NOW, "disk_full", 3)])

    async def story() -> list[Any]:
        async with admin(store) as api:
            reply = await api.get(f"{TARGET}?limit=1", headers={"Accept": "application/x-ndjson"})
            assert reply.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
            return [json.loads(line) for line in reply.body.splitlines()]

    gap, *signals = run(story)

    assert gap == {"gap": {"from": iso(NOW - 50), "to": iso(NOW), "reason": "disk_full", "count": 3}}
    assert [signal["id"] for signal in signals] == [f"sales-1#{n}" for n in range(1, 2501)]


def test_csv_has_the_json_order_and_context_as_json() -> None:
    """CSV carries the same signals; text with commas, quotes and breaks survives."""
    odd = 'a "quoted", odd id'
    store = ListStore(
        [recorded_signal(1, NOW, message_id=odd, context={"code": "131049", "httpStatus": 400})]
    )

    async def story() -> list[list[str]]:
        async with admin(store) as api:
            reply = await api.get(TARGET, headers={"Accept": "text/csv"})
            assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
            return list(csv.reader(io.StringIO(reply.body.decode())))

    head, row = run(story)

    found = dict(zip(head, row, strict=True))
    assert head[:12] == [
        *("id", "type", "severity", "source", "instanceId", "occurredAt", "recordedAt", "messageId"),
        *("remoteJid", "isGroup", "latencyMs", "context"),
    ]
    assert found["messageId"] == odd
    assert json.loads(found["context"]) == {"code": "131049", "httpStatus": 400}
    assert found["isGroup"] == "false"
    assert found["latencyMs"] == ""


def test_an_empty_csv_still_has_its_header_and_an_empty_ndjson_no_line() -> None:
    """A range without facts is a complete download."""

    async def story() -> tuple[bytes, bytes]:
        async with admin() as api:
            table = await api.get(TARGET, headers={"Accept": "text/csv"})
            lines = await api.get(TARGET, headers={"Accept": "application/x-ndjson"})
            return table.body, lines.body

    table, lines = run(story)

    assert table.count(b"\r\n") == 1
    assert lines == b""


@pytest.mark.parametrize(
    ("accept", "status", "content_type"),
    [
        ("*/*", 200, "application/json"),
        ("application/json;q=0.9,text/plain", 200, "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 200, "application/json"),
        ("text/*", 200, "text/csv"),
        ("application/json;q=0.1, text/csv", 200, "text/csv"),
        ("image/png", 406, "application/json"),
        ("application/json;q=0", 406, "application/json"),
    ],
)
def test_the_form_of_the_answer_is_negotiated(accept: str, status: int, content_type: str) -> None:
    """Accept decides between JSON, NDJSON and CSV; what cannot be served is 406."""

    async def story() -> tuple[int, str]:
        async with admin() as api:
            reply = await api.get(TARGET, headers={"Accept": accept})
            return reply.status, reply.headers["Content-Type"].partition(";")[0]

    assert run(story) == (status, content_type)


class EndlessStore(ListStore):
    """Half a million rows that exist only while they are read; knows how many are out at most."""

    total = 500_000

    def timeline(self, query: TimelineQuery) -> TimelinePage:
        """Make one page."""
        first = query.after.seq + 1 if query.after else 1
        page = [recorded_signal(n, n) for n in range(first, min(first + query.limit, self.total + 1))]
        last = page[-1].seq
        self.queries.append(query)
        return TimelinePage(page, None if last >= self.total else PageKey(last, last))


def test_a_slow_reader_of_a_long_download_holds_a_few_pages_only() -> None:
    """While nobody reads, the sidecar reads ahead no more than the sockets hold; then nothing is missing."""
    store = EndlessStore()
    EndlessStore.total = 30_000

    async def story() -> tuple[int, int]:
        async with admin(store) as api:
            url = f"{api.base}{TARGET}?since=0"
            async with api.http.get(url, headers={"Accept": "application/x-ndjson"}) as response:
                ahead = -1
                while ahead != len(store.queries):  # settles when the sockets are full
                    ahead = len(store.queries)
                    await asyncio.sleep(0.2)
                lines = 0
                async for chunk in response.content.iter_any():
                    lines += chunk.count(b"\n")
            return ahead, lines

    ahead, lines = run(story)

    assert ahead < 25, "the whole range was read ahead of a reader that does not read"
    assert lines == 30_000


def test_a_download_that_breaks_does_not_look_complete() -> None:
    """A store that fails midway aborts the connection; before the first byte it is an honest 503."""
    store = ListStore(rows(2500, step=10))

    async def story() -> tuple[int, bool]:
        async with admin(store) as api:
            store.fault = StoreUnavailable("down")
            first = await api.get(TARGET, headers={"Accept": "application/x-ndjson"})
            store.fault = None

            def fail_later() -> None:
                if len(store.queries) == 2:
                    store.fault = StoreUnavailable("down")

            store.before_read = fail_later
            store.queries.clear()
            try:
                await api.get(TARGET, headers={"Accept": "application/x-ndjson"})
            except Exception as error:  # noqa: BLE001 - which error is aiohttp's choice; that there is one is ours
                return first.status, "ClientPayload" in type(error).__name__
            return first.status, False

    assert run(story) == (503, True)


def test_a_reader_that_leaves_a_download_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """Closing the connection midway ends the download, frees its place and logs nothing."""
    EndlessStore.total = 100_000
    store = EndlessStore()

    async def story() -> int:
        async with admin(store) as api:
            url = f"{api.base}{TARGET}?since=0"
            response = await api.http.get(url, headers={"Accept": "application/x-ndjson"})
            await response.content.readany()
            assert len(api.app[timeline.EXPORTS]) == 1
            response.close()
            await until(lambda: not api.app[timeline.EXPORTS])
            return len(store.queries)

    assert run(story) < 100
    assert not caplog.records


def test_a_page_that_did_not_change_costs_304() -> None:
    """The ETag is of the bytes: equal pages give 304, a late fact gives a new page."""
    store = ListStore(rows(3))
    target = f"{TARGET}?since=0&until={NOW}"

    async def story() -> tuple[int, bytes, int]:
        async with admin(store) as api:
            tag = (await api.get(target)).headers["ETag"]
            same = await api.get(target, headers={"If-None-Match": tag})
            store.rows.append(recorded_signal(9, NOW - 1))
            late = await api.get(target, headers={"If-None-Match": tag})
            return same.status, same.body, late.status

    assert run(story) == (304, b"", 200)

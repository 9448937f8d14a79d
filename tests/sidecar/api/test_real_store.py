"""The API over the real store: the same answers, long downloads in bounded memory, a fuzz of all routes."""

import json
import string
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.errors import SignalRejected
from domain.evaluate_health import EvaluateInstanceHealth
from domain.exchange import ExchangeFacts, Outcome
from domain.fold_state import setting_of
from domain.read_health import ReadInstanceHealth
from domain.record_signal import RecordReputationSignal, Slice
from domain.recorded import Gap, Progress
from domain.replay import ReplayDecisions
from domain.signal import INSTANCE_ID_MAX, Signal, check_instance_id
from domain.words import Direction, SignalType, Source
from exporters.sql.store import SqlStore
from sidecar.api import Evaluation
from sidecar.api.openapi import document
from sidecar.api.routes import ROUTES
from tests.sidecar.api.serving import NOW, Reply, admin, run

ROWS = 20_000


def evaluation_over(store: SqlStore) -> Evaluation:
    """Make the use cases of health over a store."""
    setting = setting_of(1_800_000)
    reading, replay = ReadInstanceHealth(store, setting), ReplayDecisions(store, setting)
    return Evaluation(EvaluateInstanceHealth(store, setting), reading, replay)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    """A store with 20 000 signals of one instance, four a millisecond, a few of another, and a gap."""
    path: Path = tmp_path_factory.mktemp("store")
    made = SqlStore(f"sqlite:///{path}/store.db", sidecar_id="test")
    made.open()
    record = RecordReputationSignal(made)
    kinds = (SignalType.MESSAGE_SENT, SignalType.MESSAGE_DELIVERED, SignalType.MESSAGE_FAILED)
    for first in range(0, ROWS, 2000):
        signals = tuple(
            Signal(kinds[n % 3], Source.DISPATCH, "sales-1", NOW - (ROWS - n) // 4, f"m{n}", basis=f"m{n}")
            for n in range(first, first + 2000)
        )
        record([Slice(Progress("w0"), [_exchange(f"x{first}", signals)])], NOW)
    odd = Signal(SignalType.CONNECTION_ERROR, Source.PROVIDER, 'lo"ja/são', NOW - 9, basis="b")
    gap = Gap("k", NOW - 5, NOW, "disk_full", 3)
    record([Slice(Progress("w0"), [_exchange("odd", (odd,))], [gap])], NOW)
    yield made
    made.close()


def _exchange(exchange_id: str, signals: tuple[Signal, ...]) -> ExchangeFacts:
    return ExchangeFacts(
        *(exchange_id, NOW, Direction.DISPATCH, "turbozap", "POST", "_OTHER", 200, None, 1, 1, Outcome.READ),
        signals=signals,
    )


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_walk_and_a_download_show_the_same_signals(store: SqlStore, order: str) -> None:
    """Pages by cursor and one NDJSON stream give every row once, in the same order."""
    target = f"/v1/instances/sales-1/timeline?since={NOW - 700}&until={NOW}&order={order}&type=MESSAGE_FAILED"

    async def story() -> tuple[list[str], list[str]]:
        walked, cursor = [], ""
        async with admin(store) as api:
            lines = (await api.get(target, headers={"Accept": "application/x-ndjson"})).body.splitlines()
            while True:
                page = (await api.get(f"{target}&limit=97{cursor}")).json
                walked += [signal["messageId"] for signal in page["signals"]]
                if page["nextCursor"] is None:
                    break
                cursor = f"&cursor={page['nextCursor']}"
        found = [json.loads(line) for line in lines]
        return walked, [line["messageId"] for line in found if "gap" not in line]

    walked, streamed = run(story)

    assert walked == streamed
    expected = [f"m{n}" for n in range(ROWS) if n % 3 == 2 and (ROWS - n) // 4 <= 700]
    assert walked == (expected if order == "asc" else expected[::-1])


def test_a_long_download_holds_a_page_not_the_range(store: SqlStore) -> None:
    """20 000 rows (10 MB of JSON) pass through less than 8 MB of Python memory."""
    target = "/v1/instances/sales-1/timeline?since=0"

    async def story() -> tuple[int, int]:
        lines = 0
        async with admin(store) as api:
            headers = {"Accept": "application/x-ndjson"}
            tracemalloc.start()
            async with api.http.get(f"{api.base}{target}&until={NOW}", headers=headers) as response:
                async for chunk in response.content.iter_any():
                    lines += chunk.count(b"\n")
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return lines, peak

    lines, peak = run(story)

    assert lines == ROWS + 1, "every signal, and the gap"
    assert peak < 8 * 1024 * 1024


def test_an_instance_with_an_odd_name_is_listed_and_found(store: SqlStore) -> None:
    """Quotes, slashes and accents survive the way through database, JSON and path."""

    async def story() -> tuple[list[str], int]:
        async with admin(store) as api:
            listed = [line["instanceId"] for line in (await api.get("/v1/instances")).json["instances"]]
            found = (await api.get("/v1/instances/lo%22ja%2Fs%C3%A3o/timeline")).json
            return listed, len(found["signals"])

    assert run(story) == (['lo"ja/são', "sales-1"], 1)


@given(st.text(min_size=1, max_size=INSTANCE_ID_MAX))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_can_be_recorded_can_be_asked_for(store: SqlStore, instance_id: str) -> None:
    """Path and query take exactly the ids that the domain lets in."""
    try:
        check_instance_id(instance_id)
        expected = 200
    except SignalRejected:
        expected = 400

    async def story() -> list[int]:
        async with admin(store) as api:
            asked = _quoted(instance_id)
            targets = (f"/v1/instances/{asked}/timeline", f"/v1/annotations?instanceId={asked}")
            return [(await api.get(target)).status for target in targets]

    assert run(story) == [expected, expected]


DOCUMENT = document(ROUTES)
GETS = sorted(
    path for path, methods in DOCUMENT["paths"].items() if "get" in methods and path != "/v1/stream"
)
NAMES = sorted({param["name"] for path in GETS for param in DOCUMENT["paths"][path]["get"]["parameters"]})
WORDS = [
    *SignalType,
    *Source,
    "LOW",
    "asc",
    "desc",
    "0",
    "1",
    "5000",
    str(NOW),
    "2027-01-15T08:00:00Z",
    "AAAA",
]
VALUES = st.one_of(st.sampled_from(WORDS), st.text(string.printable, max_size=20), st.text(max_size=5))


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


@given(st.data())
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
def test_no_question_breaks_the_api(store: SqlStore, data: st.DataObject) -> None:
    """Any path, any parameters: a documented status and a documented form, never a fault of ours."""
    targets = []
    for _ in range(20):
        path = data.draw(st.sampled_from(GETS))
        query = data.draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
        instance = data.draw(st.sampled_from(["sales-1", "nobody"]) | st.text(min_size=1, max_size=6))
        asked = "&".join(f"{name}={_quoted(value)}" for name, value in query.items())
        target = path.replace("{instanceId}", _quoted(instance)).replace("{decisionId}", _quoted(instance))
        targets.append((path, f"{target}?{asked}"))

    async def story() -> list[tuple[str, str, Reply]]:
        async with admin(store, evaluation=evaluation_over(store)) as api:
            return [(path, target, await api.get(target)) for path, target in targets]

    for path, target, reply in run(story):
        described = DOCUMENT["paths"][path]["get"]["responses"]
        assert str(reply.status) in described, (target, reply.status)
        assert reply.status < 500, (target, reply.body)
        if reply.status != 200:
            _, code, field = reply.problem
            assert code, target
            assert field is None or field in NAMES, target


def test_the_fuzz_reaches_every_parameter(store: SqlStore) -> None:
    """The names the fuzz draws from are those of the document, so that a new one is not forgotten."""
    known: set[Any] = {param.name for route in ROUTES for param in route.params if route.method == "GET"}

    assert known | {"instanceId", "decisionId"} == set(NAMES)

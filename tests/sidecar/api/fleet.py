"""A fleet in a real SQLite store, served by the real listener on a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from domain.evaluate_health import EvaluateInstanceHealth
from domain.event import Context
from domain.exchange import ExchangeFacts, Outcome
from domain.fold_state import setting_of
from domain.forget import ForgetPersonalIds
from domain.ingest_signal import IngestReputationSignal
from domain.read_health import ReadInstanceHealth
from domain.record_signal import RecordReputationSignal, Slice
from domain.recorded import Gap, Progress
from domain.replay import ReplayDecisions
from domain.signal import Signal
from domain.words import Direction, Millis, SignalType, Source
from exporters.sql.store import SqlStore
from sidecar.api import Evaluation
from sidecar.api.openapi import document
from sidecar.api.parts import Posting
from sidecar.api.routes import ROUTES
from sidecar.journal.writer import JournalWriter
from sidecar.own_journal import OwnJournal
from tests.sidecar.api.serving import NOW, REDACTOR, Admin, admin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SETTING: Final = setting_of(1_800_000)
START: Final[Millis] = NOW - 20 * 60_000
HEALTHY: Final = "sales-1"
FAILING: Final = "alerts-failing"
ODD: Final = 'lo"ja/são <b>'
FLEET: Final = (HEALTHY, FAILING, ODD)
JOURNAL_BYTES: Final = 8 * 1024 * 1024


@dataclass
class Fleet:
    """The store and what was decided about its instances."""

    store: SqlStore
    evaluation: Evaluation
    decision_ids: list[str]


def strict_document() -> dict[str, Any]:
    """Give the document with every object closed, so that a member it does not name fails."""
    described = document(ROUTES)
    for schema in described["components"]["schemas"].values():
        if schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
    return described


def evaluation_over(store: SqlStore) -> Evaluation:
    """Make the use cases of health over a store."""
    reading, replay = ReadInstanceHealth(store, SETTING), ReplayDecisions(store, SETTING)
    return Evaluation(EvaluateInstanceHealth(store, SETTING), reading, replay)


def exchange(exchange_id: str, signals: Sequence[Signal]) -> ExchangeFacts:
    """Make an exchange that stated these facts."""
    return ExchangeFacts(
        *(exchange_id, NOW, Direction.DISPATCH, "turbozap", "POST", "_OTHER", 200, None, 1, 1, Outcome.READ),
        signals=tuple(signals),
    )


def _signal(
    instance: str,
    n: int,
    kind: SignalType,
    source: Source,
    context: Context | None = None,
    latency_ms: int | None = None,
) -> Signal:
    return Signal(
        kind,
        source,
        instance,
        START + n * 5000,
        f"3EB0{n:04}",
        "5511@h" if n % 3 else None,
        is_group=n % 7 == 0,
        latency_ms=latency_ms,
        context=context or {},
        basis=f"{instance}{n}",
    )


def _facts(instance: str, *, failing: bool) -> list[Signal]:
    made = [Signal(SignalType.CONNECTION_CONNECTED, Source.PROVIDER, instance, START, basis="c")]
    for n in range(1, 61):
        made.append(_signal(instance, n, SignalType.MESSAGE_SENT, Source.DISPATCH, {"httpStatus": 200}))
        made.append(_signal(instance, n, SignalType.SEND_LATENCY_OBSERVED, Source.DISPATCH, None, 40 + n))
        if failing and n % 4:
            made.append(_signal(instance, n, SignalType.MESSAGE_FAILED, Source.WEBHOOK, {"code": "131049"}))
        else:
            made.append(_signal(instance, n, SignalType.MESSAGE_DELIVERED, Source.WEBHOOK))
        if n % 5 == 0:
            kind = SignalType.CONNECTION_DISCONNECTED if failing else SignalType.MESSAGE_REPLIED
            made.append(_signal(instance, n, kind, Source.PROVIDER if failing else Source.WEBHOOK))
    return made


@contextmanager
def stored_fleet(folder: Path) -> Iterator[Fleet]:
    """Fill a SQLite store: a healthy number, one in cooldown, one with an odd name, and two gaps."""
    store = SqlStore(f"sqlite:///{folder}/store.db", sidecar_id="test")
    store.open()
    record = RecordReputationSignal(store)
    evaluation = evaluation_over(store)
    evaluate = EvaluateInstanceHealth(store, SETTING)
    gaps = [
        Gap("k1", START + 60_000, START + 90_000, "disk_full", 1234),
        Gap("k2", START, NOW, "journal_full", 2, HEALTHY),
    ]
    decision_ids = []
    for instance in FLEET:
        facts = exchange(instance, _facts(instance, failing=instance == FAILING))
        recorded = record([Slice(Progress("w0"), [facts], gaps)], NOW)
        for one in evaluate.touched(recorded.signals, NOW):
            decision_ids += [decision.id for decision in one.decisions]
        gaps = []
    try:
        yield Fleet(store, evaluation, decision_ids)
    finally:
        store.close()


@asynccontextmanager
async def posting_to(folder: Path) -> "AsyncIterator[Posting]":
    """Take posted facts into a real journal."""
    own = OwnJournal(JournalWriter(folder, 1, max_bytes=JOURNAL_BYTES, sync_ms=50))
    own.start()
    try:
        yield Posting(IngestReputationSignal(REDACTOR), own.append)
    finally:
        await own.close()


@contextmanager
def served(fleet: Fleet, folder: Path, **parts: Any) -> Iterator[Admin]:
    """Serve a fleet on a thread, for clients that block."""
    ready: Future[Admin] = Future()
    stop = threading.Event()

    async def serve_until_stopped() -> None:
        given = {"evaluation": fleet.evaluation, "forgetting": ForgetPersonalIds(fleet.store)} | parts
        async with posting_to(folder) as posting, admin(fleet.store, posting=posting, **given) as api:
            ready.set_result(api)
            await asyncio.to_thread(stop.wait)

    def work() -> None:
        try:
            asyncio.run(serve_until_stopped())
        except Exception as error:
            ready.set_exception(error)
            raise

    thread = threading.Thread(target=work, name="served")
    thread.start()
    try:
        yield ready.result(30)
    finally:
        stop.set()
        thread.join(30)

"""POST /v1/signals over the real listener, into the real recording use case and a real store."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from domain.exchange import ExchangeFacts
from domain.ingest_signal import IngestReputationSignal
from domain.record_signal import RecordReputationSignal, Slice
from domain.recorded import Progress
from domain.words import EventType, SignalType, Source
from exporters.sql.store import SqlStore
from sidecar.api.parts import Posting
from sidecar.api.posting import EVENT_OF, ITEMS_MAX
from tests.sidecar.api.serving import NOW, REDACTOR, ListStore, Reply, admin, run

FACT = {"type": "MESSAGE_FAILED", "instanceId": "sales-1", "messageId": "3EB0", "source": "DISPATCH"}


def post(*bodies: Any, fault: Exception | None = None) -> tuple[list[Reply], list[ExchangeFacts]]:
    """Post these bodies one after the other; give the answers and what was journaled."""
    journaled: list[ExchangeFacts] = []

    async def append(facts: ExchangeFacts) -> None:
        if fault is not None:
            raise fault
        journaled.append(facts)

    async def story() -> list[Reply]:
        posting = Posting(IngestReputationSignal(REDACTOR), append)
        async with admin(ListStore(), posting=posting) as api:
            return [await api.post("/v1/signals", json=body) for body in bodies]

    return run(story), journaled


def test_every_signal_type_has_the_event_that_makes_it() -> None:
    """No type can be shown that cannot be posted."""
    assert set(EVENT_OF) == set(SignalType)
    assert EVENT_OF[SignalType.MESSAGE_REPLIED] is EventType.MESSAGE_RECEIVED


def test_posted_facts_are_stored_under_the_ids_that_were_answered(tmp_path: Path) -> None:
    """Journal to store, the answered ids are those of the rows; posting again records nothing twice."""
    body = {
        "signals": [
            FACT,
            FACT,
            {
                "type": "CONNECTION_CONNECTED",
                "instanceId": "sales-1",
                "source": "PROVIDER",
                "occurredAt": NOW - 5,
            },
            {
                "type": "QRCODE_REGENERATED",
                "instanceId": "b",
                "eventId": "e1",
                "occurredAt": "2027-01-15T08:00:00Z",
            },
        ]
    }

    replies, journaled = post(body, body)

    store = SqlStore(f"sqlite:///{tmp_path}/store.db", sidecar_id="test")
    store.open()
    record = RecordReputationSignal(store)
    first = record([Slice(Progress("api"), journaled[:1])], NOW)
    again = record([Slice(Progress("api"), journaled[1:])], NOW)
    store.close()
    assert [reply.status for reply in replies] == [202, 202]
    assert [row.id for row in first.signals] == replies[0].json["ids"]
    assert len(set(replies[0].json["ids"])) == 4
    assert replies[1].json == replies[0].json
    assert again.signals == []


def test_personal_ids_are_redacted_and_context_is_cut_before_the_journal() -> None:
    """A wamid, a chat id and free text leave no trace."""
    posted = {
        **FACT,
        "messageId": "wamid.HBgNNTUxMTk4NzY1NDMyMQ==",
        "remoteJid": "5511987654321@s.whatsapp.net",
        "context": {
            "action": "send",
            "httpStatus": 500,
            "status": "call me: 5511987654321",
            "codeMeaning": "x-5511987654321",
            "code": "hello there",
            "text": "secret",
            "presence": 551198765,
        },
    }

    _, journaled = post({"signals": [posted]})

    (signal,) = journaled[0].signals
    assert signal.message_id == REDACTOR.message_id("wamid.HBgNNTUxMTk4NzY1NDMyMQ==")
    assert signal.remote_jid == REDACTOR.remote_jid("5511987654321@s.whatsapp.net")
    assert signal.context == {
        "action": "send",
        "httpStatus": 500,
        "status": "other",
        "codeMeaning": "other",
        "code": "other",
        "presence": "other",
    }


def test_the_callers_own_event_id_identifies_a_fact_and_is_not_journaled() -> None:
    """Nothing bounds what a caller puts into it, so only its hash is kept."""
    posted = {**FACT, "messageId": None, "eventId": "call of +55 11 98765-4321"}

    _, journaled = post({"signals": [posted]})

    (signal,) = journaled[0].signals
    assert signal.basis == "event:" + hashlib.sha256(b"call of +55 11 98765-4321").hexdigest()


@pytest.mark.parametrize(
    ("given", "chat"),
    [
        ("+55 (11) 98765-4321", "5511987654321@s.whatsapp.net"),
        ("5511987654321:12@c.us", "5511987654321@s.whatsapp.net"),
        ("5511987654321@s.whatsapp.net", "5511987654321@s.whatsapp.net"),
        ("5511987654321@lid", "5511987654321@lid"),
        ("Y2FwaV9ncm91cDox", "Y2FwaV9ncm91cDox"),
    ],
)
def test_a_posted_chat_has_the_digest_that_traffic_gives_it(given: str, chat: str) -> None:
    """The same number is the same digest, however the caller writes it."""
    _, journaled = post({"signals": [{**FACT, "remoteJid": given}]})

    (signal,) = journaled[0].signals
    assert signal.remote_jid == REDACTOR.remote_jid(chat)


def test_each_bad_item_is_listed_and_nothing_is_recorded() -> None:
    """One bad item refuses the whole body; each is named by position and field, no value comes back."""
    items: list[Any] = [
        FACT,
        {**FACT, "type": "5511987654321"},
        {**FACT, "instanceId": "a\u0000b"},
        {**FACT, "occurredAt": "5511987654321x"},
        {"type": "MESSAGE_SENT"},
        {**FACT, "latencyMs": -1},
        {**FACT, "severity": "LOW"},
        {**FACT, "messageId": "a\nb"},
        "5511987654321",
    ]

    (reply,), journaled = post({"signals": items})

    error = reply.json["error"]
    assert reply.status == 400
    assert (error["code"], error["field"]) == ("invalid_signals", "signals[1]")
    assert [(item["index"], item.get("field")) for item in error["items"]] == [
        (1, "type"),
        (2, "instanceId"),
        (3, "occurredAt"),
        (4, "instanceId"),
        (5, "latencyMs"),
        (6, None),
        (7, "messageId"),
        (8, None),
    ]
    assert b"5511987654321" not in reply.body
    assert not journaled


@pytest.mark.parametrize("signals", [[], [FACT] * (ITEMS_MAX + 1), None, "x"])
def test_the_number_of_items_is_bounded(signals: Any) -> None:
    """None, too many, or no list at all: 400."""
    (reply,), journaled = post({"signals": signals})

    assert reply.problem == (400, "invalid_body", "signals")
    assert not journaled


def test_a_journal_that_fails_is_503() -> None:
    """The caller learns that its facts were not taken, and may try again."""
    (reply,), _ = post({"signals": [FACT]}, fault=OSError("disk full"))

    assert reply.problem == (503, "journal_unavailable", None)


def test_defaults_are_those_of_the_table() -> None:
    """Without a source a fact is a WEBHOOK's; without a time it happened now, and says so."""
    _, journaled = post({"signals": [{"type": "MESSAGE_SENT", "instanceId": "a"}]})

    (signal,) = journaled[0].signals
    assert (signal.source, signal.occurred_at, signal.context) == (
        Source.WEBHOOK,
        NOW,
        {"timeSource": "observed"},
    )


def test_without_the_part_the_route_is_not_there() -> None:
    """A sidecar that cannot take posted facts says 404."""

    async def story() -> Any:
        async with admin() as api:
            return (await api.post("/v1/signals", json={"signals": [FACT]})).problem

    assert run(story) == (404, "not_found", None)


async def _never(_: ExchangeFacts) -> None:
    await asyncio.Event().wait()


def test_a_journal_that_hangs_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller does not hang with it."""
    monkeypatch.setattr("sidecar.api.posting.APPEND_SECONDS", 0.01)

    async def story() -> Any:
        async with admin(posting=Posting(IngestReputationSignal(REDACTOR), _never)) as api:
            return (await api.post("/v1/signals", json={"signals": [FACT]})).problem

    assert run(story) == (503, "journal_unavailable", None)

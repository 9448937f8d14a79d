"""POST /v1/signals: facts that do not cross HTTP, validated, redacted and journaled like traffic.

All or nothing: one bad item and nothing is recorded, each bad one is listed. An item without a message id is
identified by its `eventId`, else by its `occurredAt`, so that posting it again records nothing twice. One
with an `id` (it was exported) keeps it.
"""

import asyncio
import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from aiohttp import web

from domain.errors import StoreUnavailable
from domain.event import Event
from domain.exchange import ExchangeFacts, Outcome
from domain.identity import keeping, signal_id
from domain.ingest_signal import IngestReputationSignal
from domain.redaction import is_digest
from domain.signal import INSTANCE_ID_MAX, MESSAGE_ID_MAX, SIGNAL_OF, TIME_MAX, Signal
from domain.words import Direction, EventType, Millis, SignalType, Source
from sidecar.api import times
from sidecar.api.body import field_of, read_body
from sidecar.api.errors import JSON, ApiError, Problem, unavailable
from sidecar.api.params import NO_CONTROLS
from sidecar.api.parts import PARTS
from sidecar.clock import monotonic_ns
from sidecar.providers.chat import chat

ITEMS_MAX: Final = 500
CONTEXT_MAX: Final = 16
APPEND_SECONDS: Final = 5.0
PROVIDER: Final = "api"
_WORD: Final = re.compile(r"(?:(?:GET|POST|PUT|PATCH|DELETE|HEAD) /)?[A-Za-z0-9/{}_.:-]{1,96}")
_LONG_NUMBER: Final = re.compile(r"\d{5}")
_CODES: Final = frozenset({"code", "reasonCode"})
"""Checked by the domain itself."""
TEMPLATE: Final = "/v1/signals"

EVENT_OF: Final = {SIGNAL_OF[event]: event for event in EventType if event in SIGNAL_OF} | {
    SignalType.MESSAGE_REPLIED: EventType.MESSAGE_RECEIVED
}
"""The event that makes each signal."""

ShortText = Annotated[str, msgspec.Meta(max_length=MESSAGE_ID_MAX)]
InstanceId = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=INSTANCE_ID_MAX, extra_json_schema={"pattern": NO_CONTROLS}),
]
MessageId = Annotated[
    str,
    msgspec.Meta(max_length=MESSAGE_ID_MAX, extra_json_schema={"pattern": NO_CONTROLS.replace("+$", "*$")}),
]
TimeText = Annotated[str, msgspec.Meta(extra_json_schema=times.TEXT_SCHEMA)]
EpochMillis = Annotated[int, msgspec.Meta(ge=0, le=TIME_MAX)]

SignalId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        description="an exported fact keeps its id; without one the id follows from the fact",
    ),
]

SmallNumber = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class PostedSignal(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One fact. The severity follows from the type, ids are redacted, context is cut to what is safe."""

    type: SignalType
    instance_id: InstanceId
    source: Source = Source.WEBHOOK
    occurred_at: TimeText | EpochMillis | None = None
    message_id: MessageId | None = None
    remote_jid: ShortText | None = None
    is_group: bool = False
    latency_ms: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    context: Annotated[dict[str, str | SmallNumber], msgspec.Meta(max_length=CONTEXT_MAX)] = {}
    event_id: ShortText | None = None
    id: SignalId | None = None


class PostedSignals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /v1/signals."""

    signals: Annotated[list[PostedSignal], msgspec.Meta(min_length=1, max_length=ITEMS_MAX)]


class _Untyped(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body before its items are looked at, so that each bad one can be named."""

    signals: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=ITEMS_MAX)]


class AcceptedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of the posted facts, in order; they are journaled and will be in the timeline soon."""

    ids: list[str]


class BadItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with one item, by its position from 0."""

    index: int
    message: str
    field: str | msgspec.UnsetType = msgspec.UNSET


class PostingProblem(Problem, frozen=True, kw_only=True):
    """A problem that lists each bad item."""

    items: list[BadItem]


class PostingErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a 400 when items are bad."""

    error: PostingProblem


async def post_signals(request: web.Request) -> web.Response:
    """Check all items, journal them as one exchange, answer their ids."""
    posting = request.app[PARTS].posting
    if posting is None:  # the route is not registered then
        raise ApiError(404, "not_found", "this sidecar takes no posted signals")
    began_ns, now = monotonic_ns(), request.app[PARTS].clock()
    body = await read_body(request, _Untyped)
    exchange_id = f"api-{uuid.uuid4().hex}"
    signals, bad = checked(body.signals, posting.ingest, exchange_id, now)
    if bad:
        problem = PostingProblem(
            code="invalid_signals",
            message=f"{len(bad)} of {len(body.signals)} items are not signals; nothing was recorded",
            field=f"signals[{bad[0].index}]",
            items=bad,
        )
        answer = msgspec.json.encode(PostingErrorAnswer(error=problem))
        return web.Response(status=400, body=answer, content_type=JSON)
    facts = exchange_of(exchange_id, now, signals, (monotonic_ns() - began_ns) // 1000)
    try:
        async with asyncio.timeout(APPEND_SECONDS):
            await posting.append(facts)
    except (TimeoutError, OSError, StoreUnavailable) as error:
        raise unavailable("journal_unavailable", "the journal did not take the facts; try again") from error
    return web.Response(
        status=202, body=msgspec.json.encode(AcceptedAnswer(ids=_ids(signals))), content_type=JSON
    )


def checked(
    items: Sequence[msgspec.Raw], ingest: IngestReputationSignal, exchange_id: str, now: Millis
) -> tuple[list[Signal], list[BadItem]]:
    """Give the signals of posted items, and what is wrong with the others."""
    signals: list[Signal] = []
    bad: list[BadItem] = []
    for index, raw in enumerate(items):
        try:
            event = _event(msgspec.json.decode(raw, type=PostedSignal))
        except msgspec.MsgspecError as error:
            field = field_of(error)
            message = "not a signal; GET /openapi.json has its schema"
            bad.append(BadItem(index=index, message=message, field=field or msgspec.UNSET))
            continue
        except ValueError:
            message = "occurredAt must be ISO-8601 or epoch milliseconds, from 1970 to 9999"
            bad.append(BadItem(index=index, message=message, field="occurredAt"))
            continue
        made, rejected = ingest([event], exchange_id, now)
        bad += [
            BadItem(index=index, message=one.reason, field=_FIELDS.get(one.reason, msgspec.UNSET))
            for one in rejected
        ]
        signals += made
    return signals, bad


_FIELDS: Final[dict[str, str | msgspec.UnsetType]] = {
    "instance_id_invalid": "instanceId",
    "instance_id_empty": "instanceId",
    "instance_id_too_long": "instanceId",
    "message_id_invalid": "messageId",
}


def _safe(value: str | int) -> str | int:
    """Give a context value that cannot be personal: numbers of a status, words, routes; else `other`.

    Readers take their words from tables. Here anyone's text may come, so its form must vouch for it: no
    spaces, and no run of digits that could be a number to call.
    """
    if isinstance(value, int):
        return value if abs(value) < 100_000 else "other"
    return value if _WORD.fullmatch(value) and not _LONG_NUMBER.search(value) else "other"


def _event(posted: PostedSignal) -> Event:
    """Give a posted fact as an event; a ValueError means a bad time."""
    occurred_at = None if posted.occurred_at is None else times.parse(str(posted.occurred_at))
    kept = None if posted.id is None else keeping(posted.id)
    basis = kept or _basis(posted.event_id) or (None if occurred_at is None else str(occurred_at))
    return Event(
        EVENT_OF[posted.type],
        posted.source,
        posted.instance_id,
        occurred_at,
        posted.message_id,
        _chat_id(posted.remote_jid),
        posted.is_group,
        posted.latency_ms,
        {key: value if key in _CODES else _safe(value) for key, value in posted.context.items()},
        basis,
    )


def _basis(event_id: str | None) -> str | None:
    """Identify a fact by the caller's own id of it; hashed, for nothing bounds what it holds."""
    if not event_id:
        return None
    return "event:" + hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()


def _chat_id(jid: str | None) -> str | None:
    """Give a chat its normal form, so that its digest is that of the traffic; an opaque id stays."""
    if jid is None or is_digest(jid):
        return jid
    return jid if "@" not in jid and any(map(str.isalpha, jid)) else chat(jid).jid


def _ids(signals: Sequence[Signal]) -> list[str]:
    """Give the ids the recorder will derive: equal facts of one exchange get an ordinal."""
    seen: Counter[str] = Counter()
    ids = []
    for signal in signals:
        key = (signal.instance_id, signal.source, signal.type, signal.basis)
        identity = signal_id(*key)
        ids.append(signal_id(*key, seen[identity]) if seen[identity] else identity)
        seen[identity] += 1
    return ids


def exchange_of(exchange_id: str, now: Millis, signals: Sequence[Signal], duration_us: int) -> ExchangeFacts:
    """Give posted signals as one exchange, as the journal carries it."""
    return ExchangeFacts(
        exchange_id,
        now,
        Direction.WEBHOOK,
        PROVIDER,
        "POST",
        TEMPLATE,
        202,
        None,
        duration_us,
        None,
        Outcome.READ,
        signals=tuple(signals),
    )

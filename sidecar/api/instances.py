"""GET /v1/instances: every number with its latest known state, in order of its id."""

from functools import partial
from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from domain.ports import SignalStore
from domain.recorded import InstanceSummary
from domain.timeline import LIMIT_DEFAULT
from domain.words import (
    Connection,
    CooldownReason,
    Lifecycle,
    Millis,
    RiskLevel,
    TemperatureLevel,
    Trend,
)
from sidecar.api import cursor, params
from sidecar.api.errors import JSON
from sidecar.api.parts import PARTS, READERS
from sidecar.api.signals import IsoTime
from sidecar.api.times import iso

PARAMS: Final = (params.LIMIT, params.CURSOR)

_ASKED: Final = cursor.fingerprint("instances")


class InstanceAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One instance; what is not known yet is null."""

    instance_id: str
    provider: str
    score: int
    temperature_level: TemperatureLevel
    trend: Trend
    risk_level: RiskLevel
    lifecycle: Lifecycle
    connection: Connection
    cooldown_reason: CooldownReason | None
    last_signal_at: IsoTime | None
    last_evaluated_at: IsoTime | None


class InstancesAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page of instances in ascending order of their id."""

    instances: list[InstanceAnswer]
    next_cursor: str | None


class _After(NamedTuple):
    """What a cursor holds: the last instance shown."""

    instance_id: cursor.KeyInstance


async def instances(request: web.Request) -> web.Response:
    """Answer one page."""
    query = params.Query(request, PARAMS)
    limit = query.get(params.LIMIT) or LIMIT_DEFAULT
    text = query.get(params.CURSOR)
    after = None if text is None else cursor.unpack(text, _ASKED, _After).instance_id
    store = request.app[PARTS].store
    body = await request.app[READERS].questions.run(partial(_page, store, after, limit))
    return web.Response(body=body, content_type=JSON)


def _page(store: SignalStore, after: str | None, limit: int) -> bytes:
    """Read and print one page; on a reader's thread. One more than asked tells whether there is a next."""
    found = store.instances(after, limit + 1)
    shown = found[:limit]
    more = len(found) > limit
    answer = InstancesAnswer(
        instances=[_answer(summary) for summary in shown],
        next_cursor=cursor.pack(_ASKED, _After(shown[-1].instance_id)) if more else None,
    )
    return msgspec.json.encode(answer)


def _answer(summary: InstanceSummary) -> InstanceAnswer:
    return InstanceAnswer(
        instance_id=summary.instance_id,
        provider=summary.provider,
        score=summary.score,
        temperature_level=summary.temperature_level,
        trend=summary.trend,
        risk_level=summary.risk_level,
        lifecycle=summary.lifecycle,
        connection=summary.connection,
        cooldown_reason=summary.cooldown_reason,
        last_signal_at=_iso_or_none(summary.last_signal_at),
        last_evaluated_at=_iso_or_none(summary.last_evaluated_at),
    )


def _iso_or_none(at: Millis | None) -> str | None:
    return None if at is None else iso(at)

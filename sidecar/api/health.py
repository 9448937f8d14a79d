"""Reads of health: what was counted, how an instance stands or stood, decisions with their evidence."""

from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from domain.health_ports import DecisionKey, DecisionQuery
from domain.read_health import DECISIONS_MAX, WINDOW_MAX_MS, ReadInstanceHealth
from sidecar.api import cursor, params
from sidecar.api.errors import JSON, ApiError
from sidecar.api.etag import tagged, unless_known
from sidecar.api.health_answers import (
    DecisionAnswer,
    decision_answer,
    reputation_answer,
    snapshot_answer,
)
from sidecar.api.parts import PARTS, READERS, Evaluation

DECISIONS_DEFAULT: Final = 100
DECISION_ID_MAX: Final = 64

WINDOW_MS: Final = params.integer(
    "windowMs", 1, WINDOW_MAX_MS, "Length of the window. Default: SIDECAR_WINDOW_MS."
)
AT: Final = params.time("at", "The instant asked about; one in the future counts as now. Default: now.")
REPLAY: Final = params.choice("replay", ("true", "false"), "Recompute it from the stored signals.", "false")
DECISIONS_SINCE: Final = params.time("since", "First instant, inclusive. Default: the beginning.")
DECISIONS_LIMIT: Final = params.integer(
    "limit", 1, DECISIONS_MAX, "Most decisions on a page.", DECISIONS_DEFAULT
)

SNAPSHOT_PARAMS: Final = (WINDOW_MS, params.UNTIL)
REPUTATION_PARAMS: Final = (AT,)
DECISIONS_PARAMS: Final = (DECISIONS_SINCE, params.UNTIL, DECISIONS_LIMIT, params.CURSOR)
DECISION_PARAMS: Final = (REPLAY,)


class DecisionsAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page of decisions, newest first."""

    decisions: list[DecisionAnswer]
    next_cursor: str | None


class DifferenceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a replay does not reproduce, by its path in the decision."""

    path: str
    stored: Any
    recomputed: Any


class DecisionDetail(DecisionAnswer, frozen=True, kw_only=True, rename="camel"):
    """One decision; the last two only when a replay was asked for."""

    reproduced: bool | UnsetType = UNSET
    differences: list[DifferenceAnswer] | UnsetType = UNSET


class _Position(NamedTuple):
    since: cursor.KeyTime
    until: cursor.KeyTime
    evaluated_at: cursor.KeyTime
    arrival: cursor.KeyNumber


def evaluation_of(request: web.Request) -> Evaluation:
    """Give the part; its routes are registered only when there is one."""
    evaluation = request.app[PARTS].evaluation
    assert evaluation is not None, "the routes are registered with the part only"
    return evaluation


async def snapshot(request: web.Request) -> web.Response:
    """Count the window that ends at `until`."""
    instance_id = params.instance_of(request)
    query = params.Query(request, SNAPSHOT_PARAMS)
    window_ms = query.get(WINDOW_MS)
    until = query.get(params.UNTIL)
    end = request.app[PARTS].clock() if until is None else until
    reading = evaluation_of(request).reading

    def work() -> bytes:
        return msgspec.json.encode(
            snapshot_answer(instance_id, *reading.snapshot(instance_id, window_ms, end))
        )

    return web.Response(body=await request.app[READERS].questions.run(work), content_type=JSON)


async def reputation(request: web.Request) -> web.Response:
    """Tell how an instance stands, or stood at a time; saves nothing."""
    instance_id = params.instance_of(request)
    query = params.Query(request, REPUTATION_PARAMS)
    now = request.app[PARTS].clock()
    asked = query.get(AT)
    at = now if asked is None else min(asked, now)
    reading = evaluation_of(request).reading

    def work() -> bytes:
        return msgspec.json.encode(reputation_answer(*reading.reputation(instance_id, at)))

    return web.Response(body=await request.app[READERS].questions.run(work), content_type=JSON)


async def decisions(request: web.Request) -> web.Response:
    """Answer one page of decisions."""
    instance_id = params.instance_of(request)
    query = params.Query(request, DECISIONS_PARAMS)
    asked = cursor.fingerprint("decisions", instance_id)
    text = query.get(params.CURSOR)
    at = None if text is None else cursor.unpack(text, asked, _Position)
    now = request.app[PARTS].clock()
    held = None if at is None else (at.since, at.until)
    since, until = params.bounds(query, now, now, held)
    after = None if at is None else DecisionKey(at.evaluated_at, at.arrival)
    limit = query.get(DECISIONS_LIMIT) or DECISIONS_DEFAULT
    wanted = DecisionQuery(instance_id, since, until, limit, after)
    work = partial(_page, evaluation_of(request).reading, wanted, asked)
    return web.Response(body=await request.app[READERS].questions.run(work), content_type=JSON)


def _page(reading: ReadInstanceHealth, query: DecisionQuery, asked: str) -> bytes:
    """Read and print one page; on a reader's thread."""
    page = reading.decisions(query)
    key = page.next_key
    answer = DecisionsAnswer(
        decisions=[decision_answer(decision) for decision in page.decisions],
        next_cursor=None if key is None else cursor.pack(asked, _Position(query.since, query.until, *key)),
    )
    return msgspec.json.encode(answer)


async def decision(request: web.Request) -> web.Response:
    """Answer one decision, with its replay when asked for."""
    decision_id = request.match_info["decisionId"]
    if len(decision_id) > DECISION_ID_MAX:
        raise _unknown_decision()
    replayed = params.Query(request, DECISION_PARAMS).get(REPLAY) == "true"
    work = partial(_detail, evaluation_of(request), decision_id, replayed=replayed)
    body, etag = await request.app[READERS].questions.run(work)
    return unless_known(request, body, etag)


def _unknown_decision() -> ApiError:
    return ApiError(404, "unknown_decision", "there is no decision of this id")


def _detail(evaluation: Evaluation, decision_id: str, *, replayed: bool) -> tuple[bytes, str]:
    """Read, replay and print one decision; on a reader's thread."""
    found = evaluation.reading.decision(decision_id)
    if found is None:
        raise _unknown_decision()
    answer = msgspec.structs.asdict(decision_answer(found))
    if not replayed:
        return tagged(DecisionDetail(**answer))
    again = evaluation.replay.decision(found)
    differences = [
        DifferenceAnswer(path=one.path, stored=one.stored, recomputed=one.recomputed)
        for one in again.differences
    ]
    return tagged(DecisionDetail(**answer, reproduced=again.reproduced, differences=differences))

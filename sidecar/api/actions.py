"""What changes something: evaluations on request, and what an operator does. Each answers its decision."""

from collections.abc import Callable
from functools import partial

import msgspec
from aiohttp import web

from domain.decision import Decision
from domain.words import ActionKind, EvaluationReason
from sidecar.api import params
from sidecar.api.body import read_body
from sidecar.api.errors import JSON
from sidecar.api.health import evaluation_of
from sidecar.api.health_answers import decision_answer
from sidecar.api.parts import PARTS, READERS


class EvaluateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of an evaluation; the reason is a label and changes no result."""

    reason: EvaluationReason = EvaluationReason.OPERATOR


class NoBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of an operator's action: nothing, or `{}`."""


async def evaluate(request: web.Request) -> web.Response:
    """Evaluate now, and store the answer as a decision."""
    instance_id = params.instance_of(request)
    reason = (await read_body(request, EvaluateBody)).reason
    now = request.app[PARTS].clock()
    acting = evaluation_of(request).acting
    return await _decided(request, lambda: acting.requested(instance_id, reason, now))


async def enter_cooldown(request: web.Request) -> web.Response:
    """Let the instance rest: MANUAL_INTERVENTION."""
    return await _act(request, ActionKind.ENTER_COOLDOWN)


async def leave_cooldown(request: web.Request) -> web.Response:
    """End the instance's rest."""
    return await _act(request, ActionKind.LEAVE_COOLDOWN)


async def reinitialise(request: web.Request) -> web.Response:
    """Put the reputation back to 50, COLD, no cooldowns."""
    return await _act(request, ActionKind.REINITIALISE)


async def ban(request: web.Request) -> web.Response:
    """Mark the instance as banned by WhatsApp."""
    return await _act(request, ActionKind.BAN)


async def _act(request: web.Request, kind: ActionKind) -> web.Response:
    instance_id = params.instance_of(request)
    await read_body(request, NoBody)
    now = request.app[PARTS].clock()
    return await _decided(request, partial(evaluation_of(request).acting.acted, instance_id, kind, now))


async def _decided(request: web.Request, work: Callable[[], Decision]) -> web.Response:
    """Do it on the one thread for changes, and answer the decision."""

    def printed() -> bytes:
        return msgspec.json.encode(decision_answer(work()))

    return web.Response(body=await request.app[READERS].changes.run(printed), content_type=JSON)

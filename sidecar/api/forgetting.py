"""POST .../forget: an operator has message and chat ids blanked (docs/adr/0017); facts and decisions stay."""

from functools import partial
from typing import Annotated

import msgspec
from aiohttp import web

from domain.forget import Forgotten
from domain.redaction import Redactor, is_digest
from domain.signal import MESSAGE_ID_MAX
from sidecar.api import params
from sidecar.api.body import read_body
from sidecar.api.errors import JSON, ApiError
from sidecar.api.parts import PARTS, READERS
from sidecar.providers.chat import chat
from sidecar.telemetry import PersonalIdsForgotten

ChatId = Annotated[str, msgspec.Meta(min_length=1, max_length=MESSAGE_ID_MAX)]


class ForgetBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Of an instance: everything, or one chat."""

    remote_jid: ChatId | None = None


class ForgetChatBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One chat, wherever it is."""

    remote_jid: ChatId


class ForgottenAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was done. `scrubbed`: the store's own files hold no earlier form of a row any more."""

    instances: int
    seen: int
    blanked: int
    scrubbed: bool


def stored_forms(redactor: Redactor, jid: str) -> set[str]:
    """Give every form under which a chat may be stored: digest, plain, and as it was written."""
    if is_digest(jid):
        return {jid}
    normal = chat(jid).jid or jid
    forms = {jid, normal, redactor.remote_jid(normal), redactor.remote_jid(jid)}
    return {form for form in forms if form}


def forgotten_answer(forgotten: Forgotten) -> ForgottenAnswer:
    """Give the outcome in the form of the API."""
    return ForgottenAnswer(**forgotten._asdict())


async def forget_instance(request: web.Request) -> web.Response:
    """Blank what is stored of an instance, or of one chat of it; beside recording, in bounded steps."""
    instance_id = params.instance_of(request)
    body = await read_body(request, ForgetBody)
    return await _forgotten(request, instance_id, body.remote_jid)


async def forget_chat(request: web.Request) -> web.Response:
    """Blank what is stored of a chat."""
    body = await read_body(request, ForgetChatBody)
    return await _forgotten(request, None, body.remote_jid)


async def _forgotten(request: web.Request, instance_id: str | None, jid: str | None) -> web.Response:
    parts = request.app[PARTS]
    if parts.forgetting is None:  # the routes are not registered then
        raise ApiError(404, "not_found", "this sidecar forgets nothing")
    jids = stored_forms(parts.redactor, jid) if jid else ()
    # The lane of long work: it must hold up neither questions nor what an operator does meanwhile.
    work = partial(parts.forgetting, instance_id=instance_id, remote_jids=jids)
    forgotten = await request.app[READERS].exports.run(work)
    PersonalIdsForgotten(instances=forgotten.instances, blanked=forgotten.blanked).emit()
    return web.Response(body=msgspec.json.encode(forgotten_answer(forgotten)), content_type=JSON)

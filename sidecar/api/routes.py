"""Everything that is served, in one table: the application and the OpenAPI document are both made from it."""

from typing import Final

from sidecar.api import (
    actions,
    annotations,
    forgetting,
    front,
    health,
    instances,
    openapi,
    posting,
    probes,
    session,
    stream,
    timeline,
)
from sidecar.api.errors import JSON
from sidecar.api.health_answers import DecisionAnswer, ReputationAnswer, SnapshotAnswer
from sidecar.api.route import Access, Route
from sidecar.api.signals import GapLine, SignalAnswer

TEXT: Final = "text/plain"
_INSTANCE: Final = "/v1/instances/{instanceId}"
_DOWN: Final = {
    "description": "Not live, or not ready.",
    "content": {
        JSON: {
            "schema": {"$ref": "#/components/schemas/HealthAnswer"},
            "example": {"status": "not_ready", "reasons": []},
        }
    },
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        path="/v1/instances",
        handler=instances.instances,
        summary="Every instance with its latest known state, in order of its id.",
        answer=instances.InstancesAnswer,
        params=instances.PARAMS,
    ),
    Route(
        path=f"{_INSTANCE}/timeline",
        handler=timeline.timeline,
        summary="What happened to this instance: signals in order, gaps shown as gaps. "
        "As NDJSON or CSV the whole range is streamed and `limit` does not apply.",
        answer=timeline.TimelineAnswer,
        also={timeline.NDJSON: SignalAnswer | GapLine, timeline.CSV: str},
        params=timeline.PARAMS,
        errors=(406,),
        tagged=True,
    ),
    Route(
        path="/v1/annotations",
        handler=annotations.annotations,
        summary="Spans for Grafana to draw: disconnects, cooldowns, gaps. Times are epoch milliseconds.",
        answer=annotations.AnnotationsAnswer,
        params=annotations.PARAMS,
    ),
    Route(
        method="POST",
        path="/v1/signals",
        handler=posting.post_signals,
        summary="Record facts that do not cross HTTP; all or nothing.",
        answer=posting.AcceptedAnswer,
        status=202,
        body=posting.PostedSignals,
        failure=posting.PostingErrorAnswer,
        needs="posting",
    ),
    Route(
        path=f"{_INSTANCE}/snapshot",
        handler=health.snapshot,
        summary="What was counted in a window.",
        answer=SnapshotAnswer,
        params=health.SNAPSHOT_PARAMS,
        errors=(404,),
        needs="evaluation",
    ),
    Route(
        path=f"{_INSTANCE}/reputation",
        handler=health.reputation,
        summary="How an instance stands, or stood: score, level, risk, cooldown, and the rules that fire.",
        answer=ReputationAnswer,
        params=health.REPUTATION_PARAMS,
        errors=(404, 410),
        needs="evaluation",
    ),
    Route(
        path=f"{_INSTANCE}/decisions",
        handler=health.decisions,
        summary="Decisions with their evidence, newest first.",
        answer=health.DecisionsAnswer,
        params=health.DECISIONS_PARAMS,
        needs="evaluation",
    ),
    Route(
        path="/v1/decisions/{decisionId}",
        handler=health.decision,
        summary="One decision; with `replay` recomputed from the stored signals.",
        answer=health.DecisionDetail,
        params=health.DECISION_PARAMS,
        errors=(404, 410),
        tagged=True,
        needs="evaluation",
    ),
    Route(
        method="POST",
        path=f"{_INSTANCE}/evaluate",
        handler=actions.evaluate,
        summary="Evaluate now; stores and answers a decision.",
        answer=DecisionAnswer,
        body=actions.EvaluateBody,
        body_required=False,
        errors=(404,),
        needs="evaluation",
    ),
    *(
        Route(
            method=method,
            path=f"{_INSTANCE}/{name}",
            handler=handler,
            summary=summary,
            answer=DecisionAnswer,
            body=actions.NoBody,
            body_required=False,
            errors=(404,),
            needs="evaluation",
        )
        for method, name, handler, summary in (
            ("POST", "cooldown", actions.enter_cooldown, "An operator lets the instance rest."),
            ("DELETE", "cooldown", actions.leave_cooldown, "An operator ends the rest."),
            ("POST", "reinitialise", actions.reinitialise, "An operator starts the reputation anew."),
            ("POST", "ban", actions.ban, "An operator marks the instance as banned."),
        )
    ),
    Route(
        method="POST",
        path="/v1/forget",
        handler=forgetting.forget_chat,
        summary="An operator has message and chat ids of a chat blanked, in every instance.",
        answer=forgetting.ForgottenAnswer,
        body=forgetting.ForgetChatBody,
        needs="forgetting",
    ),
    Route(
        method="POST",
        path=f"{_INSTANCE}/forget",
        handler=forgetting.forget_instance,
        summary="An operator has message and chat ids of an instance blanked, or of one chat of it.",
        answer=forgetting.ForgottenAnswer,
        body=forgetting.ForgetBody,
        body_required=False,
        needs="forgetting",
    ),
    Route(
        path="/v1/stream",
        handler=stream.stream,
        summary="Signals and decisions as they are recorded: events `signal` and `decision`, JSON data.",
        also={stream.EVENTS: str},
        params=stream.PARAMS,
        head=False,
    ),
    Route(
        path="/openapi.json",
        handler=openapi.openapi,
        summary="This document.",
        also={JSON: dict},
    ),
    Route(
        path="/",
        handler=front.front,
        summary="The timeline page; the sign-in form (401) without a session.",
        also={"text/html": str},
        more={"401": {"description": "Sign in.", "content": {"text/html": {"schema": {"type": "string"}}}}},
        access=Access.OPEN,
    ),
    Route(
        path="/metrics",
        handler=probes.metrics,
        summary="All metrics for Prometheus, as text or OpenMetrics.",
        also={TEXT: str},
        access=Access.AS_SET,
    ),
    Route(
        path="/healthz",
        handler=probes.healthz,
        summary="The process lives.",
        answer=probes.HealthAnswer,
        more={"503": _DOWN},
        access=Access.OPEN,
    ),
    Route(
        path="/readyz",
        handler=probes.readyz,
        summary="Traffic can be forwarded.",
        answer=probes.HealthAnswer,
        more={"503": _DOWN},
        access=Access.OPEN,
    ),
    Route(
        method="POST",
        path="/session",
        handler=front.sign_in,
        summary="Sign in to the page with the token; sets an HttpOnly cookie. A form is sent back to `/`.",
        more={"303": {"description": "Signed in by the form."}},
        status=204,
        body=session.SignIn,
        errors=(401, 429),
        access=Access.OPEN,
    ),
)

"""GET /v1/annotations: spans for Grafana to draw over any panel: disconnects, cooldowns, gaps.

Read from facts alone: a disconnect lasts from the first fact that says so until the next connection. Without
an instance the answer goes over all of them, a page of instances at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from domain.decision import Decision
from domain.health_ports import DecisionQuery
from domain.ports import SignalStore
from domain.read_health import DECISIONS_MAX, ReadInstanceHealth
from domain.recorded import Gap, RecordedSignal
from domain.timeline import TimelineQuery
from domain.words import Millis, SignalType, TemperatureLevel
from sidecar.api import cursor, params
from sidecar.api.errors import JSON
from sidecar.api.parts import PARTS, READERS
from sidecar.api.signals import summary

PARAMS: Final = (params.INSTANCE_ID, params.SINCE, params.UNTIL, params.CURSOR)
INSTANCES_PAGE: Final = 25
FACTS_MAX: Final = 1000
"""Connection facts of one instance in one answer; the newest are kept, and what is missing is said."""

_DOWN: Final = frozenset({SignalType.CONNECTION_DISCONNECTED, SignalType.CONNECTION_ERROR})
_CHANGES: Final = _DOWN | {SignalType.CONNECTION_CONNECTED}


class Annotation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A span in epoch milliseconds; a point ends where it begins. `tags` are separated by commas."""

    time: int
    time_end: int
    title: str
    text: str
    tags: str


class AnnotationsAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page of annotations; within an instance in order of time."""

    annotations: list[Annotation]
    next_cursor: str | None


class _Position(NamedTuple):
    """What a cursor holds: the bounds of the first page, and the last instance shown."""

    since: cursor.KeyTime
    until: cursor.KeyTime
    after: cursor.KeyInstance


async def annotations(request: web.Request) -> web.Response:
    """Answer one page: one instance, or the next few."""
    parts = request.app[PARTS]
    query = params.Query(request, PARAMS)
    instance_id = query.get(params.INSTANCE_ID)
    asked = cursor.fingerprint("annotations", instance_id)
    text = query.get(params.CURSOR)
    at = None if text is None else cursor.unpack(text, asked, _Position)
    held = None if at is None else (at.since, at.until)
    bounds = params.bounds(query, parts.clock(), parts.window_ms, held)
    reading = None if parts.evaluation is None else parts.evaluation.reading
    sources = _Sources(parts.store, reading)
    work = partial(_page, sources, asked, instance_id, bounds, None if at is None else at.after)
    return web.Response(body=await request.app[READERS].questions.run(work), content_type=JSON)


class _Sources(NamedTuple):
    """Where annotations come from; `reading` None where health is not evaluated."""

    store: SignalStore
    reading: ReadInstanceHealth | None


def _page(
    sources: _Sources, asked: str, instance_id: str | None, bounds: tuple[Millis, Millis], after: str | None
) -> bytes:
    """Read and print one page; on a reader's thread."""
    since, until = bounds
    store = sources.store
    found: list[Annotation] = []
    next_cursor = None
    if since <= until:
        if after is None:
            found += map(_of_gap, store.gaps(since, until, instance_id))
        names = [instance_id] if instance_id is not None else []
        if instance_id is None:
            lines = store.instances(after, INSTANCES_PAGE + 1)
            names = [line.instance_id for line in lines[:INSTANCES_PAGE]]
            if len(lines) > INSTANCES_PAGE:
                next_cursor = cursor.pack(asked, _Position(since, until, names[-1]))
        for name in names:
            found += _of_instance(store, name, since, until)
            if sources.reading is not None:
                found += _cooldowns(sources.reading, name, since, until)
    return msgspec.json.encode(AnnotationsAnswer(annotations=found, next_cursor=next_cursor))


def _of_gap(gap: Gap) -> Annotation:
    whose = gap.instance_id or "unknown instances"
    return Annotation(
        time=gap.since,
        time_end=gap.until,
        title="facts lost",
        text=f"{gap.lost} facts of {whose} were lost: {gap.reason}",
        tags="gap",
    )


def _of_instance(store: SignalStore, instance_id: str, since: Millis, until: Millis) -> Iterator[Annotation]:
    query = TimelineQuery(instance_id, since, until, _CHANGES, descending=True, limit=FACTS_MAX)
    page = store.timeline(query)
    facts = page.signals[::-1]
    if page.next_key is None:
        before = store.timeline(query._replace(since=0, until=since - 1, limit=1)) if since > 0 else None
        facts = [*(before.signals if before else ()), *facts]
    else:
        yield Annotation(
            time=since,
            time_end=facts[0].occurred_at,
            title=f"{instance_id}: too many connection changes",
            text=f"only the newest {FACTS_MAX} are shown; ask for a shorter span",
            tags="disconnect,cut",
        )
    yield from _disconnects(facts, since, until)


def _disconnects(facts: Iterable[RecordedSignal], since: Millis, until: Millis) -> Iterator[Annotation]:
    """Join facts to spans in which the instance was down; a span still open ends with the question."""
    down: list[RecordedSignal] = []
    for fact in facts:
        if fact.type in _DOWN:
            down.append(fact)
        elif down:
            yield _span(down, since, fact.occurred_at)
            down = []
    if down:
        yield _span(down, since, until)


def _cooldowns(
    reading: ReadInstanceHealth, instance_id: str, since: Millis, until: Millis
) -> Iterator[Annotation]:
    """Give the spans of rest, from the decisions that began and ended them; corrected ones do not count."""
    inside = reading.decisions(DecisionQuery(instance_id, since, until, DECISIONS_MAX)).decisions
    earlier = reading.decisions(DecisionQuery(instance_id, 0, since - 1, 1)).decisions if since > 0 else []
    corrected = {decision.supersedes for decision in inside}
    resting: Decision | None = None
    for decision in (*earlier, *reversed(inside)):
        if decision.id in corrected:
            continue
        rests = decision.after.temperature_level is TemperatureLevel.COOLDOWN
        if rests and resting is None:
            resting = decision
        elif not rests and resting is not None:
            yield _rest(resting, since, decision.evaluated_at)
            resting = None
    if resting is not None:
        yield _rest(resting, since, until)


def _rest(decision: Decision, since: Millis, end: Millis) -> Annotation:
    reason = decision.after.cooldown_reason
    return Annotation(
        time=max(since, decision.evaluated_at),
        time_end=end,
        title=f"{decision.instance_id} in cooldown",
        text=f"{reason or 'no reason'}, score {decision.after.score}",
        tags="cooldown",
    )


def _span(down: Sequence[RecordedSignal], since: Millis, end: Millis) -> Annotation:
    first = down[0]
    again = f" ({len(down)} facts)" if len(down) > 1 else ""
    return Annotation(
        time=max(since, first.occurred_at),
        time_end=end,
        title=f"{first.instance_id} disconnected",
        text=summary(first) + again,
        tags="disconnect",
    )

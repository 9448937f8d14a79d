"""GET /v1/instances/{id}/timeline: what happened to this number; JSON pages, NDJSON, CSV."""

from functools import partial
from typing import Final, NamedTuple

import msgspec
from aiohttp import hdrs, web

from domain.timeline import LIMIT_DEFAULT, GetReputationTimeline, PageKey, Timeline, TimelineQuery
from sidecar.api import cursor, params
from sidecar.api.errors import JSON, unavailable
from sidecar.api.etag import tagged, unless_known
from sidecar.api.negotiate import pick
from sidecar.api.parts import PARTS, READERS, AdminParts
from sidecar.api.signals import GapAnswer, IsoTime, SignalAnswer, csv_rows, gap_answer, ndjson, signal_answer
from sidecar.api.times import iso

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
EXPORT_PAGE: Final = 1000
"""Rows of an export in memory at once: about 1 MiB as they travel."""
EXPORTS_MAX: Final = 8

PARAMS: Final = (
    params.SINCE,
    params.UNTIL,
    params.TYPE,
    params.SEVERITY,
    params.SOURCE,
    params.MESSAGE_ID,
    params.ORDER,
    params.LIMIT,
    params.CURSOR,
)

EXPORTS: Final = web.AppKey("exports", list[web.StreamResponse])
"""Downloads that are under way."""


class TimelineAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page. Gaps stand on the first page; `nextCursor` is null on the last."""

    instance_id: str
    since: IsoTime
    until: IsoTime
    signals: list[SignalAnswer]
    gaps: list[GapAnswer]
    next_cursor: str | None


class _Position(NamedTuple):
    """What a cursor holds: bounds as they were resolved for the first page, and the last row's key."""

    since: cursor.KeyTime
    until: cursor.KeyTime
    occurred_at: cursor.KeyTime
    seq: cursor.KeyNumber


class _Question(NamedTuple):
    query: TimelineQuery
    asked: str

    def next_cursor(self, key: PageKey | None) -> str | None:
        if key is None:
            return None
        return cursor.pack(self.asked, _Position(self.query.since, self.query.until, *key))


async def timeline(request: web.Request) -> web.StreamResponse:
    """Answer a page, or stream the range when the caller asks for lines or rows."""
    parts = request.app[PARTS]
    form = pick(request, (JSON, NDJSON, CSV))
    question = _question(request, parts)
    read = GetReputationTimeline(parts.store)
    if form == JSON:
        body, etag = await request.app[READERS].questions.run(partial(_page, read, question))
        return unless_known(request, body, etag)
    return await _export(request, form, read, question)


def _question(request: web.Request, parts: AdminParts) -> _Question:
    instance_id = params.instance_of(request)
    query = params.Query(request, PARAMS)
    types = query.get(params.TYPE) or frozenset()
    severities = query.get(params.SEVERITY) or frozenset()
    sources = query.get(params.SOURCE) or frozenset()
    message_id = query.get(params.MESSAGE_ID)
    descending = query.get(params.ORDER) == "desc"
    asked = cursor.fingerprint(
        "timeline", instance_id, sorted(types), sorted(severities), sorted(sources), message_id, descending
    )
    text = query.get(params.CURSOR)
    at = None if text is None else cursor.unpack(text, asked, _Position)
    held = None if at is None else (at.since, at.until)
    since, until = params.bounds(query, parts.clock(), parts.window_ms, held)
    return _Question(
        TimelineQuery(
            instance_id,
            since,
            until,
            types,
            severities,
            sources,
            None if message_id is None else parts.redactor.message_id(message_id),
            descending,
            query.get(params.LIMIT) or LIMIT_DEFAULT,
            None if at is None else PageKey(at.occurred_at, at.seq),
        ),
        asked,
    )


def _page(read: GetReputationTimeline, question: _Question) -> tuple[bytes, str]:
    """Read and print one page; on a reader's thread."""
    page = read(question.query)
    answer = TimelineAnswer(
        instance_id=question.query.instance_id,
        since=iso(question.query.since),
        until=iso(question.query.until),
        signals=[signal_answer(row) for row in page.signals],
        gaps=[gap_answer(gap) for gap in page.gaps],
        next_cursor=question.next_cursor(page.next_key),
    )
    return tagged(answer)


async def _export(
    request: web.Request, form: str, read: GetReputationTimeline, question: _Question
) -> web.StreamResponse:
    """Stream the whole range page by page; memory holds one page, the client's pace is the pace.

    The first page is read before the head is sent, so that a fault is still an honest status. A later fault
    breaks the connection: a cut download must not look complete.
    """
    open_exports = request.app[EXPORTS]
    if len(open_exports) >= EXPORTS_MAX:
        raise unavailable("too_many_exports", f"{EXPORTS_MAX} downloads are under way; try again", 429)
    response = web.StreamResponse()
    response.content_type = form
    response.charset = "utf-8"
    open_exports.append(response)
    try:
        lane = request.app[READERS].exports
        query = question.query._replace(limit=EXPORT_PAGE)
        chunk, key = await lane.run(partial(_chunk, form, read, query))
        await response.prepare(request)
        while request.method != hdrs.METH_HEAD:
            await response.write(chunk)
            if key is None:
                break
            query = query._replace(after=key)
            chunk, key = await lane.run(partial(_chunk, form, read, query))
        await response.write_eof()
    except ConnectionError:
        pass  # the reader left: nobody is there to tell, and nothing is wrong with us
    except Exception:
        if response.prepared and request.transport is not None:
            request.transport.abort()
        raise
    finally:
        open_exports.remove(response)
    return response


def _chunk(form: str, read: GetReputationTimeline, query: TimelineQuery) -> tuple[bytes, PageKey | None]:
    """Read and print one page of an export; on a reader's thread."""
    page: Timeline = read(query)
    if form == CSV:
        return csv_rows(page.signals, header=query.after is None), page.next_key
    return ndjson(page.signals, page.gaps), page.next_key
